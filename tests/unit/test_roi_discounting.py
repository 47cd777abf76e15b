"""Present values of dated flows."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from services.roi.answers.discounting import Flow, Investment, continued

START = date(2026, 1, 1)
END = date(2027, 1, 1)


def flow(days: int, amount: str) -> Flow:
    return Flow(START + timedelta(days=days), Decimal(amount), measured=True)


def test_a_flow_after_a_year_is_worth_one_rate_less() -> None:
    into = Investment(Decimal(100), START, Decimal("0.25"), END)
    assert into.present(flow(365, "125")) == 100
    assert into.npv([flow(0, "40"), flow(365, "125")]) == 40


def test_what_is_lost_again_is_not_paid_back() -> None:
    into = Investment(Decimal(100), START, Decimal(0), END)
    flows = [flow(7, "120"), flow(14, "-30"), flow(21, "30")]
    assert into.paid_back(flows) == flows[2]
    assert into.paid_back(flows[:2]) is None


@given(st.lists(st.integers(-1000, 1000), max_size=20), st.integers(0, 2000), st.sampled_from(["0", "0.08", "1"]))
def test_it_is_paid_back_exactly_where_the_present_value_reaches_nothing(amounts: list[int], investment: int, rate: str) -> None:
    into = Investment(Decimal(investment), START, Decimal(rate), END)
    flows = [flow(7 * number, str(value)) for number, value in enumerate(amounts)]
    reached = into.paid_back(flows)
    if flows:
        assert (reached is not None) == (into.npv(flows) >= 0)
    if reached is not None:
        assert into.npv([before for before in flows if before.on <= reached.on]) >= 0


def test_flows_go_on_week_by_week_to_the_end_of_the_horizon() -> None:
    found = list(continued([flow(3, "5")], Decimal(7), START + timedelta(days=3), START + timedelta(days=24)))
    assert [(one.on - START).days for one in found] == [3, 10, 17, 24]
    assert [one.measured for one in found] == [True, False, False, False]


def test_what_is_measured_beyond_the_horizon_is_not_in_it() -> None:
    flows = [flow(7, "50"), flow(14, "50")]
    found = list(continued(flows, Decimal(50), START + timedelta(days=14), START + timedelta(days=10)))
    assert found == flows[:1]
    assert Investment(Decimal(100), START, Decimal(0), START + timedelta(days=10)).paid_back(found) is None
