"""Certificates hold: over many splits of one population, with and without a floor, by group, and in the eyes of another implementation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapie.risk_control import BinaryClassificationController, precision

from services.lab import asking
from services.lab.certify import DELTA, GROUP_LABELS, Promise, Sample, certify, fewest, p_value, start, starts, upper_bound, walk
from services.lab.thresholds import Decided, Setting, TierScores, decide, path, tally
from shared.automations.pack import NEVER

RESPLITS = 500
LEVELS = ("0.01", "0.02", "0.05")
SEGMENTS = ("web", "phone")


@dataclass(frozen=True)
class Population:
    """So many cases that shares in it are the truth."""

    tiers: tuple[TierScores, ...]
    segments: tuple[str, ...]

    def part(self, index: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[TierScores, ...]:
        return tuple(TierScores(tier.confidence[index], tier.wrong[index], tier.final[index]) for tier in self.tiers)


@cache
def population(size: int = 10_000) -> Population:
    """A cheap tier that is overconfident and a good one that is not; cases by phone are harder; one label in twenty is for people."""
    draws = np.random.default_rng(7)
    by_phone = draws.random(size) < 0.4
    hardness = draws.normal(np.where(by_phone, 0.4, 0.0), 1.0)
    final = draws.random(size) > 0.05
    tiers = []
    for skill, noise, boast in ((4.0, 1.5, 1.3), (6.0, 1.0, 1.0)):
        logit = skill - 2.0 * hardness + draws.normal(0, noise, size)
        wrong = draws.random(size) > 1 / (1 + np.exp(-logit))
        tiers.append(TierScores(1 / (1 + np.exp(-boast * logit)), wrong, final))
    return Population(tuple(tiers), tuple(SEGMENTS[int(phone)] for phone in by_phone))


def _risk(found: Decided) -> float:
    return found.errors / max(found.count, 1)


class Split(NamedTuple):
    """What one certificate came to: true error and coverage, the oracle's coverage, and whether each segment's bound holds.

    Attributes:
        floored: the last tier was not asked below a floor that the tuning labels chose, as in what is shipped.
    """

    level: str
    floored: bool
    floor: float
    error: float
    coverage: float
    oracle: float
    held: bool


@cache
def resplits() -> list[Split]:
    whole, found = population(), []
    size = len(whole.segments)
    inside = {name: np.array(whole.segments) == name for name in SEGMENTS}
    for seed in range(RESPLITS):
        index = np.random.default_rng(seed).choice(size, 2_000, replace=False)
        tune, sample = whole.part(index[:1_000]), whole.part(index[1_000:])
        settings, floors = path(tune), asking.floors(tune)
        truth = tally(whole.tiers, settings[::5])
        groups = tuple(whole.segments[position] for position in index[1_000:])
        certified = Sample(names=("a", "b"), scores=sample, groups=groups)
        for level, floored in product(LEVELS, (False, True)):
            promise = Promise(level=level)
            certificate = certify(settings, tune, certified, promise, floor=floors.highest(promise) if floored else 0.0)
            real = decide(whole.tiers, tuple(certificate.thresholds.values()), certificate.floor)
            oracle = max(truth.accepted[truth.errors / np.maximum(truth.accepted, 1) <= float(level)], default=0) / size
            held = all(_segment_error(real, inside[name]) <= bound.upper for name, bound in certificate.groups.items())
            found.append(Split(level, floored, certificate.floor, _risk(real), real.count / size, oracle, held))
    return found


def _of(level: str, *, floored: bool) -> list[Split]:
    return [split for split in resplits() if (split.level, split.floored) == (level, floored)]


def _segment_error(found: Decided, inside: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    accepted = found.accepted & inside
    return float((accepted & found.wrong).sum() / max(accepted.sum(), 1))


@pytest.mark.slow
@pytest.mark.parametrize("floored", [False, True], ids=["all are asked", "floor"])
@pytest.mark.parametrize("level", LEVELS)
def test_the_error_exceeds_alpha_in_at_most_delta_of_the_splits(level: str, floored: bool) -> None:  # noqa: FBT001
    splits = _of(level, floored=floored)
    assert len(splits) == RESPLITS
    assert np.mean([split.error > float(level) for split in splits]) <= DELTA


@pytest.mark.slow
@pytest.mark.parametrize("floored", [False, True], ids=["all are asked", "floor"])
@pytest.mark.parametrize("level", LEVELS)
def test_the_bound_of_a_segment_fails_in_at_most_delta_of_the_splits_for_each_segment(level: str, floored: bool) -> None:  # noqa: FBT001
    held = [split.held for split in _of(level, floored=floored)]
    assert np.mean([not found for found in held]) <= len(SEGMENTS) * DELTA


@pytest.mark.slow
@pytest.mark.parametrize("floored", [False, True], ids=["all are asked", "floor"])
@pytest.mark.parametrize("level", ["0.02", "0.05"])
def test_a_thousand_labels_certify_most_of_what_an_oracle_would_decide(level: str, floored: bool) -> None:  # noqa: FBT001
    splits = _of(level, floored=floored)
    assert np.mean([split.coverage for split in splits]) >= 0.85 * np.mean([split.oracle for split in splits])


@pytest.mark.slow
# A thousand labels hardly prove 1 %, so that there one case more or less decides how far a walk goes.
@pytest.mark.parametrize(("level", "most"), [("0.01", 0.02), ("0.02", 2 * asking.SLACK), ("0.05", 2 * asking.SLACK)])
def test_a_floor_is_chosen_in_most_splits_and_costs_little_coverage(level: str, most: float) -> None:
    asked, floored = _of(level, floored=False), _of(level, floored=True)
    assert np.mean([split.floor > 0 for split in floored]) > 0.5
    assert np.mean([split.coverage for split in floored]) >= np.mean([split.coverage for split in asked]) - most


@given(st.integers(1, 3_000), st.floats(0.001, 0.2))
def test_the_p_value_and_the_bound_say_the_same(accepted: int, alpha: float) -> None:
    for errors in {0, int(alpha * accepted / 2), int(alpha * accepted)}:
        assert (p_value(errors, accepted, alpha) <= DELTA) == (upper_bound(errors, accepted) <= alpha)


def test_without_an_error_so_many_labels_are_needed() -> None:
    assert [fewest(alpha) for alpha in (0.02, 0.01, 0.005)] == [149, 299, 598]
    assert p_value(0, 0, 0.5) == 1.0
    assert upper_bound(0, 0) == upper_bound(5, 5) == 1.0


def _candidate(accepted: int, errors: int, size: int = 5_000) -> Decided:
    order = np.arange(size)
    return Decided(order < accepted, order < errors, np.zeros(size, dtype=np.int64))


def test_a_walk_stops_before_the_first_setting_that_is_not_proven() -> None:
    promise = Promise(level="0.02")
    good, bad = _candidate(2_000, 20), _candidate(1_000, 60)
    assert walk([good, good, bad, good], promise) == 1
    assert walk([bad, good], promise) is None
    assert walk([], promise) is None
    assert (walk([_candidate(149, 0)], promise), walk([_candidate(148, 0)], promise)) == (0, None)


def test_where_nothing_can_be_proven_nothing_is_automatic() -> None:
    tier = TierScores(np.linspace(0.5, 0.9, 400), np.arange(400) % 3 == 0, np.ones(400, dtype=bool))
    certificate = certify(path([tier]), [tier], Sample(names=("nano",), scores=(tier,)), Promise(level="0.01"))
    assert (certificate.accepted, certificate.coverage, dict(certificate.thresholds)) == (0, 0.0, {"nano": NEVER})


def test_a_label_for_people_is_never_automatic_and_ends_the_case_where_a_tier_is_sure() -> None:
    sure = TierScores(np.array([0.9, 0.9, 0.2]), np.array([False, True, False]), np.array([False, True, True]))
    later = TierScores(np.array([0.9, 0.9, 0.9]), np.array([False, False, False]), np.array([True, True, True]))
    found = decide([sure, later], (0.8, 0.8))
    assert found.accepted.tolist() == [False, True, True]
    assert found.wrong.tolist() == [False, True, False]
    assert found.tier.tolist() == [0, 0, 1]


@given(
    seed=st.integers(0, 2**32 - 1),
    tiers=st.integers(1, 3),
    size=st.integers(1, 200),
    settings=st.lists(st.tuples(*[st.floats(0, 1.1)] * 3), max_size=150),
    floors=st.lists(st.floats(0, 1.1), min_size=1, max_size=4),
)
def test_a_tally_counts_what_each_setting_decides(
    seed: int, tiers: int, size: int, settings: list[tuple[float, ...]], floors: list[float]
) -> None:
    draws = np.random.default_rng(seed)
    # Scores in tenths, so that some are equal to each other, to a threshold or to a floor.
    scores = [TierScores(draws.integers(0, 11, size) / 10, draws.random(size) < 0.3, draws.random(size) < 0.8) for _ in range(tiers)]
    asked = [tuple(round(threshold, 1) for threshold in setting[:tiers]) for setting in settings]
    found = tally(scores, asked, floors)
    single = [[decide(scores, setting, floor) for floor in floors] for setting in asked]
    assert found.accepted.tolist() == [[one.count for one in row] for row in single]
    assert found.errors.tolist() == [[one.errors for one in row] for row in single]


def test_settings_ask_ever_fewer_people_and_look_at_the_tuning_labels_alone() -> None:
    tune = population().part(np.arange(2_000))
    settings = path(tune)
    counts = [decide(tune, setting).count for setting in settings]
    assert counts == sorted(counts)
    assert counts[-1] > 0.9 * 2_000


def test_a_walk_begins_where_the_tuning_labels_promise_most() -> None:
    """Here the surest answers are wrong, as where labels are noisy: whoever begins with them proves nothing."""
    confidence = np.linspace(0.999, 0.5, 1_000)
    wrong = (np.arange(1_000) < 5) | (confidence < 0.6)
    tier = TierScores(confidence, wrong, np.ones(1_000, dtype=bool))
    settings, promise = path([tier]), Promise(level="0.02")
    begin = start(settings, [tier], 1_000, promise)
    assert decide([tier], settings[begin]).count > 600
    assert walk([decide([tier], setting) for setting in settings], promise) is None
    certificate = certify(settings, [tier], Sample(names=("nano",), scores=(tier,)), promise)
    assert certificate.coverage > 0.6
    assert certificate.upper <= 0.02


def _tier(errors: Sequence[tuple[int, int]]) -> TierScores:
    """So many labels, from the surest, with so many errors spread over them."""
    wrong = np.concatenate([np.arange(size) % max(size // max(count, 1), 1) < (count > 0) for size, count in errors])
    return TierScores(np.linspace(0.999, 0.5, len(wrong)), wrong, np.ones(len(wrong), dtype=bool))


def test_a_looser_promise_is_proven_where_a_stricter_one_is() -> None:
    """The tuning labels let the looser one begin where the certification labels happen to err."""
    tune, sample = _tier([(700, 1), (40, 0), (100, 4)]), _tier([(700, 1), (40, 20), (100, 4)])
    settings: list[Setting] = [(float(tune.confidence[last]),) for last in (699, 739, 839)]
    promised = {Promise(level=level): 0.0 for level in LEVELS[::-1]}
    assert [start(settings, [tune], 840, promise) for promise in promised] == [1, 1, 0]
    begins = starts(settings, [tune], 840, promised)
    certified = Sample(names=("nano",), scores=(sample,))
    found = {promise.level: certify(settings, [tune], certified, promise, begin=begins[promise]) for promise in promised}
    assert certify(settings, [tune], certified, Promise(level="0.02")).accepted == 0
    assert [found[level].accepted for level in LEVELS] == [700, 700, 840]


def test_a_stricter_promise_without_a_chance_does_not_say_where_a_looser_one_begins() -> None:
    tier = _tier([(300, 12), (700, 18)])
    settings: list[Setting] = [(float(tier.confidence[last]),) for last in (299, 999)]
    promised = {Promise(level=level): 0.0 for level in ("0.01", "0.05")}
    assert [start(settings, [tier], 1_000, promise) for promise in promised] == [0, 1]
    assert list(starts(settings, [tier], 1_000, promised).values()) == [0, 1]


def test_segments_with_enough_labels_get_a_bound_of_their_own() -> None:
    tier = TierScores(np.full(1_000, 0.9), np.arange(1_000) < 5, np.ones(1_000, dtype=bool))
    groups = tuple("big" if index < 1_000 - GROUP_LABELS + 1 else "small" for index in range(1_000))
    certificate = certify([(0.5,)], [tier], Sample(names=("nano",), scores=(tier,), groups=groups), Promise(level="0.02"))
    assert list(certificate.groups) == ["big"]
    assert certificate.groups["big"].errors == 5
    assert certificate.groups["big"].upper == pytest.approx(upper_bound(5, 701), abs=1e-6)


@pytest.mark.filterwarnings("ignore:Fixed sequence testing requires:UserWarning")
def test_another_implementation_finds_the_same_thresholds_valid() -> None:
    """MAPIE controls the precision of accepting: the share of right answers among those above a threshold."""
    draws = np.random.default_rng(3)
    confidence = draws.random(2_000)
    right = draws.random(2_000) < 0.75 + 0.25 * confidence
    grid = np.round(np.linspace(0.9, 0.5, 41), 3)
    level = 0.05
    controller = BinaryClassificationController(
        lambda scores: np.column_stack((1 - scores[:, 0], scores[:, 0])),
        precision,
        target_level=1 - level,
        confidence_level=1 - DELTA,
        list_predict_params=grid,
        fwer_method="fixed_sequence",
    )
    controller.calibrate(confidence[:, None], right.astype(int))
    tier = TierScores(confidence, ~right, np.ones(2_000, dtype=bool))
    settings: list[Setting] = [(float(threshold),) for threshold in grid]
    chosen = walk([decide([tier], setting) for setting in settings], Promise(level=str(level)))
    theirs = sorted(float(found) for found in np.ravel(controller.valid_predict_params))
    assert chosen is not None
    assert theirs[-1] == grid[0]
    assert settings[chosen][0] == pytest.approx(theirs[0])
    assert grid[-1] < theirs[0] < grid[0]
