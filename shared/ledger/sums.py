"""What facts add to the sums, as SQL: the steward adds it up, and the ROI API adds what the steward has not.

A case counts from the moment that its decision is booked, with the human seconds that were booked by then; seconds that come later correct
its sums by the difference. So what a set of new facts adds is the value of every touched case after them less its value before, hour of
booking by hour of booking. Each case is rounded by itself: the sums are the same in whatever order and portions facts are added.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

TIME: Final = "unit = 's' AND kind IN ('manual_time', 'review_time', 'reversal')"

# By name: what a case adds. Gain and its variance: `shared.measure.sequence`, with the forecast stored before the case was received. One
# stored before its decision would not do: tiers decide at once and people later, so the arms of a case would expect different times.
CASE_MEASURES: Final = {
    "cases": "1::bigint",
    "human_seconds": "round(k.seconds, 6)",
    "human_seconds2": "round(k.seconds * k.seconds, 6)",
    "late_seconds": "round(k.late, 6)",
    "covariate": "round(s.x, 6)",
    "covariate2": "round(s.x * s.x, 6)",
    "covariate_seconds": "round(s.x * k.seconds, 6)",
    "gain": (
        "round(CASE WHEN s.share = 0 THEN 0 WHEN s.arm = 'control' THEN (1 - s.share) / s.share * (k.seconds - s.forecast)"
        " ELSE s.forecast - k.seconds END, 6)"
    ),
    "gain_variance": (
        "round(CASE WHEN s.share = 0 OR s.arm <> 'control' THEN 0"
        " ELSE (1 - s.share) / (s.share * s.share) * (k.seconds - s.forecast) * (k.seconds - s.forecast) END, 6)"
    ),
}
# Lines that correct earlier ones: reversals, and cash beside that of the decision, whose number is 0 (`shared.casework.restating`).
CORRECTS: Final = "(l.reverses IS NOT NULL OR l.kind = 'cash' AND l.case_id IS NOT NULL AND l.sequence > 0)"
# By name: what a line adds.
LINE_MEASURES: Final = {
    "lines": "count(*)",
    "quantity": "coalesce(sum(l.quantity), 0)",
    "amount": "coalesce(sum(l.amount), 0)",
    "reversed": f"coalesce(sum(l.amount) FILTER (WHERE {CORRECTS}), 0)",
}

# By name: what a row of cases is to a bucket of `shared.models.rollups.case_buckets`, and what rows together are.
BUCKET_VALUES: Final = {
    "control": "CASE WHEN arm = 'control' THEN cases ELSE 0 END",
    "human": "CASE WHEN arm <> 'control' AND tier = 'human' THEN cases ELSE 0 END",
    "automatic": "CASE WHEN arm <> 'control' AND tier <> 'human' THEN cases ELSE 0 END",
    "seconds": "CASE WHEN arm <> 'control' THEN human_seconds ELSE 0 END",
    "control_seconds": "CASE WHEN arm = 'control' THEN human_seconds ELSE 0 END",
    "control_seconds2": "CASE WHEN arm = 'control' THEN human_seconds2 ELSE 0 END",
    "gain": "gain",
    "gain_variance": "gain_variance",
}
BUCKET_MEASURES: Final = {name: f"sum({value})" for name, value in BUCKET_VALUES.items()}


def case_changes(*, touched: str, visible: str, old: str, booked: str, new: str = "true") -> str:
    """CTEs that end in ``changes``: attributes of a case, ``booked``, and what each measure changes by.

    Args:
        touched: query of the ids of the cases with facts that are new, or old and not new.
        visible: condition of the facts that may be old or new; ``{0}`` is the alias of a table with ``xid`` and ``booked_at``.
        old: condition of those that are in the sums already.
        booked: expression for the bucket of booking that a fact counts in.
        new: condition of those that are to be in them.
    """
    values = ", ".join(f"{expression} AS {name}" for name, expression in CASE_MEASURES.items())
    changes = ", ".join(
        f"CASE WHEN fresh THEN 1 ELSE -1 END * ({name} - coalesce(lag({name}) OVER w, 0)) AS {name}" for name in CASE_MEASURES
    )
    return (
        _facts(touched, visible, old, new, CASE_MEASURES, booked=booked) + " steps AS ("  # noqa: S608  # constants of the program only
        f"  SELECT state.fresh, f.case_id, f.booked, {_STATE} GROUP BY 1, 2, 3),"
        # Materialized: however few cases the planner expects, nothing is computed more than once.
        " known AS MATERIALIZED ("
        "  SELECT fresh, case_id, booked, bool_or(decision) OVER w AS decided, sum(seconds) OVER w AS seconds, sum(late) OVER w AS late"
        "  FROM steps WINDOW w AS (PARTITION BY fresh, case_id ORDER BY booked)),"
        f" valued AS (SELECT k.fresh, k.case_id, k.booked, {values} FROM known k JOIN subjects s ON s.case_id = k.case_id WHERE k.decided),"
        " moved AS MATERIALIZED ("
        f"  SELECT case_id, booked, {changes} FROM valued WINDOW w AS (PARTITION BY fresh, case_id ORDER BY booked)),"
        f" changes AS (SELECT {_ATTRIBUTES}, m.* FROM moved m JOIN subjects s ON s.case_id = m.case_id)"
    )


def case_differences(measures: Collection[str], *, touched: str, visible: str, old: str, new: str) -> str:
    """As `case_changes`, whatever the hour of booking, and of some measures only."""
    values = ", ".join(f"CASE WHEN k.fresh THEN 1 ELSE -1 END * {CASE_MEASURES[name]} AS {name}" for name in measures)
    return (
        f"{_facts(touched, visible, old, new, measures)}"  # noqa: S608  # constants of the program only
        f" known AS MATERIALIZED (SELECT state.fresh, f.case_id, {_STATE} GROUP BY 1, 2),"
        f" changes AS (SELECT {_ATTRIBUTES}, {values} FROM known k JOIN subjects s ON s.case_id = k.case_id WHERE k.decision)"
    )


_ATTRIBUTES: Final = "s.tenant_id, s.automation, s.arm, s.stratum, s.tier, s.source, s.model_version, s.share, s.decided_at"
# Of each case before and after, once it is decided.
_STATE: Final = (
    "bool_or(f.decision) AS decision, sum(f.seconds) AS seconds, sum(f.late) AS late"
    "  FROM facts f JOIN (VALUES (false), (true)) AS state (fresh) ON CASE WHEN state.fresh THEN f.new ELSE f.old END"
)
_FORECAST: Final = (
    "  LEFT JOIN LATERAL (SELECT intercept, slope FROM forecasts f WHERE f.tenant_id = d.tenant_id AND f.automation = d.automation"
    "   AND f.stratum = d.stratum AND f.since <= least(coalesce(c.xid, d.xid), d.xid) ORDER BY f.since DESC LIMIT 1) f ON true"
)


def _facts(touched: str, visible: str, old: str, new: str, measures: Collection[str], *, booked: str | None = None) -> str:
    """CTEs ``subjects``, the touched cases, and ``facts``, all that is known of the time on them."""
    forecast = any("s.forecast" in CASE_MEASURES[name] for name in measures)
    decision, line = ("", "") if booked is None else (f" {booked.format('s')} AS booked,", f" {booked.format('l')},")
    return (
        f"touched AS MATERIALIZED ({touched}),"  # noqa: S608  # constants of the program only
        " subjects AS MATERIALIZED ("
        "  SELECT d.case_id, d.tenant_id, d.automation, d.arm, d.stratum, d.tier, d.source,"
        "   coalesce(d.model_version, '-') AS model_version, d.decided_at, d.booked_at, d.xid,"
        "   c.control_probability AS share, coalesce(d.covariate, 0)::numeric AS x"
        f"{', coalesce(f.intercept + f.slope * coalesce(d.covariate, 0)::numeric, 0) AS forecast' if forecast else ''}"
        # OFFSET 0 keeps the lookups what they are: a few cases by their keys, however many the planner expects.
        "  FROM touched t JOIN LATERAL (SELECT * FROM decisions o WHERE o.case_id = t.case_id OFFSET 0) d ON true"
        "  JOIN LATERAL (SELECT control_probability, xid FROM cases o WHERE o.id = t.case_id OFFSET 0) c ON true"
        f"{_FORECAST if forecast else ''}"
        f"  WHERE {visible.format('d')}),"
        " facts AS ("
        f"  SELECT s.case_id,{decision} {old.format('s')} AS old, {new.format('s')} AS new, true AS decision,"
        "   0 AS seconds, 0 AS late"
        "  FROM subjects s"
        "  UNION ALL"
        f"  SELECT l.case_id,{line} {old.format('l')}, {new.format('l')}, false, l.quantity,"
        "   CASE WHEN l.booked_at > s.booked_at THEN l.quantity ELSE 0 END"
        f"  FROM subjects s JOIN LATERAL (SELECT * FROM ledger_lines o WHERE o.case_id = s.case_id AND {TIME} OFFSET 0) l"
        f"   ON {visible.format('l')}),"
    )
