"""A small encoder learns what a large one says, and how it sees texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.lab import bert, tutored
from services.lab.bert import Head, Shape
from services.lab.encoder import Network, Schedule
from services.lab.lessons import Lessons
from services.lab.teacher import Teacher
from services.lab.wordpiece import encoded, learnt
from shared.inference.session import opened

DRAWS = np.random.default_rng(0)
WORDS = [f"{first}{second}" for first in ("ba", "do", "ke", "li") for second in ("m", "n", "r", "s", "t", "p", "k", "g")]
WIDTH = 24
MEANINGS = DRAWS.normal(size=(len(WORDS), WIDTH))
HEAD = Head(DRAWS.normal(size=(3, WIDTH)).astype(np.float32), np.zeros(3, dtype=np.float32))
SCHEDULE = Schedule(epochs=4, rate=3e-3, seed=0, tokens=2_048, documents=64, head_factor=1.0, frozen=False)


def _teacher() -> Teacher:
    tokenizer = learnt(WORDS * 3, 200, 16)
    size = tokenizer.get_vocab_size()
    weights = {"embeddings.word_embeddings.weight": DRAWS.normal(size=(size, 200)).astype(np.float32)}
    return Teacher("toy", "", weights, Shape(1, 200, 2, 800), tokenizer, np.arange(size, dtype=np.int64))


TEACHER = _teacher()


def _lessons(count: int = 1_500) -> Lessons:
    """What a text means is the mean of what its words mean."""
    draws = np.random.default_rng(1)
    chosen = [draws.integers(0, len(WORDS), draws.integers(2, 7)) for _ in range(count)]
    states = np.array([MEANINGS[words].mean(axis=0) for words in chosen])
    logits = states @ HEAD.weights.T
    soft = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Lessons([" ".join(WORDS[word] for word in words) for words in chosen], soft.astype(np.float32), states.astype(np.float16), 300)


def _fitted(lessons: Lessons, checkpoint: Path, passed: list[float] | None = None, stop: float = 2.0) -> tuple[Network, Head]:
    network = tutored.student_of(TEACHER, HEAD, lessons, 16, 0)
    documents = encoded(TEACHER.tokenizer, lessons.texts)

    def moved(share: float) -> None:
        if passed is not None:
            passed.append(share)
        if share > stop:
            raise KeyboardInterrupt

    return network, tutored.fit(network, lessons, documents, SCHEDULE, checkpoint, moved)


def test_a_student_says_of_new_texts_what_its_teacher_says_by_one_head_that_holds_both_steps(tmp_path: Path) -> None:
    lessons, shares = _lessons(), list[float]()
    known, new = 1_200, slice(1_200, None)
    taught = Lessons(lessons.texts[:known], lessons.soft[:known], lessons.states[:known], lessons.written)
    network, head = _fitted(taught, tmp_path / "c.pt", shares)
    graph = opened(bert.to_onnx(network.weights, network.shape, {"said": head}))
    ids = encoded(TEACHER.tokenizer, lessons.texts[new])
    said = np.array([np.asarray(graph.run(["said"], {bert.INPUT: np.array([each])})[0])[0] for each in ids])
    assert (said.argmax(axis=1) == lessons.soft[new].argmax(axis=1)).mean() > 0.85
    assert np.abs(said - lessons.soft[new]).mean() < 0.08
    assert shares[-1] == pytest.approx(1.0)
    assert shares == sorted(shares)


def test_a_broken_run_goes_on_to_what_an_unbroken_one_gives(tmp_path: Path) -> None:
    lessons = _lessons(300)
    network, head = _fitted(lessons, tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        _fitted(lessons, tmp_path / "broken.pt", stop=0.6)
    shares: list[float] = []
    again, same = _fitted(lessons, tmp_path / "broken.pt", shares)
    assert min(shares) > 0.5
    np.testing.assert_array_equal(head.weights, same.weights)
    for name, values in network.weights.items():
        np.testing.assert_array_equal(values, again.weights[name], err_msg=name)
