"""Pairs of generated cases that differ in one thing whose effect is known: more of it never makes a case milder, or it means nothing.

Only for tasks with a generator of events, and for packs that were trained on such events: there the meaning of each field is ours.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import Any, Final

from services.lab.synth import generate
from services.lab.synth.complaints_words import SLOTS
from services.lab.synth.places import CITY, FIRST, LAST, STREET
from shared.automations.contract import Automation, Features

Data = Mapping[str, Any]
_EVENTS: Final = 600
_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Pair:
    """One change of an event's data.

    Attributes:
        change: None where this event cannot be changed so.
        means_nothing: the label should stay; else it should not become milder.
    """

    name: str
    change: Callable[[Data, random.Random], Data | None]
    means_nothing: bool = False


# Labels from the mildest to the most severe.
SEVERITY: Final[Mapping[str, Sequence[str]]] = {
    "claims": ("fast_track_pay", "adjuster", "special_investigation"),
    "invoices": ("post", "exception"),
    "complaints": (),
}


def _dearer(data: Data, _chance: random.Random) -> Data:
    return {**data, "amount_claimed": f"{Decimal(data['amount_claimed']) * 3:.2f}"}


def _reported_later(data: Data, _chance: random.Random) -> Data:
    return {**data, "reported_date": (date.fromisoformat(data["reported_date"]) + timedelta(days=30)).isoformat()}


def _more_claims_before(data: Data, _chance: random.Random) -> Data:
    return {**data, "prior_claims": data.get("prior_claims", 0) + 2}


def _without_police(data: Data, _chance: random.Random) -> Data | None:
    return {**data, "police_report": False} if data.get("police_report") else None


def _unless(name: str) -> Callable[[Data, random.Random], Data | None]:
    return lambda data, _chance: {**data, name: False} if data.get(name) else None


def _renamed(field: str, kinds: Iterable[Sequence[str]]) -> Callable[[Data, random.Random], Data | None]:
    """Every word that the generator took from one of these lists becomes another one of its list."""
    patterns = [(re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in words)), words) for words in kinds]

    def change(data: Data, chance: random.Random) -> Data | None:
        text = str(data.get(field) or "")
        changed = text
        for pattern, words in patterns:
            changed = pattern.sub(partial(_other, words, chance), changed)
        return None if changed == text else {**data, field: changed}

    return change


def _other(words: Sequence[str], chance: random.Random, found: re.Match[str]) -> str:
    return chance.choice([word for word in words if word != found[0]])


PAIRS: Final[Mapping[str, Sequence[Pair]]] = {
    "claims": (
        Pair("a higher amount", _dearer),
        Pair("a later report", _reported_later),
        Pair("more claims before", _more_claims_before),
        Pair("no police report", _without_police),
        Pair("other names and places", _renamed("description", (FIRST, LAST, CITY, STREET)), means_nothing=True),
    ),
    "invoices": (Pair("an unknown seller", _unless("seller_known")), Pair("an order that does not match", _unless("order_matched"))),
    "complaints": (
        Pair("another relative", _renamed("text", (SLOTS["family"],)), means_nothing=True),
        Pair("other amounts and dates", _renamed("text", (SLOTS["amount"], SLOTS["date"])), means_nothing=True),
    ),
}


def drawn(automation: Automation, pair: Pair, seed: int) -> list[tuple[Features, Features]]:
    """What models see before and after the change, of at most two hundred events.

    Rules are left out: what they would decide, a model that is asked all the same should not think milder of than before.
    """
    chance, found = random.Random(seed), []
    for event in _events(automation, seed):
        changed = pair.change(event, chance)
        if changed is not None:
            before, after = (automation.features(automation.data_model.model_validate(data)) for data in (event, changed))
            if before is not None and after is not None:
                found.append((before, after))
    return found[:_MOST]


def _events(automation: Automation, seed: int) -> Iterable[Data]:
    return (event.data for event in islice(generate(automation.name, _EVENTS, seed), _EVENTS))
