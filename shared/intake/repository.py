"""Writes the inbox: cases, payloads and the count of what came in, hundreds of records per statement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from shared.errors import Rejected
from shared.ids import uuid7
from shared.intake import outcomes
from shared.intake.record import Identity, Incoming, Receipt, Stored
from shared.measure import arms

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection

# Where a tenant has not set a share for the automation.
DEFAULT_CONTROL_SHARE = Decimal("0.05")


class UnknownTenant(Rejected):
    """There is no such tenant."""

    code = "unknown_tenant"


@dataclass(frozen=True, slots=True)
class TenantRules:
    """Attributes: control_shares: by automation, where the tenant has set one."""

    arm_salt: bytes
    control_shares: Mapping[str, Decimal]

    def control_share(self, automation: str) -> Decimal:
        return self.control_shares.get(automation, DEFAULT_CONTROL_SHARE)


class Draw(NamedTuple):
    """Attributes: share: probability of the control arm that applied."""

    arm: arms.Arm
    share: Decimal


class IntakeKey(NamedTuple):
    """Attributes: hour: of receipt, start, UTC."""

    tenant: str
    automation: str
    hour: datetime


@dataclass(frozen=True, slots=True)
class IntakeCount:
    """Records that came in; ``received`` includes the other two.

    Attributes:
        control, automated: new cases by the arm that they were drawn into.
        share: probability of the control arm that they were drawn with; None where none is new.
    """

    received: int
    duplicate: int = 0
    rejected: int = 0
    control: int = 0
    automated: int = 0
    share: Decimal | None = None


def store(connection: Connection, records: Sequence[Incoming]) -> list[Stored]:
    """Open a case for each new event, keep each late outcome, and count every record; one answer per record, in order.

    A record equal to an earlier one is a DUPLICATE, one with the identity but not the body of an earlier one a CONFLICT: the first body
    stays, and the audit log gets a row. Safe to call again with the same records, and from many processes at once.

    Raises:
        UnknownTenant: before anything is written.
    """
    if not records:
        return []
    rules = tenant_rules(connection, {record.tenant for record in records})
    for record in records:
        if record.tenant not in rules:
            raise UnknownTenant(tenant=record.tenant)
    # One after the other: rows of either table are inserted in the order of identities.
    answers = {
        True: iter(_open_cases(connection, [record for record in records if record.opens_case], rules)),
        False: iter(_keep_outcomes(connection, [record for record in records if not record.opens_case])),
    }
    return [next(answers[record.opens_case]) for record in records]


def _open_cases(connection: Connection, records: Sequence[Incoming], rules: Mapping[str, TenantRules]) -> list[Stored]:
    if not records:
        return []
    firsts = _first_of_each_identity(records)
    draws = {identity: _draw(record, rules[record.tenant]) for identity, record in firsts.items()}
    ids = _insert_cases(connection, firsts, draws)
    _insert_payloads(connection, [(ids[identity], record) for identity, record in firsts.items() if identity in ids])
    known = {identity: (case_id, firsts[identity].body_sha256) for identity, case_id in ids.items()}
    known |= _existing(connection, [identity for identity in firsts if identity not in ids])
    stored = _receipts(records, known, fresh=ids)
    count_intake(connection, _counts(records, stored, draws))
    _record_conflicts(connection, records, stored, known)
    return stored


def _keep_outcomes(connection: Connection, records: Sequence[Incoming]) -> list[Stored]:
    if not records:
        return []
    firsts = _first_of_each_identity(records)
    ids = outcomes.insert(connection, firsts)
    known = {identity: (outcome_id, firsts[identity].body_sha256) for identity, outcome_id in ids.items()}
    known |= outcomes.existing(connection, [identity for identity in firsts if identity not in ids])
    stored = _receipts(records, known, fresh=ids)
    count_intake(connection, _counts(records, stored, {}))
    _record_conflicts(connection, records, stored, known)
    return stored


def find(connection: Connection, tenant: str, events: Sequence[tuple[str, str]], *, cases: bool = True) -> dict[tuple[str, str], bytes]:
    """Digests of the bodies in the inbox, by (source, event id); absent where there is no such event.

    Args:
        cases: look for those that opened one, else for late outcomes.
    """
    kept = _existing if cases else outcomes.existing
    existing = kept(connection, [(tenant, source, event_id) for source, event_id in events])
    return {(source, event_id): digest for (_, source, event_id), (_, digest) in existing.items()}


def count_rejected(connection: Connection, tenant: str, automation: str, hour: datetime, n: int) -> None:
    """Count records that were received and refused before they reached the inbox.

    Args:
        hour: any moment in the hour of receipt.
    """
    count_intake(connection, {IntakeKey(tenant, automation, hour_of(hour)): IntakeCount(received=n, rejected=n)})


def count_intake(connection: Connection, counts: Mapping[IntakeKey, IntakeCount]) -> None:
    if not counts:
        return
    connection.exec_driver_sql(
        "INSERT INTO intake_batches (tenant_id, automation, hour, received, duplicate, rejected, control, automated, share)"
        " SELECT * FROM unnest(%(tenants)b::text[], %(automations)b::text[], %(hours)b::timestamptz[],"
        " %(received)b::int[], %(duplicate)b::int[], %(rejected)b::int[], %(control)b::int[], %(automated)b::int[], %(shares)b::numeric[])",
        {
            "tenants": [key.tenant for key in counts],
            "automations": [key.automation for key in counts],
            "hours": [key.hour for key in counts],
            "received": [count.received for count in counts.values()],
            "duplicate": [count.duplicate for count in counts.values()],
            "rejected": [count.rejected for count in counts.values()],
            "control": [count.control for count in counts.values()],
            "automated": [count.automated for count in counts.values()],
            "shares": [count.share for count in counts.values()],
        },
    )


def tenant_rules(connection: Connection, tenants: Iterable[str]) -> dict[str, TenantRules]:
    """What the assignment of arms needs, by tenant; absent where there is no such tenant."""
    rows = connection.exec_driver_sql(
        "SELECT t.id, t.arm_salt,"
        " coalesce(json_object_agg(s.automation, s.control_share::text) FILTER (WHERE s.automation IS NOT NULL), '{}')"
        " FROM tenants t LEFT JOIN automation_settings s ON s.tenant_id = t.id WHERE t.id = ANY(%(tenants)b::text[]) GROUP BY t.id",
        {"tenants": list(tenants)},
    )
    return {tenant: TenantRules(bytes(salt), {name: Decimal(share) for name, share in shares.items()}) for tenant, salt, shares in rows}


def hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _first_of_each_identity(records: Sequence[Incoming]) -> dict[Identity, Incoming]:
    """Sorted: two transactions that insert the same identities in different orders would deadlock."""
    firsts: dict[Identity, Incoming] = {}
    for record in records:
        firsts.setdefault(record.identity, record)
    return dict(sorted(firsts.items()))


def _insert_cases(connection: Connection, firsts: Mapping[Identity, Incoming], draws: Mapping[Identity, Draw]) -> dict[Identity, UUID]:
    """Ids of the cases that are new."""
    records = list(firsts.values())
    ids = [uuid7() for _ in records]
    inserted = connection.exec_driver_sql(
        "INSERT INTO cases (id, tenant_id, source, event_id, event_type, automation, body_sha256, arm, control_probability,"
        " occurred_at, received_at, traceparent)"
        " SELECT * FROM unnest(%(ids)b::uuid[], %(tenants)b::text[], %(sources)b::text[], %(event_ids)b::text[], %(types)b::text[],"
        " %(automations)b::text[], %(digests)b::bytea[], %(arms)b::text[], %(shares)b::numeric[],"
        " %(occurred)b::timestamptz[], %(received)b::timestamptz[], %(traces)s::text[])"
        " ON CONFLICT (tenant_id, source, event_id) DO NOTHING RETURNING id",
        {
            "ids": ids,
            "tenants": [record.tenant for record in records],
            "sources": [record.source for record in records],
            "event_ids": [record.event_id for record in records],
            "types": [record.event_type for record in records],
            "automations": [record.automation for record in records],
            "digests": [record.body_sha256 for record in records],
            "arms": [draws[identity].arm for identity in firsts],
            "shares": [draws[identity].share for identity in firsts],
            "occurred": [record.occurred_at for record in records],
            "received": [record.received_at for record in records],
            "traces": [record.traceparent for record in records],
        },
    )
    fresh = set(inserted.scalars())
    return {identity: case_id for identity, case_id in zip(firsts, ids, strict=True) if case_id in fresh}


def _draw(record: Incoming, rules: TenantRules) -> Draw:
    share = rules.control_share(record.automation)
    arm = arms.assign(rules.arm_salt, automation=record.automation, source=record.source, event_id=record.event_id, control_share=share)
    return Draw(arm, share)


def _insert_payloads(connection: Connection, fresh: Sequence[tuple[UUID, Incoming]]) -> None:
    if not fresh:
        return
    connection.exec_driver_sql(
        "INSERT INTO payloads (received_at, case_id, tenant_id, body)"
        " SELECT * FROM unnest(%(received)b::timestamptz[], %(ids)b::uuid[], %(tenants)b::text[], %(bodies)b::bytea[])",
        {
            "received": [record.received_at for _, record in fresh],
            "ids": [case_id for case_id, _ in fresh],
            "tenants": [record.tenant for _, record in fresh],
            "bodies": [record.body for _, record in fresh],
        },
    )


def _existing(connection: Connection, identities: Sequence[Identity]) -> dict[Identity, tuple[UUID, bytes]]:
    """(case id, digest of the body) of the cases that are in the inbox."""
    if not identities:
        return {}
    rows = connection.exec_driver_sql(
        "SELECT c.tenant_id, c.source, c.event_id, c.id, c.body_sha256"
        " FROM unnest(%(tenants)b::text[], %(sources)b::text[], %(event_ids)b::text[]) AS wanted (tenant_id, source, event_id)"
        " JOIN cases c USING (tenant_id, source, event_id)",
        {
            "tenants": [tenant for tenant, _, _ in identities],
            "sources": [source for _, source, _ in identities],
            "event_ids": [event_id for _, _, event_id in identities],
        },
    )
    return {(tenant, source, event_id): (case_id, bytes(digest)) for tenant, source, event_id, case_id, digest in rows}


def _receipts(records: Sequence[Incoming], known: Mapping[Identity, tuple[UUID, bytes]], *, fresh: Mapping[Identity, UUID]) -> list[Stored]:
    opened: set[Identity] = set()
    stored = []
    for record in records:
        case_id, digest = known[record.identity]
        if record.identity in fresh and record.identity not in opened:
            opened.add(record.identity)
            receipt = Receipt.ACCEPTED
        else:
            receipt = Receipt.DUPLICATE if digest == record.body_sha256 else Receipt.CONFLICT
        stored.append(Stored(receipt, case_id))
    return stored


def _counts(records: Sequence[Incoming], stored: Sequence[Stored], draws: Mapping[Identity, Draw]) -> dict[IntakeKey, IntakeCount]:
    by_key: dict[IntakeKey, Counter[Receipt]] = {}
    drawn: dict[IntakeKey, Counter[Draw]] = {}
    for record, answer in zip(records, stored, strict=True):
        key = IntakeKey(record.tenant, record.automation, hour_of(record.received_at))
        by_key.setdefault(key, Counter())[answer.receipt] += 1
        if answer.receipt is Receipt.ACCEPTED and record.opens_case:
            drawn.setdefault(key, Counter())[draws[record.identity]] += 1
    return {key: _count(receipts, drawn.get(key, Counter())) for key, receipts in by_key.items()}


def _count(receipts: Counter[Receipt], drawn: Counter[Draw]) -> IntakeCount:
    """``drawn`` holds one share: it is a tenant's for the automation, read once for all records."""
    return IntakeCount(
        receipts.total(),
        receipts[Receipt.DUPLICATE],
        receipts[Receipt.CONFLICT],
        control=sum(count for draw, count in drawn.items() if draw.arm == "control"),
        automated=sum(count for draw, count in drawn.items() if draw.arm == "automated"),
        share=next((draw.share for draw in drawn), None),
    )


