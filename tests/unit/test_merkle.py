"""Merkle trees against RFC 6962 as it is written, recursion by recursion, and against the vectors of certificate transparency."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger import merkle
from shared.ledger.merkle import Span
from shared.ledger.tiles import WIDTH, Edge, edge_runs, run_of

# The leaves and roots that implementations of certificate transparency test with: roots of the first 1, 2, … leaves.
LEAVES = [
    bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = _split(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], *, known: bool) -> list[bytes]:
    """RFC 6962, 2.1.2."""
    if m == len(leaves):
        return [] if known else [mth(leaves)]
    k = _split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], known=known), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], known=False), mth(leaves[:k])]


def _split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def _leaves(n: int) -> list[bytes]:
    return [f"leaf {number}".encode() for number in range(n)]


def _hash(leaves: list[bytes], span: Span) -> bytes:
    return mth(leaves[span.start : span.end])


def _grown(leaves: list[bytes]) -> Edge:
    edge = Edge()
    for leaf in leaves:
        edge.append(merkle.leaf_hash(leaf))
    return edge


@pytest.mark.parametrize("n", range(1, 9))
def test_known_roots_come_out(n: int) -> None:
    assert _grown(LEAVES[:n]).root().hex() == ROOTS[n - 1] == mth(LEAVES[:n]).hex()


def test_a_tree_without_leaves_has_the_hash_of_nothing() -> None:
    assert Edge().root() == merkle.EMPTY_ROOT == mth([])


@pytest.mark.parametrize("n", [*range(1, 40), WIDTH - 1, WIDTH, WIDTH + 1, 3 * WIDTH + 7, 1000])
def test_roots_and_inclusion_are_those_of_the_rfc(n: int) -> None:
    leaves = _leaves(n)
    root = mth(leaves)
    assert _grown(leaves).root() == root
    for index in {0, 1 % n, n // 2, n - 1} if n > 40 else range(n):
        found = [_hash(leaves, span) for span in merkle.inclusion_spans(index, n)]
        assert found == path(index, leaves)
        assert merkle.verify_inclusion(merkle.leaf_hash(leaves[index]), index, n, found, root)


@pytest.mark.parametrize("newer", [*range(1, 34), WIDTH, 3 * WIDTH + 7])
def test_consistency_is_that_of_the_rfc(newer: int) -> None:
    leaves = _leaves(newer)
    for older in range(1, newer + 1) if newer < 40 else {1, 2, 77, WIDTH - 1, WIDTH, newer - 1, newer}:
        found = [_hash(leaves, span) for span in merkle.consistency_spans(older, newer)]
        assert found == subproof(older, leaves, known=True)
        assert merkle.verify_consistency((older, mth(leaves[:older])), (newer, mth(leaves)), found)


def test_every_tree_begins_with_nothing() -> None:
    assert merkle.consistency_spans(0, 7) == []
    assert merkle.verify_consistency((0, merkle.EMPTY_ROOT), (7, mth(_leaves(7))), [])
    assert not merkle.verify_consistency((0, mth(_leaves(1))), (7, mth(_leaves(7))), [])


@given(st.integers(1, 70), st.data())
def test_no_other_leaf_place_size_path_or_root_passes_for_a_proof_of_inclusion(n: int, data: st.DataObject) -> None:
    leaves = _leaves(n)
    index = data.draw(st.integers(0, n - 1))
    proof, root, leaf = path(index, leaves), mth(leaves), merkle.leaf_hash(leaves[index])
    other = data.draw(st.integers(-1, n).filter(lambda i: i != index))
    assert not merkle.verify_inclusion(leaf, other, n, proof, root)
    assert not merkle.verify_inclusion(merkle.leaf_hash(b"other"), index, n, proof, root)
    assert not merkle.verify_inclusion(leaf, index, n, [*proof, root], root)
    assert not merkle.verify_inclusion(leaf, index, n, proof, mth(leaves[:-1]))
    for place in range(len(proof)):
        assert not merkle.verify_inclusion(leaf, index, n, [*proof[:place], b"\x00" * 32, *proof[place + 1 :]], root)
        assert not merkle.verify_inclusion(leaf, index, n, proof[:place] + proof[place + 1 :], root)


@given(st.integers(2, 70), st.data())
def test_no_changed_past_passes_for_a_proof_of_consistency(newer: int, data: st.DataObject) -> None:
    leaves = _leaves(newer)
    older = data.draw(st.integers(1, newer - 1))
    changed = data.draw(st.integers(0, older - 1))
    rewritten = [*leaves[:changed], b"other", *leaves[changed + 1 :]]
    before, after = (older, mth(leaves[:older])), (newer, mth(leaves))
    proof = subproof(older, leaves, known=True)
    assert not merkle.verify_consistency(before, (newer, mth(rewritten)), subproof(older, rewritten, known=True))
    assert not merkle.verify_consistency(before, after, [*proof, proof[-1]])
    assert not merkle.verify_consistency(before, after, proof[:-1])
    assert not merkle.verify_consistency((older, mth(rewritten[:older])), after, proof)
    assert not merkle.verify_consistency(after, before, proof)


@given(st.integers(0, 3 * WIDTH), st.lists(st.integers(0, 300), max_size=4))
def test_an_edge_read_from_kept_nodes_goes_on_where_the_other_stopped(first: int, portions: list[int]) -> None:
    kept: dict[int, list[bytes]] = {0: []}
    edge = Edge()
    for portion in [first, *portions]:
        # What a sealer does each second: read the edge, append, keep what is complete.
        edge = Edge(edge.size, [kept.get(run.level, [])[run.first : run.end] for run in edge_runs(edge.size)])
        for _ in range(portion):
            leaf = merkle.leaf_hash(str(edge.size).encode())
            kept[0].append(leaf)
            for node in edge.append(leaf):
                level = kept.setdefault(node.level, [])
                assert node.number == len(level)
                level.append(node.hash)
    assert edge.root() == mth([str(number).encode() for number in range(edge.size)])


def test_levels_grow_beyond_the_second() -> None:
    edge = Edge(WIDTH**2 - 1, [[b"l" * 32] * (WIDTH - 1), [b"n" * 32] * (WIDTH - 1)])
    nodes = edge.append(b"l" * 32)
    assert [(node.level, node.number) for node in nodes] == [(1, WIDTH - 1), (2, 0)]
    assert edge.root() == nodes[1].hash
    assert [run.end - run.first for run in edge_runs(WIDTH**2)] == [0, 0, 1]


def test_an_edge_that_does_not_fit_its_size_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Edge(3, [[b"x" * 32]])


@given(st.integers(1, 2**40), st.data())
def test_a_proof_reads_few_kept_nodes_however_large_the_tree_is(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    older = data.draw(st.integers(0, size))
    for spans in (merkle.inclusion_spans(index, size), merkle.consistency_spans(older, size)):
        runs = [run_of(part) for span in spans for part in merkle.perfect(span)]
        assert sum(run.end - run.first for run in runs) <= 2 * WIDTH * (size.bit_length() // 8 + 1)
        assert all(run.end << (8 * run.level) <= size for run in runs)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_a_leaf_that_is_not_there_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no such leaf"):
        merkle.inclusion_spans(index, size)


def test_a_tree_does_not_shrink() -> None:
    with pytest.raises(ValueError, match="cannot be larger"):
        merkle.consistency_spans(3, 2)
