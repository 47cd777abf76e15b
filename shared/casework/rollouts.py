"""What two versions said about the same cases, and what that says about the new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from uuid import UUID

from shared.measure.paired import Count, Interval, interval

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One case, two versions.

    Attributes:
        present_outcome, candidate_outcome: what each would decide without a person; None: nothing.
        candidate_acted: whose answer counted; None in the control arm.
        seen: probability with which the truth about this case is seen, 0..1.
    """

    case_id: UUID
    tenant_id: str
    automation: str
    present: str
    candidate: str
    present_outcome: str | None
    candidate_outcome: str | None
    candidate_acted: bool | None
    seen: Decimal


@dataclass(frozen=True, slots=True)
class Evidence:
    """About a candidate, so far.

    Attributes:
        difference: of the error rates, over cases whose truth may be seen.
        observed: cases whose truth was seen.
        blind: cases whose truth is never seen, because there is no control arm and nothing was decided that could be audited.
        present_share, candidate_share: of cases that each would decide without a person.
    """

    difference: Interval
    observed: int
    blind: int
    present_share: float
    candidate_share: float

    def as_dict(self, at: datetime) -> dict[str, object]:
        found = self.difference
        return {
            "at": at.isoformat(),
            "cases": found.cases + self.blind,
            "observed": self.observed,
            "blind": self.blind,
            "difference": found.point,
            "low": found.low,
            "high": found.high,
            "present_share": self.present_share,
            "candidate_share": self.candidate_share,
        }


def record_pairs(connection: Connection, pairs: Sequence[Pair]) -> None:
    """In the transaction that settles the cases."""
    if not pairs:
        return
    connection.exec_driver_sql(
        "INSERT INTO model_pairs (case_id, candidate, tenant_id, automation, present, present_outcome, candidate_outcome,"
        " candidate_acted, seen) SELECT * FROM unnest(%(cases)b::uuid[], %(candidates)b::text[], %(tenants)b::text[],"
        " %(automations)b::text[], %(presents)b::text[], %(present)b::text[], %(candidate)b::text[], %(acted)b::bool[],"
        " %(seen)b::numeric[]) ON CONFLICT DO NOTHING",
        {
            "cases": [pair.case_id for pair in pairs],
            "candidates": [pair.candidate for pair in pairs],
            "tenants": [pair.tenant_id for pair in pairs],
            "automations": [pair.automation for pair in pairs],
            "presents": [pair.present for pair in pairs],
            "present": [pair.present_outcome for pair in pairs],
            "candidate": [pair.candidate_outcome for pair in pairs],
            "acted": [pair.candidate_acted for pair in pairs],
            "seen": [pair.seen for pair in pairs],
        },
    )


# What the worker that began last has: whoever begins says so of all versions in one step, and a version that is gone keeps its row.
INSTALLED: Final = "v.seen_at = (SELECT max(latest.seen_at) FROM model_versions latest WHERE latest.automation = v.automation)"

_PRESENT: Final = f"""
SELECT version FROM model_versions v WHERE automation = %(automation)s AND {INSTALLED}
  AND (is_default OR version = (SELECT version FROM model_rollouts
                                WHERE tenant_id = %(tenant)s AND automation = %(automation)s AND state = 'active'))
ORDER BY is_default LIMIT 1
"""  # noqa: S608  # a constant

# The truth is what a person said without help: in the control arm, or of an audit when it is closed. What was drawn for one and is not
# known yet is left out, as everywhere. Whether an audit's case counts depends on what acted, as its `seen` does.
_COUNTS: Final = """
WITH known AS (
    SELECT p.seen, p.present_outcome, p.candidate_outcome, coalesce(d.outcome, f.outcome) AS truth
    FROM model_pairs p
    JOIN cases c ON c.id = p.case_id
    LEFT JOIN decisions d ON d.case_id = p.case_id AND c.arm = 'control' AND d.tier = 'human'
    LEFT JOIN audits a ON a.case_id = p.case_id
        AND CASE WHEN p.candidate_acted THEN p.candidate_outcome ELSE p.present_outcome END IS NOT NULL
    LEFT JOIN audit_findings f ON f.case_id = a.case_id AND f.wrong IS NOT NULL
    WHERE p.tenant_id = %(tenant)s AND p.automation = %(automation)s AND p.candidate = %(version)s AND p.created_at >= %(since)s
      AND p.present = %(present)s
      AND (c.arm <> 'control' OR d.case_id IS NOT NULL) AND (a.case_id IS NULL OR f.case_id IS NOT NULL)
)
SELECT seen::float8,
       CASE WHEN truth IS NULL THEN 0
            ELSE (candidate_outcome IS NOT NULL AND candidate_outcome <> truth)::int
               - (present_outcome IS NOT NULL AND present_outcome <> truth)::int END AS difference,
       count(*)::int, count(truth)::int, count(present_outcome)::int, count(candidate_outcome)::int
FROM known GROUP BY 1, 2
"""


def present(connection: Connection, tenant: str, automation: str) -> str | None:
    """The version that decides now: the one that was promoted, or the default where that is not installed (any more)."""
    found: str | None = connection.exec_driver_sql(_PRESENT, {"tenant": tenant, "automation": automation}).scalar_one_or_none()
    return found


def evidence(connection: Connection, tenant: str, automation: str, version: str, since: datetime) -> Evidence:
    """About the version that is tried, from every pair since then with the version that decides now."""
    values = {"tenant": tenant, "automation": automation, "version": version, "since": since}
    found = connection.exec_driver_sql(_COUNTS, {**values, "present": present(connection, tenant, automation)}).all()
    cases = sum(row[2] for row in found)
    return Evidence(
        difference=interval([Count(seen, difference, n) for seen, difference, n, *_ in found if seen > 0]),
        observed=sum(row[3] for row in found if row[0] > 0),
        blind=sum(row[2] for row in found if not row[0]),
        present_share=sum(row[4] for row in found) / cases if cases else 0.0,
        candidate_share=sum(row[5] for row in found) / cases if cases else 0.0,
    )
