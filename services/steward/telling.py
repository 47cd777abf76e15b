"""Tells business systems about each day that is over: what was booked, and the root that seals it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from services.steward.repository import telling
from shared.casework.notices import EVERY, Notice, NoticeKind, tell
from shared.db import unit_of_work
from shared.ledger.seals import Seal, written
from shared.measure.baselines import EMPTY, Moments
from shared.measure.rounding import at_least
from shared.measure.sequence import bounds, progress

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from services.steward.repository.telling import DaySum

DAY: Final = timedelta(days=1)
# Told about when nobody was there to do so earlier.
DAYS: Final = 3
# What is booked at midnight is summed up a moment later.
GRACE: Final = timedelta(minutes=5)
_THOUSANDTH: Final = Decimal("0.001")


def tell_savings(engine: Engine, now: datetime) -> int:
    """Figures of the last days that are over and summed up; returns how many messages are new."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    with unit_of_work(engine) as connection:
        tenants = telling.wanted(connection, NoticeKind.SAVINGS_RECORDED)
        if not tenants or telling.rolled_through(connection) < today + GRACE:
            return 0
        days = [today - back * DAY for back in range(DAYS, 0, -1)]
        return tell(connection, [notice for day in days for notice in _of_day(connection, tenants, day)])


def tell_seals(engine: Engine, now: datetime) -> int:
    """The last seal of each of the last days that are over, for each tenant that wants it; returns how many messages are new."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    with unit_of_work(engine) as connection:
        tenants = telling.wanted(connection, NoticeKind.LEDGER_SEALED)
        ends = [today - back * DAY for back in range(DAYS)]
        seals = [(telling.last_seal(connection, tenant, end), end - DAY) for tenant in tenants for end in reversed(ends)]
        return tell(connection, [_sealed(seal, day) for seal, day in seals if seal is not None and seal.sealed_at >= day])


def _of_day(connection: Connection, tenants: Sequence[str], day: datetime) -> list[Notice]:
    sums = defaultdict(list)
    for part in telling.sums(connection, tenants, day):
        sums[part.tenant, part.automation].append(part)
    return [
        _recorded(row, day, lower_bound(sums[row["tenant_id"], row["automation"]])) for row in telling.figures(connection, tenants, day)
    ]


def lower_bound(sums: Sequence[DaySum]) -> Decimal | None:
    """What was saved at least, by the always-valid interval that begins with the day, s; None below 50 control cases."""
    control: dict[str, Moments] = {}
    for part in sums:
        if part.arm == "control":
            found = Moments(part.cases, float(part.seconds), float(part.squares))
            control[part.stratum] = control.get(part.stratum, EMPTY) + found
    held = bounds(progress(sums, control))
    return None if held is None else at_least(held.least, _THOUSANDTH)


def _recorded(row: dict[str, Any], day: datetime, low: Decimal | None) -> Notice:
    tenant, automation = row.pop("tenant_id"), row.pop("automation")
    cases = {name: row.pop(name) for name in ("automated", "human", "control")}
    saved = {"low": low, "point": row.pop("saved_seconds"), "standard_error": row.pop("standard_error")}
    return Notice(
        tenant_id=tenant,
        kind=NoticeKind.SAVINGS_RECORDED,
        automation=automation,
        subject=f"{automation}:{day:%Y-%m-%d}",
        at=day + DAY,
        data={"automation": automation, "from": day, "to": day + DAY, "cases": cases, "saved_seconds": saved, **row},
    )


def _sealed(seal: Seal, day: datetime) -> Notice:
    """The seal as `/v1/roi/ledger/seals` answers it, so that it can be kept and given to `recoup ledger verify --seal`."""
    return Notice(
        tenant_id=seal.tenant_id,
        kind=NoticeKind.LEDGER_SEALED,
        automation=EVERY,
        subject=f"{day:%Y-%m-%d}",
        at=seal.sealed_at,
        data={
            "tenant_id": seal.tenant_id,
            "n": seal.n,
            "size": seal.size,
            "root": seal.root.hex(),
            "previous": None if seal.previous is None else seal.previous.hex(),
            "horizon": seal.horizon,
            "sealed_at": written(seal.sealed_at),
            "hash": seal.hash().hex(),
        },
    )
