"""Claims and complaints: hard rules, strata, conclusions, and what synthetic events promise."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.lab.synth import TASKS, SyntheticEvent, generate
from shared.automations.contract import Context
from shared.automations.registry import automation, automations
from shared.errors import InvariantBroken

CLAIM: dict[str, Any] = {
    "policy_number": "M1",
    "policy_start": "2026-01-01",
    "policy_end": "2026-12-31",
    "line": "motor",
    "cause": "glass",
    "loss_date": "2026-06-01",
    "reported_date": "2026-06-02",
    "amount_claimed": "400.00",
    "currency": "EUR",
    "deductible": "150.00",
    "sum_insured": "20000",
    "description": "A stone hit the windscreen.",
}


def _rules(name: str, data: dict[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    found = automation(name)
    verdict = found.rules(found.data_model.model_validate(data), Context())
    return (verdict.outcome, verdict.reasons) if verdict else (None, ())


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        ({}, None, None),
        ({"loss_date": "2025-12-31"}, "adjuster", "outside_cover_period"),
        ({"policy_end": "2025-01-01"}, "adjuster", "policy_dates_inconsistent"),
        ({"reported_date": "2026-05-31"}, "adjuster", "reported_before_loss"),
        ({"injured_persons": 1}, "adjuster", "injury"),
        ({"amount_claimed": "20000.01"}, "adjuster", "above_sum_insured"),
        ({"amount_claimed": "150"}, "adjuster", "not_above_deductible"),
        ({"amount_claimed": "5000.01"}, "adjuster", "above_fast_track_limit"),
        ({"currency": "XTS"}, "adjuster", "no_limit_for_currency"),
        ({"reported_date": "2026-12-30"}, "adjuster", "reported_late"),
        ({"cause": "theft"}, "adjuster", "no_police_report"),
        ({"prior_claims": 6}, "special_investigation", "many_prior_claims"),
        ({"loss_date": "2026-01-02", "sum_insured": "500"}, "special_investigation", "loss_just_after_start"),
    ],
)
def test_hard_rules_of_claims(changes: dict[str, Any], outcome: str | None, reason: str | None) -> None:
    found, reasons = _rules("claims", CLAIM | changes)
    assert found == outcome
    assert reason is None or reason in reasons


def test_no_rule_and_no_tier_may_investigate_without_a_person() -> None:
    assert automation("claims").requires_person("special_investigation")
    assert not automation("claims").requires_person("fast_track_pay")


def test_a_paid_claim_says_what_is_payable() -> None:
    claims = automation("claims")
    verdict = claims.conclude(claims.data_model.model_validate(CLAIM), "fast_track_pay", 0.99)
    assert verdict.attributes == {"payable": "250.00", "currency": "EUR"}


@pytest.mark.parametrize("text", ["", "   ", "please call me", "!!! ???"])
def test_short_complaints_are_left_to_people(text: str) -> None:
    complaints = automation("complaints")
    data = complaints.data_model.model_validate({"text": text})
    assert _rules("complaints", {"text": text}) == (None, ("text_too_short",))
    assert complaints.features(data) is None


@pytest.mark.parametrize(
    ("text", "urgency"),
    [
        ("They will foreclose on my house next week unless I pay", "high"),
        ("I will hire an attorney about this credit card fee", "high"),
        ("My account was hacked and money is missing from it", "raised"),
        ("The fee on my card statement is wrong, please fix it", "normal"),
    ],
)
def test_urgency_follows_the_words(text: str, urgency: str) -> None:
    complaints = automation("complaints")
    verdict = complaints.conclude(complaints.data_model.model_validate({"text": text}), "mortgage", 0.9)
    assert verdict.attributes == {"route": "home-lending", "urgency": urgency}


@pytest.mark.parametrize(
    "changes", [{"amount_claimed": "-1"}, {"currency": "eur"}, {"surprise": 1}, {"line": "boat"}, {"injured_persons": 0.5}]
)
def test_claims_that_do_not_fit_the_schema_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        automation("claims").data_model.model_validate(CLAIM | changes)


def test_processes_without_models_never_import_numpy() -> None:
    code = "import sys; from shared.automations.registry import automations; automations(); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("task", TASKS)
def test_synthetic_events_pass_their_schema_and_their_truth_can_be_chosen(task: str) -> None:
    found = automations()[task]
    for event in generate(task, 400, 7):
        data = found.data_model.model_validate(event.data)
        assert event.event_type == found.event_type
        assert all(found.outcomes[outcome].choosable for outcome in event.truth)
        assert event.manual_seconds > 0 < event.exception_seconds
        assert found.stratum(data)


@pytest.mark.parametrize("task", TASKS)
def test_synthetic_events_are_the_same_for_the_same_seed_and_others_for_another(task: str) -> None:
    def first(n: int, seed: int) -> list[SyntheticEvent]:
        return list(itertools.islice(generate(task, n, seed), 50))

    assert first(50, 1) == first(200, 1)
    assert first(50, 1) != first(50, 2)
    assert len({event.event_id for event in generate(task, 500, 1)}) == 500


def test_helped_people_are_faster_on_average() -> None:
    events = [event for task in TASKS for event in generate(task, 1_000, 3)]
    assert sum(event.exception_seconds for event in events) < 0.8 * sum(event.manual_seconds for event in events)


def test_covariates_count_what_a_person_has_to_clear_up_and_read() -> None:
    claims, complaints = automation("claims"), automation("complaints")
    plain = claims.data_model.model_validate(CLAIM)
    odd = claims.data_model.model_validate({**CLAIM, "injured_persons": 1, "prior_claims": 7, "reported_date": "2026-05-01"})
    assert (claims.covariate_of(plain), claims.covariate_of(odd)) == (0.0, 3.0)
    short, long = (complaints.covariate_of(complaints.data_model.model_validate({"text": "word " * n})) for n in (10, 70))
    assert short is not None
    assert long is not None
    assert short < long


@given(st.floats() | st.integers() | st.none())
def test_a_covariate_is_a_number_of_few_digits_in_its_range_or_an_error(value: float | None) -> None:
    found = replace(automation("claims"), covariate=lambda _data: value)
    data = found.data_model.model_validate(CLAIM)
    if value is None:
        assert found.covariate_of(data) is None
    elif not -1e6 <= value <= 1e6:
        with pytest.raises(InvariantBroken):
            found.covariate_of(data)
    else:
        kept = found.covariate_of(data)
        assert kept is not None
        assert abs(kept - value) <= 5e-7
        assert kept == float(Decimal(repr(kept)).quantize(Decimal("1e-6")))
