"""How often automatic decisions are wrong, and when an automation brakes itself."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.lab.truth.risk import bounds_cover, share_that_brakes
from shared.measure.arms import assign
from shared.measure.audit import Looks, bounds
from shared.measure.brake import Evidence, Rule
from shared.measure.draw import selected

SALT = b"0123456789abcdef"


def _looks(decisions: float, weighted: float, least: float) -> Looks:
    return Looks(np.array([decisions]), np.array([weighted]), least)


def test_the_same_case_is_drawn_again_and_the_share_is_the_probability() -> None:
    drawn = [selected(SALT, automation="claims", case=f"c{n}", probability=Decimal("0.1")) for n in range(20_000)]
    again = [selected(SALT, automation="claims", case=f"c{n}", probability=Decimal("0.1")) for n in range(20_000)]
    assert drawn == again
    assert sum(drawn) / len(drawn) == pytest.approx(0.1, abs=0.007)


@pytest.mark.parametrize(("probability", "expected"), [("0", False), ("1", True)])
def test_none_and_all_are_drawn_at_the_ends(probability: str, expected: bool) -> None:  # noqa: FBT001 - a parametrised test
    assert all(selected(SALT, automation="a", case=str(n), probability=Decimal(probability)) is expected for n in range(100))


def test_audits_are_drawn_independently_of_arms() -> None:
    half = Decimal("0.5")
    same = [
        selected(SALT, automation="a", case=str(n), probability=half)
        == (assign(SALT, automation="a", source="s", event_id=str(n), control_share=half) == "control")
        for n in range(10_000)
    ]
    assert sum(same) / len(same) == pytest.approx(0.5, abs=0.02)


def test_a_rarely_audited_error_counts_for_the_ones_that_were_not_audited() -> None:
    found = bounds(_looks(1_000, 2 / 0.1, 0.1))
    assert found.point[0] == pytest.approx(0.02)
    assert 0 < found.low[0] < 0.02 < found.high[0] < 1


def test_no_error_found_is_no_proof_that_there_is_none() -> None:
    found = bounds(_looks(10_000, 0, 0.02))
    assert (found.point[0], found.low[0]) == (0, 0)
    # About log(20) / 0.02 errors could have stayed unseen, and somewhat more because every day was a look.
    assert 150 / 10_000 < found.high[0] < 450 / 10_000


def test_where_everything_is_audited_the_error_rate_is_known() -> None:
    found = bounds(_looks(500, 25, 1.0))
    assert (found.point[0], found.low[0], found.high[0]) == (0.05, 0.05, 0.05)


def test_without_a_decision_there_is_no_rate() -> None:
    found = bounds(_looks(0, 0, 0.02))
    assert np.isnan([found.point[0], found.low[0], found.high[0]]).all()


@settings(deadline=None)
@given(st.integers(1, 100_000), st.floats(0.001, 0.999), st.data())
def test_bounds_lie_around_the_estimate_and_inside_what_is_possible(decisions: int, least: float, data: st.DataObject) -> None:
    audited = data.draw(st.integers(0, decisions))
    found = bounds(_looks(decisions, audited / least, least))
    assert 0 <= found.low[0] <= found.high[0] <= 1
    assert found.low[0] <= found.point[0] * (1 + 1e-9)
    # At least the errors that were seen.
    assert found.low[0] * decisions >= min(audited, decisions) * (1 - 1e-9)


def test_bounds_of_the_error_rate_hold_at_all_daily_looks_under_drift_and_unequal_probabilities() -> None:
    children = np.random.SeedSequence(12).spawn(200)
    assert np.mean([bounds_cover(np.random.default_rng(child)) for child in children]) >= 0.95


@pytest.mark.parametrize(("multiple", "audits"), [(3, 500), (2, 2_000)])
@pytest.mark.parametrize("limit", [0.02, 0.05])
def test_an_automation_above_its_limit_brakes_in_time(multiple: int, audits: int, limit: float) -> None:
    rng = np.random.default_rng(2)
    assert share_that_brakes(rng, limit=limit, rate=multiple * limit, audits=audits, runs=400) >= 0.9


def test_an_automation_at_its_limit_hardly_ever_brakes() -> None:
    rng = np.random.default_rng(2)
    # At most 1 % ever; three standard deviations of 1,000 runs on top.
    assert share_that_brakes(rng, limit=0.05, rate=0.05, audits=4_000, runs=1_000) <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / 1_000)


def test_a_long_good_record_does_not_hide_a_later_fault() -> None:
    rng, rule, evidence = np.random.default_rng(6), Rule(0.05), Evidence.none((200,))
    for rate, audits in ((0.01, 5_000), (0.15, 600)):
        for wrong in rng.random((audits, 200)) < rate:
            rule.add(evidence, wrong)
        braked = float(evidence.brakes().mean())
        assert braked == 0 if rate < 0.05 else braked >= 0.9


def test_a_brake_stays_on() -> None:
    rule, evidence = Rule(0.02), Evidence.none()
    for wrong in [1.0] * 8 + [0.0] * 2_000:
        rule.add(evidence, np.array(wrong))
    assert evidence.stakes.sum() < 100
    assert evidence.brakes()


def test_nothing_overflows_when_audits_go_on_after_the_brake() -> None:
    rule, evidence = Rule(0.02), Evidence.none()
    for _ in range(2_000):
        rule.add(evidence, np.array(1.0))
    assert np.isfinite(evidence.highest)


@pytest.mark.parametrize("limit", [0.0001, 0.02, 0.5, 0.9, 0.99])
def test_the_bet_is_fair_at_the_limit_whatever_the_limit(limit: float) -> None:
    right, wrong = Evidence.none(), Evidence.none()
    Rule(limit).add(right, np.array(0.0))
    Rule(limit).add(wrong, np.array(1.0))
    np.testing.assert_allclose((1 - limit) * right.stakes + limit * wrong.stakes, Evidence.none().stakes)


def test_more_audits_where_more_is_at_stake_do_not_brake_an_automation_at_its_limit() -> None:
    rng = np.random.default_rng(9)
    probability = np.array([0.02, 0.2])
    decisions = np.array([0.8, 0.2])
    rates = np.array([0.02, 0.17])  # 5 % of all decisions are wrong
    mean = float((probability * decisions).sum())
    rule, evidence = Rule(0.05, weight=0.02 / mean), Evidence.none((500,))
    for _ in range(1_500):
        kind = (rng.random(500) < probability[1] * decisions[1] / mean).astype(int)
        wrong = rng.random(500) < rates[kind]
        rule.add(evidence, wrong * 0.02 / probability[kind])
    assert evidence.brakes().mean() <= 0.02
