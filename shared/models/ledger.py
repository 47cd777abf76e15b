"""The append-only ledger and what it is valued by."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from shared.models.base import Instant, created_at, metadata, tenant, transaction_id, uuid_key

KINDS = ("manual_time", "review_time", "compute", "remote_model", "error", "platform", "cash", "reversal")

baselines = Table(
    "baselines",
    metadata,
    uuid_key(),
    tenant(),
    Column("automation", Text, nullable=False),
    # '*' holds for every stratum without its own.
    Column("stratum", Text, nullable=False, server_default=text("'*'")),
    Column("grade", Text, nullable=False),
    Column("mean_seconds", Numeric(18, 6), nullable=False),
    # Null where unknown: a declared baseline has no spread, so no interval.
    Column("variance_seconds2", Numeric(24, 6)),
    Column("n", Integer, nullable=False, server_default=text("0")),
    Column("method", Text, nullable=False),
    Column("valid_from", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    created_at(),
    transaction_id(),
    CheckConstraint("grade IN ('B','C','D')", name="stored_grade"),
    CheckConstraint("mean_seconds >= 0", name="time_not_negative"),
    Index(None, "xid"),
    Index(None, "tenant_id", "automation", "valid_from"),
)

# What a stored baseline rests on; declared ones (grade D) rest on nothing. A summary is in the baseline's `method`, which is sealed.
baseline_evidence = Table(
    "baseline_evidence",
    metadata,
    Column("baseline_id", UUID(as_uuid=True), ForeignKey("baselines.id"), primary_key=True),
    tenant(),
    Column("automation", Text, nullable=False),
    Column("stratum", Text, nullable=False),
    Column("origin", Text, nullable=False),
    # SHA-256 of the file (or the protocol and its times) and of how it was read: the same evidence counts once. Null in renewals.
    Column("fingerprint", Text),
    # When the work was done that was measured.
    Column("period_start", Instant),
    Column("period_end", Instant),
    Column("renews", UUID(as_uuid=True), ForeignKey("baselines.id")),
    # What was read and left out, the protocol of a study, the reason of a renewal.
    Column("detail", JSONB, nullable=False),
    created_at(),
    UniqueConstraint("tenant_id", "automation", "stratum", "fingerprint"),
    CheckConstraint("origin IN ('log','study','renewal')", name="known_origin"),
    CheckConstraint("(origin = 'renewal') = (renews IS NOT NULL)", name="renewal_names_its_baseline"),
)

rates = Table(
    "rates",
    metadata,
    uuid_key(),
    tenant(),
    # `labour_hour` and `loss_per_error` (per automation or '*'), `cpu_hour`, `fx:EUR:USD`, or `tokens:PROVIDER/MODEL:input` (a million of
    # them). Whoever asks takes the newest `valid_from` up to a moment, and of several the one stored last: that is a correction.
    Column("name", Text, nullable=False),
    Column("automation", Text, nullable=False, server_default=text("'*'")),
    Column("value", Numeric(20, 8), nullable=False),
    Column("currency", Text),
    Column("valid_from", Instant, nullable=False),
    Column("source", Text, nullable=False),
    created_at(),
    transaction_id(),
    UniqueConstraint("tenant_id", "name", "automation", "valid_from", "created_at"),
    CheckConstraint("value >= 0", name="rate_not_negative"),
    Index(None, "xid"),
)

ledger_lines = Table(
    "ledger_lines",
    metadata,
    uuid_key(),
    tenant(),
    Column("automation", Text, nullable=False),
    # Null for costs that belong to no single case (`platform`).
    Column("case_id", UUID(as_uuid=True)),
    Column("kind", Text, nullable=False),
    Column("sequence", SmallInteger, nullable=False, server_default=text("0")),
    Column("arm", Text),
    Column("stratum", Text),
    Column("quantity", Numeric(20, 9)),
    Column("unit", Text),
    # Ten decimals: a decision's compute costs far less than a minor unit and must not round to nothing. As many digits as the sums have:
    # an invoice may say 10^15, and one error costs up to 10^12 and stands for up to 10^4.
    Column("amount", Numeric(30, 10)),
    Column("currency", Text),
    Column("grade", Text, nullable=False),
    Column("baseline_id", UUID(as_uuid=True), ForeignKey("baselines.id")),
    Column("occurred_at", Instant, nullable=False),
    # Like `xid` the database's alone: no process may write it.
    Column("booked_at", Instant, nullable=False, server_default=func.now()),
    Column("reverses", UUID(as_uuid=True), ForeignKey("ledger_lines.id")),
    transaction_id(),
    UniqueConstraint("case_id", "kind", "sequence"),
    CheckConstraint(
        "kind IN ('manual_time','review_time','compute','remote_model','error','platform','cash','reversal')", name="known_kind"
    ),
    CheckConstraint("grade IN ('A','B','C','D')", name="known_grade"),
    CheckConstraint("(quantity IS NULL) = (unit IS NULL)", name="quantity_has_a_unit"),
    CheckConstraint("(amount IS NULL) = (currency IS NULL)", name="amount_has_a_currency"),
    CheckConstraint("quantity IS NOT NULL OR amount IS NOT NULL", name="says_something"),
    CheckConstraint("(kind = 'reversal') = (reverses IS NOT NULL)", name="reversal_names_its_line"),
    Index(None, "xid"),
    Index(None, "tenant_id", "booked_at", "id"),
    # A line is taken back once.
    Index("uq_ledger_lines_reverses", "reverses", unique=True, postgresql_where=text("reverses IS NOT NULL")),
    Index(
        "uq_ledger_lines_platform_hour",
        "tenant_id",
        "automation",
        "kind",
        "occurred_at",
        unique=True,
        postgresql_where=text("case_id IS NULL AND reverses IS NULL"),
    ),
)

# The tree of a tenant: its leaves in the order that they were sealed in, and the nodes that are kept (`shared.ledger.tiles`).
ledger_leaves = Table(
    "ledger_leaves",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("leaf_index", BigInteger, primary_key=True, autoincrement=False),
    # Which table the entry is in: `line`, `rate` or `baseline`.
    Column("entry", Text, nullable=False),
    Column("entry_id", UUID(as_uuid=True), nullable=False),
    Column("hash", LargeBinary, nullable=False),
    UniqueConstraint("entry_id"),
)

ledger_nodes = Table(
    "ledger_nodes",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

ledger_seals = Table(
    "ledger_seals",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("n", BigInteger, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    # Hash of seal n - 1; null in the first.
    Column("previous", LargeBinary),
    # Every transaction below it had ended and is sealed.
    Column("horizon", BigInteger, nullable=False),
    Column("sealed_at", Instant, nullable=False),
    CheckConstraint("(n = 1) = (previous IS NULL)", name="all_but_the_first_have_a_previous"),
)
