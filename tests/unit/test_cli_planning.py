"""`recoup plan` says what holding cases out gives and costs, as the planner computes it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from services.cli.planning import app
from shared.measure.planner import Process, holdout, share_for, weeks_for

CLAIMS = ("--cases-per-day", "200", "--manual-seconds", "600", "--deviation-seconds", "500", "--assisted-seconds", "60")
PROCESS = Process(200, 600, 500, 60)


def _said(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def test_the_answer_for_programs_is_that_of_the_planner() -> None:
    found = json.loads(_said(*CLAIMS, "--weeks", "26", "--control-share", "0.05", "--control-share", "0.1", "--json"))
    assert found["share_needed"] == share_for(PROCESS, 0.05, 26)
    for option, share in zip(found["options"], (0.05, 0.1), strict=True):
        expected = holdout(PROCESS, share, 26)
        assert option["always_valid_hours"] == pytest.approx(expected.always_valid / 3600)
        assert (option["precision"], option["minutes_per_day"]) == (expected.precision, expected.minutes_per_day)
        assert option["weeks_needed"] == weeks_for(PROCESS, 0.05, share)


def test_people_are_told_in_a_table_and_in_words() -> None:
    said = _said(*CLAIMS)
    assert "5 % control gives ± 20 % in 3 weeks and costs 90 minutes a day" in said
    assert "Not even one half reaches ± 5 % in 3 weeks." in said
    assert all(column in said for column in ("held out", "hours saved", "minutes a day"))


def test_a_spread_that_nobody_knows_is_taken_as_large_as_the_mean() -> None:
    found = json.loads(_said("--cases-per-day", "40", "--manual-seconds", "600", "--json"))
    assert found["process"]["deviation_seconds"] == 600


def test_where_nothing_is_saved_nothing_is_promised() -> None:
    lossy = (*CLAIMS[:-1], "700")
    found = json.loads(_said(*lossy, "--json"))
    assert (found["share_needed"], {option["precision"] for option in found["options"]}) == (None, {None})
    assert "never" in _said(*lossy)


@pytest.mark.parametrize("arguments", [(), (*CLAIMS, "--control-share", "1"), (*CLAIMS, "--control-share", "0"), (*CLAIMS, "--weeks", "0")])
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, list(arguments)).exit_code == 2
