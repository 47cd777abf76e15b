"""Row ids are UUIDs of version 7: unique, and in the order in which they were made, to the millisecond."""

from __future__ import annotations

import time
from uuid import RFC_4122

from shared.ids import uuid7


def test_version_and_variant_are_those_of_the_standard() -> None:
    ids = [uuid7() for _ in range(1000)]
    assert {(made.version, made.variant) for made in ids} == {(7, RFC_4122)}


def test_the_first_48_bits_are_unix_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7().int >> 80
    assert before <= made <= time.time_ns() // 1_000_000


def test_ids_of_later_milliseconds_sort_later_as_numbers_text_and_bytes() -> None:
    ids = []
    for _ in range(20):
        ids.append(uuid7())
        time.sleep(0.002)
    assert sorted(ids) == ids
    assert sorted(map(str, ids)) == [str(made) for made in ids]
    assert sorted(made.bytes for made in ids) == [made.bytes for made in ids]


def test_ids_of_one_millisecond_differ() -> None:
    ids = [uuid7() for _ in range(100_000)]
    assert len(set(ids)) == len(ids)
