"""What the gateway knows of events in front of Kafka once Redis has forgotten them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import SecretStr

from shared.db import unit_of_work
from shared.events.envelope import Event
from shared.events.outcome import OUTCOME_TYPE, OUTCOMES_NAME
from shared.ids import uuid7
from shared.intake.known import KnownEvents
from shared.intake.repository import store
from shared.settings import RedisSettings
from tests.intake_data import NOON, add_tenant, engine_of, incoming

if TYPE_CHECKING:
    from shared.intake.record import Identity, Incoming
    from tests.conftest import Database


def _outcome(event_id: str) -> Incoming:
    data = {"case_id": str(uuid7()), "result": "reopened"}
    body = Event(id=event_id, source="/erp", type=OUTCOME_TYPE, time=NOON, data=data).canonical()
    return replace(incoming(event_id), event_type=OUTCOME_TYPE, automation=OUTCOMES_NAME, body=body)


def test_events_and_late_outcomes_of_the_inbox_are_known(database: Database, empty_redis_url: str) -> None:
    """Each where it is kept: a sender that gives both one id is told of neither as a repetition of the other."""
    add_tenant(database)
    engine = engine_of(database, "recoup_api")
    event, outcome = incoming("1"), _outcome("2")
    with unit_of_work(engine, tenant="acme") as connection:
        store(connection, [event, outcome])

    async def digests(*records: Incoming) -> dict[Identity, bytes]:
        known = KnownEvents(engine, RedisSettings(url=SecretStr(empty_redis_url)))
        try:
            return await known.digests(records)
        finally:
            await known.close()

    assert asyncio.run(digests(event, outcome)) == {record.identity: record.body_sha256 for record in (event, outcome)}
    assert asyncio.run(digests(incoming("2"), _outcome("1"), incoming("3"))) == {}
    engine.dispose()
