"""What a fine-tuned encoder teaches the small models of a shipped pack: rewritten texts, what it says of them, and how it sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from services.lab import bert, graphs, rewriting
from services.lab.answers import Floats
from services.lab.building import Bench, Stage
from services.lab.rewriting import Source
from services.lab.student import soft_labels, with_weights
from services.lab.taught import Tutor, Vocabulary
from services.lab.teacher import MINILM, load
from services.lab.wordpiece import encoded

Halves = npt.NDArray[np.float16]
# Of other tasks' texts: what could be an utterance.
_WORDS: Final = (3, 25)


@dataclass(frozen=True, slots=True)
class Lessons:
    """``texts``, the first ``written`` of which somebody wrote.

    Attributes:
        soft: ``(texts, classes)``: what the teacher says of each.
        states: ``(texts, width)``: its embedding of each, from which its head says so.
    """

    texts: Sequence[str]
    soft: Floats
    states: Halves
    written: int


def prepared(made: Bench, tutor: Tutor, vocabulary: Vocabulary, each: int, others: Sequence[str]) -> Lessons:
    """Args: each: texts that are made for every training text; ``others``: training texts of other tasks."""
    plan, texts = made.plan, made.texts("train")
    foreign = list(dict.fromkeys(text for text in others if _WORDS[0] <= len(text.split()) <= _WORDS[1]))
    near = rewriting.near(rewriting.words_of([*texts, *foreign]), *vocabulary)
    source = Source(texts, [example.label for example in made.examples["train"]], foreign)
    lessons = [*texts, *rewriting.varied(source, near, each * len(texts), plan.seed)]
    states = _seen(tutor, lessons, plan.max_tokens, made.stage)
    soft = softmax(states.astype(np.float32) @ tutor.head.weights.T + tutor.head.bias, axis=1)
    soft[: len(texts)] = soft_labels(soft[: len(texts)], made.targets("train"))
    return Lessons(lessons, soft, states, len(texts))


def _seen(tutor: Tutor, texts: Sequence[str], max_tokens: int, stage: Stage) -> Halves:
    """By the encoder in int8, as it is shipped but for words that only these texts have."""
    teacher = with_weights(load(MINILM, texts, max_tokens), tutor.weights)
    graph = graphs.int8(bert.to_onnx(teacher.weights, teacher.shape, {}), "any")
    return graphs.embeddings(graph, encoded(teacher.tokenizer, texts), stage("the encoder's answers", len(texts))).astype(np.float16)
