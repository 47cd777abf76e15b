"""The inbox: every record is stored once and counted always."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.db import unit_of_work
from shared.intake.record import Receipt
from shared.intake.repository import UnknownTenant, count_rejected, find, store
from tests.intake_data import NOON, add_tenant, engine_of, incoming, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.conftest import Database


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    add_tenant(database)
    engine = engine_of(database)
    yield engine
    engine.dispose()


def _counts(database: Database) -> list[tuple[object, ...]]:
    return rows(
        database,
        "SELECT tenant_id, automation, hour, sum(received), sum(duplicate), sum(rejected) FROM intake_batches"
        " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )


def test_a_new_event_opens_a_pending_case_with_its_payload(engine: Engine, database: Database) -> None:
    record = incoming("1")
    with unit_of_work(engine) as connection:
        (stored,) = store(connection, [record])
    assert stored.receipt is Receipt.ACCEPTED
    assert rows(database, "SELECT c.id, c.state, c.body_sha256, p.body FROM cases c JOIN payloads p ON p.case_id = c.id") == [
        (stored.case_id, "pending", record.body_sha256, record.body)
    ]


def test_the_same_event_again_is_a_duplicate_of_its_case(engine: Engine, database: Database) -> None:
    with unit_of_work(engine) as connection:
        (first,) = store(connection, [incoming("1")])
    with unit_of_work(engine) as connection:
        (second,) = store(connection, [incoming("1")])
    assert (second.receipt, second.case_id) == (Receipt.DUPLICATE, first.case_id)
    assert rows(database, "SELECT count(*) FROM payloads") == [(1,)]


def test_an_event_of_last_month_is_not_accepted_again_in_this_one(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        store(connection, [incoming("1", received_at=NOON - timedelta(days=40))])
        (again,) = store(connection, [incoming("1", received_at=NOON)])
    assert again.receipt is Receipt.DUPLICATE


def test_another_body_under_a_known_id_is_refused_and_written_to_the_audit_log(engine: Engine, database: Database) -> None:
    kept, refused = incoming("1", text="first"), incoming("1", text="second")
    with unit_of_work(engine) as connection:
        (first,) = store(connection, [kept])
        (second,) = store(connection, [refused])
    assert (second.receipt, second.case_id) == (Receipt.CONFLICT, first.case_id)
    assert rows(database, "SELECT body FROM payloads") == [(kept.body,)]
    assert rows(database, "SELECT tenant_id, action, object_id, detail->>'kept_sha256', detail->>'refused_sha256' FROM audit_log") == [
        ("acme", "event.conflict", str(first.case_id), kept.body_sha256.hex(), refused.body_sha256.hex())
    ]


def test_duplicates_and_conflicts_inside_one_batch_are_told_apart(engine: Engine, database: Database) -> None:
    batch = [incoming("2"), incoming("1"), incoming("2"), incoming("2", text="other"), incoming("1")]
    with unit_of_work(engine) as connection:
        stored = store(connection, batch)
    assert [answer.receipt for answer in stored] == ["accepted", "accepted", "duplicate", "conflict", "duplicate"]
    assert stored[0].case_id == stored[2].case_id == stored[3].case_id
    assert _counts(database) == [("acme", "claims", NOON.replace(minute=0), 5, 2, 1)]


def test_records_are_counted_by_tenant_automation_and_hour_of_receipt(engine: Engine, database: Database) -> None:
    add_tenant(database, "beta")
    later = NOON + timedelta(hours=1)
    batch = [incoming("1"), incoming("1", tenant="beta"), incoming("2", automation="invoices"), incoming("1", received_at=later)]
    with unit_of_work(engine) as connection:
        store(connection, batch)
        count_rejected(connection, "acme", "claims", later, 3)
    hour = NOON.replace(minute=0)
    assert _counts(database) == [
        ("acme", "claims", hour, 1, 0, 0),
        ("acme", "claims", hour + timedelta(hours=1), 4, 1, 3),
        ("acme", "invoices", hour, 1, 0, 0),
        ("beta", "claims", hour, 1, 0, 0),
    ]


def test_an_unknown_tenant_is_refused_before_anything_is_written(engine: Engine, database: Database) -> None:
    with unit_of_work(engine) as connection:
        with pytest.raises(UnknownTenant):
            store(connection, [incoming("1"), incoming("2", tenant="nobody")])
        assert connection.exec_driver_sql("SELECT count(*) FROM cases").scalar_one() == 0
    assert _counts(database) == []


@pytest.mark.parametrize(("share", "arm"), [("0", "automated"), ("1", "control")])
def test_the_arm_follows_the_control_share_that_the_tenant_has_set(share: str, arm: str, engine: Engine, database: Database) -> None:
    add_tenant(database, "beta", {"claims": share})
    with unit_of_work(engine) as connection:
        store(connection, [incoming(str(n), tenant="beta") for n in range(30)])
        store(connection, [incoming(str(n), tenant="beta", automation="invoices") for n in range(100, 130)])
    drawn = rows(database, "SELECT DISTINCT arm, control_probability::text FROM cases WHERE automation = 'claims'")
    assert drawn == [(arm, f"{share}.0000")]
    assert rows(database, "SELECT DISTINCT control_probability::text FROM cases WHERE automation = 'invoices'") == [("0.0500",)]


def test_find_gives_the_digest_of_known_events_only(engine: Engine) -> None:
    record = incoming("1")
    with unit_of_work(engine) as connection:
        store(connection, [record])
        assert find(connection, "acme", [("/erp", "1"), ("/erp", "2"), ("/crm", "1")]) == {("/erp", "1"): record.body_sha256}


def test_the_api_role_stores_for_its_own_tenant(engine: Engine, database: Database) -> None:
    api = engine_of(database, "recoup_api")
    with unit_of_work(api, tenant="acme") as connection:
        (stored,) = store(connection, [incoming("1")])
        (conflict,) = store(connection, [incoming("1", text="other")])
    api.dispose()
    assert (stored.receipt, conflict.receipt) == (Receipt.ACCEPTED, Receipt.CONFLICT)


def test_the_api_role_does_not_see_another_tenant(engine: Engine, database: Database) -> None:
    add_tenant(database, "beta")
    api = engine_of(database, "recoup_api")
    with pytest.raises(UnknownTenant), unit_of_work(api, tenant="acme") as connection:
        store(connection, [incoming("1", tenant="beta")])
    api.dispose()


def test_writers_that_store_the_same_events_in_opposite_orders_do_not_deadlock(engine: Engine, database: Database) -> None:
    records = [incoming(str(n)) for n in range(300)]

    def write(turn: int) -> list[Receipt]:
        batch = records if turn % 2 else records[::-1]
        with unit_of_work(engine) as connection:
            return [answer.receipt for answer in store(connection, batch)]

    with ThreadPoolExecutor(4) as pool:
        receipts = [receipt for batch in pool.map(write, range(8)) for receipt in batch]
    assert receipts.count(Receipt.ACCEPTED) == 300
    assert receipts.count(Receipt.DUPLICATE) == 7 * 300
    assert _counts(database) == [("acme", "claims", NOON.replace(minute=0), 8 * 300, 7 * 300, 0)]
