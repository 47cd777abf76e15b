"""The demo's own bookkeeping: what it calls lost, doubled and true must not depend on the product."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from standardwebhooks import Webhook

from services.lab.demo.sink import Sink
from services.lab.demo.tally import Story, Tally, percentile
from services.lab.synth import generate
from shared.clock import SystemClock

SECRET = "whsec_" + "A" * 43 + "="


@pytest.fixture
def tally() -> Tally:
    return Tally({event.event_id: Story(event, "claims") for event in generate("claims", 3, seed=5)})


def deliver(sink: Sink, event_id: str, tier: str, webhook_id: str = "msg_1", outcome: str = "adjuster") -> None:
    body = orjson.dumps({"data": {"event": {"id": event_id}, "tier": tier, "outcome": outcome}})
    now = SystemClock().now()
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(webhook_id, now, body.decode()),
    }
    scope = {"type": "http", "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(_message: object) -> None:
        return None

    asyncio.run(sink(scope, receive, send))


def test_what_a_tier_decides_saves_all_of_its_manual_time(tally: Tally) -> None:
    sink = Sink(tally)
    sink.secret = SECRET
    first, second, third = tally.stories.values()
    deliver(sink, first.event.event_id, "nano")
    second.arm, second.human_seconds = "automated", 30.0
    deliver(sink, second.event.event_id, "human", "msg_2")
    third.arm, third.human_seconds = "control", third.event.manual_seconds
    deliver(sink, third.event.event_id, "human", "msg_3")
    assert tally.saved_seconds() == pytest.approx(first.event.manual_seconds + second.event.manual_seconds - 30.0)


def test_a_second_id_or_a_second_body_is_a_double(tally: Tally) -> None:
    sink = Sink(tally)
    sink.secret = SECRET
    first, second, third = (story.event.event_id for story in tally.stories.values())
    deliver(sink, first, "nano", "msg_1")
    deliver(sink, first, "nano", "msg_1")
    assert tally.doubled() == 0, "a redelivery is no double"
    deliver(sink, first, "nano", "msg_9")
    deliver(sink, second, "nano", "msg_2", outcome="adjuster")
    deliver(sink, second, "nano", "msg_2", outcome="fast_track_pay")
    assert tally.doubled() == 2
    tally.stories[third].sent_at = 1.0
    assert tally.lost() == 1


def test_a_wrong_signature_is_not_received(tally: Tally) -> None:
    sink = Sink(tally)
    sink.secret = "whsec_" + "B" * 43 + "="
    with pytest.raises(Exception, match="signature"):
        deliver(sink, next(iter(tally.stories)), "nano")
    assert tally.waiting == 3


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 3.0), (0.99, 4.0)])
def test_percentiles_are_members_of_the_list(share: float, expected: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == expected
    assert percentile([], share) is None
