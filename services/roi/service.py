"""Answers: one snapshot of the sums, then arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypedDict, Unpack
from uuid import UUID

from services.roi import breakdown, figures, series
from services.roi.breakdown import Dimension
from services.roi.facts import Wanted
from services.roi.period import RECENT, BadPeriod, Bucket, Period, moment
from services.roi.repository import conservation as balances
from services.roi.repository import figures as sums
from services.roi.repository.snapshots import snapshot
from services.roi.schemas import Asked, Breakdown, Conservation, LedgerLine, Timeseries, Totals
from services.roi.valuation import Valuation
from shared.db import unit_of_work
from shared.measure.baselines import Grade
from shared.measure.footprint import Assumptions
from shared.web.pagination import Cursor, Page

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from services.roi.facts import Tally
    from shared.clock import Clock

CONSERVATION_LENGTH = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Question:
    """What every answer about savings depends on.

    Attributes:
        automation: None asks for all.
        currency: None asks in the tenant's own.
        min_grade: evidence below it saves nothing.
        as_of: what was booked later is not known; None asks for everything that is.
        default: length of the period where no start is given, as in `Period.of`.
    """

    start: datetime | None
    end: datetime | None
    automation: str | None
    currency: str | None
    min_grade: Grade
    as_of: datetime | None = None
    default: timedelta | None = None


@dataclass(frozen=True, slots=True)
class LedgerQuestion:
    """Lines booked in a period; None does not filter."""

    start: datetime | None
    end: datetime | None
    automation: str | None
    kind: str | None
    case_id: UUID | None
    as_of: datetime | None = None


class Reading(TypedDict, total=False):
    """Of `Wanted`, what a question does not say."""

    apart: frozenset[str]
    bounds: bool
    money: bool


@dataclass(frozen=True, slots=True)
class Roi:
    engine: Engine
    clock: Clock
    assumed: Assumptions = field(default_factory=Assumptions)

    def summary(self, connection: Connection, tenant: str, question: Question) -> tuple[Totals, Valuation]:
        """With the rates that hold for it; ``connection`` as in `tally_in`."""
        period, tally = self.tally_in(connection, tenant, question, bounds=True)
        found = figures.accounts(tally, question.min_grade)
        prices = Valuation.of(tally.rates, question.currency or tally.currency)
        parts = [figures.figures(account, prices, question.min_grade) for account in found]
        totals = Totals(
            **dict(asked(question, period, tally)),
            total=figures.total(found, parts, prices, question.min_grade),
            by_grade=figures.by_grade(found),
            automations=parts,
        )
        return totals, prices

    def timeseries(self, tenant: str, question: Question, bucket: Bucket) -> Timeseries:
        with snapshot(self.engine, tenant) as connection:
            return self.timeseries_in(connection, tenant, question, bucket)

    def timeseries_in(self, connection: Connection, tenant: str, question: Question, bucket: Bucket) -> Timeseries:
        """``connection`` as in `tally_in`."""
        # A quarter has more hours than an answer may have buckets.
        wanted = replace(question, default=RECENT) if bucket is Bucket.HOUR else question
        period, tally = self.tally_in(connection, tenant, wanted, bucket)
        prices = Valuation.of(tally.rates, question.currency or tally.currency)
        accounts = figures.accounts(tally, question.min_grade)
        found, unconverted = series.series(accounts, list(period.buckets(bucket)), prices, question.min_grade)
        return Timeseries(**dict(asked(question, period, tally)), bucket=bucket.value, series=found, unconverted=unconverted)

    def breakdown(self, tenant: str, question: Question, by: Dimension) -> Breakdown:
        with snapshot(self.engine, tenant) as connection:
            period, tally = self.tally_in(connection, tenant, question, apart=breakdown.apart(by))
        parts = breakdown.parts(figures.accounts(tally, question.min_grade), by, question.min_grade)
        return Breakdown(**dict(asked(question, period, tally)), by=by.value, parts=parts)

    def conservation(
        self, tenant: str, start: datetime | None, end: datetime | None, automation: str | None, as_of: datetime | None
    ) -> Conservation:
        now = moment(as_of, self.clock.now())
        period = Period.of(start, end, now=now, default=CONSERVATION_LENGTH)
        period.refuse_too_many(Bucket.HOUR)
        with unit_of_work(self.engine, tenant=tenant, snapshot=True) as connection:
            hours = balances.conservation(connection, tenant, period, automation, as_of)
        return Conservation(start=period.start, end=period.end, as_of=now, holds=all(hour.difference == 0 for hour in hours), hours=hours)

    def ledger(self, tenant: str, wanted: LedgerQuestion, cursor: Cursor | None, limit: int) -> Page[LedgerLine]:
        """Raises BadPeriod as `Period.of`, and where the cursor is of another period than is asked for."""
        period = _of_pages(wanted, cursor, moment(wanted.as_of, self.clock.now()))
        filters = {
            "start": period.start,
            "end": period.end,
            "as_of": wanted.as_of,
            "automation": wanted.automation,
            "kind": wanted.kind,
            "case_id": wanted.case_id,
        }
        with unit_of_work(self.engine, tenant=tenant) as connection:
            lines = sums.ledger_page(connection, tenant, filters, cursor, limit + 1)
        last = lines[limit - 1] if len(lines) > limit else None
        place = None if last is None else Cursor(last.booked_at, last.id, (period.start, period.end)).encode()
        return Page[LedgerLine](items=lines[:limit], next_cursor=place)

    def database_answers(self) -> None:
        """Raises Retryable where it does not."""
        with unit_of_work(self.engine) as connection:
            sums.answers(connection)

    def tally_in(
        self, connection: Connection, tenant: str, question: Question, bucket: Bucket | None = None, **reading: Unpack[Reading]
    ) -> tuple[Period, Tally]:
        """What every answer about savings is computed from, beside what else it reads at the same moment.

        Args:
            connection: of a `snapshot`.
            bucket: None sums the whole period.
            reading: as in `Wanted`.
        """
        now = moment(question.as_of, self.clock.now())
        period = Period.of(question.start, question.end, now=now, default=question.default)
        if bucket is not None:
            period.refuse_too_many(bucket)
        wanted = Wanted(tenant, period, min(now, period.last), question.as_of, question.automation, bucket, **reading)
        return period, sums.tally(connection, wanted)


def _of_pages(wanted: LedgerQuestion, cursor: Cursor | None, now: datetime) -> Period:
    """One for all pages: a period by default moves on with the hour, and the oldest lines would fall out of it between two of them."""
    if cursor is None or cursor.period is None:
        return Period.of(wanted.start, wanted.end, now=now, default=RECENT)
    start, end = cursor.period
    period = Period.of(start, end, now=now)
    if Period.of(wanted.start or start, wanted.end or end, now=now) != period:
        raise BadPeriod("`cursor` is of another period: ask for the one that its first page was of, or leave `from` and `to` out.")
    return period


def asked(question: Question, period: Period, tally: Tally) -> Asked:
    return Asked(
        start=period.start,
        end=period.end,
        as_of=question.as_of,
        computed_through=tally.rolled_at,
        min_grade=question.min_grade,
        currency=question.currency or tally.currency,
        simulated=tally.simulated,
    )
