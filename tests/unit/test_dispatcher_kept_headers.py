"""Which headers of a record that could not be read are kept."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher.kept_headers import MOST_BYTES, MOST_HEADERS, kept, replayed

OURS: list[tuple[str, bytes | None]] = [("tenant", b"acme"), ("body_sha256", b"0" * 64), ("received_at", b"now"), ("schema", b"1")]


def test_what_is_kept_is_given_back_as_the_tenants_and_as_of_now() -> None:
    headers: list[tuple[str, bytes | None]] = [*OURS, ("x", None), ("x", b"\xff")]
    wanted = [("tenant", b"late"), ("body_sha256", b"0" * 64), ("schema", b"1"), ("x", None), ("x", b"\xff")]
    assert replayed(kept(headers), "late") == wanted
    assert replayed([], "late") == [("tenant", b"late")]


def test_ours_are_kept_however_many_others_there_are() -> None:
    junk: list[tuple[str, bytes | None]] = [(f"x{n}", b"v") for n in range(1000)]
    for headers in ([*junk, *OURS], [("big", b"v" * 2 * MOST_BYTES), *OURS, *junk]):
        found = [header["name"] for header in kept(headers)]
        assert len(found) == MOST_HEADERS
        assert {name for name, _ in OURS} < set(found)


def test_exactly_the_bounds_fit() -> None:
    full = MOST_BYTES - len("x")
    assert len(kept([("x", b"v" * full)])) == 1
    assert kept([("x", b"v" * (full + 1))]) == []
    assert len(kept([("x", None)] * MOST_HEADERS)) == len(kept([("x", None)] * (MOST_HEADERS + 1))) == MOST_HEADERS


def test_only_the_first_of_ours_counts_also_where_it_is_too_long() -> None:
    """As when the record is read for the first time: else a second one would become the digest."""
    assert kept([("body_sha256", b"v" * MOST_BYTES), ("body_sha256", b"0" * 64)]) == []
    assert len(kept([("tenant", b"a"), ("tenant", b"b")])) == 1


@given(st.lists(st.tuples(st.text(max_size=9), st.binary(max_size=MOST_BYTES) | st.none()), max_size=50))
def test_whatever_comes_is_bounded_and_can_be_stored(headers: list[tuple[str, bytes | None]]) -> None:
    found = kept(headers)
    assert len(found) <= MOST_HEADERS
    assert sum(len(name.encode()) + len(value or b"") for name, value in replayed(found, "")) <= MOST_BYTES + len("tenant")
    assert "\\u0000" not in json.dumps(found)
