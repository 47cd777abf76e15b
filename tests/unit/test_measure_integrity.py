"""When the experiment behind a figure is broken."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from shared.measure.integrity import ALPHA, Cell, Finding, Verdict, report, undecided, wealth

SOUND = Cell("s", 0.05, control=500, automated=9_500)


def _finding(name: str, *cells: Cell) -> Finding:
    return next(finding for finding in report(cells).findings if finding.name == name)


def test_arms_as_planned_are_sound() -> None:
    found = report([SOUND, replace(SOUND, stratum="t")])
    assert found.verdict is Verdict.SOUND
    assert found.findings[0].observed == 1_000
    assert found.findings[0].expected == pytest.approx(1_000)


def test_too_few_control_cases_break_the_figure() -> None:
    found = _finding("split", replace(SOUND, control=350, automated=9_650))
    assert found.verdict is Verdict.BROKEN


def test_a_shortfall_in_one_stratum_that_another_makes_up_for_is_doubtful() -> None:
    cells = [replace(SOUND, control=400, automated=9_600), replace(SOUND, stratum="t", control=600, automated=9_400)]
    assert _finding("split", *cells).verdict is Verdict.SOUND
    assert _finding("strata", *cells).verdict is Verdict.DOUBTFUL


def test_the_chi_square_agrees_with_the_textbook() -> None:
    # 30 of 200 where 20 of 200 were planned: (30-20)^2/20 + (170-180)^2/180 = 5.556, p = 0.0184.
    assert _finding("split_now", Cell("s", 0.1, 30, 170)).value == pytest.approx(0.0184, abs=0.0001)


def test_asked_after_every_case_sound_arms_are_hardly_ever_called_broken() -> None:
    randomness = random.Random(5)
    broken = 0
    for _ in range(150):
        control = 0
        for n in range(1, 1_500):
            control += randomness.random() < 0.1
            if n % 10 == 0 and wealth(control, n - control, 0.1) >= 1 / ALPHA:
                broken += 1
                break
    assert broken <= 2


def test_a_share_that_was_changed_is_judged_by_the_share_that_applied() -> None:
    cells = [Cell("s", 0.05, 500, 9_500), Cell("s", 0.5, 5_000, 5_000)]
    assert report(cells).verdict is Verdict.SOUND
    swapped = [Cell("s", 0.5, 500, 9_500), Cell("s", 0.05, 5_000, 5_000)]
    assert report(swapped).verdict is Verdict.BROKEN


@pytest.mark.parametrize(("count", "verdict"), [(150, Verdict.SOUND), (500, Verdict.DOUBTFUL), (1_500, Verdict.BROKEN)])
def test_crossovers_have_limits(count: int, verdict: Verdict) -> None:
    assert _finding("crossovers", replace(SOUND, crossed_automated=count)).verdict is verdict


def test_missing_clocks_are_judged_in_each_arm_by_itself() -> None:
    cell = replace(SOUND, unclocked_control=100)
    assert _finding("clocks_control", cell) == Finding("clocks_control", 0.2, Verdict.BROKEN)
    assert _finding("clocks_automated", cell).verdict is Verdict.SOUND


def test_without_an_experiment_nothing_is_said() -> None:
    found = report([Cell("s", 0.0, 0, 1_000)])
    assert found.verdict is Verdict.SOUND
    assert [finding.value for finding in found.findings[1:]] == [None] * 5


@pytest.mark.parametrize(
    ("old", "drawn", "verdict"),
    [(0, 0, Verdict.SOUND), (4, 10, Verdict.SOUND), (5, 10, Verdict.DOUBTFUL), (20, 1_000, Verdict.SOUND), (21, 1_000, Verdict.DOUBTFUL)],
)
def test_control_cases_that_are_left_lying_are_doubtful_and_a_few_of_them_are_not(old: int, drawn: int, verdict: Verdict) -> None:
    assert undecided(old, drawn).verdict is verdict
