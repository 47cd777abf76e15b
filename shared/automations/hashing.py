"""Features of a whole batch as a sparse matrix: hashed words, word pairs, ``name=value`` fields and, where asked for, sequences of letters.

The lab trains with it and the worker scores with it, so both must hash alike: what is here is part of every model, and a change is a new
`VERSION`. A row depends on its own document alone, bit for bit: sums are taken over integers, or inside one row in the order of buckets.

This is the only module of `shared.automations` that needs numpy; processes without models do not import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.automations.contract import Features

VERSION: Final = 1
Unsigned = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

# Odd, so that it has an inverse modulo 2**64: the hash of a slice is a difference of prefix sums times a power of the inverse.
_BASE: Final = 0x9E3779B97F4A7C15
_INVERSE: Final = pow(_BASE, -1, 1 << 64)
_PAIR: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_FIELD: Final = np.uint64(0x165667B19E3779F9)
_LETTER: Final = np.uint64(0x27D4EB2F165667C5)
_SEPARATOR: Final = "\x1f"
# Longer documents are cut: a decision is in the first pages, and one document must not starve its batch.
MAX_CHARACTERS: Final = 20_000
_TF_SCALE: Final = 1 << 20
_MAX_COUNT: Final = 255


@dataclass(frozen=True, slots=True)
class Sparse:
    """A batch as coordinates, sorted by row; within a row words, fields and letters, each by bucket. Entries of one bucket add up.

    Attributes:
        ids: ``(nnz,)`` int64, bucket of each entry.
        values: ``(nnz,)`` float32. Words of a row have Euclidean norm 1, fields and letters too.
        rows: ``(nnz,)`` int64, position of the document in the batch.
        batch: number of documents; a document without features has no entries.
    """

    ids: Integers
    values: npt.NDArray[np.float32]
    rows: Integers
    batch: int


def _mix(values: Unsigned) -> Unsigned:
    """The finaliser of splitmix64: every input bit reaches every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _word_values() -> Unsigned:
    """Value of each byte inside a word, 0 for bytes between words. ASCII case is folded and digits are all alike."""
    table = _mix(np.arange(1, 257, dtype=np.uint64))
    word = np.zeros(256, dtype=bool)
    for first, last in (("0", "9"), ("A", "Z"), ("a", "z")):
        word[ord(first) : ord(last) + 1] = True
    word[128:] = True
    table[ord("A") : ord("Z") + 1] = table[ord("a") : ord("z") + 1]
    table[ord("0") : ord("9") + 1] = table[ord("0")]
    table[~word] = 0
    return table


def _field_values() -> Unsigned:
    table = _mix(np.arange(1, 257, dtype=np.uint64))
    table[ord(_SEPARATOR)] = 0
    return table


def _letter_values() -> Unsigned:
    """As inside words, and all bytes between words alike."""
    table = _word_values()
    table[table == 0] = _mix(np.array([257], dtype=np.uint64))
    return table


_WORDS: Final = _word_values()
_FIELDS: Final = _field_values()
_LETTERS: Final = _letter_values()
# log(0) is never looked up: every count is at least 1.
_TF: Final = np.concatenate(([0.0], 1 + np.log(np.arange(1, _MAX_COUNT + 1))))
_TF_SQUARED: Final = np.rint(_TF * _TF * _TF_SCALE).astype(np.int64)


class _Powers:
    """Powers of the base and of its inverse, grown on demand and kept."""

    def __init__(self) -> None:
        self.base, self.inverse = self._table(_BASE, 1), self._table(_INVERSE, 1)

    @staticmethod
    def _table(factor: int, count: int) -> Unsigned:
        factors = np.full(count, factor, dtype=np.uint64)
        factors[0] = 1
        return np.multiply.accumulate(factors)

    def upto(self, count: int) -> tuple[Unsigned, Unsigned]:
        if len(self.base) < count:
            size = 1 << count.bit_length()
            self.base, self.inverse = self._table(_BASE, size), self._table(_INVERSE, size)
        return self.base, self.inverse


_POWERS: Final = _Powers()


def _prefix_sums(values: Unsigned) -> tuple[Unsigned, Unsigned]:
    """``(n + 1,)`` sums of values times powers of the base, and the powers that shift a difference of them to the front."""
    base, inverse = _POWERS.upto(len(values) + 1)
    prefix = np.zeros(len(values) + 1, dtype=np.uint64)
    np.cumsum(values * base[: len(values)], out=prefix[1:])
    return prefix, inverse


def _slice_hashes(content: bytes, table: Unsigned) -> tuple[Unsigned, Integers]:
    """Hash and start of every maximal run of bytes with a value in ``table``."""
    values = table[np.frombuffer(content, dtype=np.uint8)]
    inside = np.concatenate(([False], values != 0, [False]))
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts, ends = edges[::2], edges[1::2]
    prefix, inverse = _prefix_sums(values)
    return _mix((prefix[ends] - prefix[starts]) * inverse[starts]), starts


