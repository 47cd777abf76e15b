from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy.exc import DataError, DBAPIError

from services.dispatcher.kept_headers import KeptHeader, kept
from services.dispatcher.records import no_such_tenant, said
from shared.db import unit_of_work
from shared.errors import NotFound, Rejected, Retryable
from shared.ids import uuid7
from shared.intake.repository import IntakeCount, IntakeKey, UnknownTenant, count_intake, hour_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from services.dispatcher.records import Poison

# Who acts in the audit log: there is no key, for whoever runs the installation does this on the machine.
_BY_HAND = "recoup poison"
# Classes of SQLSTATE that blame the data: data exception, constraint, program limit (a key too long for its index).
_ABOUT_DATA = frozenset({"22", "23", "54"})


class Unstorable(Rejected):
    """The database refuses a record of this batch."""

    code = "unstorable"


@dataclass(frozen=True, slots=True)
class Range:
    """Consecutive records of one partition that were stored in one transaction.

    Attributes:
        duplicate: conflicts included.
    """

    topic: str
    partition: int
    first_offset: int
    last_offset: int
    new: int
    duplicate: int
    poison: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Records of nobody that named the tenant, which did not exist then, are the tenant's.

    Attributes:
        nobody: also all others of nobody.
        error: how their error begins.
        ids: only these, where there are any.
    """

    tenant: str | None
    nobody: bool = False
    error: str = ""
    ids: Sequence[UUID] | None = None


class Buried(NamedTuple):
    """Attributes: place: topic, partition and offset; size: bytes."""

    id: UUID
    received_at: datetime
    place: str
    size: int
    error: str


class Content(NamedTuple):
    """What a record brought: its bytes and the headers that were kept; none of those that were buried before headers were."""

    raw: bytes
    headers: list[KeptHeader]


class Group(NamedTuple):
    """Attributes: tenant: None where they are nobody's; since, until: when the first and the last came."""

    tenant: str | None
    error: str
    records: int
    since: datetime
    until: datetime


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """As `unit_of_work`.

    Raises:
        Unstorable: the data are at fault; a smaller batch may succeed.
        DatabaseUnavailable: the same batch may succeed later.
    """
    try:
        with unit_of_work(engine) as connection:
            yield connection
    except Retryable as error:
        # The driver files exceeded limits under operational errors.
        if isinstance(error.__cause__, DBAPIError) and _blames_data(error.__cause__):
            raise Unstorable(detail=_state(error.__cause__)) from error
        raise
    except DBAPIError as error:
        if _blames_data(error):
            raise Unstorable(detail=_state(error)) from error
        raise
    except UnicodeError as error:
        raise Unstorable(detail=type(error).__name__) from error


def known_tenants(connection: Connection, tenants: Iterable[str]) -> set[str]:
    rows = connection.exec_driver_sql("SELECT id FROM tenants WHERE id = ANY(%(tenants)s::text[])", {"tenants": list(tenants)})
    return set(rows.scalars())


def insert_poison(connection: Connection, poison: Sequence[Poison]) -> None:
    """Keep them, and count as received those that belong to an automation of a tenant; a record that was there before is left alone."""
    if not poison:
        return
    inserted = connection.exec_driver_sql(
        'INSERT INTO poison_records (id, tenant_id, automation, topic, partition, "offset", raw, headers, error, received_at)'
        " SELECT * FROM unnest(%(ids)s::uuid[], %(tenants)s::text[], %(automations)s::text[], %(topics)s::text[], %(partitions)s::int[],"
        " %(offsets)s::bigint[], %(raws)b::bytea[], %(headers)s::jsonb[], %(errors)s::text[], %(received)s::timestamptz[])"
        ' ON CONFLICT (topic, partition, "offset") DO NOTHING RETURNING topic, partition, "offset"',
        {
            "ids": [uuid7() for _ in poison],
            "tenants": [p.tenant for p in poison],
            "automations": [p.automation for p in poison],
            "topics": [p.raw.topic for p in poison],
            "partitions": [p.raw.partition for p in poison],
            "offsets": [p.raw.offset for p in poison],
            "raws": [p.raw.value or b"" for p in poison],
            "headers": [Jsonb(kept(p.raw.headers)) for p in poison],
            "errors": [p.error for p in poison],
            "received": [p.received_at for p in poison],
        },
    )
    fresh = {tuple(row) for row in inserted}
    _count(connection, [p for p in poison if (p.raw.topic, p.raw.partition, p.raw.offset) in fresh])