def _record_conflicts(
    connection: Connection, records: Sequence[Incoming], stored: Sequence[Stored], known: Mapping[Identity, tuple[UUID, bytes]]
) -> None:
    conflicts = [(record, answer) for record, answer in zip(records, stored, strict=True) if answer.receipt is Receipt.CONFLICT]
    if not conflicts:
        return
    connection.exec_driver_sql(
        "INSERT INTO audit_log (id, tenant_id, actor, action, object_type, object_id, detail)"
        " SELECT i, t, 'intake', 'event.conflict', 'case', o,"
        " jsonb_build_object('source', s, 'event_id', e, 'kept_sha256', k, 'refused_sha256', r)"
        " FROM unnest(%(ids)b::uuid[], %(tenants)b::text[], %(cases)b::text[], %(sources)b::text[], %(event_ids)b::text[],"
        " %(kept)b::text[], %(refused)b::text[]) AS conflict (i, t, o, s, e, k, r)",
        {
            "ids": [uuid7() for _ in conflicts],
            "tenants": [record.tenant for record, _ in conflicts],
            "cases": [str(answer.case_id) for _, answer in conflicts],
            "sources": [record.source for record, _ in conflicts],
            "event_ids": [record.event_id for record, _ in conflicts],
            "kept": [known[record.identity][1].hex() for record, _ in conflicts],
            "refused": [record.body_sha256.hex() for record, _ in conflicts],
        },
    )
