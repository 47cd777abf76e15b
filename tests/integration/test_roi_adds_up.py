"""Figures recomputed from facts with fractions: parts, bridges, zones of odd minutes, two currencies."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from shared.db import unit_of_work
from shared.ledger import posting
from shared.ledger import repository as ledger
from shared.money import Money, currency
from tests.integration.facts import Case, Subject, add_work, decide, receive
from tests.integration.time_travel import set_database_clock
from tests.roi_world import Board, open_board

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database

BEGIN = datetime(2026, 3, 5, 7, 17, 3, tzinfo=UTC)
END = BEGIN + timedelta(days=6)
# A dollar is 0.8 euros.
FX = Fraction(5, 4)
GROUPS = (("claims", "s"), ("claims", "t"), ("invoices", "s"))
TAKEN = "SELECT case_id, sum(quantity) AS seconds FROM ledger_lines WHERE unit = 's' GROUP BY 1"
CASES = (
    "SELECT d.automation, d.stratum, d.arm, coalesce(t.seconds, 0) FROM decisions d"
    f" LEFT JOIN ({TAKEN}) t ON t.case_id = d.case_id WHERE d.decided_at >= %(start)s AND d.decided_at < %(end)s AND d.tenant_id = 'acme'"
)
MONEY = (
    "SELECT kind, currency, sum(amount) FROM ledger_lines WHERE occurred_at >= %(start)s AND occurred_at < %(end)s"
    " AND amount IS NOT NULL AND tenant_id = 'acme' GROUP BY 1, 2"
)


@pytest.fixture
def board(database: Database) -> Iterator[Board]:
    """Six days of work: decided at odd minutes, some booked days later, some corrected; cash in two currencies."""
    rng = random.Random(27)
    with open_board(database) as board:
        set_database_clock(database, BEGIN - timedelta(days=1))
        board.execute(
            "INSERT INTO automation_settings (tenant_id, automation, control_share, platform_monthly) VALUES ('acme', 'invoices', 0.3, 0)"
        )
        for name, value, code in (("labour_hour", "42.50", "EUR"), ("fx:EUR:USD", "1.25", None)):
            board.rate(name, value, code, days_ago=800)
        for day in range(6):
            moment = BEGIN + timedelta(days=day, hours=day)
            set_database_clock(database, moment)
            with unit_of_work(board.line) as connection:
                for automation, stratum in GROUPS:
                    at = moment - timedelta(hours=rng.choice([0, 1, 30]), minutes=rng.randrange(60))
                    cases = receive(connection, 40, automation=automation, at=at)
                    for case in cases:
                        tier = rng.choice(["nano", "nano", "human"])
                        decide(connection, [case], seconds=f"{rng.uniform(5, 400):.3f}", stratum=stratum, tier=tier, at=at)
                    ledger.post(connection, [_cash(case, stratum, rng, at) for case in cases if case.arm == "automated"])
            later = moment + timedelta(hours=5)
            set_database_clock(database, later)
            with unit_of_work(board.line) as connection:
                add_work(connection, cases[day], "77.125", sequence=1, stratum=stratum)
        yield board


def _cash(case: Case, stratum: str, rng: random.Random, at: datetime) -> posting.Line:
    money = Money(Decimal(rng.randrange(100, 9999)).scaleb(-2), currency(rng.choice(["EUR", "USD"])))
    return posting.for_cash(Subject(case.id, case.tenant, case.automation, case.arm, stratum), money, at=at)


def _saved(rows: list[tuple[Any, ...]]) -> Fraction:
    """Seconds: each stratum's automated cases times its mean by hand, less what people spent on them."""
    total = Fraction(0)
    for group in {row[:2] for row in rows}:
        hand, spent = ([Fraction(row[3]) for row in rows if row[:2] == group and row[2] == arm] for arm in ("control", "automated"))
        assert len(hand) >= 30, "strata are not pooled"
        total += len(spent) * sum(hand, Fraction(0)) / len(hand) - sum(spent, Fraction(0))
    return total


def _near(shown: str, exact: Fraction, digits: int) -> None:
    assert abs(Fraction(shown) - exact) <= Fraction(1, 2 * 10**digits) + Fraction(1, 10**9)


