"""Hours released beside the queue of the people who would use them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from services.roi.period import Bucket
from shared.casework import repository as casework
from shared.casework.values import NewReview, ReviewKind
from shared.db import unit_of_work
from tests.integration.facts import add_work, decide, hours_ago, receive
from tests.integration.time_travel import set_database_clock
from tests.roi_world import Board, manual_times

if TYPE_CHECKING:
    from tests.conftest import Database

TIMES = [str(200 + 3 * (number % 60)) for number in range(200)]


def wait_for_people(board: Board, n: int, *, hours: float) -> None:
    """Cases whose review is open since then."""
    with unit_of_work(board.line) as connection:
        cases = receive(connection, n, at=hours_ago(hours))
        connection.exec_driver_sql("UPDATE cases SET state = 'review' WHERE id = ANY(%(ids)s::uuid[])", {"ids": [c.id for c in cases]})
        casework.open_reviews(
            connection,
            [NewReview(case_id=c.id, tenant_id=c.tenant, automation=c.automation, kind=ReviewKind.EXCEPTION) for c in cases],
        )
        connection.exec_driver_sql("UPDATE reviews SET created_at = %(at)s", {"at": hours_ago(hours)})


def test_the_queue_is_what_came_what_left_and_what_waits(board: Board) -> None:
    cases = board.work(TIMES, hours=48)
    manual = manual_times(cases, TIMES)
    wait_for_people(board, 12, hours=5)
    found = board.ask("capacity")
    total, days = found["total"], float(found["days"])
    # From the beginning of the hour of receipt of the first record.
    first = hours_ago(48).replace(minute=0, second=0, microsecond=0)
    assert days == pytest.approx((hours_ago(0) - first) / timedelta(days=1), abs=0.01)
    queue = total["queue"]
    assert (queue["waiting"], queue["waiting_others"]) == (12, 0)
    assert float(queue["oldest_hours"]) == pytest.approx(5, abs=0.05)
    assert float(queue["arrivals_per_day"]) == pytest.approx((len(manual) + 12) / days, abs=0.01)
    assert float(queue["completions_per_day"]) == pytest.approx(len(manual) / days, abs=0.01)
    assert float(queue["growth_per_day"]) == pytest.approx(12 / days, abs=0.01)
    each = sum(manual) / len(manual)
    assert float(queue["seconds_per_case"]) == pytest.approx(each, abs=0.001)
    assert float(queue["waiting_hours_of_work"]) == pytest.approx(12 * each / 3600, abs=0.001)
    # Little: 12 wait, and so many leave per day.
    assert float(queue["expected_wait_hours"]) == pytest.approx(12 / (len(manual) / days) * 24, abs=0.02)


def test_arrivals_of_a_period_are_those_received_in_it_to_the_hour(board: Board) -> None:
    expected = 0
    for hours in (100, 77, 53, 29, 5, 2):
        cases = board.work(TIMES[:60], hours=hours)
        expected += len(manual_times(cases, TIMES[:60])) if 3 < hours < 90 else 0
    start, end = (hours_ago(hours).replace(minute=0, second=0, microsecond=0) for hours in (90, 3))
    found = board.ask("capacity", **{"from": start.isoformat(), "to": end.isoformat()})
    assert float(found["total"]["queue"]["arrivals_per_day"]) * float(found["days"]) == pytest.approx(expected, abs=0.05)


def test_released_hours_are_those_of_the_summary_over_the_days(board: Board) -> None:
    cases = board.work(TIMES, hours=48)
    wait_for_people(board, 12, hours=5)
    found = board.ask("capacity")
    saved = board.ask("summary")["total"]["saved"]["hours"]
    released, days = found["total"]["released"], float(found["days"])
    for end in ("low", "point", "high"):
        assert float(released["hours_per_day"][end]) == pytest.approx(float(saved[end]) / days, abs=0.002)
    worked = sum(manual_times(cases, TIMES)) / 3600
    assert float(released["worked_hours_per_day"]) == pytest.approx(worked / days, abs=0.002)
    assert float(released["share"]) == pytest.approx(float(saved["point"]) / (float(saved["point"]) + worked), abs=0.001)
    work, low = Decimal(found["total"]["queue"]["waiting_hours_of_work"]), Decimal(released["hours_per_day"]["low"])
    assert float(released["days_to_clear"]) == pytest.approx(float(work / low), rel=0.01)


def test_a_second_look_at_what_a_tier_decided_is_work_but_no_part_of_a_case_that_waits(board: Board) -> None:
    cases = board.work(TIMES, hours=48)
    manual = manual_times(cases, TIMES)
    with unit_of_work(board.line) as connection:
        add_work(connection, next(case for case in cases if case.arm == "automated"), "3600", sequence=1)
    found = board.ask("capacity")
    total, days = found["total"], float(found["days"])
    assert float(total["queue"]["seconds_per_case"]) == pytest.approx(sum(manual) / len(manual), abs=0.001)
    assert float(total["released"]["worked_hours_per_day"]) == pytest.approx((sum(manual) / 3600 + 1) / days, abs=0.002)


def test_days_of_a_period_in_which_nothing_came_count_once_something_had_come_before(board: Board) -> None:
    period = {"from": hours_ago(20 * 24).replace(minute=0, second=0, microsecond=0).isoformat()}
    board.work(TIMES[:60], hours=48)
    assert float(board.ask("capacity", **period)["days"]) == pytest.approx(2, abs=0.05)
    board.work(TIMES[:60], hours=40 * 24, automation="invoices")
    assert float(board.ask("capacity", automation="claims", **period)["days"]) == pytest.approx(2, abs=0.05)
    for asked in ({}, {"automation": "invoices"}, {"as_of": hours_ago(0).isoformat()}):
        assert float(board.ask("capacity", **period, **asked)["days"]) == pytest.approx(20, abs=0.05)


def test_automations_have_queues_of_their_own_and_the_total_is_all_of_them(board: Board) -> None:
    board.work(TIMES[:90], hours=30)
    board.work(TIMES[:60], hours=3, automation="invoices")
    wait_for_people(board, 4, hours=1)
    found = board.ask("capacity")
    claims, invoices = found["automations"]
    assert (claims["automation"], claims["queue"]["waiting"], invoices["queue"]["waiting"]) == ("claims", 4, 0)
    parts = sum(Decimal(part["queue"]["completions_per_day"]) for part in found["automations"])
    assert float(parts) == pytest.approx(float(found["total"]["queue"]["completions_per_day"]), abs=0.002)
    assert [part["automation"] for part in board.ask("capacity", automation="invoices")["automations"]] == ["invoices"]


def test_as_of_a_moment_days_end_with_it_and_later_records_do_not_begin_them(board: Board, database: Database) -> None:
    start = Bucket.DAY.start(hours_ago(20 * 24))
    first = start + timedelta(days=8, hours=3, minutes=20)
    set_database_clock(database, first)
    work_at(board, first)
    as_of = start + timedelta(days=10, minutes=10)
    period = {"from": start.isoformat(), "to": (start + timedelta(days=14)).isoformat()}
    # What is not summed up yet is known all the same.
    fresh = board.client.get("/v1/roi/capacity", params=period | {"as_of": as_of.isoformat()}).json()
    then = board.ask("capacity", as_of=as_of.isoformat(), **period)
    assert then == fresh
    assert then["days"] == str(round((as_of - first.replace(minute=0)) / timedelta(days=1), 3))
    queue = then["total"]["queue"]
    assert (queue["arrivals_per_day"], queue["growth_per_day"]) == (None, None)
    assert then["note"].startswith("with as_of no arrivals and no growth")
    assert board.ask("capacity", **period)["note"] is None
    assert Decimal(queue["completions_per_day"]) > 0
    # Of the hour of its booking one by one, and at least one hour.
    known = board.ask("capacity", as_of=(first + timedelta(minutes=1)).isoformat(), **period)
    assert (known["days"], len(known["automations"])) == ("0.042", 1)
    nothing = board.ask("capacity", as_of=(first - timedelta(minutes=1)).isoformat(), **period)
    assert (nothing["automations"], nothing["total"]["queue"]["arrivals_per_day"]) == ([], None)
    set_database_clock(database, as_of + timedelta(minutes=1))
    work_at(board, start + timedelta(hours=3))
    work_at(board, start + timedelta(hours=3), automation="invoices")
    assert board.ask("capacity", as_of=as_of.isoformat(), **period) == then
    assert board.ask("capacity", **period)["days"] == "13.875"


def work_at(board: Board, at: datetime, *, automation: str = "claims") -> None:
    """Booked when the database's clock says."""
    with unit_of_work(board.line) as connection:
        decide(connection, receive(connection, 60, at=at, automation=automation), at=at)


def test_where_nothing_ran_nothing_is_made_up(board: Board) -> None:
    total = board.ask("capacity")["total"]
    assert (total["queue"]["expected_wait_hours"], total["queue"]["seconds_per_case"]) == (None, None)
    assert (total["released"]["share"], total["released"]["days_to_clear"]) == (None, None)
