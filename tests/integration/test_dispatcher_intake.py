"""What becomes of a batch of records, without a broker."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from services.dispatcher.records import Raw
from services.dispatcher.service import Intake
from shared.clock import SystemClock
from shared.db import unit_of_work
from shared.db.unit_of_work import DatabaseUnavailable
from shared.settings import TIME_AHEAD
from tests.dispatcher_world import ACME, claim, count
from tests.intake_data import add_tenant, engine_of, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.conftest import Database
    from tests.dispatcher_world import Headers


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    add_tenant(database)
    engine = engine_of(database)
    yield engine
    engine.dispose()


@pytest.fixture
def intake(engine: Engine) -> Intake:
    return Intake(engine, SystemClock(), TIME_AHEAD)


def raw(offset: int, value: bytes | None, headers: Headers = ACME, partition: int = 0) -> Raw:
    now = SystemClock().now()
    return Raw("events", partition, offset, int(now.timestamp() * 1000), value, headers)


OUTCOME: dict[str, object] = {"type": "com.recoup.case.outcome.v1", "data": {"event": {"source": "/erp", "id": "0"}, "result": "refunded"}}


def conservation(database: Database) -> tuple[object, ...]:
    """received, and what it must be the sum of: cases, duplicates, conflicts, poison of a known automation."""
    (row,) = rows(
        database,
        "SELECT (SELECT sum(received) FROM intake_batches), (SELECT count(*) FROM cases), (SELECT sum(duplicate) FROM intake_batches),"
        " (SELECT sum(rejected) FROM intake_batches),"
        " (SELECT count(*) FROM poison_records WHERE tenant_id IS NOT NULL AND automation IS NOT NULL)",
    )
    return row


def test_a_record_with_nothing_but_a_tenant_becomes_a_case(intake: Intake, database: Database) -> None:
    outcome = intake.put_away([raw(0, claim("1", time="2026-11-01T08:00:00+01:00"))])
    assert [order.automation for order in outcome.orders] == ["claims"]
    ((occurred, received, body),) = rows(
        database, "SELECT occurred_at, c.received_at, body FROM cases c JOIN payloads p ON p.case_id = c.id"
    )
    assert occurred == datetime(2026, 11, 1, 7, tzinfo=UTC)
    assert isinstance(received, datetime)
    assert abs(SystemClock().now() - received) < timedelta(minutes=1)
    assert isinstance(body, bytes)
    assert json.loads(body)["id"] == "1"
    assert b"\n" not in body


def test_the_same_event_written_differently_is_a_duplicate(intake: Intake, database: Database) -> None:
    other_order = json.dumps(dict(sorted(json.loads(claim("1")).items(), reverse=True))).encode()
    intake.put_away([raw(0, claim("1")), raw(1, other_order)])
    assert conservation(database) == (2, 1, 1, 0, 0)


def test_poison_is_kept_with_its_reason_and_its_neighbours_become_cases(intake: Intake, database: Database) -> None:
    wrong_schema = json.dumps({**json.loads(claim("2")), "data": {"line": "motor"}}).encode()
    batch = [raw(0, claim("1")), raw(1, b"\xff\x00junk"), raw(2, wrong_schema), raw(3, None), raw(4, claim("3"), []), raw(5, claim("4"))]
    outcome = intake.put_away(batch)
    assert [p.raw.offset for p in outcome.poison] == [1, 2, 3, 4]
    assert rows(database, "SELECT event_id FROM cases ORDER BY 1") == [("1",), ("4",)]
    kept = rows(database, "SELECT \"offset\", tenant_id, automation, raw, split_part(error, ':', 1) FROM poison_records ORDER BY 1")
    assert kept == [
        (1, "acme", None, b"\xff\x00junk", "malformed"),
        (2, "acme", "claims", wrong_schema, "schema_violation"),
        (3, "acme", None, b"", "no_value"),
        (4, None, None, claim("3"), "no_tenant"),
    ]
    assert rows(database, "SELECT first_offset, last_offset, new, duplicate, poison FROM consumed_ranges") == [(0, 5, 2, 0, 4)]


@pytest.mark.parametrize("kind", ["claim", "outcome"])
def test_data_in_base64_are_read_however_the_producer_digests_them(intake: Intake, database: Database, kind: str) -> None:
    """Kept as they came, they have no `data`: an outcome ended the dispatcher, again at each start."""
    members = json.loads(claim("1")) if kind == "claim" else json.loads(claim("1", **OUTCOME))
    members["datacontenttype"] = "application/json"
    members["data_base64"] = base64.b64encode(json.dumps(members.pop("data")).encode()).decode()
    value = json.dumps(members).encode()
    digest = ("body_sha256", hashlib.sha256(value).hexdigest().encode())
    assert intake.put_away([raw(0, value, [*ACME, digest]), raw(1, claim("2"))]).poison == []
    bodies = [json.loads(body) for (body,) in rows(database, "SELECT body FROM payloads") if isinstance(body, bytes)]
    assert all("data" in body and "data_base64" not in body for body in bodies)
    assert count(database, "cases") + count(database, "case_outcomes") == 2


def test_what_a_poison_record_says_wrong_is_told_without_repeating_it(intake: Intake, database: Database) -> None:
    data = {**json.loads(claim("1"))["data"], "policy_number": ["Jane Doe"]}
    intake.put_away([raw(0, json.dumps({**json.loads(claim("1")), "data": data}).encode())])
    ((error,),) = rows(database, "SELECT error FROM poison_records")
    assert "data.policy_number" in str(error)
    assert "Jane" not in str(error)


def test_poison_of_a_known_automation_counts_as_received(intake: Intake, database: Database) -> None:
    wrong_schema = json.dumps({**json.loads(claim("2")), "data": {}}).encode()
    intake.put_away([raw(0, claim("1")), raw(1, wrong_schema), raw(2, b"junk"), raw(3, claim("1", subject="other"))])
    assert conservation(database) == (3, 1, 0, 1, 1)


def test_records_that_come_again_change_nothing_but_the_count_of_duplicates(intake: Intake, database: Database) -> None:
    wrong_schema = json.dumps({**json.loads(claim("2")), "data": {}}).encode()
    batch = [raw(0, claim("1")), raw(1, wrong_schema)]
    intake.put_away(batch)
    outcome = intake.put_away(batch)
    assert outcome.orders == []
    assert count(database, "poison_records") == 1
    assert conservation(database) == (3, 1, 1, 0, 1)


def test_a_tenant_that_does_not_exist_owns_nothing_and_harms_nobody(intake: Intake, database: Database) -> None:
    intake.put_away([raw(0, claim("1")), raw(1, claim("2"), [("tenant", b"nobody")]), raw(2, claim("3"), [("tenant", b"No\x00body")])])
    assert rows(database, "SELECT event_id FROM cases") == [("1",)]
    kept = rows(database, "SELECT tenant_id, split_part(error, ':', 1) FROM poison_records ORDER BY \"offset\"")
    assert kept == [(None, "unknown_tenant"), (None, "no_tenant")]


@pytest.mark.parametrize("state", ["22023", "23514", "54000"])
def test_a_record_that_the_database_refuses_is_buried_alone(state: str, intake: Intake, database: Database) -> None:
    refuse = (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN IF NEW.event_id = '7' THEN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$"
    )
    with psycopg.connect(database.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(refuse.encode())
        connection.execute("CREATE TRIGGER refuse BEFORE INSERT ON cases FOR EACH ROW EXECUTE FUNCTION refuse()")
    outcome = intake.put_away([raw(n, claim(str(n)), partition=n // 10) for n in range(20)])
    assert len(outcome.orders) == 19
    assert rows(database, 'SELECT partition, "offset", tenant_id, automation, error FROM poison_records') == [
        (0, 7, "acme", "claims", "unstorable: The database refuses a record of this batch.")
    ]
    assert conservation(database) == (20, 19, 0, 0, 1)
    covered = rows(database, "SELECT sum(last_offset - first_offset + 1), sum(new), sum(poison) FROM consumed_ranges")
    assert covered == [(20, 19, 1)]


def test_a_locked_database_is_not_the_fault_of_the_data(intake: Intake, engine: Engine, database: Database) -> None:
    with psycopg.connect(database.admin_url.replace("+psycopg", "")) as blocker:
        blocker.execute("LOCK TABLE cases IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(DatabaseUnavailable):
            intake.put_away([raw(0, claim("1"))])
    with unit_of_work(engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM poison_records").scalar_one() == 0
    assert len(intake.put_away([raw(0, claim("1"))]).orders) == 1
