"""What to hold out, planned from what was measured."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.roi.period import Bucket
from shared.db import unit_of_work
from tests.integration.facts import decide, hours_ago, receive
from tests.integration.time_travel import set_database_clock
from tests.roi_world import Board, manual_times, mean_and_deviation

if TYPE_CHECKING:
    from tests.conftest import Database

TIMES = [str(60 + 7 * (number % 41)) for number in range(240)]


def test_the_plan_starts_from_what_the_control_group_needed(board: Board) -> None:
    cases = board.work(TIMES, hours=47.5)
    mean, deviation = mean_and_deviation(manual_times(cases, TIMES))
    found = board.ask("planner", automation="claims", control_share=["0.05"], weeks=3)
    process = found["process"]
    # The first day with a case counts from its beginning.
    midnight = hours_ago(47.5).replace(hour=0, minute=0, second=0, microsecond=0)
    assert float(process["cases_per_day"]) == pytest.approx(240 / ((hours_ago(0) - midnight) / timedelta(days=1)), rel=0.001)
    assert float(process["manual_seconds"]) == pytest.approx(mean, abs=0.001)
    assert float(process["deviation_seconds"]) == pytest.approx(deviation, abs=0.001)
    assert float(process["assisted_seconds"]) == 0
    (option,) = found["options"]
    n = float(process["cases_per_day"]) * 21
    assert float(option["minutes_per_day"]) == pytest.approx(float(process["cases_per_day"]) * 0.05 * mean / 60, abs=0.06)
    assert float(option["saved_hours"]) == pytest.approx(n * 0.95 * mean / 3600, abs=0.01)
    assert float(option["fixed_time_hours"]) == pytest.approx(1.959964 * deviation * math.sqrt(n * 0.95 / 0.05) / 3600, abs=0.01)
    # The least that a normal mixture can reach at its planned end.
    assert float(option["always_valid_hours"]) == pytest.approx(1.5485 * float(option["fixed_time_hours"]), abs=0.01)
    percent = float(option["always_valid_hours"]) / float(option["saved_hours"]) * 100
    assert option["sentence"].startswith(f"5 % control gives ± {percent:.2g} % in 3 weeks and costs ")


def test_as_of_a_moment_days_count_from_the_first_that_was_known(board: Board, database: Database) -> None:
    start = Bucket.DAY.start(hours_ago(20 * 24))
    first = start + timedelta(days=8, hours=3, minutes=20)
    as_of = start + timedelta(days=10)
    asked = {"automation": "claims", "from": start.isoformat()}
    answers: list[Any] = []
    for at, booked in ((first, first), (start + timedelta(hours=3), as_of + timedelta(minutes=1))):
        set_database_clock(database, booked)
        with unit_of_work(board.line) as connection:
            cases = receive(connection, 100, at=at)
            decide(connection, cases[::2], seconds="300", at=at)
            decide(connection, cases[1::2], seconds="200", at=at)
        if not answers:
            # What is not summed up yet is known all the same.
            answers.append(board.client.get("/v1/roi/planner", params=asked | {"as_of": as_of.isoformat()}).json())
        answers.append(board.ask("planner", as_of=as_of.isoformat(), **asked))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["process"]["cases_per_day"] == "50.000"


def test_quiet_days_at_the_beginning_count_once_something_had_come_before(board: Board) -> None:
    start = Bucket.DAY.start(hours_ago(20 * 24))
    asked = {"automation": "claims", "from": start.isoformat()}
    board.work(TIMES, hours=20)
    recent = (hours_ago(0) - Bucket.DAY.start(hours_ago(20))) / timedelta(days=1)
    assert float(board.ask("planner", **asked)["process"]["cases_per_day"]) == pytest.approx(240 / max(recent, 1.0), rel=0.01)
    board.work(TIMES[:60], hours=30 * 24)
    whole = (hours_ago(0) - start) / timedelta(days=1)
    assert float(board.ask("planner", **asked)["process"]["cases_per_day"]) == pytest.approx(240 / whole, rel=0.01)


def test_a_share_that_is_said_to_suffice_does(board: Board) -> None:
    board.work(TIMES)
    found = board.ask("planner", automation="claims", weeks=4, precision="0.06")
    again = board.ask("planner", automation="claims", weeks=4, precision="0.06", control_share=[found["share_needed"]])
    assert float(again["options"][0]["precision"]) <= 0.0605
    assert float(again["weeks_needed"][0]) <= 4


def test_what_can_never_be_measured_has_no_precision(board: Board) -> None:
    stated = {"cases_per_day": 1e8, "manual_seconds": 1e-300, "deviation_seconds": 1e8}
    found = board.ask("planner", automation="claims", weeks=520, control_share="0.0001", **stated)
    assert (found["options"][0]["precision"], found["share_needed"], found["weeks_needed"]) == (None, None, [None])
    assert "because next to nothing is saved" in found["options"][0]["sentence"]
    few = {"manual_seconds": 1, "deviation_seconds": 1}
    assert board.problem("planner", automation="claims", cases_per_day=5e-324, **few)[0] == 422
    assert board.ask("planner", automation="claims", cases_per_day=0.01, **few)["options"][0]["precision"] is not None
    rarely = stated | {"cases_per_day": 0.01, "manual_seconds": 5e-324}
    assert board.ask("planner", automation="claims", weeks="0.01", **rarely)["options"][0]["precision"] is None


def test_a_process_that_nobody_measured_is_planned_from_what_is_stated_or_not_at_all(board: Board) -> None:
    assert board.problem("planner", automation="claims") == (409, "nothing_measured")
    stated = {"cases_per_day": 200, "manual_seconds": 600, "deviation_seconds": 500, "assisted_seconds": 60}
    found = board.ask("planner", automation="claims", control_share=["0.05"], weeks=3, **stated)
    assert found["options"][0]["sentence"].endswith("in 3 weeks and costs 90 minutes a day")
    lossy = board.ask("planner", automation="claims", **(stated | {"assisted_seconds": 700}))
    assert (lossy["options"][0]["precision"], lossy["share_needed"]) == (None, None)
    assert "nothing is saved" in lossy["options"][0]["sentence"]