# Nepal, India, the Chathams, Newfoundland, the Marquesas.
@pytest.mark.parametrize("minutes", [345, 330, 765, -210, -570])
def test_a_summary_in_a_zone_of_odd_minutes_is_what_its_facts_add_up_to(board: Board, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    start, end = datetime(2026, 3, 4, tzinfo=zone), datetime(2026, 3, 11, tzinfo=zone)
    cut = datetime(2026, 3, 10, tzinfo=zone)
    for last in (end, cut):
        answer = board.ask("summary", **{"from": start.isoformat(), "to": last.isoformat()})
        total = answer["total"]
        # Widened to whole hours of UTC, and said so.
        period = {"start": datetime.fromisoformat(answer["from"]), "end": datetime.fromisoformat(answer["to"])}
        hour = timedelta(hours=1)
        assert (start - hour < period["start"] <= start, last <= period["end"] < last + hour) == (True, True)
        rows = board.rows(CASES, period)
        assert total["cases"]["total"] == len(rows)
        _near(total["saved"]["hours"]["point"], _saved(rows) / 3600, 3)
        money = [(kind, Fraction(amount) / (FX if code == "USD" else 1)) for kind, code, amount in board.rows(MONEY, period)]
        _near(total["money"]["cash"], sum((amount for kind, amount in money if kind == "cash"), Fraction(0)), 6)
        _near(total["money"]["total_cost"], sum((amount for kind, amount in money if kind != "cash"), Fraction(0)), 6)


@pytest.mark.parametrize("by", ["automation", "arm", "tier", "grade", "currency", "stratum", "source", "model_version"])
def test_a_breakdown_by_any_dimension_adds_up_to_the_summary(board: Board, by: str) -> None:
    period = {"from": (BEGIN - timedelta(days=3)).isoformat(), "to": END.isoformat()}
    total = board.ask("summary", **period)["total"]
    parts = board.ask("breakdown", by=by, **period)["parts"]
    if parts[0]["cases"] is not None:
        assert sum(part["cases"] for part in parts) == total["cases"]["total"]
    saved = [Fraction(part["seconds_saved"]) for part in parts if part["seconds_saved"] is not None]
    if by in {"automation", "stratum", "source", "grade"}:
        assert abs(sum(saved) - Fraction(total["saved"]["seconds"]["point"])) <= (len(parts) + 1) * Fraction(1, 2000), (
            "rounded to milliseconds"
        )
    else:
        assert saved == []
    if by in {"automation", "arm", "grade", "currency"}:
        amounts = [(money["currency"], money["amount"]) for part in parts for money in part["money"] if money["kind"] == "cash"]
        cash = sum((Fraction(amount) / (FX if code == "USD" else 1) for code, amount in amounts), Fraction(0))
        _near(total["money"]["cash"], cash, 5)


def test_a_bridge_leads_from_one_summary_to_the_other_whichever_moments_it_joins(board: Board) -> None:
    rng = random.Random(45)
    period = {"from": (BEGIN - timedelta(days=3)).isoformat(), "to": END.isoformat()}
    for code in ("EUR", "USD") * 6:
        moments = sorted(BEGIN + timedelta(seconds=rng.randrange(int(6.5 * 86_400))) for _ in range(2))
        earlier, later = (moment.isoformat() for moment in moments)
        bridge = board.ask("bridge", earlier=earlier, later=later, currency=code, **period)
        totals = [board.ask("summary", as_of=moment, currency=code, **period)["total"] for moment in (earlier, later)]
        for movement in bridge["movements"]:
            before, after, moved = (Fraction(movement[name]) for name in ("before", "after", "difference"))
            assert sum(Fraction(part["amount"]) for part in movement["parts"]) == moved == after - before
            if movement["figure"] in {"cash", "total_cost"}:
                shown = [Fraction(total["money"][movement["figure"]]) for total in totals]
            elif movement["figure"] == "seconds_saved":
                shown = [Fraction(total["saved"]["seconds"]["point"] or 0) for total in totals]
            else:
                shown = [Fraction((total["money"]["labour_value"] or {"point": 0})["point"] or 0) for total in totals]
            assert abs(shown[0] - before) <= Fraction(1, 100), movement["figure"]
            assert abs(shown[1] - after) <= Fraction(1, 100), movement["figure"]
