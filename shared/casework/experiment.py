"""What the line's facts say about the experiment itself, as SQL: the steward adds it up, and the ROI API adds what the steward has not."""

from __future__ import annotations

from typing import Final

# By name, what is counted of a fact. Cases are drawn at intake; the rest is known when a case is decided.
COUNTS: Final = (
    "drawn_control",
    "drawn_automated",
    "crossed_automated",
    "unclocked_control",
    "unclocked_automated",
    "reviews",
    "apart",
)
SECONDS: Final = ("active_seconds", "span_seconds", "difference_seconds", "beyond_span_seconds")
MEASURES: Final = (*COUNTS, *SECONDS)
# Clocks that differ by more than the idle cut (`shared.measure.human_time`) are apart.
_IDLE_CUT: Final = 60


def facts(visible: str) -> str:
    """Rows of tenant, automation, share, booked_at and `MEASURES`.

    A case of the automated arm that a person decided although no tier was ever asked was handled as if it were a control case: it crossed.
    Control cases cannot cross, the database refuses it. Time is measured if the transaction that decided a case booked some.

    Args:
        visible: condition of the facts that count; ``{0}`` is the alias of a table with ``tenant_id``, ``xid`` and ``booked_at``.
    """
    by_person = "d.tier = 'human'"
    unclocked = (
        f"({by_person} AND NOT EXISTS (SELECT FROM ledger_lines l WHERE l.case_id = d.case_id AND l.xid = d.xid AND l.unit = 's'"
        " AND l.quantity > 0))::int"
    )
    return (
        "SELECT i.tenant_id, i.automation, i.share, i.booked_at, i.control AS drawn_control, i.automated AS drawn_automated,"  # noqa: S608  # constants
        " 0 AS crossed_automated, 0 AS unclocked_control, 0 AS unclocked_automated, 0 AS reviews, 0 AS apart,"
        " 0::numeric AS active_seconds, 0::numeric AS span_seconds, 0::numeric AS difference_seconds, 0::numeric AS beyond_span_seconds"
        f" FROM intake_batches i WHERE i.share IS NOT NULL AND {visible.format('i')}"
        " UNION ALL"
        " SELECT d.tenant_id, d.automation, c.control_probability, d.booked_at, 0, 0,"
        f" ({by_person} AND d.arm = 'automated' AND NOT EXISTS (SELECT FROM inferences n WHERE n.case_id = d.case_id))::int,"
        f" CASE WHEN d.arm = 'control' THEN {unclocked} ELSE 0 END, CASE WHEN d.arm = 'automated' THEN {unclocked} ELSE 0 END,"
        f" (r.id IS NOT NULL)::int, (coalesce(abs(r.span_seconds - r.active_seconds), 0) > {_IDLE_CUT})::int,"
        " coalesce(r.active_seconds, 0), coalesce(r.span_seconds, 0), coalesce(abs(r.span_seconds - r.active_seconds), 0),"
        " greatest(0, coalesce(r.active_seconds - r.span_seconds, 0))"
        # OFFSET 0 keeps the lookup what it is: of a case by its key, however many the planner expects.
        " FROM decisions d JOIN LATERAL (SELECT control_probability FROM cases o WHERE o.id = d.case_id OFFSET 0) c ON true"
        " LEFT JOIN LATERAL (SELECT r.id, r.active_seconds, r.span_seconds FROM reviews r WHERE r.case_id = d.case_id"
        "  AND r.kind IN ('control', 'exception') AND r.state = 'submitted' AND r.span_seconds IS NOT NULL"
        "  ORDER BY r.submitted_at LIMIT 1) r ON true"
        f" WHERE {by_person} AND {visible.format('d')}"
    )
