"""The models that are compared, over the same documents: MiniLM in torch and in int8, mini, nano; and what each costs in CPU time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import BertConfig, BertModel

from services.lab import bert, encoder, graphs, linear, nano, student
from services.lab.bert import Head
from services.lab.building import Bench, Stage, written
from services.lab.examples import Example, Source, parts, synthetic
from services.lab.plan import Plan
from services.lab.student import PIECES, SHAPE
from services.lab.teacher import MINILM, Teacher, load
from services.lab.wordpiece import learnt
from shared.automations.pack import Pack, TierModel
from shared.automations.registry import automation
from shared.inference.models import Models
from shared.inference.scorers import DocumentTokenizer, LinearScorer, Scorer, TransformerScorer
from shared.inference.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from shared.automations.contract import Features
    from shared.automations.pack import Variant

MAX_TOKENS = 128
TASK = "claims"
Predict = Callable[[Sequence["Features"]], npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Generated claims that no rule decides; labels in the order of the models' outputs."""

    labels: tuple[str, ...]
    train: Sequence[Example]
    test: Sequence[Example]

    @classmethod
    def drawn(cls, train: int, test: int) -> Corpus:
        found, _ = synthetic(automation(TASK), 4 * (train + test), 7, lambda: None)
        split = parts(found)
        chosen = (split["train"][:train], (split["tune"] + split["certify"])[:test])
        return cls(tuple(sorted({example.label for example in found})), *chosen)

    def targets(self, examples: Sequence[Example]) -> npt.NDArray[np.int64]:
        return np.array([self.labels.index(example.label) for example in examples], dtype=np.int64)

    @property
    def texts(self) -> list[str]:
        return [example.features.as_document() for example in self.train]


def _ready(network: Any) -> Any:
    """Without dropout."""
    network.eval()
    return network


class TorchMiniLM:
    """MiniLM in torch's 32-bit floats, one thread, one document a call."""

    def __init__(self, teacher: Teacher, head: Head) -> None:
        torch.set_num_threads(1)
        words = teacher.weights["embeddings.word_embeddings.weight"]
        config = BertConfig(
            vocab_size=len(words),
            hidden_size=teacher.shape.width,
            num_hidden_layers=teacher.shape.layers,
            num_attention_heads=teacher.shape.heads,
            intermediate_size=len(teacher.weights["encoder.layer.0.intermediate.dense.weight"]),
        )
        self._encoder = _ready(BertModel(config, add_pooling_layer=False))
        known = {name: torch.from_numpy(np.array(value)) for name, value in teacher.weights.items() if "pooler" not in name}
        missing = self._encoder.load_state_dict(known, strict=False).missing_keys
        assert not missing, missing
        self._weights, self._bias = torch.from_numpy(head.weights), torch.from_numpy(head.bias)
        self._tokenizer = teacher.tokenizer

    def predict(self, documents: Sequence[Features]) -> npt.NDArray[np.int64]:
        with torch.inference_mode():
            return np.array([self._predicted(document) for document in documents], dtype=np.int64)

    def _predicted(self, document: Features) -> int:
        ids = torch.tensor([self._tokenizer.encode(document.as_document()).ids])
        hidden = self._encoder(input_ids=ids).last_hidden_state.mean(dim=1)
        return int(torch.argmax(hidden @ self._weights.T + self._bias))


def _written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _transformer(folder: Path, name: str, graph: bytes, tokenizer: Any) -> TransformerScorer:
    session = Session(folder / f"{name}.onnx", _written(folder / f"{name}.onnx", graph))
    pieces = folder / f"{name}.json"
    return TransformerScorer(session, "probabilities", DocumentTokenizer(pieces, _written(pieces, tokenizer.to_str().encode()), MAX_TOKENS))


def predictor(scorer: Scorer) -> Predict:
    return lambda documents: scorer.probabilities(documents).argmax(axis=1)


