"""Many parts at once are the parts one by one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.measure.baselines import Baseline, Grade, Moments
from shared.measure.parts import Parts, parts, together, unknown
from shared.measure.savings import EVERY_OTHER, Estimate, Fit, combine, estimate, fit

AT = datetime(2026, 3, 1, tzinfo=UTC)
SIZE = 4
STRATA = ["a", "b", "c", "d"]

control = st.dictionaries(
    st.sampled_from(STRATA),
    st.lists(st.floats(1, 1e4), min_size=1, max_size=60).map(lambda v: Moments(len(v), sum(v), sum(x * x for x in v))),
)
baselines = st.builds(
    lambda grade, variance, n, days: Baseline.stored((100.0, variance, n), grade=grade, expires_at=AT + timedelta(days=days), at=AT),
    st.sampled_from([Grade.B, Grade.C, Grade.D]),
    st.one_of(st.none(), st.just(1e-200), st.floats(0, 1e4)),
    st.integers(1, 100),
    st.sampled_from([-1, 1]),
)
fits = st.builds(
    lambda found, stored: fit(found, STRATA[:3], stored), control, st.dictionaries(st.sampled_from([*STRATA, EVERY_OTHER]), baselines)
)
# Cases and seconds of each part; where there are no cases there are no seconds.
cells = st.lists(
    st.tuples(st.integers(0, 300), st.floats(0, 1e4)).map(lambda cell: cell if cell[0] else (0, 0.0)), min_size=SIZE, max_size=SIZE
)
accounts = st.tuples(fits, st.dictionaries(st.sampled_from(STRATA), cells))


@given(st.lists(accounts, max_size=3))
def test_parts_at_once_are_what_each_would_be_by_itself_and_so_is_their_sum(
    found: list[tuple[Fit, dict[str, list[tuple[int, float]]]]],
) -> None:
    at_once = [
        parts(
            fitted,
            {
                stratum: (np.array([float(cases) for cases, _ in cells]), np.array([seconds for _, seconds in cells]))
                for stratum, cells in automated.items()
            },
            SIZE,
        )
        for fitted, automated in found
    ]
    alone = [
        [
            estimate(fitted, {s: Moments(cells[place][0], cells[place][1], 0.0) for s, cells in automated.items()})
            for fitted, automated in found
        ]
        for place in range(SIZE)
    ]
    for number, one in enumerate(at_once):
        for place, ends in enumerate(_ends(one)):
            _assert_the_same(ends, alone[place][number])
    for place, ends in enumerate(_ends(together(at_once, SIZE))):
        _assert_the_same(ends, combine(alone[place]))


@given(accounts)
def test_what_is_not_known_adds_nothing(found: tuple[Fit, dict[str, list[tuple[int, float]]]]) -> None:
    fitted, automated = found
    known = parts(fitted, {s: (np.array([float(n) for n, _ in c]), np.array([t for _, t in c])) for s, c in automated.items()}, SIZE)
    assert np.isnan(unknown(SIZE).ends()).all()
    assert np.array_equal(together([unknown(SIZE), known], SIZE).ends(), together([known], SIZE).ends(), equal_nan=True)


def _ends(found: Parts) -> Iterator[tuple[float | None, ...]]:
    return (tuple(None if np.isnan(end) else end for end in part) for part in zip(*found.ends(), strict=True))


def _assert_the_same(ends: tuple[float | None, ...], expected: Estimate) -> None:
    for one, other in zip(ends, (expected.low, expected.point, expected.high), strict=True):
        assert (one is None) == (other is None)
        assert other is None or one == pytest.approx(other, rel=1e-9, abs=1e-6)
