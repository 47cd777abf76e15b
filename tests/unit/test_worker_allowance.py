"""Budgets: what a case or a batch may still take, and what happens to a case that cannot afford a tier."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from services.worker.allowance import affords, left, price, purse, total
from services.worker.cascade import Cascade
from services.worker.cost import ProcessMeter
from services.worker.tiers import ABSTAINED, NOTHING, UNLIMITED, Budget, CaseInput, Terms, TierResult, Usage
from shared.automations.contract import Automation, Outcome, Verdict
from shared.money import Money, currency

EUR, USD = currency("EUR"), currency("USD")
SECOND = 1_000_000_000


def euros(amount: str) -> Money:
    return Money(Decimal(amount), EUR)


@pytest.mark.parametrize(
    ("budget", "spent", "needs", "fits"),
    [
        (UNLIMITED, Usage(wall_ns=10**15), Usage(wall_ns=1), True),
        (Budget(seconds=2), Usage(wall_ns=SECOND), Usage(wall_ns=SECOND), True),
        (Budget(seconds=2), Usage(wall_ns=SECOND), Usage(wall_ns=SECOND + 1), False),
        (Budget(seconds=0), NOTHING, NOTHING, True),
        (Budget(seconds=0), NOTHING, Usage(wall_ns=1), False),
        (Budget(money=euros("0.02")), Usage(money=euros("0.01")), Usage(money=euros("0.01")), True),
        (Budget(money=euros("0.02")), Usage(money=euros("0.01")), Usage(money=euros("0.0100000001")), False),
        # An hour of one core costs 0.36: a second costs 0.0001.
        (Budget(money=euros("0.0002")), Usage(cpu_ns=SECOND), Usage(cpu_ns=SECOND), True),
        (Budget(money=euros("0.0002")), Usage(cpu_ns=SECOND), Usage(cpu_ns=SECOND + 1000), False),
        (Budget(money=euros("5")), NOTHING, Usage(money=Money(Decimal(1), USD)), False),
    ],
)
def test_a_tier_fits_where_all_that_was_spent_and_what_it_needs_are_within_the_budget(
    budget: Budget, spent: Usage, needs: Usage, *, fits: bool
) -> None:
    assert affords(Terms(budget=budget, cpu_hour=euros("0.36")), [spent], needs) is fits


def test_without_a_price_of_cpu_time_a_budget_of_money_counts_only_what_is_paid() -> None:
    assert affords(Terms(budget=Budget(money=euros("0"))), [], Usage(cpu_ns=SECOND))
    assert price(Usage(cpu_ns=SECOND, money=euros("1")), None) == [euros("1")]


usages = st.builds(
    Usage,
    cpu_ns=st.integers(0, 10**10),
    wall_ns=st.integers(0, 10**10),
    tokens=st.integers(0, 1000),
    money=st.none() | st.decimals(0, 1, places=6).map(lambda amount: Money(amount, EUR)),
)


@given(st.lists(usages, max_size=6), st.lists(usages, max_size=6))
def test_usage_adds_up_whatever_the_order_and_the_grouping(first: list[Usage], second: list[Usage]) -> None:
    assert total([total(first), total(second)]) == total([*reversed(second), *first])


@given(st.lists(usages, max_size=6), st.floats(0, 60))
def test_what_is_left_never_grows_and_is_never_negative(used: list[Usage], seconds: float) -> None:
    budget = Budget(seconds, euros("0.5"))
    rest = left(budget, used)
    assert rest.seconds is not None
    assert rest.money is not None
    assert 0 <= rest.seconds <= seconds
    assert 0 <= rest.money.amount <= Decimal("0.5")
    assert left(UNLIMITED, used) == UNLIMITED


@given(st.lists(usages, max_size=6), st.decimals(0, 1, places=6))
def test_what_is_left_of_a_cases_money_is_what_a_tier_may_need(used: list[Usage], amount: Decimal) -> None:
    terms = Terms(budget=Budget(money=euros("0.5")), cpu_hour=euros("0.36"))
    rest = purse(terms, used)
    assert rest is not None
    assert (amount <= rest.amount) is (affords(terms, used, Usage(money=Money(amount, EUR))) or amount == 0)
    assert purse(Terms(cpu_hour=euros("0.36")), used) is None
    assert purse(terms, [*used, Usage(money=Money(Decimal(1), USD))]) == euros("0")


class Note(BaseModel):
    text: str


NOTES = Automation(name="notes", event_type="test.note", data_model=Note, outcomes={"fine": Outcome()})


@dataclass
class Counting:
    """A tier that says the same about every case and remembers whom it was asked about."""

    name: str
    needs: Usage
    verdict: Verdict = ABSTAINED
    usage: Usage = NOTHING
    asked: list[uuid.UUID] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)

    def decide(self, batch: Sequence[CaseInput], budget: Budget = UNLIMITED) -> Sequence[TierResult]:
        self.asked += [case.case_id for case in batch]
        self.budgets.append(budget)
        return [TierResult(self.verdict, usage=self.usage) for _ in batch]


def _case(number: int, budget: Budget) -> CaseInput:
    return CaseInput(uuid.UUID(int=number), Note(text=""), tenant_id="acme", terms=Terms(budget=budget))


def test_a_case_that_cannot_afford_a_tier_goes_on_to_a_cheaper_one_and_its_mates_are_asked() -> None:
    dear = Counting("dear", Usage(wall_ns=2 * SECOND), Verdict("fine", 0.9))
    cheap = Counting("cheap", NOTHING, Verdict("fine", 0.8))
    rich, poor = Cascade(NOTES, [dear, cheap]).decide([_case(1, UNLIMITED), _case(2, Budget(seconds=1))])
    assert (rich.tier, poor.tier) == ("dear", "cheap")
    assert dear.asked == [uuid.UUID(int=1)]
    assert cheap.asked == [uuid.UUID(int=2)]
    assert [step.result.verdict.reasons for step in poor.steps] == [("budget",), ()]


def test_a_case_that_no_tier_fits_goes_to_a_person_who_is_told_that_it_was_the_budget() -> None:
    first = Counting("first", Usage(wall_ns=SECOND), usage=Usage(wall_ns=SECOND))
    second = Counting("second", Usage(wall_ns=SECOND), Verdict("fine"))
    (result,) = Cascade(NOTES, [first, second]).decide([_case(1, Budget(seconds=1.5))])
    assert (result.needs_person, result.reasons, result.error) == (True, ("budget",), None)
    assert (len(first.asked), len(second.asked)) == (1, 0)


def test_each_tier_is_told_what_the_tiers_before_it_have_left_of_the_batch() -> None:
    first = Counting("first", NOTHING, usage=Usage(wall_ns=SECOND, money=euros("0.1")))
    second = Counting("second", NOTHING)
    Cascade(NOTES, [first, second]).decide([_case(1, UNLIMITED), _case(2, UNLIMITED)], Budget(5.0, euros("1")))
    assert first.budgets == [Budget(5.0, euros("1"))]
    assert second.budgets == [Budget(3.0, euros("0.8"))]


def test_booked_time_and_taken_overhead_add_up_to_the_cpu_time_of_the_process() -> None:
    meter = ProcessMeter()
    meter.book(1_000_000)
    taken = meter.take_overhead()
    sum(range(200_000))
    taken += meter.take_overhead()
    assert meter.booked + taken <= time.process_time_ns() < meter.booked + taken + 500_000_000
    assert meter.overhead() < 500_000_000
