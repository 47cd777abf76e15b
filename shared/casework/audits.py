"""Writes which decisions were drawn for a second look, and what the second and third look found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from shared.casework.values import Decided

if TYPE_CHECKING:
    from sqlalchemy import Connection


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
