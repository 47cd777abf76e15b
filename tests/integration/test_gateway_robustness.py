"""Whatever is sent: what is accepted is stored byte for byte, and nothing makes the gateway fail."""

from __future__ import annotations

import hashlib
import json
from itertools import count
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.events.parse import structured
from tests.gateway_app import CLAIM, CLAIM_TYPE, Running, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database

CALM = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def gateway(database: Database, redis_url: str) -> Iterator[Running]:
    with running(database, redis_url, events_burst=1_000_000) as found:
        yield found


_DATA = st.fixed_dictionaries(
    {name: st.just(value) for name, value in CLAIM.items()}
    | {"amount_claimed": st.decimals(0, 10**9, places=2).map(str) | st.integers(0, 10**10) | st.floats(0, 1e9)},
    optional={
        "description": st.text(max_size=80),
        "injured_persons": st.integers(-1, 9),
    },
)
# Mostly what attributes may hold.
_LINES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=40) | st.text(min_size=1, max_size=5)
_BODIES = st.fixed_dictionaries(
    {"specversion": st.just("1.0"), "id": _LINES, "source": st.just("/s"), "type": st.just(CLAIM_TYPE), "data": _DATA},
    optional={
        "subject": _LINES,
        "time": st.datetimes().map(lambda t: t.isoformat() + "Z"),
        "ext": _LINES | st.integers() | st.booleans() | st.none(),
    },
)


def test_every_accepted_body_is_stored_and_comes_back_byte_for_byte(gateway: Running) -> None:
    accepted = 0
    numbers = count()

    @CALM
    @given(_BODIES, st.booleans())
    def check(body: dict[str, object], ascii_only: bool) -> None:  # noqa: FBT001  # drawn by hypothesis
        nonlocal accepted
        # An id of its own: two bodies under one id are a conflict, and only the first would be looked at.
        body["id"] = f"{next(numbers)} {body['id']}"
        raw = json.dumps(body, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        answer = gateway.raw(raw)
        assert answer.status_code in {200, 202, 409, 422}, answer.text
        if answer.status_code != 202:
            return
        accepted += 1
        canonical = structured(raw).canonical()
        query = "SELECT p.body, c.body_sha256 FROM payloads p JOIN cases c ON c.id = p.case_id WHERE c.event_id = %s"
        ((stored, digest),) = gateway.tenant.query(query, [answer.json()["events"][0]["id"]])
        assert bytes(stored) == canonical
        assert bytes(digest) == hashlib.sha256(canonical).digest()
        assert orjson.loads(stored)["data"] == json.loads(raw)["data"]

    check()
    assert accepted >= 20


@CALM
@given(st.binary(max_size=300), st.sampled_from(["", "-batch"]))
def test_no_bytes_make_the_gateway_fail(gateway: Running, raw: bytes, kind: str) -> None:
    answer = gateway.raw(raw, f"application/cloudevents{kind}+json")
    assert answer.status_code in {202, 422}


@CALM
@given(
    st.dictionaries(st.from_regex(r"ce-[a-z]{1,12}", fullmatch=True), st.binary(max_size=20).map(lambda b: b.decode("latin-1")), max_size=6)
)
def test_no_headers_make_the_gateway_fail(gateway: Running, headers: dict[str, str]) -> None:
    sent = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    credentials = {b"authorization": f"Bearer {gateway.token}".encode(), b"content-type": b"application/json"}
    answer = gateway.client.post("/v1/events", content=b"{}", headers=sent | credentials)
    assert answer.status_code in {415, 422}
