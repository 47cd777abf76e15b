"""The interval of the difference between two versions: right at every look, and narrow enough to be of use."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.measure.canary import takes_part
from shared.measure.paired import ALPHA, Count, _log_wealth, interval

counts = st.lists(st.builds(Count, st.sampled_from([0.05, 0.069, 0.5, 1.0]), st.sampled_from([-1, 0, 1]), st.integers(0, 3000)), max_size=8)


@settings(max_examples=25, deadline=None)
@given(counts)
def test_the_interval_holds_its_point_and_mirrors_when_the_versions_change_places(found: list[Count]) -> None:
    here = interval(found)
    there = interval([count._replace(difference=-count.difference) for count in found])
    assert -1 <= here.low <= here.high <= 1
    assert here.low <= here.point <= here.high
    if found:
        assert here.low == pytest.approx(-there.high, abs=1e-9)
        assert here.point == pytest.approx(-there.point, abs=1e-9)


@given(counts, st.permutations(range(8)))
def test_only_how_often_each_value_came_counts(found: list[Count], order: list[int]) -> None:
    shuffled = [found[index] for index in order if index < len(found)]
    split = [Count(c.seen, c.difference, part) for c in shuffled for part in (c.cases // 2, c.cases - c.cases // 2)]
    assert interval(split).low == pytest.approx(interval(found).low, abs=1e-9)


def test_nothing_seen_says_nothing_and_much_seen_says_much() -> None:
    nothing = interval([])
    assert (nothing.low, nothing.high, nothing.is_worse, nothing.is_at_most(0.01)) == (-1, 1, False, False)
    assert interval([Count(0.069, 0, 20_000)]).is_at_most(0.01)
    assert not interval([Count(0.069, 0, 500)]).is_at_most(0.01)
    # Five per cent more errors, of which one case in fourteen is looked at.
    assert interval([Count(0.069, 1, 28), Count(0.069, 0, 7972)]).is_worse
    assert not interval([Count(0.069, 1, 5), Count(0.069, 0, 1443)]).is_worse


def _passes(seen: float, worse: float, better: float, deployments: int, cases: int) -> float:
    """Share of deployments in which the version was ever called worse, by looks after every 25 cases."""
    generator = np.random.default_rng(5)
    limit = math.log(2 / ALPHA)
    called = 0
    for _ in range(deployments):
        drawn = generator.random(cases) < seen
        truth = generator.choice([1, -1, 0], size=cases, p=[worse, better, 1 - worse - better]) * drawn
        up, down = np.cumsum(truth == 1), np.cumsum(truth == -1)
        looks = range(24, cases, 25)
        called += any(
            _log_wealth([Count(seen, 1, int(up[n])), Count(seen, -1, int(down[n])), Count(seen, 0, n + 1 - int(up[n] + down[n]))], 0.0)
            >= limit
            for n in looks
        )
    return called / deployments


def test_a_version_that_is_no_worse_is_taken_back_in_at_most_one_of_forty_deployments_whoever_looks_how_often() -> None:
    assert _passes(0.3, 0.04, 0.04, 400, 1000) <= ALPHA / 2


def test_a_version_that_is_much_worse_is_found() -> None:
    assert _passes(0.3, 0.08, 0.01, 100, 2000) >= 0.95


@given(st.binary(min_size=16, max_size=16), st.text(max_size=20), st.decimals(0, 1, places=4), st.decimals(0, 1, places=4))
def test_a_larger_share_keeps_everybody_who_was_in_a_smaller_one(salt: bytes, case: str, one: Decimal, other: Decimal) -> None:
    small, large = sorted((one, other))
    who = {"automation": "claims", "version": "1.1.0", "case": case}
    assert takes_part(salt, **who, share=small) <= takes_part(salt, **who, share=large)
    assert not takes_part(salt, **who, share=Decimal(0))
    assert takes_part(salt, **who, share=Decimal(1))


def test_a_canary_gets_its_share_and_another_version_other_cases() -> None:
    salt = b"0123456789abcdef"
    first, second = (
        {n for n in range(20_000) if takes_part(salt, automation="claims", version=v, case=str(n), share=Decimal("0.1"))}
        for v in ("1.1.0", "1.2.0")
    )
    assert 1_800 < len(first) < 2_200
    assert 120 < len(first & second) < 280
