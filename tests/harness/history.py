"""Checks what became of every event, from the database itself: nothing lost, nothing doubled, nothing invented."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

    from tests.harness.company import Company, Sent

SETTLE_SECONDS = 150.0


def settle(company: Company, events: Sequence[Sent]) -> None:
    """Work reviews until every event is decided and its callback has arrived.

    Raises:
        AssertionError: it never came to rest; says in which states the cases are.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        company.work_reviews()
        missing = {event.event_id for event in events} - set(company.receiver.bodies)
        if not missing:
            return
        assert time.monotonic() < deadline, f"{len(missing)} of {len(events)} never came back: {_states(company, missing)}"
        time.sleep(0.5)


def _states(company: Company, missing: Collection[str]) -> dict[str, int]:
    with company.line.database() as connection:
        rows = connection.execute(
            "SELECT state, attempt, last_error FROM cases WHERE tenant_id = %s AND event_id = ANY(%s)", (company.tenant, list(missing))
        ).fetchall()
    return {**Counter(str(row) for row in rows), "no case": len(missing) - len(rows)}


def check(company: Company, events: Sequence[Sent]) -> None:
    """Every invariant at once; call after `settle`."""
    wanted = {event.event_id for event in events}
    with company.line.database() as connection:
        _each_event_is_one_case_with_one_decision(connection, company.tenant, wanted)
        _ledger_lines_are_exact(connection, company.tenant)
        _consumed_offsets_have_no_hole(connection)
    _each_callback_is_one_id_and_one_body(company, wanted)
    _conservation_is_exact(company)


def _each_event_is_one_case_with_one_decision(connection: psycopg.Connection, tenant: str, wanted: set[str]) -> None:
    rows = connection.execute(
        "SELECT c.event_id, count(DISTINCT c.id), count(d.case_id), count(DISTINCT o.id)"
        " FROM cases c LEFT JOIN decisions d ON d.case_id = c.id LEFT JOIN outbox o ON o.case_id = c.id AND o.kind = 'decision.made'"
        " WHERE c.tenant_id = %s GROUP BY c.event_id",
        (tenant,),
    ).fetchall()
    assert {row[0] for row in rows} == wanted, "cases are exactly the events that were sent"
    assert {row[1:] for row in rows} == {(1, 1, 1)}, "one case, one decision, one callback for each"


def _stopped_a_payment(document: str) -> bool:
    """A rejected duplicate saves cash where something was payable; read by text, not by the product's reader. No credit notes."""
    payable = re.search(r"<[\w:]*PayableAmount[^>]*>\s*([\d.-]+)\s*<", document)
    return payable is not None and Decimal(payable.group(1)) > 0 and not re.search(r"<(\w+:)?CreditNote\b|TypeCode[^>]*>381<", document)


def _ledger_lines_are_exact(connection: psycopg.Connection, tenant: str) -> None:
    """Recomputed from arm, tier, inferences and payload, not from what the product thinks it booked."""
    rows = connection.execute(
        "SELECT c.event_id, c.arm, d.tier, d.outcome, d.reasons, d.automation, convert_from(p.body, 'UTF8'),"
        " EXISTS (SELECT FROM inferences i WHERE i.case_id = c.id),"
        " ARRAY(SELECT l.kind FROM ledger_lines l WHERE l.case_id = c.id ORDER BY l.kind)"
        " FROM cases c JOIN decisions d ON d.case_id = c.id JOIN payloads p ON p.case_id = c.id WHERE c.tenant_id = %s",
        (tenant,),
    ).fetchall()
    for event_id, arm, tier, outcome, reasons, automation, body, inferred, booked in rows:
        expected = {"manual_time"} if arm == "control" else {"compute"} if inferred else set()
        if arm == "automated" and tier == "human":
            expected.add("review_time")
        if arm == "automated" and automation == "invoices" and (outcome, reasons) == ("reject", ["duplicate"]):
            expected |= {"cash"} if _stopped_a_payment(json.loads(body)["data"]["document"]) else set()
        assert booked == sorted(expected), f"{event_id} ({arm}, {tier}, {outcome}): {booked} instead of {sorted(expected)}"


def _consumed_offsets_have_no_hole(connection: psycopg.Connection) -> None:
    """Batches of one partition join up; one read again after a crash may overlap, but may skip nothing."""
    holes = connection.execute(
        "SELECT * FROM (SELECT topic, partition, first_offset, max(last_offset) OVER (PARTITION BY topic, partition"
        " ORDER BY first_offset, last_offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached FROM consumed_ranges) r"
        " WHERE first_offset > coalesce(reached, -1) + 1"
    ).fetchall()
    assert holes == []


def _each_callback_is_one_id_and_one_body(company: Company, wanted: set[str]) -> None:
    received = company.receiver.bodies
    assert set(received) == wanted
    for event_id, by_id in received.items():
        assert len(by_id) == 1, f"{event_id} came under {len(by_id)} webhook-ids"
        assert all(len(bodies) == 1 for bodies in by_id.values()), f"{event_id} came with different bodies"


def _conservation_is_exact(company: Company) -> None:
    rows = company.ask("roi", "GET", "/v1/roi/conservation")["hours"]
    assert rows
    assert {row["difference"] for row in rows} == {0}, rows
    assert {row["in_flight"] for row in rows} == {0}, rows
