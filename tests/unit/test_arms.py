"""Arms are drawn once and for all: by probability, repeatably, and independently of each other."""

from __future__ import annotations

from decimal import Decimal
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.measure.arms import Arm, assign

SALT = b"a tenant's secret, 16+"
N = 20_000


def _draw(event_id: str, share: str = "0.3", *, salt: bytes = SALT, automation: str = "claims", source: str = "/erp") -> Arm:
    return assign(salt, automation=automation, source=source, event_id=event_id, control_share=Decimal(share))


def _in_control(share: str, **names: str) -> set[int]:
    return {n for n in range(N) if _draw(f"e-{n}", share, **names) == "control"}  # type: ignore[arg-type]  # never `salt`


@pytest.mark.parametrize("share", ["0.01", "0.05", "0.3", "0.5", "0.99"])
def test_the_share_of_control_cases_converges_to_its_probability(share: str) -> None:
    probability = float(share)
    five_sigma = 5 * sqrt(probability * (1 - probability) / N)
    assert abs(len(_in_control(share)) / N - probability) < five_sigma


@given(st.text(), st.text(), st.decimals(min_value=0, max_value=1, places=4))
def test_the_same_event_always_gets_the_same_arm(source: str, event_id: str, share: Decimal) -> None:
    draws = {assign(SALT, automation="claims", source=source, event_id=event_id, control_share=share) for _ in range(3)}
    assert len(draws) == 1


@given(st.text(), st.binary(min_size=16))
def test_a_share_of_nothing_and_of_all_are_exact(event_id: str, salt: bytes) -> None:
    assert _draw(event_id, "0", salt=salt) == "automated"
    assert _draw(event_id, "1", salt=salt) == "control"


@given(st.text(), st.decimals(min_value=0, max_value=1, places=4), st.decimals(min_value=0, max_value=1, places=4))
def test_a_larger_share_only_adds_to_the_control_arm(event_id: str, one: Decimal, other: Decimal) -> None:
    smaller, larger = sorted([one, other])
    assert _draw(event_id, str(smaller)) == "automated" or _draw(event_id, str(larger)) == "control"


def test_automations_sources_and_tenants_draw_independently() -> None:
    control = _in_control("0.3")
    others = [_in_control("0.3", automation="invoices"), _in_control("0.3", source="/crm"),
              {n for n in range(N) if _draw(f"e-{n}", salt=b"another tenant's secret") == "control"}]  # fmt: skip
    for other in others:
        # Of independent draws 9 % agree on control; five standard deviations are 1 %.
        assert abs(len(control & other) / N - 0.09) < 0.0101


def test_the_arm_does_not_follow_the_order_of_events() -> None:
    """A run of equal arms, or an alternation, would let a sender choose."""
    control = _in_control("0.5")
    changes = sum((n in control) != (n + 1 in control) for n in range(N - 1))
    assert abs(changes / (N - 1) - 0.5) < 5 * sqrt(0.25 / N)
