"""What a case's verdict means for the tables: pure, so that it can be computed with no transaction open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.worker.cascade import CascadeResult
from services.worker.case import Case
from services.worker.policy import Policy
from shared.automations.contract import Automation, Verdict
from shared.casework.audits import Drawn
from shared.casework.values import BRAKED, MODEL, Decided, Mark, NewReview, ReviewKind
from shared.errors import InvariantBroken
from shared.ledger.posting import Line, for_cash


@dataclass(frozen=True, slots=True)
class Effects:
    """Everything that one case leaves behind, but for the cost, which is known last.

    Attributes:
        result: None in the control arm, where no tier was asked.
        decided: None where a person must decide; then there is a review.
        drawn: set where a person decides it once more, without waiting for whom; then there is a review as well.
        cash: what the decision saved in cash.
    """

    case: Case
    mark: Mark
    result: CascadeResult | None = None
    decided: Decided | None = None
    review: NewReview | None = None
    drawn: Drawn | None = None
    cash: Line | None = None

    @property
    def settled_by(self) -> str:
        """Tier, `review` or `control`: a closed set for metrics."""
        if self.decided is not None:
            return self.decided.tier
        return "control" if self.result is None else "review"

    @property
    def may_have_been_paid_for(self) -> bool:
        """By this run, or by an earlier one that did not get as far as the ledger."""
        paid = self.result is not None and any(step.result.usage.money is not None for step in self.result.steps)
        return paid or (self.result is not None and self.case.claim.attempt > 1)


def for_control(case: Case) -> Effects:
    """A person decides without any help: no reasons, no proposal."""
    return Effects(case, _mark(case, "review"), review=_review(case, ReviewKind.CONTROL))


def for_result(case: Case, result: CascadeResult, automation: Automation, policy: Policy, *, at: datetime) -> Effects:
    """A decision where the verdict may be final and the brake is not on, else work for a person.

    Raises:
        InvariantBroken: the cascade calls a verdict final that only a person may give.
    """
    if result.verdict is None:
        return _for_person(case, result, result.reasons, result.proposed)
    if policy.braked:
        return _for_person(case, result, (BRAKED, *result.reasons), result.verdict)
    decided = _decided(case, result, result.verdict, automation, at, policy)
    mark = _mark(case, "decided")
    drawn = _drawn(decided, policy)
    review = None if drawn is None else _review(case, ReviewKind.AUDIT)
    return Effects(case, mark, result, decided, review=review, drawn=drawn, cash=_cash(case, decided, automation))


def _for_person(case: Case, result: CascadeResult, reasons: tuple[str, ...], proposed: Verdict | None) -> Effects:
    review = _review(case, ReviewKind.EXCEPTION, reasons, _proposal(proposed))
    return Effects(case, _mark(case, "review"), result, review=review)


def _drawn(decided: Decided, policy: Policy) -> Drawn | None:
    probability, least = decided.audit_probability, policy.least
    if probability is None or least is None or not policy.draws(decided.automation, decided.case_id, decided.stratum):
        return None
    return Drawn(decided, probability, least)


def _cash(case: Case, decided: Decided, automation: Automation) -> Line | None:
    money = automation.cash(case.data, decided.outcome, decided.reasons)
    return None if money is None else for_cash(decided, money, at=decided.decided_at)


def _mark(case: Case, state: str) -> Mark:
    return Mark(case.claim.case_id, case.claim.attempt, state, case.stratum, case.covariate)


def _review(case: Case, kind: ReviewKind, reasons: tuple[str, ...] = (), proposal: dict[str, object] | None = None) -> NewReview:
    claim = case.claim
    return NewReview(
        case_id=claim.case_id, tenant_id=claim.tenant_id, automation=claim.automation, kind=kind, reasons=reasons, proposal=proposal
    )


def _proposal(proposed: Verdict | None) -> dict[str, object] | None:
    if proposed is None:
        return None
    return {"outcome": proposed.outcome, "confidence": proposed.confidence, "attributes": dict(proposed.attributes)}


def _decided(case: Case, result: CascadeResult, verdict: Verdict, automation: Automation, at: datetime, policy: Policy) -> Decided:
    # The cascade has made sure already; a wrong payment or refusal is worth asking twice.
    if verdict.outcome is None or result.tier is None or automation.requires_person(verdict.outcome):
        raise InvariantBroken("only a person may give this verdict", automation=automation.name, outcome=verdict.outcome)
    claim = case.claim
    return Decided(
        case_id=claim.case_id,
        tenant_id=claim.tenant_id,
        automation=claim.automation,
        arm=claim.arm,
        stratum=case.stratum,
        source=claim.source,
        event_id=claim.event_id,
        event_type=claim.event_type,
        occurred_at=claim.occurred_at,
        received_at=claim.received_at,
        traceparent=claim.traceparent,
        outcome=verdict.outcome,
        adverse=False,
        confidence=verdict.confidence,
        reasons=result.reasons,
        attributes=verdict.attributes,
        tier=result.tier,
        model_version=result.model,
        decided_by=MODEL,
        decided_at=at,
        # Zero is no chance, and a decision without one says nothing about errors.
        audit_probability=policy.probability(case.stratum) or None,
        covariate=case.covariate,
    )
