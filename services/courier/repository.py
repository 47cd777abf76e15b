"""The courier's queries. All are set-based, and nothing is ever read by a cursor: rows commit in another order than they are numbered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.courier.schedule import ATTEMPTS
from services.courier.values import Claimed, Outcome, Secret, Unpublished
from shared.ids import uuid7

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from uuid import UUID

    from sqlalchemy import Connection

    from services.courier.values import Demand, Result

_STATE = {Outcome.DELIVERED: "delivered", Outcome.RETRY: "pending", Outcome.DEAD: "dead", Outcome.RELEASED: "pending"}

# A third part of a kind counts the messages of it about one case.
# A version 4 UUID with its first 48 bits replaced by milliseconds and its version by 7: new index entries lie side by side.
_PLAN = """
WITH unplanned AS MATERIALIZED (
    SELECT id, tenant_id, automation, split_part(kind, '.', 1) || '.' || split_part(kind, '.', 2) AS kind
    FROM outbox WHERE planned_at IS NULL ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), new AS (
    INSERT INTO deliveries (id, tenant_id, outbox_id, endpoint_id, next_attempt_at)
    SELECT encode(set_bit(set_bit(overlay(
               uuid_send(gen_random_uuid()) placing substring(int8send((extract(epoch FROM now()) * 1000)::bigint) FROM 3) FROM 1 FOR 6
           ), 52, 1), 53, 1), 'hex')::uuid,
           o.tenant_id, o.id, e.id, now()
    FROM unplanned o
    JOIN endpoints e ON e.tenant_id = o.tenant_id AND e.state = 'enabled' AND o.kind = ANY (e.events)
     AND (e.automations = '{}' OR o.automation = '*' OR o.automation = ANY (e.automations))
    ON CONFLICT (outbox_id, endpoint_id) DO NOTHING
)
UPDATE outbox SET planned_at = now(), published_at = CASE WHEN %(publishes)s THEN published_at ELSE coalesce(published_at, created_at) END
FROM unplanned WHERE outbox.id = unplanned.id
"""

# Whoever changes where figures may go waits for the planners that still see how it was (ops, `await_planners`), and they for it.
_PLANNING = "SELECT pg_advisory_xact_lock_shared(hashtextextended('courier.plan', 0))"

# Endpoints in random order: where the total limit cuts, it cuts somebody else each time.
_CLAIM = """
WITH known AS (
    SELECT * FROM unnest(%(endpoints)s::uuid[], %(rooms)s::int[]) AS k (endpoint_id, room)
), candidate AS MATERIALIZED (
    SELECT e.id, e.url, coalesce(k.room, %(fresh)s) AS room FROM endpoints e LEFT JOIN known k ON k.endpoint_id = e.id
    WHERE e.state = 'enabled' AND coalesce(k.room, %(fresh)s) > 0
      AND EXISTS (SELECT FROM deliveries d WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.next_attempt_at <= now())
    ORDER BY random()
), due AS MATERIALIZED (
    SELECT d.id, c.url FROM candidate c CROSS JOIN LATERAL (
        SELECT id FROM deliveries WHERE endpoint_id = c.id AND state = 'pending' AND next_attempt_at <= now()
        ORDER BY next_attempt_at LIMIT c.room FOR UPDATE SKIP LOCKED
    ) d LIMIT %(total)s
)
UPDATE deliveries d
SET state = 'sending', attempt = d.attempt + 1, lease_until = now() + make_interval(secs => %(lease)s)
FROM due, outbox o WHERE d.id = due.id AND o.id = d.outbox_id
RETURNING d.id, d.endpoint_id, d.attempt, due.url, o.body, o.traceparent, d.lease_until
"""

# Fenced by the lease: who comes back after it has passed to somebody else changes nothing. The attempt alone would not do: a replay begins
# with the first one again.
_SETTLE = """
UPDATE deliveries d
SET state = r.state, attempt = d.attempt - r.refund, lease_until = NULL,
    last_status = CASE WHEN r.refund = 1 THEN d.last_status ELSE r.status END,
    last_error = CASE WHEN r.refund = 1 THEN d.last_error ELSE r.error END,
    next_attempt_at = CASE WHEN r.delay IS NULL THEN d.next_attempt_at ELSE now() + make_interval(secs => r.delay) END,
    delivered_at = CASE WHEN r.state = 'delivered' THEN now() END
