"""Training encoders with torch: a teacher fine-tuned on one or several tasks, and a small student that learns from labels and teacher.

With `student`, which calls it, the only module of the lab that needs the extra ``train``. Batches hold documents of like length, so little
is spent on padding; matrix products are taken in bfloat16, twice as fast where the processor has them. Every epoch ends with a checkpoint,
from which a broken run goes on to the same result.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModel, BertConfig, BertModel

from services.lab.bert import Head, Shape, Weights

Floats = npt.NDArray[np.float32]
_PADDED: Final = 0
_POOL: Final = 2048


@dataclass(frozen=True, slots=True)
class Material:
    """Training documents of one task.

    Attributes:
        documents: token ids.
        targets: ``(n,)`` positions of labels.
        classes: number of labels.
        soft: ``(n, classes)`` a teacher's probabilities, or None.
    """

    documents: Sequence[Sequence[int]]
    targets: npt.NDArray[np.int64]
    classes: int
    soft: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how fast.

    Attributes:
        rate: greatest learning rate of the encoder; heads learn ``head_factor`` times as fast.
        tokens: in one batch at most, padding included; ``documents`` likewise.
        balance: exponent of the inverse class frequency in the loss: 0 none, 1 all classes weigh alike.
        smoothing: of hard labels.
        trust: share of the teacher's probabilities in the loss, where there are any.
        drop: share of tokens that are left out of a document anew in every epoch.
        frozen: the embeddings of words and places stay as they are.
    """

    epochs: int
    rate: float
    seed: int
    tokens: int = 1024
    documents: int = 64
    head_factor: float = 20.0
    balance: float = 0.3
    smoothing: float = 0.05
    trust: float = 0.7
    drop: float = 0.0
    frozen: bool = True


@dataclass(slots=True)
class Network:
    """An encoder and the head of each task."""

    encoder: Any
    heads: Any

    @property
    def shape(self) -> Shape:
        config = self.encoder.config
        return Shape(config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.intermediate_size)

    @property
    def weights(self) -> Weights:
        return {name: value.detach().float().numpy().copy() for name, value in self.encoder.state_dict().items()}

    def head(self, task: str) -> Head:
        layer = self.heads[task]
        return Head(layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy())


def _with_heads(encoder: Any, classes: Mapping[str, int]) -> Network:
    width = encoder.config.hidden_size
    return Network(encoder, torch.nn.ModuleDict({name: torch.nn.Linear(width, count) for name, count in classes.items()}))


def pretrained(folder: Path, classes: Mapping[str, int], seed: int, layers: int | None = None) -> Network:
    """A BERT encoder in a folder as transformers writes it, cut to its first ``layers``."""
    seeded(seed)
    encoder = AutoModel.from_pretrained(folder, attn_implementation="sdpa", add_pooling_layer=False)
    if layers is not None:
        encoder.encoder.layer = encoder.encoder.layer[:layers]
        encoder.config.num_hidden_layers = layers
    return _with_heads(encoder, classes)


def narrow(network: Network, weights: Weights) -> None:
    """Gives the feed-forward products of each layer the size and the values that they have in ``weights``."""
    for index, layer in enumerate(network.encoder.encoder.layer):
        for name, part in (("intermediate", layer.intermediate), ("output", layer.output)):
            found = {end: torch.tensor(weights[f"encoder.layer.{index}.{name}.dense.{end}"]) for end in ("weight", "bias")}
            wide, deep = found["weight"].shape
            part.dense = torch.nn.Linear(deep, wide)
            part.dense.load_state_dict(found)
    network.encoder.config.intermediate_size = len(weights["encoder.layer.0.intermediate.dense.bias"])


def small(shape: Shape, vocabulary: int, max_tokens: int, classes: Mapping[str, int], seed: int, dropout: float = 0.1) -> Network:
    """An encoder with random weights."""
    seeded(seed)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.units,
        max_position_embeddings=max_tokens,
        type_vocab_size=1,
        hidden_act="gelu",
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    config._attn_implementation = "sdpa"  # noqa: SLF001 - transformers has no public way for a new model
    return _with_heads(BertModel(config, add_pooling_layer=False), classes)


def lend_words(network: Network, teacher: Weights, kept: npt.NDArray[np.int64]) -> None:
    """Starts the word vectors from the teacher's for these ids, turned to the directions in which they differ most."""
    vectors = np.asarray(teacher["embeddings.word_embeddings.weight"])[kept].astype(np.float64)
    width = network.shape.width
    centred = vectors - vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(centred.T @ centred)
    reduced = centred @ directions[:width].T
    # The scale of BERT's own initialisation, so that layers see what they expect.
    reduced *= 0.02 / reduced.std()
    with torch.no_grad():
        network.encoder.embeddings.word_embeddings.weight.copy_(torch.tensor(reduced, dtype=torch.float32))


def seeded(seed: int) -> random.Random:
    # One thread, so that sums are taken in one order and the same data give the same weights.
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(mode=True)
    return random.Random(seed)


def batches(documents: Sequence[Sequence[int]], order: list[int], schedule: Schedule) -> Iterator[list[int]]:
    """Positions of documents of like length; no batch is larger than the schedule allows."""
    for start in range(0, len(order), _POOL):
        batch: list[int] = []
        for index in sorted(order[start : start + _POOL], key=lambda index: (len(documents[index]), index)):
            if batch and (len(batch) >= schedule.documents or (len(batch) + 1) * len(documents[index]) > schedule.tokens):
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch


