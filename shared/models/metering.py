"""CPU time of the workers as it was spent and as it was metered, until the difference is booked."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, Table, Text

from shared.models.base import created_at, metadata, transaction_id

cpu_meter = Table(
    "cpu_meter",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    # Null where a whole process reports what it and its children have spent; else what was booked on cases in one transaction.
    Column("tenant_id", Text),
    Column("automation", Text),
    # Host and process id.
    Column("process", Text, nullable=False),
    Column("cpu_ns", BigInteger, nullable=False),
    created_at(),
    transaction_id(),
    CheckConstraint("(tenant_id IS NULL) = (automation IS NULL)", name="spent_or_metered"),
    Index(None, "xid"),
)
