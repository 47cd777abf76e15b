"""What to do with a complaint: too short for a machine, which team, how urgent."""

from __future__ import annotations

import math
import re
from typing import Final

from shared.automations.complaints.schema import ComplaintReceived
from shared.automations.contract import Context, Features, Verdict

# Product classes of the CFPB consumer complaint database, names of several years mapped to one, and the team that owns each.
TEAMS: Final = {
    "bank_account": "deposits",
    "card": "cards",
    "consumer_vehicle_loan": "consumer-lending",
    "credit_reporting": "bureau-disputes",
    "debt_collection": "collections",
    "money_transfer": "payments",
    "mortgage": "home-lending",
    "payday_personal_loan": "consumer-lending",
    "student_loan": "student-lending",
}
PRODUCTS: Final = tuple(TEAMS)
FEWEST_WORDS: Final = 5

# Kind of urgency: stems that must occur at all, which is cheap to see, and the words that count.
_URGENT: Final = {
    "legal_threat": (("attorney", "lawyer", "lawsuit", " sue", "suing", "court", "summons", "legal action", "litigation"),
                     r"attorneys?|lawyers?|lawsuit|sue[ds]?|suing|court|summons|legal action|litigation"),
    "home_at_risk": (("foreclos", "evict", "auction", "sheriff"),
                     r"foreclos\w*|evict\w*|auction(?:ed)? (?:of )?(?:my|our|the) (?:home|house)|sheriff'?s? sale"),
    "vulnerable": (("elder", "disab", "widow", "veteran", "hospital", "cancer", "dementia", "deceased", "80 years", "security income"),
                   r"elderly|disab(?:led|ility)|widow\w*|veteran|hospital\w*|cancer|dementia|deceased|80 years old|social security income"),
    "fraud_now": (("identity", "hacked", "unauthori", "scam"), r"identity theft|stolen identity|hacked|unauthori[sz]ed|scam\w*"),
    "livelihood": (("garnish", "repossess", "frozen", "not pay ", "t pay ", "not buy ", "t buy ", "homeless"),
                   r"garnish\w*|repossess\w*|frozen|can(?:not|'?t) (?:pay|buy) (?:my )?(?:rent|food|medic\w+)|homeless"),
}  # fmt: skip
_PATTERNS: Final = {kind: (stems, re.compile(rf"\b(?:{words})\b")) for kind, (stems, words) in _URGENT.items()}
_HIGH: Final = frozenset({"legal_threat", "home_at_risk", "vulnerable", "livelihood"})


def _words_up_to(text: str, limit: int) -> int:
    return len(text.split(maxsplit=limit))


def _is_too_short(complaint: ComplaintReceived) -> bool:
    return _words_up_to(complaint.text, FEWEST_WORDS) < FEWEST_WORDS


def rules(complaint: ComplaintReceived, _context: Context) -> Verdict | None:
    """Abstains with a reason where nobody but a person could tell; never decides."""
    return Verdict(None, reasons=("text_too_short",)) if _is_too_short(complaint) else None


def features(complaint: ComplaintReceived) -> Features | None:
    return None if _is_too_short(complaint) else Features(text=complaint.text)


def urgency(text: str) -> tuple[str, tuple[str, ...]]:
    """``high``, ``raised`` or ``normal``, and the kinds of words that say so."""
    lowered = f" {text.lower()}"
    kinds = tuple(
        kind for kind, (stems, pattern) in _PATTERNS.items() if any(stem in lowered for stem in stems) and pattern.search(lowered)
    )
    if _HIGH.intersection(kinds):
        return "high", kinds
    return ("raised" if kinds else "normal"), kinds


def stratum(complaint: ComplaintReceived) -> str:
    """Reading time goes with length."""
    words = _words_up_to(complaint.text, 401)
    return "short" if words <= 80 else "medium" if words <= 400 else "long"


def covariate(complaint: ComplaintReceived) -> float:
    """Within a stratum reading time goes with length too: by the logarithm, as times do."""
    return math.log1p(len(complaint.text))


def conclude(complaint: ComplaintReceived, label: str, confidence: float) -> Verdict:
    level, kinds = urgency(complaint.text)
    return Verdict(
        outcome=label,
        confidence=confidence,
        reasons=(f"model:{label}", *(f"urgent:{kind}" for kind in kinds)),
        attributes={"route": TEAMS.get(label, "triage"), "urgency": level},
        label=label,
    )
