"""Complaints in free text over the nine products. Nothing of it comes from real complaints; models are trained on those."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.lab.synth.complaints_words import ASK, CONTEXT, DETAIL, OPENING, SHORT, SLOTS
from services.lab.synth.event import Arrivals, Effort, SyntheticEvent, fill, with_typos

EVENT_TYPE: Final = "com.recoup.complaint.received.v1"
_SHARES: Final[Mapping[str, float]] = {
    "credit_reporting": 0.30,
    "debt_collection": 0.22,
    "mortgage": 0.14,
    "card": 0.10,
    "bank_account": 0.09,
    "student_loan": 0.05,
    "consumer_vehicle_loan": 0.05,
    "money_transfer": 0.03,
    "payday_personal_loan": 0.02,
}
_CHANNELS: Final = ("web", "web", "web", "email", "letter", "phone", "social")
_SEGMENTS: Final = ("retail", "retail", "retail", "premium", "business")
_SHORT_SHARE: Final = 0.01
_MIXED_SHARE: Final = 0.05


def _text(rng: random.Random, product: str) -> str:
    details = list(DETAIL[product])
    rng.shuffle(details)
    sentences = details[: rng.choice((1, 1, 2, 2, 3))] + rng.sample(CONTEXT, rng.choice((0, 1, 1, 2, 3)))
    if rng.random() < _MIXED_SHARE:
        sentences.append(rng.choice(DETAIL[rng.choice(tuple(_SHARES))]))
    rng.shuffle(sentences)
    parts = [rng.choice(OPENING[product]), *sentences]
    if rng.random() < 0.7:
        parts.append(rng.choice(ASK))
    return with_typos(rng, fill(rng, " ".join(parts), SLOTS), 0.02)


def _complaint(rng: random.Random, text: str, day: str) -> dict[str, Any]:
    complaint: dict[str, Any] = {"text": text, "channel": rng.choice(_CHANNELS), "received_date": day}
    if rng.random() < 0.6:
        complaint["customer_segment"] = rng.choice(_SEGMENTS)
    return complaint


def _effort(text: str) -> Effort:
    words = text.count(" ") + 1
    return Effort(60 + 1.6 * words, 0.75, 0.55)


def stream(rng: random.Random) -> Iterator[SyntheticEvent]:
    arrivals = Arrivals("complaint", rng, 15)
    products, shares = tuple(_SHARES), tuple(_SHARES.values())
    while True:
        event_id, time = arrivals.next()
        is_short = rng.random() < _SHORT_SHARE
        product = "other" if is_short else rng.choices(products, shares)[0]
        text = rng.choice(SHORT) if is_short else _text(rng, product)
        manual, helped = _effort(text).draw(rng)
        data = _complaint(rng, text, time.date().isoformat())
        yield SyntheticEvent(event_id, EVENT_TYPE, time, data, (product,), product, manual, helped)
