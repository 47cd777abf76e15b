"""What whoever watches the dead-letter topic gets to see of a record that could not be read."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaConsumer

from services.dispatcher.dead_letters import DeadLetters
from services.dispatcher.kept_headers import MOST_BYTES
from services.dispatcher.records import Poison, Raw
from shared.clock import SystemClock
from shared.errors import Malformed
from tests.dispatcher_world import kafka_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.kafka

NEARLY_A_MEBIBYTE = b"[" * (1024 * 1024 - 500)


def _poison(value: bytes, headers: Sequence[tuple[str, bytes | None]], *, tenant: str | None = "acme") -> Poison:
    return Poison.because(Raw("events", 2, 7, None, value, headers), Malformed("It is no JSON."), SystemClock().now(), tenant=tenant)


def _copies(bootstrap: str, poison: Sequence[Poison]) -> list[tuple[bytes, list[tuple[str, bytes]]]]:
    settings = kafka_settings(bootstrap, partitions=1)
    letters = DeadLetters(settings)
    letters.send(poison)
    consumer = KafkaConsumer(settings.dead_topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=15_000)
    try:
        return sorted((record.value, list(record.headers)) for record in islice(consumer, len(poison)))
    finally:
        consumer.close()
        letters.close()


def test_a_copy_has_the_headers_that_the_record_came_with_beside_its_own(kafka_bootstrap: str) -> None:
    sent = [("tenant", b"acme"), ("body_sha256", b"0" * 64), ("topic", b"theirs"), ("x", None), ("x", b"\xff")]
    others = [("body_sha256", b"0" * 64), ("x", b""), ("x", b"\xff")]
    ((_, known), (_, nobodys)) = _copies(kafka_bootstrap, [_poison(b"1", sent), _poison(b"2", sent, tenant=None)])
    own = [("error", b"malformed: It is no JSON."), ("topic", b"events"), ("partition", b"2"), ("offset", b"7")]
    assert known == [*own, ("tenant", b"acme"), *others]
    assert nobodys == [*own, *others]


def test_a_record_that_has_no_room_for_them_is_copied_all_the_same(kafka_bootstrap: str) -> None:
    large = [("x", b"v" * (MOST_BYTES - 1))]
    ((_, few), (value, none)) = _copies(kafka_bootstrap, [_poison(b"1", large), _poison(NEARLY_A_MEBIBYTE, large)])
    assert value == NEARLY_A_MEBIBYTE
    assert ([name for name, _ in few if name == "x"], [name for name, _ in none if name == "x"]) == (["x"], [])