def insert_ranges(connection: Connection, ranges: Sequence[Range]) -> None:
    connection.exec_driver_sql(
        "INSERT INTO consumed_ranges (topic, partition, first_offset, last_offset, new, duplicate, poison)"
        " SELECT * FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(firsts)s::bigint[], %(lasts)s::bigint[],"
        " %(new)s::int[], %(duplicate)s::int[], %(poison)s::int[])",
        {
            "topics": [r.topic for r in ranges],
            "partitions": [r.partition for r in ranges],
            "firsts": [r.first_offset for r in ranges],
            "lasts": [r.last_offset for r in ranges],
            "new": [r.new for r in ranges],
            "duplicate": [r.duplicate for r in ranges],
            "poison": [r.poison for r in ranges],
        },
    )


def poison_summary(connection: Connection) -> list[Group]:
    rows = connection.exec_driver_sql(
        "SELECT tenant_id, error, count(*), min(received_at), max(received_at) FROM poison_records WHERE resolved_at IS NULL"
        " GROUP BY 1, 2 ORDER BY tenant_id NULLS FIRST, 3 DESC, 2"
    )
    return [Group(*row) for row in rows]


def waiting_poison(connection: Connection, which: Which, limit: int) -> list[Buried]:
    """The oldest first."""
    rows = connection.exec_driver_sql(
        'SELECT id, received_at, format(\'%%s/%%s@%%s\', topic, "partition", "offset"), octet_length(raw), error FROM poison_records'
        " WHERE resolved_at IS NULL AND (tenant_id = %(tenant)s OR (tenant_id IS NULL AND (error = %(named)s OR (%(nobody)s"
        # What named another tenant becomes this one's only where its id or its whole error says that it is meant.
        "  AND (%(tenant)s::text IS NULL OR %(ids)s::uuid[] IS NOT NULL OR error = %(error)s OR NOT starts_with(error, %(other)s))))))"
        " AND starts_with(error, %(error)s)"
        " AND (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s::uuid[])) ORDER BY received_at, id LIMIT %(limit)s",
        {
            "tenant": which.tenant,
            "named": said(no_such_tenant(which.tenant or "")),
            "other": UnknownTenant.code,
            "nobody": which.nobody,
            "error": which.error,
            "ids": which.ids or None,
            "limit": limit,
        },
    )
    return [Buried(*row) for row in rows]


def poison_content(connection: Connection, record: UUID) -> Content:
    """Raises NotFound."""
    found = connection.exec_driver_sql("SELECT raw, headers FROM poison_records WHERE id = %(id)s", {"id": record}).one_or_none()
    if found is None:
        raise NotFound("There is no such record.")
    return Content(bytes(found[0]), found[1])


def lock_poison(connection: Connection, record: UUID) -> Content | None:
    """None where somebody has dealt with it in the meantime."""
    found = connection.exec_driver_sql(
        "SELECT raw, headers FROM poison_records WHERE id = %(id)s AND resolved_at IS NULL FOR UPDATE", {"id": record}
    ).one_or_none()
    return None if found is None else Content(bytes(found[0]), found[1])


def resolve_poison(connection: Connection, record: UUID, tenant: str | None, action: str, detail: Mapping[str, str]) -> bool:
    """Note that a record has been dealt with, also in the tenant's audit log; False where it was before."""
    changed = connection.exec_driver_sql(
        "UPDATE poison_records SET resolved_at = now() WHERE id = %(id)s AND resolved_at IS NULL", {"id": record}
    ).rowcount
    if changed and tenant is not None:
        connection.exec_driver_sql(
            "INSERT INTO audit_log (id, tenant_id, actor, action, object_type, object_id, detail)"
            " VALUES (%(id)s, %(tenant)s, %(actor)s, %(action)s, 'dead_letter', %(record)s, %(detail)s)",
            {"id": uuid7(), "tenant": tenant, "actor": _BY_HAND, "action": action, "record": str(record), "detail": Jsonb(dict(detail))},
        )
    return bool(changed)


def tenant_exists(connection: Connection, tenant: str) -> bool:
    return connection.exec_driver_sql("SELECT 1 FROM tenants WHERE id = %(id)s", {"id": tenant}).one_or_none() is not None


def _count(connection: Connection, poison: Sequence[Poison]) -> None:
    counts = Counter(IntakeKey(p.tenant, p.automation, hour_of(p.received_at)) for p in poison if p.tenant and p.automation)
    count_intake(connection, {key: IntakeCount(received=n) for key, n in counts.items()})


def _blames_data(error: DBAPIError) -> bool:
    return isinstance(error, DataError) or _state(error)[:2] in _ABOUT_DATA


def _state(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
