"""The worked example of `docs/measuring.md`: every number in it is recomputed with the code that answers the API."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from services.roi import figures
from services.roi.buckets import BucketSums
from services.roi.facts import DatedRate, MoneySum, Tally
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


def _bucket(row: list[str]) -> BucketSums:
    """One stratum: each case was expected to take the mean of its stratum."""
    stratum, control, mean, deviation, automated, by_people, spent = row[0], *map(_number, row[1:])
    squares = (control - 1) * deviation**2
    return BucketSums(
        "claims",
        stratum,
        SHARE,
        [0],
        [int(control)],
        [int(by_people)],
        [int(automated - by_people)],
        [float(spent)],
        control * mean,
        squares + control * mean**2,
        gain=automated * mean - spent,
        variance=(1 - SHARE) / SHARE**2 * squares,
    )


def _money(row: list[str]) -> MoneySum:
    return MoneySum("claims", "automated", row[0].strip("`"), "A", "EUR", _number(row[1]), Decimal(0))


def test_every_number_of_the_worked_example_is_what_the_api_would_answer() -> None:
    strata, booked, answers = _tables()
    rate = DatedRate("labour_hour", "*", _number(booked[-1][1]), "EUR", AT, "payroll")
    tally = Tally([], [_money(row) for row in booked[:-1]], [], [rate], "EUR", AT, [_bucket(row) for row in strata])
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
