"""When to try again, when to stop, and what a receiver's answer does to its endpoint."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from services.courier import schedule, signature
from services.courier.lane import Lane
from services.courier.traffic import Traffic
from services.courier.values import Claimed, Outcome, Reply

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ENDPOINT = UUID(int=1)


def claimed(attempt: int = 1, *, endpoint: UUID = ENDPOINT, number: int = 7, start_before: float = 100.0) -> Claimed:
    return Claimed(UUID(int=number), endpoint, attempt, "https://a.example/", b"{}", None, NOW, start_before)


def test_the_table_is_that_of_standard_webhooks() -> None:
    assert schedule.ATTEMPTS == 10
    assert sum(schedule.TABLE, timedelta(0)) == timedelta(hours=75, minutes=35, seconds=5)


@given(st.integers(1, 9), st.floats(0, 1))
def test_a_delay_is_at_most_ten_percent_beside_the_table(attempt: int, chance: float) -> None:
    delay = schedule.next_delay(attempt, chance)
    assert delay is not None
    assert abs(delay / schedule.TABLE[attempt] - 1) <= 0.1000001


@given(st.integers(10, 100), st.floats(0, 1))
def test_nothing_follows_the_tenth_attempt(attempt: int, chance: float) -> None:
    assert schedule.next_delay(attempt, chance) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("120", timedelta(minutes=2)),
        (" 0 ", timedelta(0)),
        ("999999999999999", timedelta(hours=24)),
        ("9" * 5000, None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("²", None),
        ("", None),
        ("Mon, 23 Nov 2026 12:10:00 GMT", timedelta(minutes=10)),
        ("Mon, 23 Nov 2026 11:00:00 GMT", timedelta(0)),
        ("Mon, 23 Nov 2099 11:00:00 GMT", timedelta(hours=24)),
    ],
)
def test_retry_after_is_read_within_bounds(header: str | None, expected: timedelta | None) -> None:
    assert schedule.retry_after(header, NOW) == expected


@given(st.text(max_size=60))
def test_no_retry_after_header_raises(header: str) -> None:
    wish = schedule.retry_after(header, NOW)
    assert wish is None or timedelta(0) <= wish <= schedule.LONGEST_RETRY_AFTER


@given(st.integers(1, 12), st.one_of(st.none(), st.integers(100, 599)), st.one_of(st.none(), st.just("7200")), st.floats(0, 1))
def test_every_reply_leads_to_exactly_one_fate(attempt: int, status: int | None, header: str | None, chance: float) -> None:
    reply = Reply(status, None if status else "timeout", header)
    result = schedule.settle(claimed(attempt), reply, chance=chance, now=NOW)
    delivered = status is not None and 200 <= status < 300
    assert (result.outcome is Outcome.DELIVERED) == delivered
    assert (result.error is None) == delivered
    assert (result.delay is not None) == (result.outcome is Outcome.RETRY)
    assert result.gone == (status == 410)
    assert (result.outcome is Outcome.DEAD) == (not delivered and (attempt >= 10 or status == 410))
    if result.delay is not None and header is not None:
        assert result.delay >= timedelta(hours=2)


@pytest.mark.parametrize(
    ("status", "header", "expected"),
    [
        (429, None, timedelta(seconds=5)),
        (502, None, timedelta(seconds=5)),
        (504, "60", timedelta(minutes=1)),
        (429, "86400", timedelta(hours=1)),
        (503, "30", timedelta(seconds=30)),
        (503, None, None),
        (500, "30", None),
        (200, None, None),
        (None, None, None),
    ],
)
def test_an_overloaded_receiver_is_left_alone_for_a_while(status: int | None, header: str | None, expected: timedelta | None) -> None:
    assert schedule.pause(Reply(status, None, header), NOW) == expected


def test_a_lane_grows_with_quick_successes_and_stays_narrow_for_a_slow_receiver() -> None:
    lane = Lane.fresh(8)
    assert lane.limit == 2
    for _ in range(10):
        lane = lane.succeeded(0.1)
    assert lane.limit == 8
    assert lane.succeeded(3.0).limit == 2


def test_a_lane_closes_after_five_failures_in_a_row_ever_longer_up_to_a_minute() -> None:
    lane, closed = Lane.fresh(8), []
    for _ in range(12):
        lane = lane.failed(now=100.0)
        closed.append(lane.closed_until - 100.0 if not lane.is_open(100.0) else 0.0)
    assert closed == [0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60, 60]
    assert lane.limit == 1
    assert lane.is_open(160.0)
    recovered = lane.succeeded(0.1)
    assert (recovered.failures, recovered.limit) == (0, 2)


def test_deliveries_start_in_turn_within_the_limits() -> None:
    traffic = Traffic(concurrency=5, endpoint_concurrency=8)
    for endpoint in range(4):
        traffic.admit(claimed(endpoint=UUID(int=endpoint), number=10 * endpoint + n) for n in range(5))
    started = traffic.start(0.0)
    assert [delivery.endpoint_id.int for delivery in started] == [0, 1, 2, 3, 0]
    assert traffic.start(0.0) == []
    traffic.finish(UUID(int=3), traffic.lane(UUID(int=3)))
    assert [delivery.endpoint_id.int for delivery in traffic.start(0.0)] == [1]


def test_nothing_more_is_claimed_for_a_closed_lane_and_what_waits_is_given_back() -> None:
    traffic = Traffic(concurrency=10, endpoint_concurrency=8)
    traffic.admit(claimed(number=n) for n in range(5))
    (first, _second) = traffic.start(0.0)
    traffic.finish(ENDPOINT, traffic.lane(ENDPOINT).paused(30.0))
    assert traffic.demand(0.0).rooms == {ENDPOINT: 0}
    assert len(traffic.stale(0.0)) == 3
    assert traffic.claimed == 1
    assert first not in traffic.drain()


def test_a_delivery_whose_lease_runs_out_is_given_back_instead_of_sent() -> None:
    traffic = Traffic(concurrency=10, endpoint_concurrency=8)
    traffic.admit([claimed(start_before=5.0), claimed(number=8, start_before=50.0)])
    assert [delivery.id.int for delivery in traffic.stale(6.0)] == [7]
    assert [delivery.id.int for delivery in traffic.start(6.0)] == [8]


def test_healthy_idle_endpoints_are_forgotten_and_ailing_ones_are_not() -> None:
    traffic = Traffic(concurrency=10, endpoint_concurrency=8)
    ailing = UUID(int=2)
    traffic.admit([claimed(), claimed(endpoint=ailing)])
    traffic.start(0.0)
    traffic.finish(ENDPOINT, traffic.lane(ENDPOINT).succeeded(0.1))
    traffic.finish(ailing, traffic.lane(ailing).failed(0.0))
    traffic.forget_idle(0.0)
    assert set(traffic.demand(0.0).rooms) == {ailing}


def test_signatures_are_those_of_the_official_vectors(public_data: Path) -> None:
    vectors = json.loads((public_data / "standard-webhooks" / "vectors.json").read_text())
    used = [v for v in vectors if v["verify_ignoring_time"] and v["scheme"].startswith("v1") and "secret" in v]
    assert used
    for vector in used:
        at = datetime.fromtimestamp(vector["timestamp"], UTC)
        made = signature.signer(vector["secret"]).sign(vector["msg_id"], at, vector["payload"])
        assert made in vector["signature"].split(" ")


def test_every_signer_signs_the_same_bytes_and_one_changed_byte_breaks_it() -> None:
    secrets = ["whsec_" + "A" * 32, "whsec_" + "B" * 32]
    now = datetime.now(UTC)  # noqa: TID251  # the library compares with the real clock
    body = '{"note":"ü"}'.encode()
    made = {
        name.decode(): value.decode() for name, value in signature.headers(UUID(int=5), body, [signature.signer(s) for s in secrets], now)
    }
    assert made["webhook-id"] == "msg_" + UUID(int=5).hex
    for secret in secrets:
        assert Webhook(secret).verify(body, made) == {"note": "ü"}
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(secrets[0]).verify(body.replace(b"note", b"nota"), made)


def test_the_verification_in_the_documentation_works() -> None:
    text = (Path(__file__).parents[2] / "docs" / "callbacks.md").read_text()
    names: dict[str, Any] = {}
    exec(next(block for block in text.split("```python\n") if block.startswith("import base64")).split("```")[0], names)
    now = datetime.now(UTC)  # noqa: TID251  # the documented code compares with the real clock
    secret, body = "whsec_" + "A" * 32, b'{"a":1}'
    headers = {n.decode(): v.decode() for n, v in signature.headers(UUID(int=5), body, [signature.signer(secret)], now)}
    names["verify"](secret, headers, body)
    with pytest.raises(ValueError, match="not from"):
        names["verify"](secret, headers, body + b" ")
    with pytest.raises(ValueError, match="not from"):
        names["verify"]("whsec_" + "B" * 32, headers, body)
    with pytest.raises(ValueError, match="too old"):
        names["verify"](secret, {**headers, "webhook-timestamp": str(int(now.timestamp()) - 301)}, body)


def test_the_documentation_shows_the_retry_table() -> None:
    text = (Path(__file__).parents[2] / "docs" / "callbacks.md").read_text()
    since = timedelta(0)
    for attempt, delay in enumerate(schedule.TABLE, 1):
        since += delay
        hours, rest = divmod(int(since.total_seconds()), 3600)
        assert f"| {hours:02}:{rest // 60:02}:{rest % 60:02} |" in next(
            line for line in text.splitlines() if line.startswith(f"| {attempt} |")
        )