def _thinned(ids: Sequence[int], drop: float, chance: random.Random) -> Sequence[int]:
    """Without some of its inner tokens; the first and the last are not the text's."""
    if not drop:
        return ids
    inner = [token for token in ids[1:-1] if chance.random() >= drop]
    return [ids[0], *(inner or ids[1:-1]), ids[-1]]


def pooled(encoder: Any, documents: Sequence[Sequence[int]]) -> Any:
    """``(batch, width)`` mean of the last hidden states of each document's own tokens."""
    longest = max(map(len, documents))
    ids = torch.tensor([[*document, *([_PADDED] * (longest - len(document)))] for document in documents])
    mask = torch.tensor([[1.0] * len(document) + [0.0] * (longest - len(document)) for document in documents])
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=_has_bfloat16()):
        hidden = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    return (hidden.float() * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


@cache
def _has_bfloat16() -> bool:
    """Whether the processor multiplies them itself; where it does not, products take several times as long as in 32 bits."""
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _class_weights(material: Material, balance: float) -> Any:
    counts = np.maximum(np.bincount(material.targets, minlength=material.classes), 1).astype(float)
    weights = (counts.mean() / counts) ** balance
    return torch.tensor(weights * counts.sum() / (weights * counts).sum(), dtype=torch.float32)


def _loss(found: Any, material: Material, batch: Sequence[int], weights: Any, schedule: Schedule) -> Any:
    hard = torch.tensor(material.targets[list(batch)])
    by_label = torch.nn.functional.cross_entropy(found, hard, weight=weights, label_smoothing=schedule.smoothing)
    if material.soft is None:
        return by_label
    soft = torch.tensor(material.soft[list(batch)])
    by_teacher = torch.nn.functional.kl_div(torch.log_softmax(found, dim=1), soft, reduction="batchmean")
    return schedule.trust * by_teacher + (1 - schedule.trust) * by_label


class Run:
    """Optimiser, schedule and what a checkpoint holds."""

    def __init__(self, network: Network, steps: int, schedule: Schedule) -> None:
        self.network = network
        inner = dict(network.encoder.named_parameters())
        if schedule.frozen:
            for name in ("embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"):
                inner.pop(name).requires_grad = False
        decayed, plain = ([value for value in inner.values() if (value.ndim > 1) is wanted] for wanted in (True, False))
        groups = [
            {"params": decayed, "lr": schedule.rate, "weight_decay": 0.01},
            {"params": plain, "lr": schedule.rate, "weight_decay": 0.0},
            {"params": list(network.heads.parameters()), "lr": schedule.rate * schedule.head_factor, "weight_decay": 0.01},
        ]
        self.optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98))
        warm = max(0.06 * steps, 1)
        self.rates = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda step: min(1.0, (step + 1) / warm) * max(0.02, 1 - step / max(steps, 1))
        )

    def step(self, loss: Any) -> None:
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.encoder.parameters(), 1.0)
        self.optimiser.step()
        self.rates.step()

    def save(self, path: Path, epoch: int) -> None:
        """Whole or not at all: a run that ends while it writes finds the checkpoint before."""
        state = {
            "epoch": epoch,
            "encoder": self.network.encoder.state_dict(),
            "heads": self.network.heads.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rates": self.rates.state_dict(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def resume(self, path: Path) -> int:
        """Epochs that are done."""
        if not path.is_file():
            return 0
        state = torch.load(path, weights_only=True)
        self.network.encoder.load_state_dict(state["encoder"])
        self.network.heads.load_state_dict(state["heads"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rates.load_state_dict(state["rates"])
        return int(state["epoch"])


def fit(
    network: Network,
    tasks: Mapping[str, Material],
    schedule: Schedule,
    checkpoint: Path,
    passed: Callable[[float], None] = lambda _share: None,
) -> None:
    """Trains in place. ``passed`` is told the share of the work that is done.

    Each epoch draws from a seed of its own, so a run that goes on from a checkpoint sees what an unbroken one would have seen.
    """
    weights = {name: _class_weights(material, schedule.balance) for name, material in tasks.items()}
    each = sum(len(list(batches(material.documents, list(range(len(material.documents))), schedule))) for material in tasks.values())
    run = Run(network, each * schedule.epochs, schedule)
    for epoch in range(run.resume(checkpoint), schedule.epochs):
        chance = seeded(schedule.seed * 1_000 + epoch)
        network.encoder.train()
        for done, (name, batch) in enumerate(_shuffled(tasks, schedule, chance)):
            material = tasks[name]
            documents = [_thinned(material.documents[index], schedule.drop, chance) for index in batch]
            found = network.heads[name](torch.nn.functional.dropout(pooled(network.encoder, documents), 0.1))
            run.step(_loss(found, material, batch, weights[name], schedule))
            passed((epoch + min((done + 1) / each, 1.0)) / schedule.epochs)
        run.save(checkpoint, epoch + 1)
    network.encoder.eval()


def _shuffled(tasks: Mapping[str, Material], schedule: Schedule, chance: random.Random) -> list[tuple[str, list[int]]]:
    found: list[tuple[str, list[int]]] = []
    for name, material in tasks.items():
        order = list(range(len(material.documents)))
        chance.shuffle(order)
        found.extend((name, batch) for batch in batches(material.documents, order, schedule))
    chance.shuffle(found)
    return found
