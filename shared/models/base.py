"""Column types and the metadata that every table belongs to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Column, DateTime, MetaData, Text, func
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.types import TypeDecorator, UserDefinedType

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)


class Instant(TypeDecorator[datetime]):
    """``timestamptz`` that refuses naive values and always gives back UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is not None and value.tzinfo is None:
            raise ValueError("a stored instant needs a time zone")
        return value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        return None if value is None else value.astimezone(UTC)


class TransactionId(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id, which never wraps: readers window by it, because sequences commit out of order."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "XID8"


def uuid_key() -> Column[UUID]:
    return Column("id", PG_UUID(as_uuid=True), primary_key=True)


def tenant() -> Column[str]:
    return Column("tenant_id", Text, nullable=False)


def created_at() -> Column[datetime]:
    return Column("created_at", Instant, nullable=False, server_default=func.now())


def booked_at() -> Column[datetime]:
    """When the database took the fact in: like the transaction's id it is the database's alone to say."""
    return Column("booked_at", Instant, nullable=False, server_default=func.now())


def transaction_id() -> Column[int]:
    return Column("xid", TransactionId, nullable=False, server_default=func.pg_current_xact_id())
