"""The pure parts of remote models: breaker, prices, certificates, framing."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pydantic import ValidationError
from scipy.stats import binom

from services.worker.remote.breaker import Breaker
from services.worker.remote.certificate import Certificate, at_most, chosen
from services.worker.remote.configuration import RemoteModel
from services.worker.remote.framing import Framing, most_tokens
from services.worker.remote.pricing import Price, Tokens, price_at
from shared.automations.contract import Features
from shared.money import currency

GUIDE = Path(__file__).parents[2] / "docs" / "models.md"
EUR = currency("EUR")
FRAMING = Framing(("card", "mortgage"), 200)


class BreakerMachine(RuleBasedStateMachine):
    """Calls begin and end in any order while time passes; the machine keeps a plain record of what happened beside the breaker."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(failures=3, rest=10.0)
        self.now = 0.0
        self.running = 0
        self.failed_in_a_row = 0
        self.last_failure = -1e9

    @rule(seconds=st.floats(0.1, 12))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def begin(self) -> None:
        was_open = self.breaker.is_open
        if self.breaker.permits(self.now):
            # An open one lets nothing through before its rest is over, and then one at a time.
            assert not was_open or (self.now - self.last_failure >= 10.0)
            if was_open:
                assert not self.breaker.permits(self.now)
            self.running += 1
        else:
            assert was_open

    @precondition(lambda self: self.running > 0)
    @rule()
    def succeed(self) -> None:
        self.running -= 1
        self.failed_in_a_row = 0
        self.breaker.succeeded()
        assert self.breaker.permits(self.now)
        self.breaker.left()

    @precondition(lambda self: self.running > 0)
    @rule()
    def fail(self) -> None:
        self.running -= 1
        self.failed_in_a_row += 1
        self.last_failure = self.now
        self.breaker.failed(self.now)

    @precondition(lambda self: self.running > 0)
    @rule()
    def leave(self) -> None:
        self.running -= 1
        self.breaker.left()

    @invariant()
    def opens_after_three_failures_in_a_row_and_not_before(self) -> None:
        assert self.breaker.is_open == (self.failed_in_a_row >= 3)


TestBreaker = BreakerMachine.TestCase


@given(st.integers(1, 3000), st.integers(0, 60), st.floats(0.001, 0.4))
def test_the_binomial_tail_is_that_of_scipy(n: int, errors: int, rate: float) -> None:
    assert at_most(errors, n, rate) == pytest.approx(float(binom.cdf(min(errors, n), n, rate)), rel=1e-9, abs=1e-12)


def _certificate(level: float, errors: int, accepted: int = 1000, subject: str = "m") -> Certificate:
    return Certificate(subject=subject, error_level=level, delta=0.05, accepted=accepted, errors=errors, minimum={"card": 0.9})


def test_149_right_answers_in_a_row_prove_two_per_cent_and_148_do_not() -> None:
    assert _certificate(0.02, 0, 149).holds
    assert not _certificate(0.02, 0, 148).holds


def test_the_widest_certificate_within_the_level_is_chosen() -> None:
    one, two, unproven = _certificate(0.01, 1), _certificate(0.02, 8), _certificate(0.05, 900)
    every = (two, one, unproven)
    assert chosen(every, "m", 0.05) == two
    assert chosen(every, "m", 0.015) == chosen(every, "m", None) == one
    assert chosen(every, "m", 0.001) is chosen(every, "another", 0.05) is None
    assert one.lets_pass("card", 0.9)
    assert not one.lets_pass("card", 0.89)
    assert not one.lets_pass("mortgage", 1.0)


prices = st.builds(
    Price,
    *[st.decimals(0, 1000, places=8)] * 3,
    st.just(EUR),
)


@given(prices, st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 10**6))
def test_what_is_held_back_is_never_less_than_what_is_booked(price: Price, asked: int, answered: int, fewer: int) -> None:
    held = price.at_most(Tokens(asked + fewer, answered))
    assert held.amount >= price.of(Tokens(asked, answered)).amount >= 0


def test_a_price_holds_from_its_day_until_a_later_one() -> None:
    old, new = (Price(Decimal(n), Decimal(0), Decimal(0), EUR) for n in (1, 2))
    dated = [(date(2026, 6, 1), new), (date(2026, 1, 1), old)]
    assert price_at(dated, date(2026, 5, 31)) == old
    assert price_at(dated, date(2026, 6, 1)) == new
    assert price_at(dated, date(2025, 12, 31)) is None


def test_a_thousand_calls_of_a_thousandth_of_a_cent_cost_a_cent() -> None:
    price = Price(Decimal("0.10"), Decimal("0.40"), Decimal(0), EUR)
    assert price.of(Tokens(80, 5)).amount * 1000 == Decimal("0.0100")


@given(st.text(max_size=400), st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=4))
def test_any_document_travels_as_one_json_value(text: str, fields: dict[str, str]) -> None:
    system, user = FRAMING.messages(Features(text, fields))
    document = json.loads(user["content"])
    assert set(document) == {"text", "fields"}
    assert len(document["text"]) <= 200
    assert system == FRAMING.messages(Features())[0]
    assert most_tokens([system, user]) >= len(user["content"].encode())
    for value in (document["text"], *document["fields"].values()):
        assert all(c.isprintable() or c in "\n\t" for c in value)


@given(st.text(max_size=60) | st.dictionaries(st.text(max_size=9), st.floats()).map(json.dumps))
def test_nothing_but_the_object_that_was_asked_for_is_an_answer(content: str) -> None:
    with pytest.raises(ValueError, match="not the object"):
        FRAMING.read(content)


def test_an_answer_is_one_of_the_labels_with_a_probability() -> None:
    assert FRAMING.read('{"label": "card", "confidence": 0.75}') == {"card": 0.75}
    for content in ('{"label": "Card", "confidence": 0.75}', '{"label": "", "confidence": 1}'):
        with pytest.raises(ValueError, match="not offered"):
            FRAMING.read(content)


@pytest.mark.parametrize(
    "changes",
    [
        {"url": None},
        {"protocol": "langgraph"},
        {"protocol": "kserve", "labels": ()},
        {"labels": ("card", "card")},
        {"prices": []},
        {"daily_cap": 0},
        {"timeout": "PT9S"},
        {"tenants": None},
        {"residency": "somewhere"},
        {"unheard": 1},
    ],
)
def test_a_setting_that_leaves_something_open_is_refused(changes: dict[str, Any]) -> None:
    given = {
        "protocol": "openai",
        "url": "http://127.0.0.1/v1",
        "model": "m",
        "residency": "edge",
        "tenants": ["acme"],
        "currency": "EUR",
        "prices": [{"since": "2026-01-01", "source": "list"}],
        "daily_cap": "1",
    }
    RemoteModel.model_validate(given)
    with pytest.raises(ValidationError):
        RemoteModel.model_validate(given | changes)


def test_the_guide_shows_settings_and_a_certificate_that_hold() -> None:
    models, certificate = re.findall(r"```json\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (configured,) = json.loads(models).values()
    model = RemoteModel.model_validate({**configured, "certificates": [json.loads(certificate)]})
    assert model.certified()[0].holds
