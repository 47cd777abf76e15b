"""A nano and a mini that learn from a large encoder: what it says of many texts, and how it sees them. Needs the extra ``train``.

Labels alone say little about a text; the large encoder's whole embedding says what the text means (hidden states are learnt likewise in
TinyBERT by Jiao et al., 2020). Mini learns to foretell it from its own, narrower one, and labels follow by a copy of the teacher's
head. Both steps are linear, so that one head does for both where it is shipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from services.lab import distilling, encoder, hidden, mixing, nano
from services.lab.bert import Head, Shape
from services.lab.building import Bench, transformer_tier, written
from services.lab.distilling import Recipe
from services.lab.encoder import Network, Run, Schedule
from services.lab.lessons import Lessons
from services.lab.student import WORK, moved
from services.lab.taught import BUCKETS
from services.lab.teacher import MINILM, Teacher, load
from services.lab.wordpiece import encoded
from shared.automations import hashing
from shared.automations.pack import TierModel

# Wider than a mini that learns from labels: with as few units as that it stays more than a point behind its teacher.
SHAPE: Final = Shape(layers=2, width=128, heads=2, units=512)
SCHEDULE: Final = Schedule(epochs=4, rate=2e-3, seed=0, tokens=4_096, documents=128, head_factor=1.0, frozen=False)
# Pieces that fewer of the texts have are left out: each takes as many bytes as a word that all of them have.
RARE: Final = 30
# Of a text that somebody wrote, where a rewritten one weighs 1.
_WEIGHT: Final = 3.0
_TASK: Final = "taught"
# Of the states that the head's beginning is fitted to.
_SEEN: Final = 20_000


def student_of(teacher: Teacher, head: Head, lessons: Lessons, max_tokens: int, seed: int) -> Network:
    """Untrained, but with the teacher's word vectors and its head.

    Nothing is dropped out: no text is seen often enough to be learnt by heart.
    """
    classes, width = head.weights.shape
    vocabulary = len(teacher.kept)
    network = encoder.small(SHAPE, vocabulary, max_tokens, {_TASK: classes}, seed, dropout=0.0)
    encoder.lend_words(network, teacher.weights, np.arange(vocabulary, dtype=np.int64))
    seen, copy = torch.nn.Linear(SHAPE.width, width), torch.nn.Linear(width, classes)
    first = lessons.states[:_SEEN].astype(np.float32)
    with torch.no_grad():
        seen.weight.normal_(0, float(first.std()) / SHAPE.width**0.5)
        seen.bias.copy_(torch.from_numpy(first.mean(axis=0)))
        copy.weight.copy_(torch.from_numpy(head.weights))
        copy.bias.copy_(torch.from_numpy(head.bias))
    network.heads[_TASK] = torch.nn.Sequential(seen, copy)
    return network


def fit(
    network: Network,
    lessons: Lessons,
    documents: Sequence[Sequence[int]],
    schedule: Schedule,
    checkpoint: Path,
    passed: Callable[[float], None] = lambda _share: None,
) -> Head:
    """Trains in place, and gives the head for what is shipped. As `encoder.fit` otherwise.

    Args:
        documents: token ids of the texts of ``lessons``.
    """
    loss, order = _Loss(network, lessons), list(range(len(documents)))
    each = len(list(encoder.batches(documents, order, schedule)))
    run = Run(network, each * schedule.epochs, schedule)
    for epoch in range(run.resume(checkpoint), schedule.epochs):
        chance = encoder.seeded(schedule.seed * 1_000 + epoch)
        order = list(range(len(documents)))
        chance.shuffle(order)
        todo = list(encoder.batches(documents, order, schedule))
        chance.shuffle(todo)
        network.encoder.train()
        # For a dozen tokens the plain way is faster than the one that saves memory.
        with sdpa_kernel(SDPBackend.MATH):
            for done, batch in enumerate(todo):
                run.step(loss(encoder.pooled(network.encoder, [documents[index] for index in batch]), batch))
                passed((epoch + min((done + 1) / each, 1.0)) / schedule.epochs)
        run.save(checkpoint, epoch + 1)
    network.encoder.eval()
    return _joined(network)


class _Loss:
    """Of the labels, and of the embedding in units of its own spread."""

    def __init__(self, network: Network, lessons: Lessons) -> None:
        self._seen, self._copy = network.heads[_TASK]
        self._soft, self._states = torch.from_numpy(lessons.soft), torch.from_numpy(lessons.states)
        self._written = lessons.written
        self._variance = float(lessons.states[:_SEEN].astype(np.float32).var())

    def __call__(self, hidden: Any, batch: Sequence[int]) -> Any:
        index = torch.tensor(batch)
        found = self._seen(hidden)
        apart = ((found - self._states[index].float()) ** 2).mean(dim=1) / self._variance
        wrong = torch.nn.functional.kl_div(torch.log_softmax(self._copy(found), dim=1), self._soft[index], reduction="none").sum(dim=1)
        weights = torch.where(index < self._written, _WEIGHT, 1.0)
        return ((apart + wrong) * weights).sum() / weights.sum()


def _joined(network: Network) -> Head:
    seen, copy = network.heads[_TASK]
    with torch.no_grad():
        return Head((copy.weight @ seen.weight).numpy().copy(), (copy.weight @ seen.bias + copy.bias).numpy().copy())


def tiers(made: Bench, lessons: Lessons, head: Head) -> list[TierModel]:
    """Args: head: the teacher's, from which mini's begins."""
    return [_nano_tier(made, lessons), _mini_tier(made, lessons, head)]


def _nano_tier(made: Bench, lessons: Lessons) -> TierModel:
    plan = made.plan
    known = distilling.Lessons(lessons.texts, lessons.soft, lessons.written)
    model = distilling.fit(known, Recipe(BUCKETS, seed=plan.seed), moved(made.stage, "nano of the encoder"))
    sparse = hashing.encode([example.features for example in made.examples["tune"]], BUCKETS)
    (sharpness,) = mixing.fit([model.probabilities(sparse)], made.targets("tune"))
    file, content = f"{plan.name}-nano.onnx", hidden.to_onnx(model.cooled(1 / sharpness), f"{plan.name}-nano")
    written(made.folder, file, content)
    return nano.tier(file, content, nano.Recipe(BUCKETS), len(plan.labels))


def _mini_tier(made: Bench, lessons: Lessons, head: Head) -> TierModel:
    plan = made.plan
    teacher = load(MINILM, lessons.texts, plan.max_tokens, rare=RARE)
    network = student_of(teacher, head, lessons, plan.max_tokens, plan.seed)
    documents = encoded(teacher.tokenizer, lessons.texts)
    found = fit(network, lessons, documents, SCHEDULE, _checkpoint(made, lessons), moved(made.stage, "mini of the encoder"))
    kept = written(made.folder, f"{plan.name}-mini-tokenizer.json", teacher.tokenizer.to_str().encode())
    return transformer_tier(made, "mini", network.weights, network.shape, found, kept)


def _checkpoint(made: Bench, lessons: Lessons) -> Path:
    """Named after everything that training depends on."""
    found = hashlib.sha256(repr((SCHEDULE, SHAPE, RARE, made.plan.seed, lessons.written)).encode())
    for content in ("\n".join(lessons.texts).encode(), lessons.soft.tobytes(), lessons.states.tobytes()):
        found.update(content)
    return made.folder / WORK / f"mini-{found.hexdigest()[:16]}.pt"


def provenance(each: int) -> Mapping[str, Any]:
    """What the card says about how these models came about."""
    how, texts = Recipe(BUCKETS), f"{each} varied texts for each of the training part"
    return {
        "nano": f"{how.width} hidden units, {how.epochs} epochs, {texts}",
        "mini": f"{SHAPE.description}, {SCHEDULE.epochs} epochs, {texts}, and how the encoder sees them",
    }
