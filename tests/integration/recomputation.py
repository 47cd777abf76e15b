"""What the sums must hold, added up case by case and line by line in Python: another way to the same numbers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import TYPE_CHECKING, Any

from services.roi.buckets import ArmSum
from shared.ledger.sums import BUCKET_MEASURES, CASE_MEASURES, LINE_MEASURES
from shared.measure.baselines import EMPTY, Moments
from shared.measure.sequence import progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection, RowMapping

    from shared.measure.sequence import Progress

GRAINS = ("hour", "day", "week", "month")
TIME_KINDS = ("manual_time", "review_time", "reversal")
Sums = dict[tuple[object, ...], tuple[Decimal, ...]]


def start_of(grain: str, moment: datetime) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    return {"hour": hour, "day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[grain]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is booked, newest horizon or not."""

    decisions: list[RowMapping]
    lines: list[RowMapping]
    forecasts: list[RowMapping]

    @classmethod
    def of(cls, connection: Connection) -> Facts:
        forecasts = connection.exec_driver_sql("SELECT *, since::text::bigint AS number FROM forecasts ORDER BY since").mappings()
        return cls(
            list(
                connection.exec_driver_sql(
                    "SELECT d.*, c.xid::text::bigint AS received, c.control_probability AS share"
                    " FROM decisions d JOIN cases c ON c.id = d.case_id"
                ).mappings()
            ),
            list(
                connection.exec_driver_sql(
                    "SELECT l.*, r.kind AS reversed_kind FROM ledger_lines l LEFT JOIN ledger_lines r ON r.id = l.reverses"
                ).mappings()
            ),
            list(forecasts),
        )

    def progress(self, tenant: str, start: datetime, as_of: datetime | None) -> dict[str, Progress]:
        """Of the always-valid estimate of each automation, of what was decided since a moment, as known at another, or now."""
        times = self._times()
        sums: dict[str, dict[tuple[str, str, Decimal], list[Decimal]]] = defaultdict(
            lambda: defaultdict(lambda: [Decimal(0)] * len(CASE_MEASURES))
        )
        for decision in self.decisions:
            if decision["tenant_id"] != tenant or decision["decided_at"] < start or (as_of is not None and decision["booked_at"] > as_of):
                continue
            lines = [line for line in times[decision["case_id"]] if as_of is None or line["booked_at"] <= as_of]
            row = sums[decision["automation"]][decision["arm"], decision["stratum"], decision["share"]]
            row[:] = [total + value for total, value in zip(row, self._value(decision, lines), strict=True)]
        return {automation: _progress(rows) for automation, rows in sums.items()}

    def _times(self) -> dict[object, list[RowMapping]]:
        """By case."""
        times: dict[object, list[RowMapping]] = defaultdict(list)
        for line in self.lines:
            if line["unit"] == "s" and line["kind"] in TIME_KINDS:
                times[line["case_id"]].append(line)
        return times

    def case_sums(self) -> Sums:
        """By the key of `case_sums`."""
        sums: dict[tuple[object, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * len(CASE_MEASURES))
        times = self._times()
        for decision in self.decisions:
            for grain in GRAINS:
                self._add(sums, decision, times[decision["case_id"]], grain)
        return {key: tuple(values) for key, values in sums.items() if any(values)}

    def _add(self, sums: dict[tuple[object, ...], list[Decimal]], decision: RowMapping, times: Iterable[RowMapping], grain: str) -> None:
        lines = list(times)
        known: list[Decimal] = [Decimal(0)] * len(CASE_MEASURES)
        for booked in sorted({start_of(grain, fact["booked_at"]) for fact in [decision, *lines]}):
            if start_of(grain, decision["booked_at"]) > booked:
                continue
            values = self._value(decision, [line for line in lines if start_of(grain, line["booked_at"]) <= booked])
            names = ("automation", "arm", "stratum", "tier", "source")
            attributes = (*(decision[name] for name in names), decision["model_version"] or "-", decision["share"])
            row = sums[(decision["tenant_id"], grain, start_of(grain, decision["decided_at"]), booked, *attributes)]
            row[:] = [total + new - old for total, new, old in zip(row, values, known, strict=True)]
            known = values

    def _value(self, decision: RowMapping, lines: list[RowMapping]) -> list[Decimal]:
        y = sum((line["quantity"] for line in lines), Decimal(0))
        late = sum((line["quantity"] for line in lines if line["booked_at"] > decision["booked_at"]), Decimal(0))
        x = Decimal(repr(decision["covariate"] or 0.0))
        names = ("tenant_id", "automation", "stratum")
        known = [f for f in self.forecasts if all(f[name] == decision[name] for name in names) and f["number"] <= decision["received"]]
        forecast = known[-1]["intercept"] + known[-1]["slope"] * x if known else Decimal(0)
        share = decision["share"]
        gain = variance = Decimal(0)
        with localcontext() as context:
            context.prec = 60
            if share > 0 and decision["arm"] == "control":
                gain = (1 - share) / share * (y - forecast)
                variance = (1 - share) / (share * share) * (y - forecast) ** 2
            elif share > 0:
                gain = forecast - y
            return [_six(value) for value in (Decimal(1), y, y * y, late, x, x * x, x * y, gain, variance)]

    def case_buckets(self) -> Sums:
        """By the key of `case_buckets`: without the moment of booking."""
        sums: dict[tuple[object, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * len(BUCKET_MEASURES))
        for (tenant, grain, period, _, automation, arm, stratum, tier, _, _, share), values in self.case_sums().items():
            cases, seconds, squares, *_, gain, variance = values
            control, human = arm == "control", arm != "control" and tier == "human"
            row = sums[(tenant, grain, period, automation, stratum, share)]
            for place, (counts, value) in enumerate(
                (
                    (control, cases),
                    (human, cases),
                    (not control and not human, cases),
                    (not control, seconds),
                    (control, seconds),
                    (control, squares),
                    (True, gain),
                    (True, variance),
                )
            ):
                row[place] += value if counts else 0
        return {key: tuple(values) for key, values in sums.items() if any(values)}

    def money_buckets(self) -> Sums:
        """By the key of `money_buckets`."""
        sums: dict[tuple[object, ...], Decimal] = defaultdict(Decimal)
        for (tenant, grain, period, _, automation, _, kind, grade, currency), (_, _, amount, _) in self.ledger_sums().items():
            if grain != "month" and currency != "-":
                sums[(tenant, grain, period, automation, kind, grade, currency)] += amount
        return {key: (amount,) for key, amount in sums.items() if amount}

    def ledger_sums(self) -> Sums:
        """By the key of `ledger_sums`."""
        sums: dict[tuple[object, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * len(LINE_MEASURES))
        for line in self.lines:
            amount = line["amount"] or Decimal(0)
            corrects = line["reverses"] or (line["kind"] == "cash" and line["case_id"] and line["sequence"] > 0)
            values = (Decimal(1), line["quantity"] or Decimal(0), amount, amount if corrects else Decimal(0))
            kind = line["reversed_kind"] or line["kind"]
            attributes = (line["automation"], line["arm"] or "-", kind, line["grade"], line["currency"] or "-")
            for grain in GRAINS:
                periods = start_of(grain, line["occurred_at"]), start_of(grain, line["booked_at"])
                row = sums[(line["tenant_id"], grain, *periods, *attributes)]
                row[:] = [total + value for total, value in zip(row, values, strict=True)]
        return {key: tuple(values) for key, values in sums.items()}


def _progress(rows: Mapping[tuple[str, str, Decimal], list[Decimal]]) -> Progress:
    """Of sums by arm, stratum and control share."""
    arms: list[ArmSum] = []
    control: dict[str, Moments] = {}
    for (arm, stratum, share), (cases, seconds, squares, *_, gain, variance) in rows.items():
        arms.append(ArmSum(arm, stratum, share, int(cases), seconds, gain, variance))
        if arm == "control":
            control[stratum] = control.get(stratum, EMPTY) + Moments(int(cases), float(seconds), float(squares))
    return progress(arms, control)


def stored(connection: Connection, table: str, measures: Iterable[str]) -> Sums:
    """A table of sums, without the rows that say nothing."""
    names = list(measures)
    rows: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in connection.exec_driver_sql(f"SELECT * FROM {table}").mappings():
        key = tuple(value for name, value in row.items() if name not in names)
        rows[key] = tuple(Decimal(row[name]) for name in names)
    return {key: values for key, values in rows.items() if any(values)}


def _six(value: Decimal) -> Decimal:
    return value.quantize(Decimal("1e-6"), rounding=ROUND_HALF_UP)
