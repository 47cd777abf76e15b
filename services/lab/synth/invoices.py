"""Invoices of a pool of vendors: fields, UBL and CII; faults, duplicates, unreadable documents, and the ones people stop."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from services.lab.synth import invoice_syntax
from services.lab.synth.event import Arrivals, Effort, SyntheticEvent
from services.lab.synth.invoice_draft import FAULTS, Draft, doubtful, draft
from services.lab.synth.vendors import Vendor, foreign_account, vendor

EVENT_TYPE: Final = "com.recoup.invoice.received.v1"
LABEL_NOISE: Final = 0.003
# Odd lines that were agreed upon, which only people know.
AGREED_SHARE: Final = 0.015
_VENDORS: Final = 400
# What befalls an invoice; the rest is in order.
_FATES: Final = {"fault": 0.05, "duplicate": 0.02, "unreadable": 0.006, "doubtful": 0.035, "moved_account": 0.015, "unknown_seller": 0.02}
_EFFORT: Final = {
    "clean": Effort(210, 0.75, 0.45),
    "fault": Effort(600, 0.85, 0.6),
    "duplicate": Effort(420, 0.8, 0.35),
    "unreadable": Effort(540, 0.8, 0.8),
    "doubtful": Effort(660, 0.9, 0.7),
    "moved_account": Effort(900, 0.9, 0.7),
    "unknown_seller": Effort(780, 0.9, 0.7),
}


@dataclass(slots=True)
class _Books:
    """What the stream remembers: its vendors, the numbers they gave out, and invoices that may come a second time."""

    vendors: list[Vendor]
    number: int = 10_000
    sent: deque[tuple[str, Draft]] = field(default_factory=lambda: deque(maxlen=300))


def _fate(rng: random.Random) -> str:
    draw = rng.random()
    for fate, share in _FATES.items():
        draw -= share
        if draw < 0:
            return fate
    return "clean"


def _invoice(rng: random.Random, books: _Books, fate: str, now: datetime) -> Draft:
    books.number += rng.randrange(1, 4)
    invoice = draft(rng, rng.choice(books.vendors), books.number, now.date())
    match fate:
        case "fault":
            return rng.choice(FAULTS)(rng, invoice)
        case "doubtful":
            return doubtful(rng, replace(invoice, order_matched=invoice.order_matched and rng.random() < 0.5))
        case "moved_account":
            return replace(invoice, iban=foreign_account(rng, invoice.vendor.country))
        case "unknown_seller":
            stranger = vendor(rng)
            return replace(invoice, vendor=stranger, iban=stranger.iban, seller_known=False, order=None, order_matched=False)
        case _:
            return doubtful(rng, invoice) if rng.random() < AGREED_SHARE else invoice


def _data(rng: random.Random, invoice: Draft, fate: str) -> dict[str, Any]:
    syntax = "ubl" if fate == "unreadable" else rng.choices(("fields", "ubl", "cii"), (0.5, 0.25, 0.25))[0]
    known = {"seller_known": invoice.seller_known, "order_matched": invoice.order_matched}
    said = {name: value for name, value in known.items() if value is not None}
    if syntax == "fields":
        return {**invoice_syntax.fields(invoice), **said}
    document = invoice_syntax.ubl(invoice) if syntax == "ubl" else invoice_syntax.cii(invoice)
    if fate == "unreadable":
        document = document[: rng.randrange(len(document) // 3, len(document) - 20)]
    return {"document": document, **said}


def _truth(fate: str) -> tuple[str, str]:
    """The right final outcome, and what a machine should say."""
    return ("post", "post") if fate == "clean" else ("reject", "reject" if fate == "duplicate" else "exception")


def _noisy(rng: random.Random, label: str) -> str:
    if rng.random() >= LABEL_NOISE or label == "reject":
        return label
    return "exception" if label == "post" else "post"


def stream(rng: random.Random) -> Iterator[SyntheticEvent]:
    arrivals = Arrivals("invoice", rng, 20)
    books = _Books([vendor(rng) for _ in range(_VENDORS)])
    while True:
        event_id, time = arrivals.next()
        fate = _fate(rng)
        original, earlier = None, None
        if fate == "duplicate" and books.sent:
            original, earlier = rng.choice(books.sent)
        elif fate == "duplicate":
            fate = "clean"
        invoice = earlier or _invoice(rng, books, fate, time)
        if fate == "clean":
            books.sent.append((event_id, invoice))
        outcome, label = _truth(fate)
        manual, helped = _EFFORT[fate].draw(rng)
        yield SyntheticEvent(
            event_id, EVENT_TYPE, time, _data(rng, invoice, fate), (outcome,), _noisy(rng, label), manual, helped, duplicate_of=original
        )