def _encoded(texts: Sequence[str]) -> list[bytes]:
    return [text[:MAX_CHARACTERS].encode("utf-8", "replace") for text in texts]


def _grams(parts: Sequence[bytes]) -> tuple[Unsigned, Integers]:
    """Hashes and rows of words and of adjacent word pairs."""
    # One string with a byte between the texts that belongs to no word.
    ends = np.cumsum([len(part) + 1 for part in parts], dtype=np.int64)
    words, starts = _slice_hashes(_SEPARATOR.encode().join(parts), _WORDS)
    rows = np.searchsorted(ends, starts, side="right")
    adjacent = rows[1:] == rows[:-1]
    pairs = _mix(words[:-1] * _PAIR + words[1:])[adjacent]
    return np.concatenate((words, pairs)), np.concatenate((rows, rows[1:][adjacent])).astype(np.int64)


def _sequences(parts: Sequence[bytes], length: int) -> tuple[Unsigned, Integers]:
    """Hashes and rows of all sequences of so many bytes; what stands between words, before the first or after the last is one byte."""
    edge = _SEPARATOR.encode()
    content = np.frombuffer(b"".join(edge + part + edge for part in parts), dtype=np.uint8)
    rows = np.repeat(np.arange(len(parts), dtype=np.int64), [len(part) + 2 for part in parts])
    between = _WORDS[content] == 0
    kept = np.ones(len(content), dtype=bool)
    kept[1:] = ~(between[1:] & between[:-1] & (rows[1:] == rows[:-1]))
    values, rows = _LETTERS[content[kept]], rows[kept]
    count = max(len(values) - length + 1, 0)
    prefix, inverse = _prefix_sums(values)
    hashes = _mix((prefix[length : length + count] - prefix[:count]) * inverse[:count] ^ _LETTER)
    whole = rows[:count] == rows[length - 1 : length - 1 + count]
    return hashes[whole], rows[:count][whole]


def _one_token_each(fields: Sequence[Mapping[str, str]]) -> tuple[Unsigned, Integers]:
    tokens = [f"{name}={value}".replace(_SEPARATOR, " ") for row in fields for name, value in row.items()]
    counts = np.array([len(row) for row in fields], dtype=np.int64)
    rows = np.repeat(np.arange(len(fields), dtype=np.int64), counts)
    hashes, _ = _slice_hashes(_SEPARATOR.join(tokens).encode("utf-8", "replace"), _FIELDS)
    return _mix(hashes ^ _FIELD), rows


def _counted(hashes: Unsigned, rows: Integers, buckets: int) -> tuple[Integers, Integers, Integers]:
    """Distinct (row, bucket) in order, and how often each occurs."""
    keys = np.sort(rows * buckets + (hashes & np.uint64(buckets - 1)).astype(np.int64))
    first = np.concatenate(([True], keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, dtype=bool)
    positions = np.flatnonzero(first)
    counts = np.diff(np.concatenate((positions, [len(keys)])))
    distinct = keys[positions]
    return distinct // buckets, distinct % buckets, counts


def _normalised(rows: Integers, counts: Integers, batch: int) -> npt.NDArray[np.float32]:
    """Sublinear term frequency, divided by the norm of its row.

    Squares are summed as integers, where order does not matter: so the norm is the same in every batch.
    """
    clipped = np.minimum(counts, _MAX_COUNT)
    squares = np.concatenate(([0], np.cumsum(_TF_SQUARED[clipped])))
    bounds = np.searchsorted(rows, np.arange(batch + 1))
    norms = np.sqrt((squares[bounds[1:]] - squares[bounds[:-1]]) / _TF_SCALE)
    return (_TF[clipped] / norms[rows]).astype(np.float32)


def encode(batch: Sequence[Features], buckets: int, letters: int = 0) -> Sparse:
    """Hashes a batch into ``buckets``.

    Args:
        letters: length in bytes of the sequences that are hashed besides words, across words too; 0: none are. They tell more where
            training texts are few: words that share a stem share most of them.

    Raises:
        ValueError: ``buckets`` is not a power of two.
    """
    if buckets < 2 or buckets & (buckets - 1):
        raise ValueError(f"not a power of two: {buckets}")
    parts = _encoded([document.text for document in batch])
    rows, ids, counts = _counted(*_grams(parts), buckets)
    field_rows, field_ids, field_counts = _counted(*_one_token_each([document.fields for document in batch]), buckets)
    kinds = [(rows, ids, counts), (field_rows, field_ids, np.ones_like(field_counts))]
    if letters:
        kinds.append(_counted(*_sequences(parts, letters), buckets))
    all_rows = np.concatenate([rows for rows, _, _ in kinds])
    order = np.argsort(all_rows, kind="stable")
    return Sparse(
        ids=np.concatenate([ids for _, ids, _ in kinds])[order],
        values=np.concatenate([_normalised(rows, counts, len(batch)) for rows, _, counts in kinds])[order],
        rows=all_rows[order],
        batch=len(batch),
    )
