"""The nano of a shipped pack that its encoder teaches: rewritten texts, what the encoder says of them, and a hidden layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from tokenizers import Tokenizer

from services.lab import bert, distilling, graphs, hidden, mixing, nano, rewriting, student
from services.lab.bert import Head, Weights
from services.lab.building import Bench, Stage, written
from services.lab.distilling import Lessons, Recipe
from services.lab.linear import Floats
from services.lab.student import moved, with_weights
from services.lab.teacher import MINILM, Teacher, folder_of, load
from services.lab.wordpiece import encoded
from shared.automations import hashing
from shared.automations.pack import TierModel
from shared.inference.session import opened

BUCKETS: Final = 1 << 14
_OUTPUT: Final = "probabilities"


@dataclass(frozen=True, slots=True)
class Tutor:
    """MiniLM after it has learnt the task, with the words of its whole vocabulary, and the task's head."""

    weights: Weights
    head: Head


def nano_tier(made: Bench, tutor: Tutor, each: int) -> TierModel:
    """Args: each: texts that are made of every training text."""
    plan, texts = made.plan, made.texts("train")
    known = rewriting.words_of(texts)
    near = rewriting.near(known, *_words(made.stage, plan.max_tokens))
    lessons = [
        *texts,
        *rewriting.rewritten(texts, [example.label for example in made.examples["train"]], near, each * len(texts), plan.seed),
    ]
    teacher = with_weights(load(MINILM, lessons, plan.max_tokens), tutor.weights)
    said = _said(teacher, tutor.head, lessons, made.stage)
    said[: len(texts)] = student.soft_labels(said[: len(texts)], made.targets("train"))
    how = Recipe(BUCKETS, seed=plan.seed)
    model = distilling.fit(Lessons(lessons, said, len(texts)), how, moved(made.stage, "nano of the encoder"))
    sparse = hashing.encode([example.features for example in made.examples["tune"]], BUCKETS)
    (sharpness,) = mixing.fit([model.probabilities(sparse)], made.targets("tune"))
    file, content = f"{plan.name}-nano.onnx", hidden.to_onnx(model.cooled(1 / sharpness), f"{plan.name}-nano")
    written(made.folder, file, content)
    return nano.tier(file, content, nano.Recipe(BUCKETS), len(plan.labels))


def provenance(each: int) -> Mapping[str, Any]:
    """What the card says about how this nano came about."""
    how = Recipe(BUCKETS)
    return {"nano": f"{how.width} hidden units, {how.epochs} epochs, {each} rewritten texts for each of the training part"} if each else {}


def _words(stage: Stage, max_tokens: int) -> tuple[list[str], Floats]:
    """The whole words of MiniLM's vocabulary, and what it makes of each alone, before it has learnt any task."""
    vocabulary = Tokenizer.from_file(str(folder_of(MINILM) / "tokenizer.json")).get_vocab()
    words = sorted((word for word in vocabulary if rewriting.WORD.fullmatch(word)), key=vocabulary.__getitem__)
    teacher = load(MINILM, words, max_tokens)
    graph = graphs.int8(bert.to_onnx(teacher.weights, teacher.shape, {}), "any")
    return words, graphs.embeddings(graph, encoded(teacher.tokenizer, words), stage("near words", len(words)))


def _said(teacher: Teacher, head: Head, texts: list[str], stage: Stage) -> Floats:
    """``(texts, labels)``, by the encoder in int8, as it is shipped but for words that only these texts have."""
    session = opened(graphs.int8(bert.to_onnx(teacher.weights, teacher.shape, {_OUTPUT: head}), "any"))
    passed, rows = stage("the encoder's answers", len(texts)), []
    for ids in encoded(teacher.tokenizer, texts):
        rows.append(np.asarray(session.run([_OUTPUT], {bert.INPUT: np.array([ids], dtype=np.int64)})[0])[0])
        passed()
    return np.array(rows, dtype=np.float32)