def _mini(folder: Path, corpus: Corpus, variant: Variant) -> TransformerScorer:
    """Of the shape that the lab trains, with drawn weights: good for its speed only."""
    tokenizer = learnt(corpus.texts, PIECES, MAX_TOKENS)
    network = encoder.small(SHAPE, tokenizer.get_vocab_size(), MAX_TOKENS, {TASK: len(corpus.labels)}, 0)
    graph = bert.to_onnx(network.weights, network.shape, {"probabilities": network.head(TASK)})
    return _transformer(folder, "mini", graphs.int8(graph, variant), tokenizer)


def _nano(folder: Path, corpus: Corpus) -> LinearScorer:
    how = nano.recipe(len(corpus.labels))
    content = linear.to_onnx(nano.fit(corpus.train, corpus.labels, how), "nano")
    return LinearScorer(Session(folder / "nano.onnx", _written(folder / "nano.onnx", content)), "probabilities", how.buckets)


def timed_only(texts: Sequence[str], max_tokens: int, labels: int) -> TorchMiniLM:
    """MiniLM in torch over another task's pieces of words, with a head that says nothing: good for its speed only."""
    teacher = load(MINILM, texts, max_tokens)
    return TorchMiniLM(teacher, Head(np.zeros((labels, teacher.shape.width), np.float32), np.zeros(labels, np.float32)))


def learnt_minilm(corpus: Corpus, epochs: int, stage: Stage, kept: Path) -> tuple[Teacher, Head]:
    """MiniLM after it has learnt this corpus; a run that was broken off, or one that is made again, goes on from ``kept``."""
    plan = Plan(name=TASK, task=TASK, labels=corpus.labels, source=Source(TASK, "", ""), teacher=MINILM, finetune=epochs)
    kept.mkdir(parents=True, exist_ok=True)
    return student.finetuned(Bench(plan, kept, {"train": corpus.train}, {}, stage))


def large_tier(folder: Path, teacher: Teacher, head: Head, variant: Variant) -> TierModel:
    """In int8, as the lab ships one."""
    graph = graphs.int8(bert.to_onnx(teacher.weights, teacher.shape, {"probabilities": head}), variant)
    return TierModel(
        name="large",
        kind="transformer",
        artefacts=(written(folder, "large.onnx", graph),),
        inputs=bert.INPUTS,
        outputs={"probabilities": f"float32[1, {len(head.bias)}]"},
        tokenizer=written(folder, "large-tokenizer.json", teacher.tokenizer.to_str().encode()),
        max_tokens=MAX_TOKENS,
    )


def contenders(folder: Path, corpus: Corpus, teacher: Teacher, head: Head, variant: Variant) -> Mapping[str, Predict]:
    """``torch`` and ``int8`` are MiniLM with the same weights and head: so they should say the same."""
    large = large_tier(folder, teacher, head, variant)
    pack = Pack(name=TASK, version="", task=TASK, labels=corpus.labels, level="", tiers=(large,))
    return {
        "torch": TorchMiniLM(teacher, head).predict,
        "int8": predictor(Models(folder).scorer(pack, large)),
        "mini": predictor(_mini(folder, corpus, variant)),
        "nano": predictor(_nano(folder, corpus)),
    }


def interleaved(runs: Mapping[str, Predict], documents: Sequence[Features], rounds: int, chunk: int = 25) -> list[dict[str, float]]:
    """CPU seconds per document of each, round by round; within a round they take turns over the same chunks, so that a slow moment of the
    machine meets all of them.
    """
    for run in runs.values():
        run(documents[:3])
    chunks = [documents[start : start + chunk] for start in range(0, len(documents), chunk)]
    found = []
    for _ in range(rounds):
        spent = dict.fromkeys(runs, 0)
        for part in chunks:
            for name, run in runs.items():
                started = time.thread_time_ns()
                run(part)
                spent[name] += time.thread_time_ns() - started
        found.append({name: ns / 1e9 / len(documents) for name, ns in spent.items()})
    return found
