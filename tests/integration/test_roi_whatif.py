"""Other thresholds, from scores that are stored and what people found about them."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from services.roi.period import HOUR, Bucket
from shared.casework import audits as second_looks
from shared.casework.audits import Drawn
from shared.casework.values import ReviewKind
from shared.db import unit_of_work
from shared.measure.audit import Looks, bounds
from tests.integration.facts import Case, decide, hours_ago, receive
from tests.integration.test_steward_evidence import Said, audited_decisions, found, infer, review
from tests.integration.time_travel import set_database_clock
from tests.roi_world import Board, mean_and_deviation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from tests.conftest import Database

PROBABILITY = Decimal("0.25")


def sent_to_people(connection: Connection, cases: Sequence[Case], score: float, label: str, *, seconds: int) -> list[float]:
    """The tier was not sure, or may not say that; people call it `adjuster`. Their seconds."""
    times = []
    for number, case in enumerate(cases):
        infer(connection, case, Said(score, None, label))
        review(connection, case, ReviewKind.EXCEPTION, active="9", span="9", proposal=label)
        decide(connection, [case], tier="human", seconds=str(seconds + number))
        times.append(float(seconds + number))
    return times


@pytest.fixture
def people(board: Board) -> list[float]:
    """Seconds of people on the automated arm: 100 decided at 0.95 (25 audited, 2 wrong), 40 at 0.62 and 20 at 0.45 by people."""
    with unit_of_work(board.line) as connection:
        cases = receive(connection, 300)
        decide(connection, [case for case in cases if case.arm == "control"][:60:2], seconds="400")
        decide(connection, [case for case in cases if case.arm == "control"][1:60:2], seconds="500")
        arm = [case for case in cases if case.arm == "automated"][:180]
        for case in arm[:100]:
            infer(connection, case, Said(0.95, "adjuster", "adjuster"))
        decided = audited_decisions(connection, arm[:100], PROBABILITY)
        second_looks.record_draws(connection, [Drawn(one, PROBABILITY, PROBABILITY) for one in decided[:25]])
        for number, case in enumerate(arm[:25]):
            found(connection, case, wrong=number < 2)
        times = sent_to_people(connection, arm[100:130], 0.62, "adjuster", seconds=100)
        times += sent_to_people(connection, arm[130:140], 0.62, "fast_track_pay", seconds=150)
        times += sent_to_people(connection, arm[140:160], 0.45, "fast_track_pay", seconds=200)
        # Adverse: stays with people at any score.
        times += sent_to_people(connection, arm[160:170], 0.99, "special_investigation", seconds=300)
        for case in arm[170:]:
            decide(connection, [case], tier="human", seconds="90")
            times.append(90.0)
    return times


def options(board: Board, *thresholds: str) -> dict[str, Any]:
    answer = board.ask("whatif", automation="claims", threshold=list(thresholds))
    return {option["threshold"]: option for option in answer["options"]}


def test_counts_follow_the_threshold_and_only_outcomes_that_may_be_automatic(board: Board, people: list[float]) -> None:
    answer = board.ask("whatif", automation="claims")
    assert (answer["scored"], answer["by_rule"], answer["unscored"]) == (170, 0, 10)
    assert (answer["as_it_was"]["automatic"], answer["as_it_was"]["people"]) == (100, 80)
    counts = {name: (option["automatic"], option["people"]) for name, option in options(board, "0.40", "0.62", "0.63", "0.96").items()}
    assert counts == {"0.40": (160, 20), "0.62": (140, 40), "0.63": (100, 80), "0.96": (0, 180)}


def test_errors_are_certain_where_people_decided_and_estimated_where_they_did_not(board: Board, people: list[float]) -> None:
    board.rate("loss_per_error", "200")
    found_ = options(board, "0.40", "0.62", "0.96")
    looks = bounds(Looks(np.array([100.0]), np.array([8.0]), 0.25))
    for threshold, certain in (("0.40", 30), ("0.62", 10)):
        errors = found_[threshold]["errors"]
        # Two wrong ones of 25 that stand for a hundred.
        assert Decimal(errors["point"]) == certain + 8
        assert float(errors["low"]) == pytest.approx(certain + 100 * looks.low[0], abs=0.01)
        assert float(errors["high"]) == pytest.approx(certain + 100 * looks.high[0], abs=0.01)
        assert float(errors["low"]) <= certain + 100 * looks.low[0]
        assert float(errors["high"]) >= certain + 100 * looks.high[0]
        cost = found_[threshold]["error_cost"]
        assert Decimal(cost["point"]) == 200 * (certain + 8)
        # Of the bound itself, not of what is shown of it.
        assert float(cost["high"]) == pytest.approx(200 * (certain + 100 * looks.high[0]), abs=0.0001)
    assert found_["0.96"]["errors"] == {"low": "0.00", "point": "0.00", "high": "0.00"}


def test_saving_is_manual_time_less_the_review_load_with_both_errors(board: Board, people: list[float]) -> None:
    option = options(board, "0.62")["0.62"]
    mean, deviation = mean_and_deviation(people)
    half = 40 * stats.t.ppf(0.975, len(people) - 1) * deviation / math.sqrt(len(people))
    assert float(option["review_hours"]["point"]) == pytest.approx(40 * mean / 3600, abs=0.001)
    assert float(option["review_hours"]["high"]) == pytest.approx((40 * mean + half) / 3600, abs=0.002)
    control, scatter = mean_and_deviation([400.0] * 30 + [500.0] * 30)
    assert float(option["saved_hours"]["point"]) == pytest.approx((180 * control - 40 * mean) / 3600, abs=0.002)
    manual_half = stats.t.ppf(0.975, 59) * scatter * 180 * math.sqrt(1 / 60 + 1 / 180)
    high = (180 * control - 40 * mean + math.hypot(manual_half, half)) / 3600
    assert float(option["saved_hours"]["high"]) == pytest.approx(high, abs=0.05)


def test_what_was_really_done_is_the_summary(board: Board, people: list[float]) -> None:
    saved = board.ask("summary")["total"]["saved"]["hours"]
    answer = board.ask("whatif", automation="claims")["as_it_was"]
    assert float(answer["saved_hours"]["point"]) == pytest.approx(float(saved["point"]), abs=0.002)
    assert answer["labour_value"] is None
    board.rate("labour_hour", "40")
    value = board.ask("summary")["total"]["money"]["labour_value"]["point"]
    assert float(value) == pytest.approx(40 * float(saved["point"]), abs=0.1)
    assert board.ask("whatif", automation="claims")["as_it_was"]["labour_value"] == value


def test_without_audits_nobody_knows_the_errors_of_automatic_decisions(board: Board) -> None:
    with unit_of_work(board.line) as connection:
        arm = [case for case in receive(connection, 60) if case.arm == "automated"]
        for case in arm:
            infer(connection, case, Said(0.9, "adjuster", "adjuster"))
        decide(connection, arm)
    assert options(board, "0.50")["0.50"]["errors"] == {"low": "0.00", "point": None, "high": None}


def test_a_long_period_is_the_sum_of_its_months_and_the_days_at_its_ends(board: Board, people: list[float]) -> None:
    whole = board.ask("whatif", automation="claims")
    years = board.ask("whatif", automation="claims", **{"from": (hours_ago(0) - timedelta(days=700)).isoformat()})
    assert years["options"] == whole["options"]
    later = board.ask("whatif", automation="claims", **{"from": hours_ago(-24).isoformat(), "to": hours_ago(-48).isoformat()})
    assert (later["scored"], later["options"][0]["automatic"]) == (0, 0)


def test_both_sides_of_a_threshold_are_of_the_same_whole_days(board: Board) -> None:
    begin = Bucket.DAY.start(hours_ago(72))
    arm: list[Case] = []
    with unit_of_work(board.line) as connection:
        for hours in (3, 15):
            at = begin + timedelta(hours=hours)
            cases = receive(connection, 60, at=at)
            decide(connection, [case for case in cases if case.arm == "control"], seconds="300", at=at)
            arm += [case for case in cases if case.arm == "automated"]
            for case in arm[-10:]:
                infer(connection, case, Said(0.95, "adjuster", "adjuster"))
            decide(connection, [case for case in cases if case.arm == "automated"], at=at)
    noon = begin + timedelta(hours=12)
    whole = board.ask("whatif", automation="claims", **{"from": begin.isoformat(), "to": (begin + timedelta(days=1)).isoformat()})
    assert (whole["scored"], whole["unscored"], whole["as_it_was"]["people"]) == (20, len(arm) - 20, len(arm) - 20)
    for period in ({"from": noon, "to": begin + timedelta(days=1)}, {"from": begin, "to": noon}, {"from": noon - HOUR, "to": noon + HOUR}):
        part = board.ask("whatif", automation="claims", **{name: moment.isoformat() for name, moment in period.items()})
        assert known(part) == known(whole), period
    assert datetime.fromisoformat(whole["from"]) == begin


def test_as_of_a_moment_is_what_was_known_when_its_day_began(board: Board, database: Database) -> None:
    randomness = random.Random(11)
    begin = Bucket.DAY.start(hours_ago(24 * 45))
    period = {"from": begin.isoformat(), "to": (begin + timedelta(days=50)).isoformat()}
    drawn: list[Case] = []
    answers = []
    for days in (0, 1, 2, 5, 19, 33, 40):
        moment = begin + timedelta(days=days, hours=randomness.randrange(24), minutes=17)
        set_database_clock(database, moment)
        # Some were decided before and reach us now.
        at = max(begin, moment - timedelta(days=randomness.choice([0, 0, 3, 30])))
        with unit_of_work(board.line) as connection:
            cases = receive(connection, 40, at=at)
            decide(connection, [case for case in cases if case.arm == "control"], at=at, seconds=str(randomness.randrange(200, 400)))
            arm = [case for case in cases if case.arm == "automated"]
            for case in arm[:12]:
                infer(connection, case, Said(0.95, "adjuster", "adjuster"))
            chosen = audited_decisions(connection, arm[:12], PROBABILITY, at=at)[:4]
            second_looks.record_draws(connection, [Drawn(one, PROBABILITY, PROBABILITY) for one in chosen])
            for case in arm[12:18]:
                infer(connection, case, Said(0.62, None, "fast_track_pay"))
                review(connection, case, ReviewKind.EXCEPTION, active="9", span="9", proposal="fast_track_pay")
            decide(connection, arm[12:18], tier="human", seconds="150", at=at)
            drawn += arm[:4]
            for case in [drawn.pop(0) for _ in range(min(3, len(drawn)))]:
                found(connection, case, wrong=randomness.random() < 0.3)
        answers.append((moment + timedelta(days=1), known(board.ask("whatif", automation="claims", **period))))
    assert len({answer["as_it_was"]["errors"]["high"] for _, answer in answers}) == len(answers)
    for at, answer in answers:
        then = board.ask("whatif", automation="claims", as_of=at.isoformat(), **period)
        assert known(then) == answer
        assert datetime.fromisoformat(then["as_of"]) == at.replace(hour=0, minute=0) - timedelta(microseconds=1)


def known(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in {"as_of", "computed_through"}}


def test_a_moment_that_is_still_to_come_is_refused_though_its_day_has_begun(board: Board) -> None:
    assert board.problem("whatif", automation="claims", as_of=hours_ago(-1).isoformat()) == (422, "bad_period")


def test_a_day_that_had_just_begun_is_refused_with_the_reason(board: Board) -> None:
    day = Bucket.DAY.start(hours_ago(30))
    asked = {"automation": "claims", "as_of": (day + timedelta(hours=5)).isoformat()}
    answer = board.get("whatif", **asked, **{"from": (day + timedelta(hours=2)).isoformat()})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_period")
    assert f"`from` must be before {day:%Y-%m-%dT%H:%M:%SZ}" in answer.text
    found = board.ask("whatif", **asked, **{"from": (day - timedelta(hours=2)).isoformat()})
    assert datetime.fromisoformat(found["to"]) == day


def test_a_threshold_is_in_hundredths(board: Board) -> None:
    assert board.problem("whatif", automation="claims", threshold="0.123")[0] == 422
