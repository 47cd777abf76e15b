"""Events that fit an automation come in; others are told why not, without repeating what they hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from shared.automations.claims.schema import ClaimFiled
from shared.errors import SchemaViolation, UnknownEventType
from shared.events.admission import admit
from shared.events.envelope import Event

CLAIM: dict[str, Any] = {
    "policy_number": "P-1",
    "policy_start": "2026-01-01",
    "policy_end": "2026-12-31",
    "line": "motor",
    "cause": "glass",
    "loss_date": "2026-10-01",
    "reported_date": "2026-10-02",
    "amount_claimed": 100.1,
    "currency": "EUR",
    "sum_insured": "20000",
}


def _event(data: object, event_type: str = "com.recoup.claim.filed.v1") -> Event:
    return Event(id="1", source="/erp", type=event_type, data=data)


def test_an_event_that_fits_gives_its_automation_and_its_data() -> None:
    automation, data = admit(_event(CLAIM))
    assert automation.name == "claims"
    assert isinstance(data, ClaimFiled)
    assert data.amount_claimed == Decimal("100.1")


def test_an_unknown_type_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownEventType) as refused:
        admit(_event(CLAIM, "com.canary.v1"))
    assert "com.recoup.claim.filed.v1" in str(refused.value.context["known"])
    assert "canary" not in str(refused.value.context) + refused.value.message


def test_fields_that_do_not_fit_are_named_and_their_values_are_not() -> None:
    with pytest.raises(SchemaViolation) as refused:
        admit(_event({**CLAIM, "line": "Canary", "loss_date": "Canary", "amount_claimed": -1, "extra": "Canary"}))
    errors = refused.value.context["errors"]
    assert isinstance(errors, list)
    assert {fault["field"] for fault in errors} == {"data.line", "data.loss_date", "data.amount_claimed", "data.extra"}
    assert "Canary" not in str(errors) + refused.value.message


@pytest.mark.parametrize("data", [None, [], "text", 7, {"policy_number": 2**70}, {"policy_number": float("nan")}])
def test_data_of_another_shape_are_refused(data: object) -> None:
    with pytest.raises(SchemaViolation):
        admit(_event(data))
