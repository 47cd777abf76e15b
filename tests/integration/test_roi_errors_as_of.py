"""What was known of wrong decisions at an earlier moment is told as it was answered then."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from migrations.run import downgrade, upgrade
from services.steward.braking import judge_audits
from shared.casework.audits import Drawn, record_draws
from shared.casework.values import Decided
from shared.db import unit_of_work
from tests.horizon import roll_up
from tests.integration.facts import Case, receive
from tests.integration.test_steward_evidence import audited_decisions, found
from tests.integration.time_travel import set_database_clock
from tests.roi_world import Board, open_board

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database

BEGIN = datetime(2026, 2, 27, 21, 17, 3, tzinfo=UTC)
SHARE = Decimal("0.2")
SUMS = "SELECT day, decisions, probability, least, drawn, done, disputed, wrong, weighted FROM audit_days ORDER BY day"


@pytest.fixture
def board(database: Database) -> Iterator[Board]:
    with open_board(database, control_share="0") as board:
        # Known since before all of this.
        set_database_clock(database, BEGIN - timedelta(days=1))
        board.rate("loss_per_error", "120", days_ago=800)
        # The database's own clock would say when a brake is pulled.
        board.execute("UPDATE automation_settings SET error_limit = 0.95")
        yield board


def _errors(board: Board, as_of: datetime | None = None) -> Any:
    asked = {} if as_of is None else {"as_of": as_of.isoformat()}
    answer = board.client.get("/v1/roi/evidence", params={"from": "2026-02-01T00:00:00Z"} | asked)
    assert answer.status_code == 200, answer.text
    (one,) = answer.json()["automations"]
    return one["errors"]


def _judge(board: Board) -> None:
    roll_up(board.line)
    judge_audits(board.line)


def _audited(board: Board, drawn: list[Decided], randomness: random.Random) -> None:
    """Some decisions, some of them drawn, and what people found of earlier ones."""
    with unit_of_work(board.line) as connection:
        decided = audited_decisions(connection, receive(connection, 20), SHARE)
        chosen = [one for one in decided if randomness.random() < 0.3]
        record_draws(connection, [Drawn(one, SHARE, Decimal("0.1")) for one in chosen])
    drawn += chosen
    for one in [drawn.pop() for _ in range(min(2, len(drawn)))]:
        case = Case(one.case_id, one.tenant_id, one.automation, one.arm, one.received_at)
        with unit_of_work(board.line) as connection:
            if randomness.random() < 0.5:
                found(connection, case, wrong=False)
            else:
                found(connection, case, wrong=None)
                found(connection, case, wrong=True)


def test_errors_as_of_a_moment_are_those_that_were_answered_then(board: Board, database: Database) -> None:
    randomness = random.Random(6)
    drawn: list[Decided] = []
    answers = []
    moment = BEGIN
    for hours in (0, 1, 2, 1, 30, 70, 5):
        moment += timedelta(hours=hours)
        set_database_clock(database, moment)
        _audited(board, drawn, randomness)
        _judge(board)
        answers.append((moment + timedelta(seconds=1), _errors(board)))
    # Not in the sums yet, and of a later day: known at no moment before.
    set_database_clock(database, moment + timedelta(hours=20))
    _audited(board, drawn, randomness)
    assert len({answer["decisions"] for _, answer in answers}) == len(answers)
    assert answers[-1][1]["wrong"] > 0
    for at, answer in answers:
        assert _errors(board, at) == answer
    newest = _errors(board, moment + timedelta(hours=21))
    assert newest["decisions"] == answers[-1][1]["decisions"] + 20, "what is not summed up yet is known all the same"
    _judge(board)
    assert _errors(board, moment + timedelta(hours=21)) == newest == _errors(board)
    for at, answer in answers:
        assert _errors(board, at) == answer


def test_a_brake_was_on_when_it_was_on(board: Board, database: Database) -> None:
    set_database_clock(database, BEGIN)
    _audited(board, [], random.Random(1))
    board.execute(
        "INSERT INTO brakes (id, tenant_id, automation, braked_at, evidence, released_at, released_by)"
        " VALUES (gen_random_uuid(), 'acme', 'claims', %(on)s, '{}', %(off)s, 'ada')",
        {"on": BEGIN + timedelta(hours=1), "off": BEGIN + timedelta(hours=3)},
    )
    braked = [_errors(board, BEGIN + timedelta(minutes=30 + 60 * hours))["braked"] for hours in range(4)]
    assert braked == [False, True, True, False]


def test_a_database_from_before_sums_by_booking_gets_them_and_can_go_back(board: Board, database: Database) -> None:
    randomness = random.Random(3)
    drawn: list[Decided] = []
    for days in range(3):
        set_database_clock(database, BEGIN + timedelta(days=days))
        _audited(board, drawn, randomness)
        _judge(board)
    sums = board.rows(SUMS)
    assert len(sums) == 3
    board.line.dispose()
    downgrade(database.admin_url, "0018")
    (today,) = board.rows(SUMS)
    assert today[1] == sum(row[1] for row in sums), "all of them were decided on one day"
    board.line.dispose()
    upgrade(database.admin_url)
    assert board.rows(SUMS) == sums
