"""The worker draws decisions for a second look, and sends everything to people while the brake is on."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from shared.db import unit_of_work
from tests.intake_data import add_tenant, engine_of, rows
from tests.worker_data import INJURY, SUSPICIOUS, claim_cases, decider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.conftest import Database

CASES = 200


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    add_tenant(database, control_shares={"claims": "0"}, audit_share="0.2")
    engine = engine_of(database)
    yield engine
    engine.dispose()


def _brake(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO brakes (id, tenant_id, automation, braked_at, evidence) VALUES (%(id)s, 'acme', 'claims', now(), '{}')",
            {"id": uuid4()},
        )


def test_a_share_of_decisions_is_drawn_in_the_transaction_that_makes_them_and_their_callbacks_do_not_wait(
    engine: Engine, database: Database
) -> None:
    ids = claim_cases(engine, *[INJURY] * CASES)
    decider(engine).decide("claims", ids)
    assert rows(database, "SELECT count(*), count(DISTINCT audit_probability), min(audit_probability) FROM decisions") == [
        (CASES, 1, Decimal("0.2000"))
    ]
    assert rows(database, "SELECT count(*) FROM outbox WHERE kind = 'decision.made'") == [(CASES,)]
    assert rows(database, "SELECT DISTINCT state FROM cases") == [("decided",)]
    drawn = rows(database, "SELECT case_id, probability, least, outcome, tier, stratum FROM audits")
    assert 20 < len(drawn) < 65
    assert {row[1:] for row in drawn} == {(Decimal("0.2000"), Decimal("0.2000"), "adjuster", "rules", "injury")}
    reviews = rows(database, "SELECT case_id, kind, state, reasons, proposal FROM reviews")
    assert {row[0] for row in reviews} == {row[0] for row in drawn}
    assert {tuple(map(str, row[1:])) for row in reviews} == {("audit", "open", "[]", "None")}


def test_a_stratum_may_be_drawn_always_and_what_a_person_decides_never(engine: Engine, database: Database) -> None:
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql('UPDATE automation_settings SET audit_strata = \'{"injury": "1"}\'')
    ids = claim_cases(engine, INJURY, SUSPICIOUS)
    decider(engine).decide("claims", ids)
    assert rows(database, "SELECT case_id, probability, least FROM audits") == [(ids[0], Decimal("1.0000"), Decimal("0.2000"))]
    assert rows(database, "SELECT kind FROM reviews WHERE case_id = %s", [ids[1]]) == [("exception",)]


def test_with_the_brake_on_people_decide_everything_until_it_is_released(engine: Engine, database: Database) -> None:
    worker = decider(engine)
    _brake(engine)
    worker.decide("claims", claim_cases(engine, INJURY, INJURY))
    assert rows(database, "SELECT count(*) FROM decisions") == [(0,)]
    assert rows(database, "SELECT kind, reasons->>0, proposal->>'outcome' FROM reviews") == [("exception", "braked", "adjuster")] * 2
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("UPDATE brakes SET released_at = now(), released_by = 'somebody'")
    worker.decide("claims", claim_cases(engine, INJURY, first=10))
    assert rows(database, "SELECT tier FROM decisions") == [("rules",)]
