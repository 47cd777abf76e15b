"""Writes what the line writes, through the code that writes it there: cases, decisions, ledger lines."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count, islice
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import SecretStr

from shared.casework import repository as casework
from shared.casework.values import Decided
from shared.clock import SystemClock
from shared.db import engine_for, unit_of_work
from shared.intake.record import Incoming
from shared.intake.repository import store
from shared.ledger import posting
from shared.ledger import repository as ledger
from shared.money import Money, currency
from shared.security import apikeys
from shared.settings import DatabaseSettings

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from shared.db.engine import Role
    from tests.conftest import Database

CPU_HOUR = Money(Decimal("0.36"), currency("EUR"))
# By database: arms are drawn by the events' numbers, so a test draws the same ones whatever ran before it.
_numbers: defaultdict[str | None, Iterator[int]] = defaultdict(count)


@contextmanager
def engine_of(database: Database, role: Role = "recoup_line") -> Iterator[Engine]:
    engine = engine_for(DatabaseSettings(url=SecretStr(database.app_url), pool_size=8), role=role, application="test")
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def two_tenants(database: Database, other: str = "other") -> Iterator[Engine]:
    """The line's engine over ``acme`` and another."""
    with engine_of(database) as engine:
        with unit_of_work(engine) as connection:
            add_tenant(connection)
            add_tenant(connection, other)
        yield engine


@dataclass(frozen=True, slots=True)
class Case:
    id: UUID
    tenant: str
    automation: str
    arm: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Subject:
    case_id: UUID
    tenant_id: str
    automation: str
    arm: str
    stratum: str


def add_tenant(connection: Connection, tenant: str = "acme", *, control_share: str = "0.3", platform_monthly: str = "0") -> None:
    connection.exec_driver_sql(
        "INSERT INTO tenants (id, name, arm_salt) VALUES (%(id)s, %(id)s, '\\x00112233445566778899aabbccddeeff')", {"id": tenant}
    )
    connection.exec_driver_sql(
        "INSERT INTO automation_settings (tenant_id, automation, control_share, platform_monthly)"
        " VALUES (%(id)s, 'claims', %(share)s, %(p)s)",
        {"id": tenant, "share": control_share, "p": platform_monthly},
    )


def add_key(engine: Engine, tenant: str, role: str) -> str:
    """The token of a new key."""
    key = apikeys.generate()
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO api_keys (id, tenant_id, name, prefix, secret_sha256, roles)"
            " VALUES (gen_random_uuid(), %(tenant)s, 'test', %(prefix)s, %(digest)s, ARRAY[%(role)s])",
            {"tenant": tenant, "prefix": key.prefix, "digest": key.secret_sha256, "role": role},
        )
    return key.token


def receive(
    connection: Connection, n: int, *, tenant: str = "acme", automation: str = "claims", at: datetime | None = None, repeated: int = 0
) -> list[Case]:
    """``n`` new events, the first ``repeated`` of them twice."""
    received_at = at or SystemClock().now()
    numbers = _numbers[connection.engine.url.database]
    events = [_event(tenant, automation, received_at, number) for number in islice(numbers, n)]
    stored = store(connection, [*events, *events[:repeated]])
    arms = dict(
        connection.exec_driver_sql("SELECT id, arm FROM cases WHERE id = ANY(%(ids)s::uuid[])", {"ids": [s.case_id for s in stored]})
        .tuples()
        .all()
    )
    return [Case(s.case_id, tenant, automation, arms[s.case_id], received_at) for s in stored[:n]]


def decide(
    connection: Connection,
    cases: Sequence[Case],
    *,
    seconds: str = "100",
    tier: str = "nano",
    at: datetime | None = None,
    stratum: str = "s",
) -> None:
    """Close cases: control by a person in ``seconds``, the others by ``tier`` (``human``: by a person, too)."""
    decided_at = at or SystemClock().now()
    connection.exec_driver_sql(
        "UPDATE cases SET state = 'decided', attempt = greatest(attempt, 1) WHERE id = ANY(%(ids)s::uuid[])", {"ids": [c.id for c in cases]}
    )
    casework.record_decisions(connection, [_decided(case, tier, stratum, decided_at) for case in cases])
    lines = []
    for case in cases:
        subject = Subject(case.id, case.tenant, case.automation, case.arm, stratum)
        if case.arm == "automated":
            lines.append(posting.for_compute(subject, 1_000_000, CPU_HOUR, at=decided_at))
        if case.arm == "control" or tier == "human":
            lines.append(posting.for_review(subject, Decimal(seconds), at=decided_at))
    ledger.post(connection, lines)


def add_work(connection: Connection, case: Case, seconds: str, *, sequence: int, stratum: str = "s") -> None:
    """More human time on a case, as after a reopening."""
    line = posting.for_review(Subject(case.id, case.tenant, case.automation, case.arm, stratum), Decimal(seconds), at=SystemClock().now())
    ledger.post(connection, [replace(line, sequence=sequence)])


def hours_ago(hours: float) -> datetime:
    return SystemClock().now() - timedelta(hours=hours)


def _event(tenant: str, automation: str, received_at: datetime, number: int) -> Incoming:
    body = f'{{"id":"{number}"}}'.encode()
    return Incoming(
        tenant=tenant,
        source="test",
        event_id=str(number),
        event_type=f"com.recoup.{automation}",
        automation=automation,
        occurred_at=received_at,
        received_at=received_at,
        body=body,
        body_sha256=hashlib.sha256(body).digest(),
    )


def _decided(case: Case, tier: str, stratum: str, decided_at: datetime) -> Decided:
    by_person = case.arm == "control" or tier == "human"
    return Decided(
        case_id=case.id,
        tenant_id=case.tenant,
        automation=case.automation,
        arm=case.arm,
        stratum=stratum,
        source="test",
        event_id="e",
        event_type="com.recoup.test",
        occurred_at=case.received_at,
        received_at=case.received_at,
        traceparent=None,
        outcome="adjuster",
        adverse=False,
        confidence=None if by_person else 0.9,
        reasons=(),
        attributes={},
        tier="human" if by_person else tier,
        model_version=None if by_person else "1",
        decided_by="person" if by_person else "model",
        decided_at=decided_at,
    )
