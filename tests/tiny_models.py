"""A real transformer of one layer in int8 and a WordPiece tokenizer, small enough to be made in a test; weights are drawn, not trained."""

from __future__ import annotations

import hashlib
import shutil
import string
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from services.lab import trees
from services.worker.runtime.build import SHIPPED, Kit, Room
from services.worker.runtime.pack import load
from shared.automations.pack import Artefact, Certificate, Pack, TierModel
from shared.inference.models import Models
from shared.inference.scorers import DocumentTokenizer, TransformerScorer
from shared.inference.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shared.automations.tabular import Columns

WIDTH = 32
_WORDS = ("mortgage", "escrow", "loan", "card", "fee", "bank", "credit", "report", "debt", "paid", "claim", "car", "the", "my")
_MAKE = helper.make_node


def vocabulary() -> dict[str, int]:
    letters = string.ascii_lowercase + string.digits + string.punctuation
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters), *_WORDS]
    return {token: index for index, token in enumerate(tokens)}


def write_tokenizer(path: Path) -> str:
    """Returns the SHA-256 of the file."""
    tokenizer = Tokenizer(WordPiece(vocabulary(), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    # What a file may say of lengths is not what the scorer does.
    tokenizer.enable_padding(length=64)
    tokenizer.save(str(path))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _attention() -> list[Any]:
    """Ids and mask to one vector per document."""
    return [
        _MAKE("Gather", ["embedding", "input_ids"], ["tokens"]),
        *(_MAKE("MatMul", ["tokens", weight], [name]) for name, weight in (("q", "wq"), ("k", "wk"), ("v", "wv"))),
        _MAKE("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        _MAKE("MatMul", ["q", "kt"], ["raw"]),
        _MAKE("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        _MAKE("Sub", ["one", "mask"], ["hidden"]),
        _MAKE("Mul", ["hidden", "far"], ["away"]),
        _MAKE("Unsqueeze", ["away", "middle"], ["bias"]),
        _MAKE("Add", ["raw", "bias"], ["scores"]),
        _MAKE("Softmax", ["scores"], ["weights"], axis=-1),
        _MAKE("MatMul", ["weights", "v"], ["seen"]),
        _MAKE("Add", ["tokens", "seen"], ["states"]),
        _MAKE("ReduceMean", ["states", "middle"], ["document"], keepdims=0),
    ]


def write_transformer(path: Path, labels: int, seed: int = 0) -> str:
    """Quantised as in the lab: int8, per channel, scales of activations taken at run time. Returns the SHA-256 of the file."""
    draw = np.random.default_rng(seed)

    def weight(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return draw.normal(0, 1 / np.sqrt(shape[0]), shape).astype(np.float32)

    constants: dict[str, np.ndarray[Any, Any]] = {
        "embedding": draw.normal(0, 1, (len(vocabulary()), WIDTH)).astype(np.float32),
        **{name: weight(WIDTH, WIDTH) for name in ("wq", "wk", "wv")},
        "head": 6 * weight(WIDTH, labels),
        "one": np.ones(1, dtype=np.float32),
        "far": np.full(1, -1e9, dtype=np.float32),
        "middle": np.array([1], dtype=np.int64),
    }
    shape = ["documents", "tokens"]
    nodes = [
        *_attention(),
        _MAKE("MatMul", ["document", "head"], ["logits"]),
        _MAKE("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["documents", labels])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    quantize_dynamic(model, path, per_channel=True, weight_type=QuantType.QInt8)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tiny_scorer(folder: Path, labels: int = 3, max_tokens: int = 32) -> TransformerScorer:
    """Over files that it writes into the folder, the same in every process."""
    session = Session(folder / "tiny.onnx", write_transformer(folder / "tiny.onnx", labels))
    tokenizer = DocumentTokenizer(folder / "tokenizer.json", write_tokenizer(folder / "tokenizer.json"), max_tokens)
    return TransformerScorer(session, "probabilities", tokenizer)


def words(count: int, seed: int) -> Sequence[str]:
    """Texts of the vocabulary and of letters beyond it."""
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice([*_WORDS, "qu!x", "ünïcode", "0815"], size=draw.integers(1, 50))) for _ in range(count)]


def tiny_pack(folder: Path, task: str, seed: int = 0) -> Pack:
    """The shipped nano of a task, a mini that mixes it in, and a large: files, manifest entry and thresholds that nobody has certified.

    Args:
        seed: of the weights of the mini and the large.
    """
    shipped = load(SHIPPED)[task]
    (nano,) = (tier for tier in shipped.tiers if tier.name == "nano")
    (linear,) = nano.artefacts
    shutil.copy(SHIPPED / linear.file, folder / linear.file)
    tokens = Artefact(file="tokenizer.json", sha256=write_tokenizer(folder / "tokenizer.json"), bytes=1)
    large = _tier(folder, "large", len(shipped.labels), tokens, seed)
    mini = replace(_tier(folder, "mini", len(shipped.labels), tokens, seed), mix={"nano": 0.75, "mini": 0.5})
    thresholds = {"nano": 0.97, "mini": 0.8, "large": 0.5}
    levels = [_certificate("0.02", thresholds), _certificate("0.1", dict.fromkeys(thresholds, 0.3))]
    return replace(shipped, version="tiny", tiers=(nano, mini, large), level="0.02", certificates=tuple(levels))


def tiny_trees(folder: Path, columns: Columns, labels: int) -> TierModel:
    """A real ensemble over numbers below 1,000 and categories; the first column decides most."""
    draw = np.random.default_rng(0)
    rows = np.column_stack([draw.integers(0, len(known) or 1_000, 400) for known in columns.values()]).astype(np.float64)
    truth = (draw.random(400) < 0.1) * 1 + rows[:, 0] * labels / (rows[:, 0].max() + 1)
    data = lightgbm.Dataset(rows, np.minimum(truth.astype(np.int64), labels - 1), params={"verbosity": -1})
    model = lightgbm.train(trees.settings(labels, (8, False), 0), data, 10)
    content = trees.to_onnx(model, "tiny-trees")
    (folder / "trees.onnx").write_bytes(content)
    graph = Artefact(file="trees.onnx", sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    return trees.tier(graph, columns, labels)


def tiny_kit(folder: Path, task: str, room: Room | None = None) -> Kit:
    return Kit({task: tiny_pack(folder, task)}, Models(folder), room)


def _tier(folder: Path, name: str, labels: int, tokens: Artefact, seed: int) -> TierModel:
    digest = write_transformer(folder / f"{name}.onnx", labels, seed=len(name) + 10 * seed)
    graph = Artefact(file=f"{name}.onnx", sha256=digest, bytes=1)
    return TierModel(name=name, kind="transformer", artefacts=(graph,), tokenizer=tokens, max_tokens=32)


def _certificate(level: str, thresholds: Mapping[str, float]) -> Certificate:
    return Certificate(
        level=level, alpha=float(level), delta=0.05, thresholds=thresholds, n=1, accepted=0, errors=0, upper=1.0, coverage=0.0
    )
