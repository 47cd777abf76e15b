"""Merkle trees as in RFC 6962, section 2.1 (the same in RFC 9162): hashes, which subtrees a proof consists of, and how to check one.

Pure, and ignorant of where hashes are kept: a proof is first a list of `Span`s, whose hashes somebody else looks up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

# Root of a tree without leaves.
EMPTY_ROOT = sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class Span:
    """The leaves ``start <= index < end`` of a tree, which have one common hash (``MTH(D[start:end])`` in the RFC)."""

    start: int
    end: int


def leaf_hash(content: bytes) -> bytes:
    return sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def balanced(hashes: Sequence[bytes]) -> bytes:
    """Hash over a power of two of neighbouring subtrees of one height."""
    while len(hashes) > 1:
        hashes = [sha256(b"\x01" + hashes[i] + hashes[i + 1]).digest() for i in range(0, len(hashes), 2)]
    return hashes[0]


def perfect(span: Span) -> Iterator[Span]:
    """The perfect subtrees (a power of two of leaves each) of a span, from left to right, largest first.

    A span of a proof begins at a multiple of the power of two that is at least its length, so each of its parts does too.
    """
    start, rest = span.start, span.end - span.start
    while rest:
        size = 1 << (rest.bit_length() - 1)
        yield Span(start, start + size)
        start, rest = start + size, rest - size


def joined(hashes: Sequence[bytes]) -> bytes:
    """The hash of a span from those of its perfect subtrees, from left to right."""
    if not hashes:
        return EMPTY_ROOT
    *lefts, found = hashes
    for left in reversed(lefts):
        found = node_hash(left, found)
    return found


def inclusion_spans(index: int, size: int) -> list[Span]:
    """``PATH(index, D[0:size])`` of RFC 6962, 2.1.1: what to join with a leaf, from the leaf upwards.

    Raises:
        ValueError: no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError("no such leaf in the tree")
    start, end, spans = 0, size, []
    while end - start > 1:
        middle = start + _left_part(end - start)
        if index < middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    return spans[::-1]


def consistency_spans(older: int, newer: int) -> list[Span]:
    """``PROOF(older, D[0:newer])`` of RFC 6962, 2.1.2. Empty where the sizes are equal, or the older tree has no leaves.

    Raises:
        ValueError: the older tree is the larger one.
    """
    if not 0 <= older <= newer:
        raise ValueError("the older tree cannot be larger")
    if older in {0, newer}:
        return []
    start, end, spans = 0, newer, []
    while older != end:
        middle = start + _left_part(end - start)
        if older <= middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    # The older root itself is known to whoever checks.
    if start:
        spans.append(Span(start, end))
    return spans[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf of this hash is number ``index`` in the tree of ``size`` leaves with this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for part in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(part, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, part)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(older: tuple[int, bytes], newer: tuple[int, bytes], path: Sequence[bytes]) -> bool:
    """Whether the newer tree begins with all the leaves of the older one (RFC 9162, 2.1.4.2).

    Args:
        older: size and root; a tree without leaves is the beginning of every tree.
        newer: size and root.
    """
    (old_size, old_root), (new_size, new_root) = older, newer
    if old_size in {0, new_size}:
        expected = EMPTY_ROOT if old_size == 0 else new_root
        return not path and old_root == expected
    if not 0 < old_size < new_size or not path:
        return False
    parts = [old_root, *path] if old_size & (old_size - 1) == 0 else list(path)
    return _grown(old_size - 1, new_size - 1, parts) == (old_root, new_root)


def _grown(place: int, last: int, parts: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Both roots that the parts of a consistency proof lead to; None where there are too few or too many."""
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = parts[0]
    for part in parts[1:]:
        if last == 0:
            return None
        if place & 1 or place == last:
            old, new = node_hash(part, old), node_hash(part, new)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, part)
        place, last = place >> 1, last >> 1
    return (old, new) if last == 0 else None


def _left_part(size: int) -> int:
    """The largest power of two smaller than ``size``."""
    return 1 << ((size - 1).bit_length() - 1)
