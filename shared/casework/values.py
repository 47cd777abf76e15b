"""Facts about cases that more than one process writes down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from shared.money import Money

# The step that is implied at the end of every cascade.
HUMAN = "human"
# `decided_by` where no person was asked.
MODEL = "model"
# Where the worker could not read a case's payload.
UNKNOWN_STRATUM = "unknown"
# Reason of the review that a given-up case opens.
QUARANTINED = "quarantined"
# Reason of reviews of an automation whose brake is on.
BRAKED = "braked"


class ReviewKind(StrEnum):
    """Why a person looks at a case."""

    # Held out at random: the person works without any help, and is measured.
    CONTROL = "control"
    # No tier may or can decide it.
    EXCEPTION = "exception"
    # Decided already; drawn to check the tiers.
    AUDIT = "audit"
    # Decided already, and reopened because somebody doubts it.
    REWORK = "rework"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The one final answer for a case.

    Attributes:
        adverse: the outcome hurts the person concerned; only with tier `human`.
        confidence: 0..1; None where a person decided.
        reasons: machine-readable codes, most important first.
        attributes: what the receiver needs besides the outcome.
        tier: `rules`, `nano`, … or `human`.
        decided_by: `model`, or the name of the person's key.
        audit_probability: that the decision is drawn for a second look; None where it cannot be.
        covariate: what the automation declares to go with handling time; None without one, or where nobody could read the case.
    """

    case_id: UUID
    tenant_id: str
    automation: str
    arm: str
    stratum: str
    source: str
    event_id: str
    event_type: str
    occurred_at: datetime
    received_at: datetime
    traceparent: str | None
    outcome: str
    adverse: bool
    confidence: float | None
    reasons: tuple[str, ...]
    attributes: Mapping[str, str]
    tier: str
    model_version: str | None
    decided_by: str
    decided_at: datetime
    audit_probability: Decimal | None = None
    covariate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What rework found wrong in a decision that was out already.

    Attributes:
        review_id: the rework.
        previous_outcome: what held before.
        decided: the case as it holds now, by whom and since when.
        cash: that what holds now saves; None where it saves none.
    """

    id: UUID
    review_id: UUID
    previous_outcome: str
    decided: Decided
    cash: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReview:
    """Work for a person.

    Attributes:
        reasons: codes that say why; empty for `control` and `audit`, whose reviewers must not be influenced.
        proposal: ``{outcome, confidence, attributes}`` of the last tier that spoke, or None.
    """

    case_id: UUID
    tenant_id: str
    automation: str
    kind: ReviewKind
    reasons: tuple[str, ...] = ()
    proposal: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a worker leaves the case that it has claimed: in `decided` or `review`.

    Attributes:
        attempt: number of the claim; a later claim by somebody else makes the mark void.
    """

    case_id: UUID
    attempt: int
    state: str
    stratum: str
    covariate: float | None = None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A case whose attempts are used up.

    Attributes:
        attempt: as last seen; a claim since then makes it void.
        error: class of the last error; None keeps what is stored.
    """

    case_id: UUID
    attempt: int
    error: str | None = None
