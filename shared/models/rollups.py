"""What answers questions: sums that the steward keeps, so that no answer scans the ledger, and the steward's own diary."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Numeric, SmallInteger, Table, Text, text

from shared.models.base import Instant, TransactionId, metadata

# Both tables of sums hold every fact four times, by hour, day, week and month, so that a long period is a few rows and its ends are exact.
# `booked` is when the facts were booked, in the same grain: a figure as known at an earlier moment leaves out what was booked later.
case_sums = Table(
    "case_sums",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    # `hour`, `day`, `week` (from Monday) or `month`, of UTC.
    Column("grain", Text, primary_key=True),
    # Start of the hour, day, week or month in which the case was decided.
    Column("period", Instant, primary_key=True),
    Column("booked", Instant, primary_key=True),
    Column("automation", Text, primary_key=True),
    Column("arm", Text, primary_key=True),
    Column("stratum", Text, primary_key=True),
    Column("tier", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    # '-' where no model decided.
    Column("model_version", Text, primary_key=True),
    # Probability of the control arm that applied when the arm was drawn.
    Column("share", Numeric(5, 4), primary_key=True),
    Column("cases", BigInteger, nullable=False),
    # Human seconds per case: sum and sum of squares over the cases counted above, zeros included.
    Column("human_seconds", Numeric(24, 6), nullable=False),
    Column("human_seconds2", Numeric(30, 6), nullable=False),
    # Those of them that were booked after the case's decision.
    Column("late_seconds", Numeric(24, 6), nullable=False),
    # The covariate that the automation declares, 0 without one: its sum, sum of squares, and sum of its products with the seconds.
    Column("covariate", Numeric(30, 6), nullable=False),
    Column("covariate2", Numeric(36, 6), nullable=False),
    Column("covariate_seconds", Numeric(36, 6), nullable=False),
    # What the cases add to the always-valid estimate (`shared.measure.sequence`), and to its variance.
    Column("gain", Numeric(30, 6), nullable=False),
    Column("gain_variance", Numeric(60, 6), nullable=False),
    Index(None, "tenant_id", "grain", "booked"),
)

ledger_sums = Table(
    "ledger_sums",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("grain", Text, primary_key=True),
    # Start of the hour, day, week or month of `occurred_at`.
    Column("period", Instant, primary_key=True),
    Column("booked", Instant, primary_key=True),
    Column("automation", Text, primary_key=True),
    Column("arm", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("grade", Text, primary_key=True),
    # '-' where the line has no money.
    Column("currency", Text, primary_key=True),
    Column("lines", BigInteger, nullable=False),
    Column("quantity", Numeric(30, 9), nullable=False),
    Column("amount", Numeric(30, 10), nullable=False),
    # The part of the amount that reversals make up.
    Column("reversed", Numeric(30, 10), nullable=False),
    Index(None, "tenant_id", "grain", "booked"),
)

# The same facts by hour, day, week and month alone, whenever they were booked and whatever tier decided: what answers that are cut into
# buckets read, and those about whole automations.
case_buckets = Table(
    "case_buckets",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("grain", Text, primary_key=True),
    Column("period", Instant, primary_key=True),
    Column("automation", Text, primary_key=True),
    Column("stratum", Text, primary_key=True),
    Column("share", Numeric(5, 4), primary_key=True),
    # Cases of the control arm; of the automated arm those that a person decided, and the others.
    Column("control", BigInteger, nullable=False),
    Column("human", BigInteger, nullable=False),
    Column("automatic", BigInteger, nullable=False),
    # Human seconds of the automated arm, and those of the control arm with their squares.
    Column("seconds", Numeric(24, 6), nullable=False),
    Column("control_seconds", Numeric(24, 6), nullable=False),
    Column("control_seconds2", Numeric(30, 6), nullable=False),
    # Of both arms, as in `case_sums`.
    Column("gain", Numeric(30, 6), nullable=False),
    Column("gain_variance", Numeric(60, 6), nullable=False),
)

money_buckets = Table(
    "money_buckets",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("grain", Text, primary_key=True),
    Column("period", Instant, primary_key=True),
    Column("automation", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("grade", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("amount", Numeric(30, 10), nullable=False),
)

# Manual seconds to expect of a case that was received in transaction `since` or later, as known before it, so that both arms of it expect
# the same:
# `intercept + slope * covariate`. The newest such row counts. Never changed, so that what was estimated stays, and its sums stay sums.
forecasts = Table(
    "forecasts",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("automation", Text, primary_key=True),
    Column("stratum", Text, primary_key=True),
    Column("since", TransactionId, primary_key=True),
    # Day on which the first of those decisions was booked, start, UTC.
    Column("day", Instant, nullable=False),
    # Control cases of the automation that it rests on.
    Column("control", BigInteger, nullable=False),
    Column("intercept", Numeric(18, 6), nullable=False),
    Column("slope", Numeric(18, 6), nullable=False),
)

conservation_hourly = Table(
    "conservation_hourly",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("automation", Text, primary_key=True),
    # Hour of receipt, start, UTC.
    Column("hour", Instant, primary_key=True),
    # Start of the hour in which it was booked.
    Column("booked", Instant, primary_key=True),
    Column("received", BigInteger, nullable=False, server_default=text("0")),
    Column("duplicate", BigInteger, nullable=False, server_default=text("0")),
    Column("rejected", BigInteger, nullable=False, server_default=text("0")),
    Column("automated", BigInteger, nullable=False, server_default=text("0")),
    Column("human", BigInteger, nullable=False, server_default=text("0")),
    Column("control", BigInteger, nullable=False, server_default=text("0")),
    Index(None, "tenant_id", "hour"),
    Index(None, "tenant_id", "booked"),
)

# Cases that needed a person, whoever decided them at last, by day of receipt.
arrival_days = Table(
    "arrival_days",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("automation", Text, primary_key=True),
    # Start, UTC.
    Column("day", Instant, primary_key=True),
    Column("people", BigInteger, nullable=False),
)


def _experiment(name: str, period: str) -> Table:
    """Whether the experiment is sound: all of it since it began, and as known at a moment the hours of that moment's day.

    Args:
        period: column with the start of the hour, day or month, UTC, in which cases were drawn, or decided.
    """
    return Table(
        name,
        metadata,
        Column("tenant_id", Text, primary_key=True),
        Column("automation", Text, primary_key=True),
        # Probability of the control arm that the cases were drawn with.
        Column("share", Numeric(5, 4), primary_key=True),
        Column(period, Instant, primary_key=True),
        Column("drawn_control", BigInteger, nullable=False),
        Column("drawn_automated", BigInteger, nullable=False),
        # Cases of the automated arm that a person decided without a tier having been asked.
        Column("crossed_automated", BigInteger, nullable=False),
        # Cases that a person decided without any measured time.
        Column("unclocked_control", BigInteger, nullable=False),
        Column("unclocked_automated", BigInteger, nullable=False),
        # Reviews that decided a case, and how far their two clocks disagree.
        Column("reviews", BigInteger, nullable=False),
        Column("apart", BigInteger, nullable=False),
        Column("active_seconds", Numeric(24, 3), nullable=False),
        Column("span_seconds", Numeric(24, 3), nullable=False),
        Column("difference_seconds", Numeric(24, 3), nullable=False),
        Column("beyond_span_seconds", Numeric(24, 3), nullable=False),
    )


experiment_days = _experiment("experiment_days", "day")
experiment_hours = _experiment("experiment_hours", "hour")
experiment_months = _experiment("experiment_months", "month")

# How sure tiers were, and how often they were right: what another threshold would do can be answered without asking them again.
score_sums = Table(
    "score_sums",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("automation", Text, primary_key=True),
    # `day`, `week` or `month`: every case is in one row of each, so that a long period is few rows.
    Column("grain", Text, primary_key=True),
    # Start of the day, week or month, UTC, in which the case was decided.
    Column("period", Instant, primary_key=True),
    # The tier that decided, or the last one that had a score before a person did.
    Column("tier", Text, primary_key=True),
    # '-' where the tier has no model.
    Column("model_version", Text, primary_key=True),
    # The outcome that it gave, or would have given.
    Column("proposed", Text, primary_key=True),
    # Score in hundredths, rounded down; 99 holds 1 as well.
    Column("bin", SmallInteger, primary_key=True, autoincrement=False),
    # Start of the day, week or month in which the decision was booked, or what a second look found of it.
    Column("booked", Instant, primary_key=True),
    Column("cases", BigInteger, nullable=False),
    Column("automatic", BigInteger, nullable=False),
    # Decided by a person, and of these otherwise than proposed.
    Column("reviewed", BigInteger, nullable=False),
    Column("reviewed_wrong", BigInteger, nullable=False),
    # Automatic ones that could be drawn for an audit, that were, that were judged for good, and were wrong; and sums of 1/probability of
    # the drawn, the judged and the wrong ones. Least probability of all that could be drawn.
    Column("auditable", BigInteger, nullable=False),
    Column("drawn", BigInteger, nullable=False),
    Column("audited", BigInteger, nullable=False),
    Column("audited_wrong", BigInteger, nullable=False),
    Column("weighted_drawn", Numeric(30, 10), nullable=False),
    Column("weighted_audited", Numeric(30, 10), nullable=False),
    Column("weighted_wrong", Numeric(30, 10), nullable=False),
    Column("least", Numeric(5, 4)),
    Index(None, "tenant_id", "automation", "grain", "booked"),
)
# What is added up of scored cases, by name: the steward adds it up, the ROI API sums it. Beside it stands `least`.
SCORE_COUNTS: Final = ("cases", "automatic", "reviewed", "reviewed_wrong", "auditable", "drawn", "audited", "audited_wrong")
SCORE_WEIGHTS: Final = ("weighted_drawn", "weighted_audited", "weighted_wrong")

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
