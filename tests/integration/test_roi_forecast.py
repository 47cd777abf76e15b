"""The next period and the return on an investment, against the same numbers computed from the facts."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from scipy import stats

from shared.db import unit_of_work
from shared.ledger import posting
from shared.ledger import repository as ledger
from shared.money import Money, currency
from tests.integration.facts import Case, Subject, decide, hours_ago, receive
from tests.integration.time_travel import set_database_clock
from tests.roi_world import Board, mean_and_deviation

if TYPE_CHECKING:
    from tests.conftest import Database

DAY = timedelta(days=1)


def today() -> datetime:
    return hours_ago(0).replace(hour=0, minute=0, second=0, microsecond=0)


def days_of_work(board: Board, days: int, *, cases: int = 12) -> list[tuple[int, Case, float]]:
    """Some cases on each of the last whole days; (days ago, case, seconds that a person needs)."""
    done = []
    for ago in range(1, days + 1):
        at = today() - ago * DAY + timedelta(hours=12)
        with unit_of_work(board.line) as connection:
            fresh = receive(connection, cases + ago % 5, at=at)
            for half, seconds in ((fresh[::2], 90 + ago), (fresh[1::2], 210 - ago)):
                decide(connection, half, seconds=str(seconds), at=at)
                done += [(ago, case, float(seconds)) for case in half]
    return done


def test_the_forecast_is_the_mean_week_with_three_errors_around_it(board: Board) -> None:
    done = days_of_work(board, 36)
    found = board.ask("forecast", days_ahead=28, **{"from": (today() - 60 * DAY).isoformat()})
    assert (found["block"], found["blocks"], found["days_ahead"]) == ("week", 5, 28)
    manual = [seconds for _, case, seconds in done if case.arm == "control"]
    mean, deviation = mean_and_deviation(manual)
    automated = [sum(case.arm == "automated" for ago, case, _ in done if 7 * week < ago <= 7 * week + 7) for week in range(5)]
    saved = [count * mean for count in automated]
    future, ratio = 4, 4 / 5
    between = sum((week - sum(saved) / 5) ** 2 for week in saved) / 4
    parts = [
        (between * future * (1 + ratio), 4),
        ((ratio * sum(automated) * deviation) ** 2 / len(manual), len(manual) - 1),
        (ratio * sum(automated) * deviation**2, len(manual) - 1),
    ]
    variance = sum(value for value, _ in parts)
    half = stats.t.ppf(0.975, variance**2 / sum(value**2 / degrees for value, degrees in parts)) * math.sqrt(variance)
    hours = found["total"]["hours"]
    assert float(hours["point"]) == pytest.approx(sum(saved) * ratio / 3600, abs=0.002)
    assert float(hours["high"]) - float(hours["point"]) == pytest.approx(half / 3600, rel=0.001)
    assert found["total"]["hours"] == found["automations"][0]["hours"]
    assert any("no trend" in assumption for assumption in found["assumes"])


def test_few_days_are_forecast_by_days_and_fewer_without_an_interval(board: Board) -> None:
    days_of_work(board, 9, cases=60)
    found = board.ask("forecast", days_ahead=3)
    assert (found["block"], found["blocks"]) == ("day", 9)
    assert found["total"]["hours"]["low"] is not None
    short = board.ask("forecast", days_ahead=3, **{"from": (today() - 3 * DAY).isoformat()})
    assert (short["blocks"], short["total"]["hours"]["low"]) == (3, None)
    assert "no interval" in short["total"]["note"]


def test_what_comes_is_worth_what_it_is_worth_at_the_moment_of_the_answer(board: Board) -> None:
    days_of_work(board, 9, cases=60)
    board.rate("labour_hour", "40", days_ago=30)
    moment = hours_ago(0)
    # From this second on: later than the midnight that ends the measured days.
    board.rate("labour_hour", "80", days_ago=0)
    ended = {"to": (today() - DAY).isoformat()}
    for asked, hour in (({}, 80), (ended, 80), ({"as_of": moment.isoformat()}, 40)):
        total = board.ask("forecast", **asked)["total"]
        assert float(total["labour_value"]["point"]) == pytest.approx(hour * float(total["hours"]["point"]), rel=0.001), asked


def test_quiet_days_at_the_beginning_count_once_something_had_come_before(board: Board) -> None:
    days_of_work(board, 9, cases=60)
    period = {"from": (today() - 21 * DAY).isoformat()}
    assert (board.ask("forecast", **period)["block"], board.ask("forecast", **period)["blocks"]) == ("day", 9)
    # Stopped, and of another automation.
    board.work(["100"] * 20, hours=40 * 24, automation="invoices")
    assert board.ask("forecast", **period)["blocks"] == 9
    board.work(["100"] * 20, hours=30 * 24)
    for asked in ({}, {"as_of": hours_ago(0).isoformat()}, {"automation": "claims"}):
        assert board.ask("forecast", **period, **asked)["blocks"] == 21, asked


def test_what_began_later_is_forecast_from_its_own_days(board: Board) -> None:
    days_of_work(board, 36)
    board.execute("INSERT INTO automation_settings (tenant_id, automation, control_share) VALUES ('acme', 'invoices', 0.3)")
    days, times = 5, ["120"] * 40
    for ago in range(1, days + 1):
        at = today() - ago * DAY + timedelta(hours=12)
        board.work(times, hours=(hours_ago(0) - at) / timedelta(hours=1), automation="invoices")
    found = board.ask("forecast", days_ahead=10, **{"from": (today() - 60 * DAY).isoformat()})
    claims, invoices = found["automations"]
    assert [(part["block"], part["blocks"]) for part in (found, claims, invoices)] == [("week", 5), ("week", 5), ("day", days)]
    alone = board.ask("forecast", days_ahead=10, automation="invoices", **{"from": (today() - 60 * DAY).isoformat()})
    assert invoices == alone["automations"][0]
    cases = board.rows("SELECT count(*) FROM decisions WHERE automation = 'invoices' AND arm = 'automated'")[0][0]
    assert float(invoices["hours"]["point"]) == pytest.approx(cases * 120 / days * 10 / 3600, abs=0.001)
    point = float(claims["hours"]["point"]) + float(invoices["hours"]["point"])
    assert float(found["total"]["hours"]["point"]) == pytest.approx(point, abs=0.002)
    assert found["total"]["hours"]["low"] is not None


def test_before_anything_ran_nothing_is_forecast(board: Board) -> None:
    found = board.ask("forecast")
    assert (found["block"], found["blocks"], found["automations"], found["total"]["hours"]) == (None, 0, [], None)


def cash_in(board: Board, done: list[tuple[int, Case, float]], amount: str) -> dict[int, Decimal]:
    """So much on one case of each day; by days ago."""
    booked = {}
    lines = []
    for ago in sorted({ago for ago, _, _ in done}):
        case = next(case for day, case, _ in done if day == ago and case.arm == "automated")
        subject = Subject(case.id, case.tenant, case.automation, case.arm, "s")
        lines.append(posting.for_cash(subject, Money(Decimal(amount), currency("EUR")), at=today() - ago * DAY + timedelta(hours=12)))
        booked[ago] = Decimal(amount)
    with unit_of_work(board.line) as connection:
        ledger.post(connection, lines)
    return booked


def weeks_since(first: datetime) -> list[tuple[datetime, datetime]]:
    """Calendar weeks from then to now, the last one cut."""
    monday = first - first.weekday() * DAY
    count = (today() - monday) // (7 * DAY) + 1
    return [(monday + 7 * n * DAY, min(monday + 7 * (n + 1) * DAY, hours_ago(0))) for n in range(count)]


def test_payback_counts_cash_from_the_day_of_the_investment_at_its_present_value(board: Board) -> None:
    first = today() - 28 * DAY
    cash_in(board, days_of_work(board, 28, cases=6), "100")
    stream = board.ask("payback", investment="1500", discount_rate="0.1", **{"from": first.isoformat()})["cash"]
    rest, reached = Decimal(-1500), None
    for start, end in weeks_since(first):
        days = sum(start <= today() - ago * DAY < end for ago in range(1, 29))
        rest += 100 * days / Decimal("1.1") ** (Decimal((end.date() - first.date()).days) / 365)
        reached = reached or (end.date() if rest >= 0 else None)
    # What compute costs is below a cent.
    assert float(stream["npv_measured"]) == pytest.approx(float(rest), abs=0.01)
    assert float(stream["measured"]) == pytest.approx(2800, abs=0.01)
    assert (stream["paid_back"], stream["paid_back_on"]) == ("measured", str(reached))
    whole = [(start, end) for start, end in weeks_since(first) if start >= first and end - start == 7 * DAY]
    assert float(stream["per_week"]) == pytest.approx(100 * sum((end - start) // DAY for start, end in whole) / len(whole), abs=0.01)


def test_what_is_not_paid_back_yet_is_expected_or_never(board: Board) -> None:
    first = today() - 28 * DAY
    cash_in(board, days_of_work(board, 28, cases=6), "100")
    period = {"from": first.isoformat()}
    expected = board.ask("payback", investment="10000", months=12, **period)["cash"]
    assert expected["paid_back"] == "expected"
    # 700 a week: after some fourteen weeks, a little later because money is worth less then.
    weeks = (datetime.fromisoformat(expected["paid_back_on"]).date() - first.date()).days / 7
    assert 14 <= weeks <= 16
    assert board.ask("payback", investment="10000", months=3, **period)["cash"]["paid_back"] == "never"


def test_capacity_is_valued_apart_from_cash_and_carefully(board: Board) -> None:
    first = today() - 21 * DAY
    done = days_of_work(board, 21)
    assert board.ask("payback", investment="100", **{"from": first.isoformat()})["capacity"] is None
    board.rate("labour_hour", "40", days_ago=30)
    found = board.ask("payback", investment="100", **{"from": first.isoformat()})
    saved = board.ask("summary", **{"from": first.isoformat()})["total"]["saved"]
    mean, _ = mean_and_deviation([seconds for _, case, seconds in done if case.arm == "control"])
    automated = sum(case.arm == "automated" for _, case, _ in done)
    assert float(found["capacity"]["measured"]) == pytest.approx(automated * mean / 3600 * 40, abs=0.05)
    ratio = float(found["capacity_at_least"]["measured"]) / float(found["capacity"]["measured"])
    assert ratio == pytest.approx(float(saved["at_least_hours"]) / float(saved["hours"]["point"]), abs=0.01)
    assert float(saved["at_least_hours"]) > 0
    assert float(found["cash"]["measured"]) == pytest.approx(0, abs=0.01)


def test_payback_as_of_a_moment_knows_no_later_weeks(board: Board, database: Database) -> None:
    first = today() - (49 + today().weekday()) * DAY
    set_database_clock(database, first)
    board.rate("labour_hour", "40", days_ago=400)
    for week in range(4):
        at = first + timedelta(days=7 * week, hours=30)
        set_database_clock(database, at)
        with unit_of_work(board.line) as connection:
            fresh = receive(connection, 120, at=at)
            decide(connection, fresh[::2], seconds="300", at=at)
            decide(connection, fresh[1::2], seconds="200", at=at)
    as_of = first + 21 * DAY
    streams = []
    for end in (as_of, as_of + 14 * DAY, as_of + 400 * DAY):
        period = {"from": first.isoformat(), "to": end.isoformat()}
        answer = board.ask("payback", investment="100", as_of=as_of.isoformat(), **period)
        streams.append([answer[name] for name in ("cash", "capacity_at_least", "capacity")])
    assert streams[0] == streams[1] == streams[2]
    capacity = streams[0][2]
    assert float(capacity["per_week"]) == pytest.approx(float(capacity["measured"]) / 3, abs=0.01)


def test_an_investment_needs_an_amount(board: Board) -> None:
    assert board.problem("payback")[0] == 422
    assert board.problem("payback", investment="-1")[0] == 422
