"""The body that business systems receive."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.casework.callback import LIMIT, body
from shared.events.parse import structured
from tests.casework_data import CASE_ID, decided
from tests.intake_data import NOON

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3000)


def test_the_body_is_a_cloudevent_that_our_own_parser_reads() -> None:
    event = structured(body(decided()))
    assert (event.type, event.id, event.source, event.subject) == ("com.recoup.decision.made.v1", str(CASE_ID), "/recoup/claims", "e-1")
    assert event.time == NOON


def test_the_data_names_the_event_the_outcome_and_who_decided() -> None:
    assert json.loads(body(decided()))["data"] == {
        "case_id": str(CASE_ID),
        "event": {"id": "e-1", "source": "/erp", "type": "com.recoup.claim.filed.v1"},
        "automation": "claims",
        "outcome": "adjuster",
        "adverse": False,
        "confidence": 0.75,
        "reasons": ["injury"],
        "attributes": {"desk": "motor"},
        "tier": "rules",
        "model_version": None,
        "decided_by": "model",
        "decided_at": "2026-11-23T12:30:00Z",
    }


def test_a_persons_name_is_not_in_the_body() -> None:
    text = body(decided(tier="human", decided_by="jane", confidence=None))
    assert json.loads(text)["data"]["decided_by"] == "person"
    assert b"jane" not in text


def test_the_same_decision_gives_the_same_bytes() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=2)))
    assert json.loads(body(decided(decided_at=elsewhere)))["data"]["decided_at"].startswith("2026-11-23T14:30:00")
    assert body(decided()) == body(decided(attributes=MappingProxyType({"desk": "motor"})))


@pytest.mark.parametrize("character", ["\U0001f600", "\x01"])
def test_the_body_stays_below_the_limit_with_the_widest_characters(character: str) -> None:
    reasons = tuple(f"{number}{character * 300}" for number in range(20))
    sent = body(decided(attributes={reason: reason for reason in reasons}, reasons=reasons, event_id=character * 64, source="s" * 1024))
    assert len(sent) < LIMIT
    assert len(json.loads(sent)["data"]["reasons"]) == 16


@given(st.dictionaries(_TEXT, _TEXT, max_size=30), st.lists(_TEXT, max_size=30))
def test_the_body_stays_below_the_limit_whatever_an_automation_says(attributes: dict[str, str], reasons: list[str]) -> None:
    sent = body(decided(attributes=attributes, reasons=tuple(reasons), event_id="\U0001f600" * 64, source="s" * 1024))
    assert len(sent) < LIMIT
    json.loads(sent)
