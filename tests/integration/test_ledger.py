"""The ledger takes every line once and gives none back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from shared.casework import repository as casework
from shared.casework.values import GivenUp, NewReview, ReviewKind
from shared.db import unit_of_work
from shared.ledger.posting import for_cash, for_platform, for_review
from shared.ledger.repository import post, post_platform
from shared.money import Money, currency
from tests.casework_data import decided
from tests.intake_data import NOON, add_tenant, engine_of, rows
from tests.worker_data import INJURY, claim_cases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from tests.conftest import Database

EUR = currency("EUR")


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    add_tenant(database, control_shares={"claims": "0"})
    engine = engine_of(database)
    yield engine
    engine.dispose()


def test_lines_of_every_kind_are_stored_as_posted(engine: Engine, database: Database) -> None:
    case = decided()
    with unit_of_work(engine) as connection:
        post(
            connection,
            [
                for_review(case, Decimal("61.5"), at=NOON),
                for_cash(case, Money(Decimal("100.005"), EUR), at=NOON),
                for_platform("acme", "claims", Money(Decimal(1) / 3, EUR), hour=NOON),
            ],
        )
    assert rows(
        database, "SELECT kind, quantity, unit, amount, currency, grade, booked_at > occurred_at FROM ledger_lines ORDER BY kind"
    ) == [
        ("cash", None, None, Decimal("100.00"), "EUR", "A", True),
        ("platform", None, None, Decimal("0.3333333333"), "EUR", "A", True),
        ("review_time", Decimal("61.5"), "s", None, None, "A", True),
    ]


def test_a_second_line_of_one_kind_for_one_case_is_refused(engine: Engine) -> None:
    line = for_review(decided(), Decimal(1), at=NOON)
    with unit_of_work(engine) as connection:
        post(connection, [line])
    with pytest.raises(IntegrityError), unit_of_work(engine) as connection:
        post(connection, [replace(line, id=uuid4())])


def test_an_hour_of_platform_cost_is_booked_once(engine: Engine, database: Database) -> None:
    cost = Money(Decimal("0.5"), EUR)
    hours = [NOON, NOON + timedelta(hours=1)]
    with unit_of_work(engine) as connection:
        assert post_platform(connection, [for_platform("acme", "claims", cost, hour=hours[0])]) == 1
        assert post_platform(connection, [for_platform("acme", "claims", cost, hour=hour) for hour in hours]) == 1
    assert rows(database, "SELECT count(*) FROM ledger_lines") == [(2,)]


def test_neither_the_line_nor_a_superuser_changes_a_line(engine: Engine, database: Database) -> None:
    with unit_of_work(engine) as connection:
        post(connection, [for_review(decided(), Decimal(1), at=NOON)])
    for statement in ("UPDATE ledger_lines SET quantity = 2", "DELETE FROM ledger_lines", "TRUNCATE ledger_lines"):
        with pytest.raises(DBAPIError), unit_of_work(engine) as connection:
            connection.exec_driver_sql(statement)
        with psycopg.connect(database.admin_url.replace("+psycopg", "")) as superuser, pytest.raises(psycopg.Error, match="append-only"):
            superuser.execute(statement)


def test_a_case_has_one_decision_for_ever(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        casework.record_decisions(connection, [decided()])
    with pytest.raises(IntegrityError), unit_of_work(engine) as connection:
        casework.record_decisions(connection, [replace(decided(), outcome="fast_track_pay")])


def test_an_open_review_is_kept_and_a_finished_one_gets_a_next_round(engine: Engine, database: Database) -> None:
    review = NewReview(case_id=uuid4(), tenant_id="acme", automation="claims", kind=ReviewKind.EXCEPTION, reasons=("uncertain",))
    with unit_of_work(engine) as connection:
        casework.open_reviews(connection, [review])
        casework.open_reviews(connection, [review])
        assert rows_in(connection) == [(0, "open")]
        connection.exec_driver_sql("UPDATE reviews SET state = 'cancelled'")
        casework.open_reviews(connection, [review])
        assert rows_in(connection) == [(0, "cancelled"), (1, "open")]


def rows_in(connection: Connection) -> list[tuple[object, ...]]:
    result = connection.exec_driver_sql("SELECT round, state FROM reviews ORDER BY round")
    return [tuple(row) for row in result]


def test_only_a_case_that_waits_for_a_person_is_closed_by_one(engine: Engine, database: Database) -> None:
    (case_id,) = claim_cases(engine, INJURY)
    with unit_of_work(engine) as connection:
        assert casework.mark_decided(connection, [case_id]) == set()
        assert casework.quarantine(connection, [GivenUp(case_id, 0, "Crash")]) == {case_id}
        assert casework.quarantine(connection, [GivenUp(case_id, 0, "Crash")]) == set()
        assert casework.mark_decided(connection, [case_id]) == {case_id}
    assert rows(database, "SELECT state, stratum FROM cases") == [("decided", "unknown")]


def test_giving_up_is_void_when_somebody_has_claimed_since(engine: Engine, database: Database) -> None:
    (case_id,) = claim_cases(engine, INJURY)
    with unit_of_work(engine) as connection:
        assert casework.quarantine(connection, [GivenUp(case_id, 4)]) == set()
    assert rows(database, "SELECT state FROM cases") == [("pending",)]
