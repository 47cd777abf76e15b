"""Checks what became of every event, from the database itself: nothing lost, nothing doubled, nothing invented."""

from __future__ import annotations

import hmac
import json
import re
import time
from collections import Counter
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.harness.company import AUDIT_SHARE, LOSS, LOSS_PER_ERROR, answer

if TYPE_CHECKING:
    import psycopg

    from tests.harness.company import Company, Sent

SETTLE_SECONDS = 150.0


def settle(company: Company, events: Sequence[Sent]) -> None:
    """Work reviews until every event is decided and its callback has arrived, every audit is judged and every late outcome applied.

    Raises:
        AssertionError: it never came to rest; says in which states the cases are.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        worked = company.work_reviews()
        missing = {event.event_id for event in events} - set(company.receiver.bodies)
        if not missing and not worked and not _outcomes_wait(company):
            return
        assert time.monotonic() < deadline, (
            f"{len(missing)} of {len(events)} never came back, {worked} reviews in the last round: {_states(company, missing)}"
        )
        time.sleep(0.5)


def _outcomes_wait(company: Company) -> bool:
    with company.line.database() as connection:
        return connection.execute("SELECT FROM case_outcomes WHERE tenant_id = %s AND state = 'waiting'", (company.tenant,)).rowcount > 0


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
        _late_outcomes_are_applied_once(connection, company)
        _audits_are_exact(connection, company.tenant)
        _ledger_lines_are_exact(connection, company)
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


def _drawn(salt: bytes, automation: str, case_id: str) -> bool:
    """The draw for an audit once more, without the product's code: 64 bits of an HMAC below the share."""
    message = b"audit\0" + automation.encode() + b"\0" + case_id.encode()
    return int.from_bytes(hmac.digest(salt, message, "sha256")[:8], "big") < int(Decimal(AUDIT_SHARE) * 2**64)


def _audits_are_exact(connection: psycopg.Connection, tenant: str) -> None:
    """Each automatic decision that had to be drawn was drawn, and was found right or wrong by as many people as it takes."""
    rows = connection.execute(
        "SELECT t.arm_salt, d.automation, d.case_id::text, d.outcome, a.case_id IS NOT NULL,"
        " ARRAY(SELECT (f.round, f.outcome, f.wrong)::text FROM audit_findings f WHERE f.case_id = d.case_id ORDER BY f.round),"
        " (SELECT count(DISTINCT f.reviewer) = count(*) FROM audit_findings f WHERE f.case_id = d.case_id)"
        " FROM decisions d JOIN tenants t ON t.id = d.tenant_id LEFT JOIN audits a ON a.case_id = d.case_id"
        " WHERE d.tenant_id = %s AND d.tier <> 'human'",
        (tenant,),
    ).fetchall()
    assert any(row[4] for row in rows), "nothing was audited"
    for salt, automation, case_id, outcome, drawn, findings, different_people in rows:
        assert drawn == _drawn(salt, automation, case_id), f"{case_id} drawn: {drawn}"
        assert different_people, f"{case_id} was judged twice by one person"
        assert findings == (_findings(automation, outcome) if drawn else []), case_id


def _findings(automation: str, first: str) -> list[str]:
    second, _ = answer(automation)
    if second == first:
        return [f"(0,{second},f)"]
    third = min(first, second)
    return [f"(0,{second},)", f"(1,{third},{'t' if third != first else 'f'})"]


def _late_outcomes_are_applied_once(connection: psycopg.Connection, company: Company) -> None:
    rows = connection.execute(
        "SELECT o.named_event_id, o.result, o.state, c.event_id,"
        " (SELECT count(*) FROM outbox n WHERE n.tenant_id = o.tenant_id AND n.kind = 'savings.restated' AND n.subject = o.id::text)"
        "  = (o.lines > 0)::int"
        " FROM case_outcomes o JOIN cases c ON c.id = o.case_id WHERE o.tenant_id = %s",
        (company.tenant,),
    ).fetchall()
    assert sorted(rows) == sorted((event, result, "applied", event, True) for event, result in company.results.items())


