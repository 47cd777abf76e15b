from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import DataError, DBAPIError

from shared.db import unit_of_work
from shared.errors import Rejected, Retryable
from shared.ids import uuid7
from shared.intake.repository import IntakeCount, IntakeKey, count_intake, hour_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from services.dispatcher.records import Poison

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
        'INSERT INTO poison_records (id, tenant_id, automation, topic, partition, "offset", raw, error, received_at)'
        " SELECT * FROM unnest(%(ids)s::uuid[], %(tenants)s::text[], %(automations)s::text[], %(topics)s::text[], %(partitions)s::int[],"
        " %(offsets)s::bigint[], %(raws)b::bytea[], %(errors)s::text[], %(received)s::timestamptz[])"
        ' ON CONFLICT (topic, partition, "offset") DO NOTHING RETURNING topic, partition, "offset"',
        {
            "ids": [uuid7() for _ in poison],
            "tenants": [p.tenant for p in poison],
            "automations": [p.automation for p in poison],
            "topics": [p.raw.topic for p in poison],
            "partitions": [p.raw.partition for p in poison],
            "offsets": [p.raw.offset for p in poison],
            "raws": [p.raw.value or b"" for p in poison],
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


def _count(connection: Connection, poison: Sequence[Poison]) -> None:
    counts = Counter(IntakeKey(p.tenant, p.automation, hour_of(p.received_at)) for p in poison if p.tenant and p.automation)
    count_intake(connection, {key: IntakeCount(received=n) for key, n in counts.items()})


def _blames_data(error: DBAPIError) -> bool:
    return isinstance(error, DataError) or _state(error)[:2] in _ABOUT_DATA


def _state(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
