"""Writes which decisions were drawn for a second look, and what the second and third look found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from uuid import UUID

from shared.casework.values import Decided

if TYPE_CHECKING:
    from sqlalchemy import Connection

# What of these is summed up already.
HORIZON: Final = "audits"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A decision that a person makes again.

    Attributes:
        probability: that it was drawn.
        least: the least one that any decision of its automation had at that time.
    """

    decided: Decided
    probability: Decimal
    least: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a person said about a decision that was drawn.

    Attributes:
        round: 0, the second answer, by somebody who did not see the first; 1, another person's, where those two differ.
        wrong: whether the first answer was wrong; None where another person has to say.
    """

    case_id: UUID
    round: int
    tenant_id: str
    automation: str
    review_id: UUID
    outcome: str
    wrong: bool | None
    reviewer: str


def judged(first: str, answer: str, *, round_: int) -> bool | None:
    """Whether the first answer was wrong, by a later one: two who agree are right, and where they differ the third decides."""
    if round_ == 0:
        return False if answer == first else None
    return answer != first


# By name, what is added up of second looks; the least probability is the least of all.
SUMS: Final = (
    "decisions",
    "probability",
    "drawn",
    "done",
    "disputed",
    "wrong",
    "weighted",
    "weighted_drawn",
    "weighted_done",
    "weighted_disputed",
)


def facts(visible: str) -> str:
    """Rows of tenant, automation, booked, `SUMS` and least, as SQL: decisions that could be drawn, draws and findings, as they were booked.

    Args:
        visible: condition of the facts that count; ``{0}`` is the alias of a table with ``tenant_id`` and ``xid``, ``{1}`` its moment of
            booking.
    """
    # Of each draw by itself, rounded as the sums are: they are the same in whatever portions facts are added.
    weight = "round(1 / a.probability, 10)"
    disputed = "CASE WHEN f.round = 1 THEN -1 WHEN f.wrong IS NULL THEN 1 ELSE 0 END"
    return (
        "SELECT d.tenant_id, d.automation, d.booked_at AS booked, 1 AS decisions, d.audit_probability AS probability, 0 AS drawn,"  # noqa: S608  # constants
        " 0 AS done, 0 AS disputed, 0 AS wrong, 0::numeric AS weighted, 0::numeric AS weighted_drawn, 0::numeric AS weighted_done,"
        " 0::numeric AS weighted_disputed, d.audit_probability AS least"
        f" FROM decisions d WHERE d.audit_probability IS NOT NULL AND {visible.format('d', 'd.booked_at')}"
        " UNION ALL"
        f" SELECT a.tenant_id, a.automation, a.created_at, 0, 0, 1, 0, 0, 0, 0, {weight}, 0, 0, a.least"
        f" FROM audits a WHERE {visible.format('a', 'a.created_at')}"
        " UNION ALL"
        f" SELECT a.tenant_id, a.automation, f.created_at, 0, 0, 0, (f.wrong IS NOT NULL)::int, {disputed}, coalesce(f.wrong, false)::int,"
        f" CASE WHEN f.wrong THEN {weight} ELSE 0 END, 0, CASE WHEN f.wrong IS NOT NULL THEN {weight} ELSE 0 END,"
        f" {disputed} * {weight}, a.least"
        # OFFSET 0 keeps the lookup what it is, however many findings the planner expects.
        " FROM audit_findings f JOIN LATERAL (SELECT * FROM audits o WHERE o.case_id = f.case_id OFFSET 0) a ON true"
        f" WHERE {visible.format('f', 'f.created_at')}"
    )


def record_draws(connection: Connection, drawn: Sequence[Drawn]) -> None:
    """In the transaction that makes the decisions."""
    if not drawn:
        return
    connection.exec_driver_sql(
        "INSERT INTO audits (case_id, tenant_id, automation, stratum, probability, least, outcome, tier, model_version, decided_at)"
        " SELECT * FROM unnest(%(cases)b::uuid[], %(tenants)b::text[], %(automations)b::text[], %(strata)b::text[],"
        " %(probabilities)b::numeric[], %(least)b::numeric[], %(outcomes)b::text[], %(tiers)b::text[], %(models)b::text[],"
        " %(decided)b::timestamptz[])",
        {
            "cases": [d.decided.case_id for d in drawn],
            "tenants": [d.decided.tenant_id for d in drawn],
            "automations": [d.decided.automation for d in drawn],
            "strata": [d.decided.stratum for d in drawn],
            "probabilities": [d.probability for d in drawn],
            "least": [d.least for d in drawn],
            "outcomes": [d.decided.outcome for d in drawn],
            "tiers": [d.decided.tier for d in drawn],
            "models": [d.decided.model_version for d in drawn],
            "decided": [d.decided.decided_at for d in drawn],
        },
    )


def record_finding(connection: Connection, finding: Finding) -> None:
    """Raises sqlalchemy.exc.IntegrityError: that round has its finding already."""
    connection.exec_driver_sql(
        "INSERT INTO audit_findings (case_id, round, tenant_id, automation, review_id, outcome, wrong, reviewer)"
        " VALUES (%(case)s, %(round)s, %(tenant)s, %(automation)s, %(review)s, %(outcome)s, %(wrong)s, %(reviewer)s)",
        {
            "case": finding.case_id,
            "round": finding.round,
            "tenant": finding.tenant_id,
            "automation": finding.automation,
            "review": finding.review_id,
            "outcome": finding.outcome,
            "wrong": finding.wrong,
            "reviewer": finding.reviewer,
        },
    )
