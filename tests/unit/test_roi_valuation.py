"""What an auditor adds up by hand: money that is left out, and hours of several automations at several rates."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from services.roi import figures
from services.roi.answers.payback import careful_share
from services.roi.buckets import BucketSums, MoneyBuckets
from services.roi.facts import DatedRate, MoneySum, Tally
from services.roi.valuation import Valuation
from shared.measure.baselines import Grade

AT = datetime(2026, 3, 31, tzinfo=UTC)
NONE = Decimal(0)


def rate(value: str, automation: str = "*", code: str = "EUR") -> DatedRate:
    return DatedRate("labour_hour", automation, Decimal(value), code, AT, "payroll")


def flow(kind: str, amount: str, automation: str = "claims") -> MoneyBuckets:
    return MoneyBuckets(automation, kind, "A", "USD", [0], [Decimal(amount)])


def test_money_that_cannot_be_converted_is_named_although_it_nets_to_nothing() -> None:
    prices = Valuation.of([], "EUR")
    assert prices.flows([flow("platform", "100"), flow("cash", "-100")]).unconverted == ("USD",)
    assert prices.flows([flow("cash", "100"), flow("cash", "-100", "invoices")]).unconverted == ("USD",)
    assert prices.flows([MoneyBuckets("claims", "cash", "A", "USD", [0, 0], [Decimal(5), Decimal(-5)])]).unconverted == ()


def measured(automation: str, control: int, mean: int, deviation: int) -> BucketSums:
    """A hundred cases that a tier decided, and control cases, forecast at their mean: each has a variance of (1 - p) / p² times theirs."""
    squares = (control - 1) * deviation**2 + control * mean**2
    return decided(automation, control, control * mean, squares)._replace(
        gain=Decimal(100 * mean), variance=Decimal(2 * control * deviation**2)
    )


def decided(automation: str, control: int, seconds: int, squares: int) -> BucketSums:
    """A hundred cases that a tier decided, and control cases."""
    return BucketSums(automation, "s", Decimal("0.5"), [0], [control], [0], [100], [0.0], Decimal(seconds), Decimal(squares))


def tally(buckets: list[BucketSums], rates: list[DatedRate], money: list[MoneySum] | None = None) -> Tally:
    return Tally([], money or [], [], rates, "EUR", AT, buckets)


def test_what_is_saved_at_least_is_worth_what_its_own_hours_cost() -> None:
    # Many sure hours that cost little, and few unsure ones that cost much.
    rows = [measured("claims", 400, 900, 30), measured("invoices", 100, 100, 90)]
    rates = [rate("1", "claims"), rate("400", "invoices")]
    accounts = figures.accounts(tally(rows, rates), Grade.D)
    prices = Valuation.of(rates, "EUR")
    share = careful_share(accounts, prices)
    assert share is not None
    held = [(account.always_valid, hour) for account, hour in zip(accounts, (1, 400), strict=True)]
    points = [bound.point * hour for bound, hour in held if bound is not None]
    reach = [(bound.point - bound.low) * hour for bound, hour in held if bound is not None]
    # Nearly all of the worth is unsure, though nearly all of the hours are sure; of 500 control cases the bound is a little narrower.
    assert sum(points) - sum(part**2 for part in reach) ** 0.5 == pytest.approx(float(share) * sum(points), rel=0.1)
    assert float(share) * sum(points) < sum(points) - 0.8 * sum(part**2 for part in reach) ** 0.5
    assert careful_share(accounts, Valuation.of([], "EUR")) is None


def test_what_is_paid_back_at_least_is_claimed_by_the_bound_of_the_headline() -> None:
    accounts = figures.accounts(tally([measured("claims", 400, 900, 300), measured("invoices", 100, 100, 90)], []), Grade.D)
    prices = Valuation.of([rate("40")], "EUR")
    total = figures.total(accounts, [figures.figures(account, prices, Grade.D) for account in accounts], prices, Grade.D)
    assert total.saved.hours.point is not None
    share = float(total.saved.at_least_hours / total.saved.hours.point)
    assert float(careful_share(accounts, prices) or 0) == pytest.approx(share, abs=0.001)
    few = figures.accounts(tally([measured("claims", 49, 900, 300)], []), Grade.D)
    assert careful_share(few, prices) == 0, "below fifty control cases nothing is claimed"


def test_an_automation_without_a_case_needs_no_rate_for_the_total_to_have_a_value() -> None:
    platform = [MoneySum(name, "-", "platform", "A", "EUR", Decimal(10), NONE) for name in ("claims", "invoices")]
    rates = [rate("36", "claims")]
    prices = Valuation.of(rates, "EUR")
    accounts = figures.accounts(tally([decided("claims", 40, 4000, 410_000)], rates, platform), Grade.D)
    parts = [figures.figures(account, prices, Grade.D) for account in accounts]
    assert [part.automation for part in parts] == ["claims", "invoices"]
    total = figures.total(accounts, parts, prices, Grade.D)
    assert total.money.labour_value == parts[0].money.labour_value
    assert total.money.labour_value is not None
    # Ten thousand seconds at a cent each.
    assert total.money.labour_value.point == 100