FROM unnest(%(ids)s::uuid[], %(attempts)s::int[], %(states)s::text[], %(refunds)s::int[], %(statuses)s::int[], %(errors)s::text[],
            %(delays)s::float8[], %(leases)s::timestamptz[]) AS r (id, attempt, state, refund, status, error, delay, lease_until)
WHERE d.id = r.id AND d.attempt = r.attempt AND d.lease_until = r.lease_until AND d.state = 'sending'
RETURNING d.id
"""

_RECOVERED = "UPDATE endpoints SET failing_since = NULL WHERE id = ANY (%(ids)s) AND failing_since IS NOT NULL"
_FAILING = "UPDATE endpoints SET failing_since = now() WHERE id = ANY (%(ids)s) AND failing_since IS NULL"
_DISABLE = """
UPDATE endpoints SET state = 'disabled', disabled_reason = CASE WHEN id = ANY (%(gone)s) THEN 'gone' ELSE 'failing' END
WHERE state = 'enabled'
  AND (id = ANY (%(gone)s) OR (id = ANY (%(failed)s) AND failing_since < now() - make_interval(secs => %(patience)s)))
RETURNING id, tenant_id, disabled_reason, failing_since
"""
_AUDIT = """
INSERT INTO audit_log (id, tenant_id, actor, action, object_type, object_id, detail)
SELECT a.id, a.tenant_id, 'courier', 'endpoint.disabled', 'endpoint', a.endpoint_id,
       jsonb_build_object('reason', a.reason, 'failing_since', a.failing_since)
FROM unnest(%(ids)s::uuid[], %(tenants)s::text[], %(endpoints)s::text[], %(reasons)s::text[], %(failing)s::timestamptz[])
     AS a (id, tenant_id, endpoint_id, reason, failing_since)
"""

# An attempt whose courier died counts. One past the table's end is allowed, because nobody knows whether it reached the receiver.
_RECLAIM = """
UPDATE deliveries SET state = CASE WHEN attempt > %(attempts)s THEN 'dead' ELSE 'pending' END,
    lease_until = NULL, last_status = NULL, last_error = 'courier_lost', next_attempt_at = now()
