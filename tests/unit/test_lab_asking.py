"""The last tier is asked only where it decides enough to pay."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.lab import asking
from services.lab.certify import Promise, Sample, certify
from services.lab.thresholds import TierScores, decide, path
from shared.automations.pack import NEVER

PROMISE = Promise(level="0.02")
SIZE = 2_000
# From the easiest to the hardest.
PLACE = np.arange(SIZE) / SIZE


def _tier(known: float) -> TierScores:
    """Sure and right of the easiest share ``known`` of the cases; ever less sure, and wrong, about the rest."""
    confidence = np.where(known > PLACE, 0.95 - 0.03 * PLACE, 0.8 * (1 - PLACE) + 0.01)
    return TierScores(confidence, known <= PLACE, np.ones(SIZE, dtype=bool))


def _proven(tiers: list[TierScores], floor: float) -> tuple[float, float]:
    """Coverage that is proven, and the share of the cases about which the last tier is asked."""
    found = certify(path(tiers), tiers, Sample(names=("a", "b"), scores=tuple(tiers)), PROMISE, floor=floor)
    ended = decide(tiers, tuple(found.thresholds.values()), found.floor)
    assert found.upper <= PROMISE.alpha
    return found.coverage, float((ended.tier == 1).mean())


def test_a_floor_keeps_what_the_last_tier_decides_and_spares_it_the_cases_that_end_with_people_anyway() -> None:
    tiers = [_tier(0.5), _tier(0.8)]
    floor = asking.floors(tiers).highest(PROMISE)
    # The hardest that the last tier knows has 0.8 * 0.2 + 0.01 before it.
    assert 0.1 <= floor <= 0.2
    (least, few), (whole, all_others) = _proven(tiers, floor), _proven(tiers, 0.0)
    assert whole - 2 * asking.SLACK <= least <= whole
    assert few + 0.15 < all_others


def test_a_last_tier_that_adds_nothing_is_never_asked_and_one_that_knows_the_hard_cases_always_is() -> None:
    assert asking.floors([_tier(0.8), _tier(0.8)]).highest(PROMISE) == NEVER
    assert asking.floors([_tier(0.5), _tier(0.99)]).highest(PROMISE) < 0.1


def test_where_nothing_could_be_proven_or_there_is_one_tier_all_are_asked() -> None:
    assert asking.floors([_tier(0.0), _tier(0.0)]).highest(PROMISE) == 0.0
    assert asking.floors([_tier(0.5)]).highest(PROMISE) == 0.0
    tiers = [_tier(0.0), _tier(0.0)]
    found = certify(path(tiers), tiers, Sample(names=("a", "b"), scores=tuple(tiers)), PROMISE, floor=0.5)
    assert (found.coverage, found.floor) == (0.0, 0.0)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.floats(0.0, 1.0))
def test_a_floor_takes_from_the_last_tier_what_is_below_it_and_changes_nothing_else(
    seed: int, first: float, second: float, floor: float
) -> None:
    draws = np.random.default_rng(seed)
    tiers = [TierScores(draws.random(60), draws.random(60) < 0.3, draws.random(60) < 0.8) for _ in range(2)]
    without, found = decide(tiers, (first, second)), decide(tiers, (first, second), floor)
    below = (without.tier == 1) & (tiers[0].confidence < floor)
    assert not found.accepted[below].any()
    assert (found.tier[below] == 0).all()
    for name in ("accepted", "wrong", "tier"):
        assert getattr(found, name)[~below].tolist() == getattr(without, name)[~below].tolist()
