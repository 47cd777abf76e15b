"""Adds up what stands beside savings: whether the experiment is sound, and how often each score was right.

The same windows as the roll-ups, with a horizon of their own, because they began later than those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shared.casework.experiment import MEASURES, facts
from shared.models.rollups import SCORE_COUNTS, SCORE_WEIGHTS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from services.steward.repository.rollups import Window

HORIZON: Final = "evidence"
FACTS: Final = ("decisions", "intake_batches", "audit_findings")

_WINDOW = "{0}.xid >= %(lower)s::xid8 AND {0}.xid < %(upper)s::xid8"
SCORES: Final = (*SCORE_COUNTS, *SCORE_WEIGHTS)


def add_experiment(connection: Connection, window: Window) -> int:
    """Draws, crossovers and clocks, by hour, day and month of booking and by the control share that the cases were drawn with."""
    return int(connection.exec_driver_sql(_EXPERIMENT, window.bounds()).scalar_one())


def add_scores(connection: Connection, window: Window) -> int:
    """Decided cases of the automated arm by the score of the tier that spoke last, and what people found about them."""
    return connection.exec_driver_sql(_SCORED, window.bounds()).rowcount


def _added(measures: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = r.{name} + excluded.{name}" for name in measures)


# Built of constants of the program only.
_BY = (
    "INSERT INTO experiment_{0}s AS r (tenant_id, automation, share, {0}, "  # noqa: S608
    f"{', '.join(MEASURES)}) SELECT tenant_id, automation, share, date_trunc('{{0}}', booked_at, 'UTC'),"
    f" {', '.join(f'sum({name})' for name in MEASURES)} FROM facts GROUP BY 1, 2, 3, 4"
    f" ON CONFLICT (tenant_id, automation, share, {{0}}) DO UPDATE SET {_added(MEASURES)} RETURNING 1"
)
_EXPERIMENT = (
    f"WITH facts AS MATERIALIZED ({facts(_WINDOW)}), days AS ({_BY.format('day')}), hours AS ({_BY.format('hour')}),"  # noqa: S608
    f" months AS ({_BY.format('month')}) SELECT count(*) FROM days"
)
# The step that decided; where a person did, the last one that had a score. What it proposed is what the person was shown.
_SPOKE = (
    " JOIN LATERAL (SELECT n.tier, n.model_version, n.outcome, n.label, n.score FROM inferences n WHERE n.case_id = d.case_id"
    "  AND n.score IS NOT NULL ORDER BY n.attempt DESC, (n.tier = d.tier) DESC, n.position DESC LIMIT 1) n ON true"
    " LEFT JOIN LATERAL (SELECT v.proposal ->> 'outcome' AS outcome FROM reviews v WHERE v.case_id = d.case_id AND v.kind = 'exception'"
    "  ORDER BY v.round LIMIT 1) v ON true"
)
SCORE_KEY: Final = "tenant_id, automation, grain, period, tier, model_version, proposed, bin, booked"
_KEY = (
    "SELECT d.tenant_id, d.automation, n.tier, coalesce(n.model_version, '-') AS model_version,"
    " CASE WHEN d.tier <> 'human' THEN d.outcome ELSE coalesce(v.outcome, n.outcome, n.label, '-') END AS proposed,"
    " d.decided_at, greatest(least(floor(n.score * 100), 99), 0)::smallint AS bin,"
)
# Of each draw by itself, rounded as the sums are: they are the same in whatever portions facts are added.
_WEIGHT = "round(1 / a.probability, 10)"


def scored(visible: str) -> str:
    """Rows of all of `SCORE_KEY` but the grain, with ``decided_at`` and ``booked_at`` for its moments, of `SCORES` and least, as SQL.

    Args:
        visible: condition of the facts that count; ``{0}`` is the alias of a table with ``tenant_id`` and ``xid``, ``{1}`` its moment of
            booking.
    """
    return (
        f" {_KEY} d.booked_at, 1 AS cases, (d.tier <> 'human')::int AS automatic, (d.tier = 'human')::int AS reviewed,"
        "  (d.tier = 'human' AND coalesce(v.outcome, n.outcome, n.label, '-') <> d.outcome)::int AS reviewed_wrong,"
        "  (d.audit_probability IS NOT NULL)::int AS auditable, (a.case_id IS NOT NULL)::int AS drawn, 0 AS audited, 0 AS audited_wrong,"
        f"  coalesce({_WEIGHT}, 0) AS weighted_drawn, 0::numeric AS weighted_audited, 0::numeric AS weighted_wrong,"
        "  d.audit_probability AS least"
        f" FROM decisions d {_SPOKE} LEFT JOIN audits a ON a.case_id = d.case_id"
        f" WHERE d.arm = 'automated' AND {visible.format('d', 'd.booked_at')}"
        " UNION ALL"
        f" {_KEY} f.created_at, 0, 0, 0, 0, 0, 0, 1, f.wrong::int, 0, {_WEIGHT}, CASE WHEN f.wrong THEN {_WEIGHT} ELSE 0 END, NULL"
        f" FROM audit_findings f JOIN audits a ON a.case_id = f.case_id JOIN decisions d ON d.case_id = f.case_id {_SPOKE}"
        f" WHERE f.wrong IS NOT NULL AND {visible.format('f', 'f.created_at')}"
    )


_SCORED = (
    f"WITH facts AS ({scored(_WINDOW)})"  # noqa: S608
    f" INSERT INTO score_sums AS r ({SCORE_KEY}, {', '.join(SCORES)}, least)"
    " SELECT tenant_id, automation, g.grain, date_trunc(g.grain, decided_at, 'UTC'), tier, model_version, proposed, bin,"
    f" date_trunc(g.grain, booked_at, 'UTC'), {', '.join(f'sum({name})' for name in SCORES)}, min(least)"
    " FROM facts CROSS JOIN (VALUES ('day'), ('week'), ('month')) AS g (grain) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9"
    f" ON CONFLICT ({SCORE_KEY}) DO UPDATE SET {_added(SCORES)},"
    " least = least(r.least, excluded.least)"
)
