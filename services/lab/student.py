"""The mini tier: a two-layer encoder that learns from labels, and from a teacher where there is one. Needs the extra ``train``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.lab import encoder
from services.lab.answers import Floats
from services.lab.bert import Head, Shape, Weights
from services.lab.building import Bench, Stage, transformer_tier, written
from services.lab.encoder import Material, Schedule
from services.lab.plan import Plan
from services.lab.teacher import Teacher, folder_of, load
from services.lab.wordpiece import encoded, learnt
from shared.automations.pack import TierModel

SHAPE: Final = Shape(layers=2, width=128, heads=2, units=128)
PIECES: Final = 4_000
# Beside the pack while it is made; what is in it can be deleted at any time.
WORK: Final = ".work"


def mini_tier(bench: Bench, teacher: Teacher | None, soft: Floats | None) -> TierModel:
    """Trained from scratch; with a teacher, on its pieces and word vectors, and after its probabilities of the training documents."""
    plan, texts = bench.plan, bench.texts("train")
    tokenizer = teacher.tokenizer if teacher else learnt(texts, PIECES, plan.max_tokens)
    classes = {plan.name: len(plan.labels)}
    network = encoder.small(SHAPE, tokenizer.get_vocab_size(), plan.max_tokens, classes, plan.seed)
    if teacher is not None:
        encoder.lend_words(network, teacher.weights, np.arange(len(teacher.kept), dtype=np.int64))
    material = Material(encoded(tokenizer, texts), bench.targets("train"), len(plan.labels), soft)
    schedule = Schedule(epochs=plan.epochs, rate=1e-3, seed=plan.seed, tokens=4_096, head_factor=2.0, drop=0.1, frozen=False)
    encoder.fit(network, {plan.name: material}, schedule, _checkpoint(bench, "mini", material, schedule), moved(bench.stage, "mini"))
    kept = written(bench.folder, f"{plan.name}-mini-tokenizer.json", tokenizer.to_str().encode())
    return transformer_tier(bench, "mini", network.weights, network.shape, network.head(plan.name), kept)


def finetuned(bench: Bench) -> tuple[Teacher, Head]:
    """The plan's teacher after it has learnt this task, and its head."""
    plan = bench.plan
    teacher = load(plan.teacher, bench.texts("train"), plan.max_tokens, plan.layers, plan.rare, plan.width)
    network = encoder.pretrained(folder_of(plan.teacher), {plan.name: len(plan.labels)}, plan.seed, plan.layers)
    if plan.width is not None:
        encoder.narrow(network, teacher.weights)
    documents = [teacher.kept[ids].tolist() for ids in encoded(teacher.tokenizer, bench.texts("train"))]
    material = Material(documents, bench.targets("train"), len(plan.labels))
    schedule = Schedule(epochs=plan.finetune, rate=1e-4, seed=plan.seed, tokens=2_048, balance=0.4, drop=0.1)
    encoder.fit(network, {plan.name: material}, schedule, _checkpoint(bench, "teacher", material, schedule), moved(bench.stage, "teacher"))
    return with_weights(teacher, network.weights), network.head(plan.name)


def with_weights(teacher: Teacher, weights: Weights) -> Teacher:
    """The teacher's tokeniser over other weights, which still have the words of the whole vocabulary."""
    words = "embeddings.word_embeddings.weight"
    cut = {**weights, words: weights[words][teacher.kept]}
    return Teacher(f"{teacher.name}, fine-tuned", _digest(cut), cut, teacher.shape, teacher.tokenizer, teacher.kept)


def _digest(weights: Weights) -> str:
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode())
        found.update(np.ascontiguousarray(weights[name]).tobytes())
    return found.hexdigest()


def _checkpoint(bench: Bench, stage: str, material: Material, schedule: Schedule) -> Path:
    """Named after everything that training depends on, so that a broken run goes on only with the same data and settings."""
    made_of = {"stage": stage, "teacher": bench.plan.teacher, "layers": bench.plan.layers, "width": bench.plan.width}
    settings = json.dumps({**asdict(schedule), **made_of, "classes": material.classes}, sort_keys=True)
    found = hashlib.sha256(settings.encode())
    found.update(json.dumps([list(map(int, ids)) for ids in material.documents]).encode())
    found.update(material.targets.tobytes())
    found.update(b"" if material.soft is None else material.soft.tobytes())
    return bench.folder / WORK / f"{stage}-{found.hexdigest()[:16]}.pt"


def moved(stage: Stage, name: str) -> Callable[[float], None]:
    """Shares of the work as steps of a progress bar."""
    steps = 100
    passed, done = stage(name, steps), [0]

    def moved(share: float) -> None:
        while done[0] < round(share * steps):
            passed()
            done[0] += 1

    return moved


def provenance(plan: Plan, teacher: Teacher | None) -> Mapping[str, Any]:
    """What the card says about how the transformers came about."""
    found: dict[str, Any] = {"mini": f"{SHAPE.description}, {plan.epochs} epochs"} if plan.mini else {}
    if teacher is not None:
        found |= {**teacher.provenance, "teacher_epochs": plan.finetune}
    return found


def soft_labels(tier_answers: npt.NDArray[np.float32], targets: npt.NDArray[np.int64]) -> Floats:
    """A teacher's probabilities, half of the way to the truth where it is wrong on its own training documents."""
    hard = np.eye(tier_answers.shape[1], dtype=np.float32)[targets]
    wrong = tier_answers.argmax(axis=1) != targets
    return np.where(wrong[:, None], 0.5 * tier_answers + 0.5 * hard, tier_answers).astype(np.float32)
