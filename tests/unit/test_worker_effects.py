"""What a verdict means for the tables, and what it cost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.worker.cascade import Cascade, CascadeResult
from services.worker.case import Case, Claimed, read
from services.worker.cost import compute_lines
from services.worker.effects import Effects, for_control, for_result
from services.worker.policy import UNSET, Policy
from services.worker.rules import RulesTier
from services.worker.tiers import shares
from shared.automations.registry import automation
from shared.casework.values import ReviewKind
from shared.errors import InvariantBroken
from shared.money import Money, currency
from tests.intake_data import NOON
from tests.worker_data import INJURY, SUSPICIOUS, record

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAIMS = automation("claims")
SALT = b"0123456789abcdef"


def _claimed(data: object = INJURY, *, arm: str = "automated", body: bytes | None = b"") -> Claimed:
    event = record("1", data, CLAIMS)
    return Claimed(
        case_id=uuid4(),
        tenant_id="acme",
        automation="claims",
        arm=arm,
        source=event.source,
        event_id=event.event_id,
        event_type=event.event_type,
        occurred_at=NOON,
        received_at=NOON,
        traceparent=None,
        attempt=1,
        control_probability=Decimal("0.05"),
        body=event.body if body is not None else None,
    )


def _case(data: Mapping[str, object] = INJURY, arm: str = "automated") -> Case:
    return read(CLAIMS, _claimed(data, arm=arm))


def _result(case: Case) -> CascadeResult:
    (result,) = Cascade(CLAIMS, [RulesTier(CLAIMS)]).decide([case.as_input()])
    return result


def _effects(data: Mapping[str, object] = INJURY) -> Effects:
    case = _case(data)
    return for_result(case, _result(case), CLAIMS, UNSET, at=NOON)


def test_a_final_verdict_is_a_decision_and_no_review() -> None:
    effects = _effects()
    assert effects.decided is not None
    assert (effects.mark.state, effects.settled_by, effects.review) == ("decided", "rules", None)
    assert (effects.decided.outcome, effects.decided.adverse) == ("adjuster", False)


def test_a_decision_that_saves_cash_without_a_person_has_its_line_and_one_that_saves_none_has_not() -> None:
    case = _case()
    saving = replace(CLAIMS, cash=lambda _data, _outcome, reasons: Money(Decimal("12.345"), currency("EUR")) if reasons else None)
    line = for_result(case, _result(case), saving, UNSET, at=NOON).cash
    assert line is not None
    assert (line.kind, line.case_id, line.amount, line.sequence, line.occurred_at) == ("cash", case.case_id, Decimal("12.34"), 0, NOON)
    assert _effects().cash is None


def test_an_adverse_verdict_is_a_review_and_no_decision() -> None:
    effects = _effects(SUSPICIOUS)
    assert effects.review is not None
    assert (effects.mark.state, effects.settled_by, effects.decided) == ("review", "review", None)
    assert effects.review.kind is ReviewKind.EXCEPTION


def test_a_cascade_that_calls_an_adverse_verdict_final_is_not_believed() -> None:
    case = _case(SUSPICIOUS)
    honest = _result(case)
    wrong = CascadeResult(honest.case, honest.proposed, honest.tier, None, honest.reasons, honest.steps)
    with pytest.raises(InvariantBroken):
        for_result(case, wrong, CLAIMS, UNSET, at=NOON)


def _under(policy: Policy, data: Mapping[str, object] = INJURY) -> Effects:
    case = _case(data)
    return for_result(case, _result(case), CLAIMS, policy, at=NOON)


def test_a_decision_that_is_drawn_stays_a_decision_and_is_made_again_by_somebody_who_is_told_nothing() -> None:
    effects = _under(Policy(SALT, audit_share=Decimal(1)))
    assert effects.decided is not None
    assert effects.drawn is not None
    assert effects.review is not None
    assert (effects.mark.state, effects.settled_by, effects.decided.audit_probability) == ("decided", "rules", Decimal(1))
    assert (effects.review.kind, effects.review.reasons, effects.review.proposal) == (ReviewKind.AUDIT, (), None)
    assert (effects.drawn.decided, effects.drawn.probability, effects.drawn.least) == (effects.decided, Decimal(1), Decimal(1))


def test_a_stratum_with_more_at_stake_is_drawn_more_often_and_both_probabilities_are_kept() -> None:
    policy = Policy(SALT, audit_share=Decimal("0.02"), strata={"injury": Decimal("0.5"), "glass": Decimal("0.001")})
    drawn = [effects.drawn for effects in (_under(policy) for _ in range(400)) if effects.drawn is not None]
    assert 150 < len(drawn) < 250
    assert {(one.probability, one.least) for one in drawn} == {(Decimal("0.5"), Decimal("0.02"))}
    assert policy.probability("glass") == Decimal("0.02")


@pytest.mark.parametrize("policy", [Policy(SALT, audit_share=Decimal(0)), UNSET])
def test_nothing_is_drawn_where_nobody_wants_it_or_nothing_keys_the_draw(policy: Policy) -> None:
    assert {_under(policy).drawn for _ in range(200)} == {None}


def test_what_cannot_be_drawn_carries_no_probability() -> None:
    decided = _under(Policy(SALT, audit_share=Decimal(0))).decided
    assert decided is not None
    assert decided.audit_probability is None
    assert Policy(SALT, audit_share=Decimal(0)).least is None
    assert Policy(SALT, audit_share=Decimal(0), strata={"injury": Decimal("0.3")}).least == Decimal("0.3")


def test_with_the_brake_on_what_a_tier_would_decide_is_a_proposal_to_a_person() -> None:
    effects = _under(Policy(SALT, audit_share=Decimal(1), braked=True))
    assert (effects.mark.state, effects.decided, effects.drawn) == ("review", None, None)
    assert effects.review is not None
    assert (effects.review.kind, effects.review.reasons[0]) == (ReviewKind.EXCEPTION, "braked")
    assert effects.review.proposal is not None
    assert effects.review.proposal["outcome"] == "adjuster"


def test_a_control_review_tells_its_reviewer_nothing() -> None:
    effects = for_control(_case(SUSPICIOUS, arm="control"))
    assert effects.review is not None
    assert (effects.review.kind, effects.review.reasons, effects.review.proposal) == (ReviewKind.CONTROL, (), None)
    assert effects.settled_by == "control"


def test_a_case_whose_payload_is_gone_cannot_be_read() -> None:
    with pytest.raises(InvariantBroken, match="no payload"):
        read(CLAIMS, _claimed(body=None))


@given(st.integers(0, 10**9), st.integers(1, 5), st.integers(0, 3))
def test_every_measured_nanosecond_is_given_to_a_case_once(extra: int, automated: int, control: int) -> None:
    """But for the control arm's share of what is around the tiers, which costs nobody anything by definition."""
    effects = [_effects() for _ in range(automated)] + [for_control(_case(arm="control")) for _ in range(control)]
    in_tiers = sum(effect.result.usage.cpu_ns for effect in effects if effect.result)
    lines = compute_lines(effects, in_tiers + extra, {}, at=NOON)
    booked = sum((line.quantity or Decimal(0) for line in lines), Decimal(0))
    assert len(lines) == automated
    assert booked == Decimal(in_tiers + sum(shares(extra, automated + control)[:automated])).scaleb(-9)
