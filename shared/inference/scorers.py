"""From documents to label probabilities. A row depends on its document alone, bit for bit, whatever its neighbours, order or process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from shared.automations import hashing
from shared.automations.bins import Edges, binned
from shared.automations.contract import Features
from shared.automations.tabular import Columns, Table
from shared.errors import InvariantBroken
from shared.inference.files import verified
from shared.inference.session import Session

Probabilities = npt.NDArray[np.float32]
# Below every probability that matters, so that a logarithm is finite.
LEAST: Final = 1e-30
# Text beyond what may fit into the tokens is not even read: words and their spaces take about half of this for each token.
CHARACTERS_PER_TOKEN: Final = 10


class Scorer(Protocol):
    """A model's answers. Created before a fork, used in one process after it."""

    def probabilities(self, documents: Sequence[Features]) -> Probabilities:
        """``(documents, labels)`` float32, in the pack's order of labels; each row sums to 1."""
        ...


class LinearScorer:
    """Hashed words and fields in one linear model; a whole batch a call, because its sums never mix rows."""

    def __init__(self, session: Session, output: str, buckets: int, letters: int = 0) -> None:
        self._session, self._output, self._buckets, self._letters = session, output, buckets, letters

    def probabilities(self, documents: Sequence[Features]) -> Probabilities:
        sparse = hashing.encode(documents, self._buckets, self._letters)
        inputs: dict[str, npt.NDArray[Any]] = {
            "ids": sparse.ids,
            "values": sparse.values,
            "rows": sparse.rows,
            "batch": np.array([sparse.batch], dtype=np.int64),
        }
        return self._session.run(inputs, self._output)


class TreesScorer:
    """Fields as numbers in one ensemble of trees; a whole batch a call, because a row's leaves are added in the order of the trees."""

    def __init__(self, session: Session, output: str, columns: Columns) -> None:
        self._session, self._output, self._table = session, output, Table(columns)

    def probabilities(self, documents: Sequence[Features]) -> Probabilities:
        if not documents:
            return np.zeros((0, self._session.width(self._output)), dtype=np.float32)
        with np.errstate(over="ignore"):  # beyond 32 bits a number is larger than every threshold
            fields = np.array(self._table.rows(documents), dtype=np.float64).astype(np.float32)
        return self._session.run({"fields": fields}, self._output)


class BinnedScorer:
    """A model that was trained on numbers as bins, or in one writing."""

    def __init__(self, scorer: Scorer, edges: Edges, numbers: Sequence[str] = ()) -> None:
        self._scorer, self._edges, self._numbers = scorer, edges, numbers

    def probabilities(self, documents: Sequence[Features]) -> Probabilities:
        return self._scorer.probabilities(
            [replace(document, fields=binned(document.fields, self._edges, self._numbers)) for document in documents]
        )


class DocumentTokenizer:
    """Cuts at ``max_tokens``, special tokens included, and pads nothing.

    Read on first use, because its thread pool does not survive a fork.

    Raises:
        InvariantBroken: the file is missing, is not the one of the manifest or no tokenizer, or a tokenizer crossed a fork.
    """

    def __init__(self, path: Path, sha256: str, max_tokens: int) -> None:
        self._path, self._sha256, self._max_tokens = path, sha256, max_tokens
        self._tokenizer: Tokenizer | None = None
        self._pid = 0

    def ids(self, text: str) -> Sequence[int]:
        if self._tokenizer is None:
            self._tokenizer, self._pid = self._read(), os.getpid()
        if self._pid != os.getpid():
            raise InvariantBroken("a tokenizer crossed a fork", created=self._pid, used=os.getpid())
        # Without offsets, which nobody asks for: a third of the time of `encode`.
        return self._tokenizer.encode_batch_fast([text[: self._max_tokens * CHARACTERS_PER_TOKEN]])[0].ids

    def _read(self) -> Tokenizer:
        content = verified(self._path, self._sha256)
        try:
            tokenizer = Tokenizer.from_buffer(content)
        except Exception as error:  # the library raises nothing narrower
            raise InvariantBroken("a tokenizer cannot be read", path=str(self._path)) from error
        tokenizer.enable_truncation(max_length=self._max_tokens)
        tokenizer.no_padding()
        return tokenizer


class TransformerScorer:
    """One document a call, at its own length: neither padding nor the scale of a neighbour's activations can move its score.

    Dynamic quantisation takes one scale for everything in a call, so in a batch a document's score would depend on the others.
    """

    def __init__(self, session: Session, output: str, tokenizer: DocumentTokenizer) -> None:
        self._session, self._output, self._tokenizer = session, output, tokenizer

    def probabilities(self, documents: Sequence[Features]) -> Probabilities:
        rows = [self._row(document) for document in documents]
        return np.concatenate(rows) if rows else np.zeros((0, self._session.width(self._output)), dtype=np.float32)

    def _row(self, document: Features) -> Probabilities:
        ids = np.array([self._tokenizer.ids(document.as_document())], dtype=np.int64)
        filled = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        return self._session.run({name: filled[name] for name in self._session.inputs}, self._output)


def mixed(weights: Mapping[str, float], rows: Mapping[str, npt.NDArray[Any] | Sequence[float]]) -> Probabilities:
    """One document's answer from several models': softmax of the weighted sum of their log probabilities.

    Args:
        rows: ``(labels,)`` of every model that has a weight.

    Returns:
        ``(labels,)`` float32. In double precision inside, and row by row, so that a row is the same whatever stands beside it.
    """
    total = sum(weight * np.log(np.maximum(np.asarray(rows[name], dtype=np.float64), LEAST)) for name, weight in weights.items())
    powers = np.exp(total - np.max(total))
    return np.asarray(powers / powers.sum(), dtype=np.float32)
