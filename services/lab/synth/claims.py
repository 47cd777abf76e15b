"""Claims: mostly small and clear, some complicated, few suspicious, and the ones that hard rules catch."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from services.lab.synth.claims_words import CLEAR, COMPLEX, NEUTRAL, OPENING, SLOTS, SUSPICIOUS
from services.lab.synth.event import Arrivals, Effort, SyntheticEvent, fill, with_typos

EVENT_TYPE: Final = "com.recoup.claim.filed.v1"
LABEL_NOISE: Final = 0.004
# Reports from which nobody could tell: no machine should decide them.
VAGUE_SHARE: Final = 0.1
_LINES: Final[Mapping[str, Sequence[str]]] = {
    "motor": ("collision", "collision", "glass", "glass", "animal", "vandalism", "storm"),
    "home": ("water", "water", "storm", "fire", "theft", "vandalism", "liability"),
    "travel": ("baggage", "cancellation", "theft", "other"),
    "device": ("breakage", "breakage", "theft", "other"),
}
# Currency, and how many of its units are about one euro.
_CURRENCIES: Final = (("EUR", 1.0), ("EUR", 1.0), ("EUR", 1.0), ("GBP", 0.9), ("USD", 1.1), ("CHF", 1.0), ("PLN", 4.0), ("SEK", 11.0))
_EFFORT: Final[Mapping[str, Effort]] = {
    "fast_track_pay": Effort(540, 0.7, 0.5),
    "adjuster": Effort(1_260, 0.85, 0.65),
    "special_investigation": Effort(2_700, 0.9, 0.7),
}


@dataclass(frozen=True, slots=True)
class _Story:
    """What really happened; text and fields follow from it."""

    outcome: str
    line: str
    cause: str


def _story(rng: random.Random) -> _Story:
    line = rng.choices(tuple(_LINES), (0.5, 0.25, 0.12, 0.13))[0]
    outcome = rng.choices(("fast_track_pay", "adjuster", "special_investigation"), (0.74, 0.225, 0.035))[0]
    return _Story(outcome, line, rng.choice(_LINES[line]))


def _text(rng: random.Random, story: _Story) -> str:
    if rng.random() < VAGUE_SHARE:
        vague = " ".join([rng.choice(OPENING[story.cause]), *rng.sample(NEUTRAL, rng.randrange(0, 4))])
        return with_typos(rng, fill(rng, vague, SLOTS), 0.03).strip()
    hints = {"fast_track_pay": CLEAR, "adjuster": COMPLEX, "special_investigation": SUSPICIOUS}[story.outcome]
    sentences = [rng.choice(OPENING[story.cause]), rng.choice(hints)]
    if story.outcome != "fast_track_pay" or rng.random() < 0.3:
        sentences.append(rng.choice(hints))
    # People mix: a clear claim may mention a complication, a suspicious one always looks tidy too.
    if rng.random() < 0.06:
        sentences.append(rng.choice(COMPLEX if story.outcome == "fast_track_pay" else CLEAR))
    sentences.extend(rng.sample(NEUTRAL, rng.randrange(0, 4)))
    first, rest = sentences[0], list(dict.fromkeys(sentences[1:]))
    rng.shuffle(rest)
    return with_typos(rng, fill(rng, " ".join([first, *rest]), SLOTS), 0.03).strip()


def _amounts(rng: random.Random, story: _Story) -> dict[str, Any]:
    currency, factor = rng.choice(_CURRENCIES)
    claimed = min(rng.lognormvariate({"fast_track_pay": 6.3, "adjuster": 7.2}.get(story.outcome, 7.4), 0.7), 4_300) * factor
    if story.outcome == "special_investigation" and rng.random() < 0.5:
        claimed = max(100.0, claimed // 100 * 100)
    insured = {"motor": 25_000, "home": 80_000, "travel": 6_000, "device": 5_000}[story.line] * rng.choice((1, 1, 1.5, 2)) * factor
    deductible = rng.choice((0, 0, 50, 100, 150)) * factor
    return {
        "amount_claimed": f"{max(claimed, deductible + 20 * factor):.2f}",
        "currency": currency,
        "deductible": f"{deductible:.2f}",
        "sum_insured": f"{insured:.2f}",
    }


def _dates(rng: random.Random, story: _Story, now: date) -> dict[str, str]:
    slow = {"fast_track_pay": 3, "adjuster": 9, "special_investigation": 14}[story.outcome]
    reported = now - timedelta(days=rng.randrange(0, 2))
    loss = reported - timedelta(days=min(int(rng.expovariate(1 / slow)), 150))
    age = rng.randrange(8, 60) if story.outcome == "special_investigation" and rng.random() < 0.7 else rng.randrange(8, 360)
    start = loss - timedelta(days=age)
    return {
        "policy_start": start.isoformat(),
        "policy_end": (start + timedelta(days=365)).isoformat(),
        "loss_date": loss.isoformat(),
        "reported_date": reported.isoformat(),
    }


def _claim(rng: random.Random, story: _Story, now: datetime) -> dict[str, Any]:
    complicated = story.outcome != "fast_track_pay"
    third_party = story.cause in {"collision", "liability"} and rng.random() < (0.7 if complicated else 0.45)
    return {
        "policy_number": f"{story.line[:1].upper()}{rng.randrange(10**7, 10**8)}",
        "line": story.line,
        "cause": story.cause,
        **_dates(rng, story, now.date()),
        **_amounts(rng, story),
        "injured_persons": 0,
        "police_report": story.cause == "theft" or rng.random() < (0.15 if complicated else 0.25),
        "third_party": third_party,
        "prior_claims": min(int(rng.expovariate(1.1 if not complicated else 0.6)), 5),
        "description": _text(rng, story),
    }


def _outside_cover(rng: random.Random, claim: dict[str, Any]) -> str:
    end = date.fromisoformat(claim["loss_date"]) - timedelta(days=rng.randrange(1, 90))
    claim["policy_end"], claim["policy_start"] = end.isoformat(), (end - timedelta(days=365)).isoformat()
    return "adjuster"


def _injury(rng: random.Random, claim: dict[str, Any]) -> str:
    claim["injured_persons"] = rng.randrange(1, 4)
    claim["description"] += rng.choice(
        (" My passenger has neck pain.", " One person went to hospital.", " I was slightly hurt at the knee.")
    )
    return "adjuster"


def _large(rng: random.Random, claim: dict[str, Any]) -> str:
    claim["amount_claimed"] = f"{float(claim['sum_insured']) * rng.uniform(0.6, 1.4) + 60_000:.2f}"
    return "adjuster"


def _below_deductible(rng: random.Random, claim: dict[str, Any]) -> str:
    claim["deductible"] = f"{float(claim['amount_claimed']) * rng.uniform(1, 2) + 1:.2f}"
    return "adjuster"


def _late(rng: random.Random, claim: dict[str, Any]) -> str:
    loss = date.fromisoformat(claim["reported_date"]) - timedelta(days=rng.randrange(190, 340))
    claim["loss_date"] = loss.isoformat()
    claim["policy_start"], claim["policy_end"] = (loss - timedelta(days=20)).isoformat(), (loss + timedelta(days=345)).isoformat()
    return "adjuster"


def _serial_claimant(rng: random.Random, claim: dict[str, Any]) -> str:
    claim["prior_claims"] = rng.randrange(6, 14)
    return rng.choices(("special_investigation", "adjuster"), (0.7, 0.3))[0]


_RULE_CASES: Final = (
    (_outside_cover, 0.03),
    (_injury, 0.04),
    (_large, 0.04),
    (_below_deductible, 0.02),
    (_late, 0.01),
    (_serial_claimant, 0.01),
)
_RULE_SHARE: Final = sum(share for _, share in _RULE_CASES)


def _noisy(rng: random.Random, outcome: str) -> str:
    if rng.random() >= LABEL_NOISE:
        return outcome
    return "adjuster" if outcome == "fast_track_pay" else "fast_track_pay"


def stream(rng: random.Random) -> Iterator[SyntheticEvent]:
    arrivals = Arrivals("claim", rng, 40)
    while True:
        event_id, time = arrivals.next()
        story = _story(rng)
        claim, outcome = _claim(rng, story, time), story.outcome
        if rng.random() < _RULE_SHARE:
            change = rng.choices([change for change, _ in _RULE_CASES], [share for _, share in _RULE_CASES])[0]
            outcome = change(rng, claim)
        manual, helped = _EFFORT[outcome].draw(rng)
        yield SyntheticEvent(event_id, EVENT_TYPE, time, claim, (outcome,), _noisy(rng, outcome), manual, helped)
