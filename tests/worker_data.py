"""Cases that wait for a worker, and a worker in this process to carry out orders for them."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from services.lab.synth import generate
from services.worker.cascade import Cascade
from services.worker.rules import RulesTier
from services.worker.service import Decider, Limits
from shared.automations.registry import automation, automations
from shared.clock import SystemClock
from shared.db import unit_of_work
from shared.events.envelope import Event
from shared.intake.record import Incoming
from shared.intake.repository import store
from tests.intake_data import NOON

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from sqlalchemy import Engine

    from shared.automations.contract import Automation

CLAIM: Mapping[str, Any] = {
    "policy_number": "P-1",
    "policy_start": "2026-01-01",
    "policy_end": "2026-12-31",
    "line": "motor",
    "cause": "collision",
    "loss_date": "2026-10-01",
    "reported_date": "2026-10-02",
    "amount_claimed": "900.00",
    "currency": "EUR",
    "deductible": "150.00",
    "sum_insured": "20000.00",
    "description": "A car drove into my parked car.",
}
# Hard rules settle the first for good, send the second to a person, and let models speak about the third.
INJURY = {**CLAIM, "injured_persons": 1}
SUSPICIOUS = {**CLAIM, "prior_claims": 9}
PLAIN = CLAIM


def record(event_id: str, data: object, task: Automation, *, tenant: str = "acme", minutes: int = 0) -> Incoming:
    """An admitted event as the gateway writes it down."""
    body = Event(id=event_id, source="/erp", type=task.event_type, time=NOON, data=data).canonical()
    return Incoming(
        tenant=tenant,
        source="/erp",
        event_id=event_id,
        event_type=task.event_type,
        automation=task.name,
        occurred_at=NOON,
        received_at=NOON + timedelta(minutes=minutes),
        body=body,
        body_sha256=hashlib.sha256(body).digest(),
        traceparent=f"00-{'1' * 32}-{'2' * 16}-01",
    )


def waiting(engine: Engine, records: Iterable[Incoming]) -> list[UUID]:
    with unit_of_work(engine) as connection:
        return [stored.case_id for stored in store(connection, list(records))]


def claim_cases(engine: Engine, *data: Mapping[str, Any], first: int = 1) -> list[UUID]:
    return waiting(engine, [record(str(number), case, automation("claims")) for number, case in enumerate(data, first)])


def synthetic_cases(engine: Engine, task: str, count: int, seed: int = 0) -> list[UUID]:
    return waiting(engine, [record(event.event_id, event.data, automation(task)) for event in generate(task, count, seed)])


def rules_only(tasks: Sequence[Automation] = ()) -> dict[str, Cascade]:
    """What an installation without model packs has."""
    return {task.name: Cascade(task, [RulesTier(task)]) for task in tasks or automations().values()}


def decider(
    engine: Engine, cascades: Mapping[str, Cascade] | None = None, *, lease: timedelta = timedelta(seconds=40), attempt_cap: int = 5
) -> Decider:
    limits = Limits(lease=lease, attempt_cap=attempt_cap, rest=lambda attempt: timedelta(seconds=attempt))
    return Decider(engine, cascades or rules_only(), SystemClock(), limits)