def _ledger_lines_are_exact(connection: psycopg.Connection, company: Company) -> None:
    """Recomputed from arm, tier, inferences, payload, findings and what the company said, not from what the product thinks it booked."""
    rows = connection.execute(
        "SELECT c.event_id, c.arm, d.tier, d.outcome, d.reasons, d.automation, convert_from(p.body, 'UTF8'),"
        " EXISTS (SELECT FROM inferences i WHERE i.case_id = c.id),"
        " (SELECT count(*) FROM audit_findings f WHERE f.case_id = c.id),"
        " (SELECT bool_or(f.wrong) FROM audit_findings f WHERE f.case_id = c.id),"
        " ARRAY(SELECT l.kind FROM ledger_lines l WHERE l.case_id = c.id AND l.kind NOT IN ('cash', 'error', 'reversal') ORDER BY l.kind),"
        " ARRAY(SELECT l.kind || CASE WHEN l.kind = 'error' THEN l.amount::numeric(12, 2)::text ELSE '' END FROM ledger_lines l"
        "  WHERE l.case_id = c.id AND l.kind IN ('cash', 'error') AND NOT EXISTS (SELECT FROM ledger_lines r WHERE r.reverses = l.id)"
        "  ORDER BY 1)"
        " FROM cases c JOIN decisions d ON d.case_id = c.id JOIN payloads p ON p.case_id = c.id WHERE c.tenant_id = %s",
        (company.tenant,),
    ).fetchall()
    for event_id, arm, tier, outcome, reasons, automation, body, inferred, looks, wrong, booked, standing in rows:
        expected = ["manual_time"] if arm == "control" else ["compute"] if inferred else []
        expected += ["review_time"] * (looks + (arm == "automated" and tier == "human"))
        assert booked == sorted(expected), f"{event_id} ({arm}, {tier}, {outcome}): {booked} instead of {sorted(expected)}"
        duplicate = arm == "automated" and automation == "invoices" and (outcome, reasons) == ("reject", ["duplicate"])
        cash = duplicate and _stopped_a_payment(json.loads(body)["data"]["document"])
        result = company.results.get(event_id)
        stands = _errors(result, audited_wrong=bool(wrong)) if arm == "automated" and tier != "human" else []
        stands += ["cash"] if cash and result in {None, "confirmed_right"} else []
        assert standing == sorted(stands), f"{event_id} ({arm}, {tier}, {outcome}, {result}): {standing} instead of {sorted(stands)}"
    _reversals_take_back_one_whole_line_each(connection, company.tenant)


def _errors(result: str | None, *, audited_wrong: bool) -> list[str]:
    if result == "confirmed_wrong":
        return [f"error{Decimal(LOSS):.2f}"]
    found = audited_wrong and result != "confirmed_right"
    return [f"error{Decimal(LOSS_PER_ERROR) / Decimal(AUDIT_SHARE):.2f}"] if found else []


def _reversals_take_back_one_whole_line_each(connection: psycopg.Connection, tenant: str) -> None:
    rows = connection.execute(
        "SELECT l.kind, r.case_id = l.case_id AND r.occurred_at = l.occurred_at"
        " AND r.amount IS NOT DISTINCT FROM -l.amount AND r.quantity IS NOT DISTINCT FROM -l.quantity,"
        " count(*) OVER (PARTITION BY r.reverses)"
        " FROM ledger_lines r JOIN ledger_lines l ON l.id = r.reverses WHERE r.tenant_id = %s",
        (tenant,),
    ).fetchall()
    assert {row[0] for row in rows} <= {"cash", "error"}
    assert {row[1:] for row in rows} <= {(True, 1)}


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
    assert sum(row["outcomes"] for row in rows) == len(company.results)
    assert {row["difference"] for row in rows} == {0}, rows
    assert {row["in_flight"] for row in rows} == {0}, rows
