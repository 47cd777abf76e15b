"""What a producer of somebody else's compresses with, and how it names its headers, is its own business."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import kafka.codec
import pytest
from kafka import KafkaProducer

from tests.dispatcher_world import ACME, cases, claim, dispatcher, kafka_settings
from tests.intake_data import add_tenant, rows
from tests.patience import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Database

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4"])
def test_events_are_read_whatever_their_producer_compresses_with(
    database: Database, empty_redis_url: str, kafka_bootstrap: str, tmp_path: Path, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We have no library for snappy, which other producers use by default: the broker writes it anew."""
    monkeypatch.setattr(kafka.codec, "snappy", SimpleNamespace(compress=_snappy))
    add_tenant(database)
    settings = kafka_settings(kafka_bootstrap)
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, enable_idempotence=False, compression_type=codec)
    for number in range(40):
        producer.send(settings.events_topic, value=claim(str(number)), headers=ACME)
    producer.close()
    with dispatcher(database, empty_redis_url, settings, tmp_path):
        eventually(lambda: cases(database) == 40)


class _Binary(str):
    """As a producer in C may name a header."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"x\xff"


def test_a_header_whose_name_is_no_text_stops_nobody(
    database: Database, empty_redis_url: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    add_tenant(database)
    settings = kafka_settings(kafka_bootstrap, partitions=1)
    # One batch, which the broker leaves as it is: what comes after such a record is read as well.
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, enable_idempotence=False, linger_ms=500, compression_type="lz4")
    for value, headers in (
        (claim("1"), ACME),
        (claim("2"), [(_Binary(), b"1"), *ACME]),
        (b"junk", [*ACME, (_Binary(), b"2")]),
        (claim("3"), ACME),
    ):
        producer.send(settings.events_topic, value=value, headers=headers)
    producer.close()
    with dispatcher(database, empty_redis_url, settings, tmp_path):
        eventually(lambda: cases(database) == 3)
    assert rows(database, "SELECT headers->1 FROM poison_records") == [({"name": "x\\xff", "value_base64": "Mg=="},)]


def _snappy(data: bytes) -> bytes:
    """The block format: the size as a varint of seven bits a byte, then literals, and copies of eight bytes that were there before."""
    out, left = bytearray(), len(data)
    while left >= 128:
        out.append(left & 127 | 128)
        left >>= 7
    out.append(left)
    seen: dict[bytes, int] = {}
    begun = at = 0
    while at < len(data):
        eight = data[at : at + 8]
        earlier, seen[eight] = seen.get(eight, at), at
        if earlier == at or len(eight) < 8 or at - earlier < 8:
            at += 1
            continue
        out += _literal(data[begun:at]) + bytes([7 << 2 | 2]) + (at - earlier).to_bytes(2, "little")
        begun = at = at + 8
    return bytes(out) + _literal(data[begun:])


def _literal(data: bytes) -> bytes:
    return bytes([61 << 2]) + (len(data) - 1).to_bytes(2, "little") + data if data else b""
