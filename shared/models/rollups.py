"""What answers questions: sums that the steward keeps, so that no answer scans the ledger, and the steward's own diary."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Numeric, Table, Text, text

from shared.models.base import Instant, TransactionId, metadata

roi_hourly = Table(
    "roi_hourly",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("automation", Text, primary_key=True),
    Column("arm", Text, primary_key=True),
    Column("stratum", Text, primary_key=True),
    Column("tier", Text, primary_key=True),
    # Hour in which the case was decided, start, UTC.
    Column("hour", Instant, primary_key=True),
    Column("cases", BigInteger, nullable=False),
    # Human seconds per case: sum and sum of squares over the cases counted above, zeros included.
    Column("human_seconds", Numeric(24, 6), nullable=False),
    Column("human_seconds2", Numeric(30, 6), nullable=False),
)

ledger_hourly = Table(
    "ledger_hourly",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("automation", Text, primary_key=True),
    Column("arm", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("grade", Text, primary_key=True),
    # '-' where the line has no money.
    Column("currency", Text, primary_key=True),
    # Hour of `occurred_at`, start, UTC.
    Column("hour", Instant, primary_key=True),
    Column("lines", BigInteger, nullable=False),
    Column("quantity", Numeric(30, 9), nullable=False),
    Column("amount", Numeric(30, 10), nullable=False),
)

conservation_hourly = Table(
    "conservation_hourly",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("automation", Text, primary_key=True),
    # Hour of receipt, start, UTC.
    Column("hour", Instant, primary_key=True),
    Column("received", BigInteger, nullable=False, server_default=text("0")),
    Column("duplicate", BigInteger, nullable=False, server_default=text("0")),
    Column("rejected", BigInteger, nullable=False, server_default=text("0")),
    Column("automated", BigInteger, nullable=False, server_default=text("0")),
    Column("human", BigInteger, nullable=False, server_default=text("0")),
    Column("control", BigInteger, nullable=False, server_default=text("0")),
)

rollup_horizons = Table(
    "rollup_horizons",
    metadata,
    # Every fact of a transaction below `horizon` is in the roll-ups; no fact of a later one is.
    Column("name", Text, primary_key=True),
    Column("horizon", TransactionId, nullable=False),
    Column("rolled_at", Instant, nullable=False),
)

job_runs = Table(
    "job_runs",
    metadata,
    Column("job", Text, primary_key=True),
    # Start of the job's period: whoever inserts the row runs it.
    Column("slot", Instant, primary_key=True),
    Column("run_by", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("error", Text),
    Column("touched", BigInteger),
)