WHERE id IN (SELECT id FROM deliveries WHERE state = 'sending' AND lease_until < now() LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
"""

# Jumps from endpoint to endpoint in the partial index instead of reading every waiting delivery.
_BURY = """
WITH RECURSIVE waiting (endpoint_id) AS (
    (SELECT endpoint_id FROM deliveries WHERE state = 'pending' ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.endpoint_id FROM deliveries d
            WHERE d.state = 'pending' AND d.endpoint_id > w.endpoint_id ORDER BY d.endpoint_id LIMIT 1)
    FROM waiting w WHERE w.endpoint_id IS NOT NULL
), deaf AS MATERIALIZED (
    SELECT w.endpoint_id FROM waiting w LEFT JOIN endpoints e ON e.id = w.endpoint_id
    WHERE w.endpoint_id IS NOT NULL AND e.state IS DISTINCT FROM 'enabled'
)
UPDATE deliveries SET state = 'dead', last_status = NULL, last_error = 'endpoint_disabled'
WHERE id IN (SELECT d.id FROM deaf JOIN deliveries d ON d.endpoint_id = deaf.endpoint_id AND d.state = 'pending'
             LIMIT %(limit)s FOR UPDATE OF d SKIP LOCKED)
"""

_SECRETS = """
SELECT endpoint_id, sealed FROM endpoint_secrets
WHERE endpoint_id = ANY (%(ids)s) AND (expires_at IS NULL OR expires_at > now()) ORDER BY created_at DESC
"""

_UNPUBLISHED = "SELECT id, case_id, body, traceparent FROM outbox WHERE published_at IS NULL ORDER BY created_at LIMIT %(limit)s"
_PUBLISHED = "UPDATE outbox SET published_at = now() WHERE id = ANY (%(ids)s) AND published_at IS NULL"


def plan(connection: Connection, *, limit: int, publishes: bool) -> int:
    """Make one delivery for each unplanned decision and enabled endpoint that wants it.

    Args:
        publishes: there is a decisions topic. Where there is none, decisions count as published when they were made: otherwise every one
            of them would stay in the index of unpublished ones, and be sent to a topic that is configured years later.

    Returns:
        How many decisions were planned.
    """
    # First, and by itself: what a statement sees is settled when it begins.
    connection.exec_driver_sql(_PLANNING)
    return connection.exec_driver_sql(_PLAN, {"limit": limit, "publishes": publishes}).rowcount


def claim(connection: Connection, demand: Demand, *, lease: timedelta, start_before: float) -> list[Claimed]:
    """Lease due deliveries, by the database's clock."""
    rows = connection.exec_driver_sql(
        _CLAIM,
        {
            "endpoints": list(demand.rooms),
            "rooms": list(demand.rooms.values()),
            "fresh": demand.fresh,
            "total": demand.total,
            "lease": lease.total_seconds(),
        },
    )
    return [
        Claimed(
            id=row[0],
            endpoint_id=row[1],
            attempt=row[2],
            url=row[3],
            body=bytes(row[4]),
            traceparent=row[5],
            leased_until=row[6],
            start_before=start_before,
        )
        for row in rows
    ]


def settle(connection: Connection, results: Sequence[Result], *, disable_after: timedelta) -> list[UUID]:
    """Write down what came of claimed deliveries and what that says of their endpoints.

    Returns:
        Endpoints that were disabled: gone, or nothing but failures for longer than ``disable_after``.
    """
    written = connection.exec_driver_sql(
        _SETTLE,
        {
            "ids": [result.id for result in results],
            "attempts": [result.attempt for result in results],
            "states": [_STATE[result.outcome] for result in results],
            "refunds": [int(result.outcome is Outcome.RELEASED) for result in results],
            "statuses": [result.status for result in results],
            "errors": [result.error for result in results],
            "leases": [result.leased_until for result in results],
            "delays": [None if result.delay is None else result.delay.total_seconds() for result in results],
        },
    )
    # What comes too late says nothing of its endpoint as it is now.
    in_time = set(written.scalars())
    return _judge_endpoints(connection, [result for result in results if result.id in in_time], disable_after)


def _judge_endpoints(connection: Connection, results: Sequence[Result], disable_after: timedelta) -> list[UUID]:
    well = {result.endpoint_id for result in results if result.outcome is Outcome.DELIVERED}
    failed = {result.endpoint_id for result in results if result.outcome in {Outcome.RETRY, Outcome.DEAD}} - well
    gone = {result.endpoint_id for result in results if result.gone}
    if well:
        connection.exec_driver_sql(_RECOVERED, {"ids": sorted(well)})
    if not failed and not gone:
        return []
    connection.exec_driver_sql(_FAILING, {"ids": sorted(failed)})
    names = {"gone": sorted(gone), "failed": sorted(failed), "patience": disable_after.total_seconds()}
    disabled = connection.exec_driver_sql(_DISABLE, names).all()
    if disabled:
        connection.exec_driver_sql(
            _AUDIT,
            {
                "ids": [uuid7() for _ in disabled],
                "tenants": [row.tenant_id for row in disabled],
                "endpoints": [str(row.id) for row in disabled],
                "reasons": [row.disabled_reason for row in disabled],
                "failing": [row.failing_since for row in disabled],
            },
        )
    return [row.id for row in disabled]


def reclaim(connection: Connection, *, limit: int) -> int:
    """Free the deliveries of couriers that died or lost their database."""
    return connection.exec_driver_sql(_RECLAIM, {"attempts": ATTEMPTS, "limit": limit}).rowcount


def bury(connection: Connection, *, limit: int) -> int:
    """Deliveries to endpoints that are disabled or deleted die; a person may replay them once the endpoint is enabled again."""
    return connection.exec_driver_sql(_BURY, {"limit": limit}).rowcount


def secrets_of(connection: Connection, endpoints: Sequence[UUID]) -> list[Secret]:
    """Sealed secrets that are valid now, newest first."""
    return [Secret(row[0], bytes(row[1])) for row in connection.exec_driver_sql(_SECRETS, {"ids": list(endpoints)})]


def lead(connection: Connection) -> bool:
    """Become the one courier that publishes, for as long as this connection lives. Two at once would do no harm but work."""
    return bool(connection.exec_driver_sql("SELECT pg_try_advisory_lock(hashtext('recoup.decisions'), 0)").scalar_one())


def is_alive(connection: Connection) -> bool:
    return bool(connection.exec_driver_sql("SELECT true").scalar_one())


def unpublished(connection: Connection, *, limit: int) -> list[Unpublished]:
    rows = connection.exec_driver_sql(_UNPUBLISHED, {"limit": limit})
    return [Unpublished(id=row[0], case_id=row[1], body=bytes(row[2]), traceparent=row[3]) for row in rows]


def mark_published(connection: Connection, ids: Sequence[UUID]) -> None:
    connection.exec_driver_sql(_PUBLISHED, {"ids": list(ids)})
