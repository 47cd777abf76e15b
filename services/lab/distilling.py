"""Training a nano with a hidden layer on what a teacher says of many rewritten texts. Needs the extra ``train``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import dropout, embedding_bag, linear, log_softmax, relu

from services.lab import hidden
from services.lab.hidden import HiddenModel
from services.lab.linear import Floats
from shared.automations import hashing
from shared.automations.contract import Features

# Values of a document have norm 1, which is little where weights begin near nothing.
_SCALE: Final = 3.0
_LEAST_RATE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Recipe:
    """How it is trained.

    Attributes:
        buckets: size of the hash space; a power of two.
        letters: as in `shared.automations.hashing.encode`.
        width: hidden units.
        drop: share of features, and of hidden units, that are left out of each document anew in every epoch.
        weight: of a text that somebody wrote, where a rewritten one weighs 1.
    """

    buckets: int
    letters: int = 0
    width: int = 128
    epochs: int = 5
    rate: float = 3e-3
    documents: int = 256
    drop: float = 0.1
    weight: float = 3.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Lessons:
    """``texts``, the first ``written`` of which somebody wrote, and ``(texts, classes)`` what the teacher says of each."""

    texts: Sequence[str]
    soft: Floats
    written: int


class _Network:
    def __init__(self, how: Recipe, classes: int) -> None:
        self.table = (torch.randn(how.buckets, how.width) * 0.1).requires_grad_()
        self.bias = torch.zeros(how.width).requires_grad_()
        self.heads = ((torch.rand(classes, how.width) * 2 - 1) / how.width**0.5).requires_grad_()
        self.head_bias = torch.zeros(classes).requires_grad_()

    @property
    def parameters(self) -> list[Any]:
        return [self.table, self.bias, self.heads, self.head_bias]

    def logits(self, batch: hashing.Sparse, drop: float, chance: np.random.Generator) -> Any:
        kept = chance.random(len(batch.values)) >= drop
        starts = np.searchsorted(batch.rows, np.arange(batch.batch))
        values = torch.from_numpy((batch.values * kept * _SCALE).astype(np.float32))
        sums = embedding_bag(torch.from_numpy(batch.ids), self.table, torch.from_numpy(starts), mode="sum", per_sample_weights=values)
        return linear(dropout(relu(sums + self.bias), drop), self.heads, self.head_bias)


def fit(lessons: Lessons, how: Recipe, passed: Callable[[float], None] = lambda _share: None) -> HiddenModel:
    """The same lessons give the same model on one machine and library. ``passed`` is told the share of the work that is done."""
    # One thread, so that sums are taken in one order.
    torch.set_num_threads(1)
    torch.manual_seed(how.seed)
    network, chance = _Network(how, lessons.soft.shape[1]), np.random.default_rng(how.seed)
    optimiser, steps = torch.optim.Adam(network.parameters, lr=how.rate), how.epochs * -(-len(lessons.texts) // how.documents)
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: max(_LEAST_RATE, 1 - step / steps))
    documents = [Features(text) for text in lessons.texts]
    done = 0
    for _ in range(how.epochs):
        order = chance.permutation(len(documents))
        for start in range(0, len(order), how.documents):
            chosen = order[start : start + how.documents]
            batch = hashing.encode([documents[index] for index in chosen], how.buckets, how.letters)
            loss = _loss(network.logits(batch, how.drop, chance), lessons, chosen, how)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rates.step()
            done += 1
            passed(done / steps)
    return _model(network)


def _loss(logits: Any, lessons: Lessons, chosen: npt.NDArray[np.int64], how: Recipe) -> Any:
    each = -(torch.from_numpy(lessons.soft[chosen]) * log_softmax(logits, dim=1)).sum(dim=1)
    return (each * torch.from_numpy(np.where(chosen < lessons.written, how.weight, 1.0).astype(np.float32))).mean()


def _model(network: _Network) -> HiddenModel:
    table, bias, heads, head_bias = (value.detach().numpy() for value in network.parameters)
    return hidden.quantised(table * np.float32(_SCALE), bias, heads, head_bias)
