"""The nano of a shipped pack that its encoder teaches: rewritten texts, what the encoder says of them, and a hidden layer.

The linear nano may teach beside the encoder: it errs otherwise, and both together are right more often than either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from tokenizers import Tokenizer

from services.lab import bert, distilling, graphs, hidden, linear, mixing, nano, rewriting, student
from services.lab.bert import Head, Weights
from services.lab.building import Bench, Stage, written
from services.lab.distilling import Lessons, Recipe
from services.lab.linear import Floats
from services.lab.student import moved, with_weights
from services.lab.teacher import MINILM, Teacher, folder_of, load
from services.lab.wordpiece import encoded
from shared.automations import hashing
from shared.automations.contract import Features
from shared.automations.pack import TierModel
from shared.inference.session import opened

BUCKETS: Final = 1 << 14
_OUTPUT: Final = "probabilities"
Vocabulary = tuple[list[str], Floats]


@dataclass(frozen=True, slots=True)
class Tutor:
    """MiniLM after it has learnt the task, with the words of its whole vocabulary, and the task's head."""

    weights: Weights
    head: Head


@dataclass(frozen=True, slots=True)
class Schooling:
    """How nano is taught.

    Attributes:
        each: texts that are made of every training text.
        letters: that nano reads, as in `shared.automations.hashing.encode`.
        width: its hidden units.
        beside: a linear tier that teaches beside the encoder.
    """

    each: int
    letters: int = 0
    width: int = 128
    beside: TierModel | None = None


def nano_tier(made: Bench, tutor: Tutor, schooling: Schooling, vocabulary: Vocabulary) -> TierModel:
    plan, texts = made.plan, made.texts("train")
    near = rewriting.near(rewriting.words_of(texts), *vocabulary)
    lessons = [
        *texts,
        *rewriting.rewritten(texts, [example.label for example in made.examples["train"]], near, schooling.each * len(texts), plan.seed),
    ]
    said = _answers(made, tutor, lessons, schooling.beside)
    said[: len(texts)] = student.soft_labels(said[: len(texts)], made.targets("train"))
    how = Recipe(BUCKETS, letters=schooling.letters, width=schooling.width, seed=plan.seed)
    model = distilling.fit(Lessons(lessons, said, len(texts)), how, moved(made.stage, "nano of the encoder"))
    sparse = hashing.encode([example.features for example in made.examples["tune"]], how.buckets, how.letters)
    (sharpness,) = mixing.fit([model.probabilities(sparse)], made.targets("tune"))
    file, content = f"{plan.name}-nano.onnx", hidden.to_onnx(model.cooled(1 / sharpness), f"{plan.name}-nano")
    written(made.folder, file, content)
    return nano.tier(file, content, nano.Recipe(how.buckets, letters=how.letters), len(plan.labels))


def provenance(schooling: Schooling) -> Mapping[str, Any]:
    """What the card says about how this nano came about."""
    epochs = Recipe(BUCKETS).epochs
    found = f"{schooling.width} hidden units, {epochs} epochs, {schooling.each} rewritten texts for each of the training part"
    return {"nano": f"{found}, taught by the encoder and a linear nano" if schooling.beside else found}


def vocabulary(stage: Stage, max_tokens: int) -> Vocabulary:
    """The whole words of MiniLM's vocabulary, and what it makes of each alone, before it has learnt any task."""
    places = Tokenizer.from_file(str(folder_of(MINILM) / "tokenizer.json")).get_vocab()
    words = sorted((word for word in places if rewriting.WORD.fullmatch(word)), key=places.__getitem__)
    teacher = load(MINILM, words, max_tokens)
    graph = graphs.int8(bert.to_onnx(teacher.weights, teacher.shape, {}), "any")
    return words, graphs.embeddings(graph, encoded(teacher.tokenizer, words), stage("near words", len(words)))


def _answers(made: Bench, tutor: Tutor, lessons: list[str], beside: TierModel | None) -> Floats:
    """``(lessons, labels)``: the encoder's answers, or those of both as they are right together about *tune*."""
    if beside is None:
        teacher = with_weights(load(MINILM, lessons, made.plan.max_tokens), tutor.weights)
        return _said(teacher, tutor.head, lessons, made.stage)
    asked = [*lessons, *made.texts("tune")]
    teacher = with_weights(load(MINILM, asked, made.plan.max_tokens), tutor.weights)
    said = [_linear(made, beside, asked), _said(teacher, tutor.head, asked, made.stage)]
    weights = mixing.fit([found[len(lessons) :] for found in said], made.targets("tune"))
    return mixing.mixed([found[: len(lessons)] for found in said], weights).astype(np.float32)


def _linear(made: Bench, tier: TierModel, texts: list[str]) -> Floats:
    model = linear.from_onnx((made.folder / tier.artefact("any").file).read_bytes())
    return model.probabilities(hashing.encode([Features(text) for text in texts], tier.buckets, tier.letters))


def _said(teacher: Teacher, head: Head, texts: list[str], stage: Stage) -> Floats:
    """``(texts, labels)``, by the encoder in int8, as it is shipped but for words that only these texts have."""
    session = opened(graphs.int8(bert.to_onnx(teacher.weights, teacher.shape, {_OUTPUT: head}), "any"))
    passed, rows = stage("the encoder's answers", len(texts)), []
    for ids in encoded(teacher.tokenizer, texts):
        rows.append(np.asarray(session.run([_OUTPUT], {bert.INPUT: np.array([ids], dtype=np.int64)})[0])[0])
        passed()
    return np.array(rows, dtype=np.float32)
