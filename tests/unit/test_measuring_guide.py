"""The worked example of `docs/measuring.md`: every number in it is recomputed with the code that answers the API."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from services.roi import figures
from services.roi.facts import CaseSum, DatedRate, MoneySum, Tally
from services.roi.valuation import Valuation
from shared.measure.baselines import Grade

PAGE = Path(__file__).parents[2] / "docs" / "measuring.md"
AT = datetime(2026, 3, 31, tzinfo=UTC)
SHARE = Decimal("0.05")


def _tables() -> list[list[list[str]]]:
    """Tables of the example, without their heads."""
    example = PAGE.read_text(encoding="utf-8").split("## A worked example", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"(?:^\|.*\n)+", example, flags=re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|\n").split("|")] for line in block.splitlines()[2:]] for block in blocks]


def _number(text: str) -> Decimal:
    return Decimal(re.sub(r"[^0-9.\-]", "", text))


def _sum(stratum: str, arm: str, tier: str, cases: int, moments: tuple[Decimal, Decimal], estimate: tuple[Decimal, Decimal]) -> CaseSum:
    none = Decimal(0)
    return CaseSum(
        "claims", arm, stratum, tier, "", "", SHARE, cases, *moments, late_seconds=none, covariate=none, covariate2=none,
        covariate_seconds=none, gain=estimate[0], variance=estimate[1],
    )  # fmt: skip


def _cases(row: list[str]) -> list[CaseSum]:
    """One stratum: each case was expected to take the mean of its stratum."""
    stratum, control, mean, deviation, automated, by_people, spent = row[0], *map(_number, row[1:])
    squares = (control - 1) * deviation**2
    variance = (1 - SHARE) / SHARE**2 * squares
    return [
        _sum(stratum, "control", "human", int(control), (control * mean, squares + control * mean**2), (Decimal(0), variance)),
        _sum(stratum, "automated", "human", int(by_people), (spent, spent), (by_people * mean - spent, Decimal(0))),
        _sum(
            stratum, "automated", "nano", int(automated - by_people), (Decimal(0), Decimal(0)), ((automated - by_people) * mean, Decimal(0))
        ),
    ]


def _money(row: list[str]) -> MoneySum:
    return MoneySum("claims", "automated", row[0].strip("`"), "A", "EUR", _number(row[1]), Decimal(0))


def test_every_number_of_the_worked_example_is_what_the_api_would_answer() -> None:
    strata, booked, answers = _tables()
    rate = DatedRate("labour_hour", "*", _number(booked[-1][1]), "EUR", AT, "payroll")
    tally = Tally([case for row in strata for case in _cases(row)], [_money(row) for row in booked[:-1]], [], [rate], "EUR", AT)
    prices = Valuation.of(tally.rates, "EUR")
    (account,) = figures.accounts(tally, Grade.D)
    found = figures.figures(account, prices, Grade.D)
    held, value = found.saved.always_valid, found.money.labour_value
    assert held is not None
    assert value is not None
    recomputed = {
        "`cases.total`": Decimal(found.cases.total),
        "`at_least_hours`": found.saved.at_least_hours,
        "`hours.point`": found.saved.hours.point,
        "`always_valid.low`": held.low,
        "`always_valid.high`": held.high,
        "`hours.low`": found.saved.hours.low,
        "`hours.high`": found.saved.hours.high,
        "`labour_value.low`": value.low,
        "`labour_value.point`": value.point,
        "`total_cost`": found.money.total_cost,
        "`cost_per_event`": found.money.cost_per_event,
        "`cash`": found.money.cash,
    }
    shown = {row[0]: _number(row[1]) for row in answers}
    assert shown.keys() == recomputed.keys()
    for name, number in shown.items():
        exact = recomputed[name]
        assert exact is not None
        assert number == exact.quantize(number), name
    assert (found.saved.grade, found.saved.note) == (Grade.A, None)


def test_the_pages_for_a_cfo_are_two() -> None:
    text = PAGE.read_text(encoding="utf-8").split("# The method in detail", 1)[0]
    assert 500 < len(text.split()) < 1100
