"""Which hashes of a tree are kept, so that sealing costs what is new and a proof costs a few hundred rows however large the tree is.

Of the subtrees only those of 256, 256², … leaves are kept beside the leaves: level 1, 2, … of the tree, level 0 being the leaves. A node is
kept once it is complete and never changes again. Everything else is hashed anew from at most 255 nodes of each level. The idea of tiles is
that of https://research.swtch.com/tlog.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.ledger import merkle
from shared.ledger.merkle import Span

_BITS = 8
WIDTH = 1 << _BITS


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring nodes ``first <= number < end`` of a level."""

    level: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Node:
    level: int
    number: int
    hash: bytes


def run_of(subtree: Span) -> Run:
    """The kept nodes that a perfect subtree is hashed from: at most 128."""
    level = ((subtree.end - subtree.start).bit_length() - 1) // _BITS
    unit = level * _BITS
    return Run(level, subtree.start >> unit, subtree.end >> unit)


def edge_runs(size: int) -> list[Run]:
    """The kept nodes at the right edge of a tree that belong to no complete node of the next level, level by level."""
    runs = []
    for level in range((max(size, 1).bit_length() - 1) // _BITS + 1):
        count = size >> (level * _BITS)
        runs.append(Run(level, count - count % WIDTH, count))
    return runs


class Edge:
    """The right edge of a tree: all that has to be known of it to add leaves and to know its root.

    Attributes:
        size: of the tree, in leaves.
    """

    def __init__(self, size: int = 0, levels: Iterable[Sequence[bytes]] = ()) -> None:
        """Raises ValueError where ``levels`` are not the hashes of `edge_runs`."""
        self.size = size
        self._levels = [list(level) for level in levels] if size else [[]]
        if [len(level) for level in self._levels] != [run.end - run.first for run in edge_runs(size)]:
            raise ValueError("the kept hashes do not fit the size of the tree")

    def append(self, leaf: bytes) -> list[Node]:
        """Add a leaf by its hash; returns the nodes that became complete, which are to be kept."""
        self._levels[0].append(leaf)
        self.size += 1
        return [] if len(self._levels[0]) < WIDTH else self._carry()

    def root(self) -> bytes:
        hashes = []
        for level in reversed(self._levels):
            hashes += [merkle.balanced(level[part.start : part.end]) for part in merkle.perfect(Span(0, len(level)))]
        return merkle.joined(hashes)

    def _carry(self) -> list[Node]:
        done: list[Node] = []
        while len(self._levels[len(done)]) == WIDTH:
            level = len(done) + 1
            node = Node(level, (self.size >> (level * _BITS)) - 1, merkle.balanced(self._levels[level - 1]))
            self._levels[level - 1] = []
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(node.hash)
            done.append(node)
        return done
