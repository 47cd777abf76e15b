"""What to do with a claim: hard rules, what the models see, and what a model's label means."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from shared.automations.claims.schema import Cause, ClaimFiled, Line
from shared.automations.contract import Context, Features, Verdict

# Above this a person looks at every claim. A currency that is not listed has no limit that anybody agreed to.
FAST_TRACK_LIMIT: Final = {
    "EUR": Decimal(5_000),
    "USD": Decimal(5_500),
    "GBP": Decimal(4_500),
    "CHF": Decimal(5_000),
    "PLN": Decimal(20_000),
    "SEK": Decimal(55_000),
    "DKK": Decimal(37_000),
    "CZK": Decimal(125_000),
}
LATE_REPORT_DAYS: Final = 180
MANY_PRIOR_CLAIMS: Final = 6
NEW_POLICY_DAYS: Final = 5

_CAUSE_GROUP: Final = {
    Cause.COLLISION: "accident",
    Cause.ANIMAL: "accident",
    Cause.LIABILITY: "accident",
    Cause.GLASS: "damage",
    Cause.BREAKAGE: "damage",
    Cause.VANDALISM: "damage",
    Cause.THEFT: "theft",
    Cause.BAGGAGE: "theft",
    Cause.FIRE: "nature",
    Cause.WATER: "nature",
    Cause.STORM: "nature",
    Cause.CANCELLATION: "other",
    Cause.OTHER: "other",
}
_DESK: Final = {Line.MOTOR: "motor", Line.HOME: "property", Line.TRAVEL: "travel", Line.DEVICE: "property"}

_Test = Callable[[ClaimFiled], bool]


def _above_limit(claim: ClaimFiled) -> bool:
    return claim.amount_claimed > FAST_TRACK_LIMIT.get(claim.currency, Decimal(0))


def _just_after_start(claim: ClaimFiled) -> bool:
    days = (claim.loss_date - claim.policy_start).days
    return 0 <= days <= NEW_POLICY_DAYS and claim.amount_claimed * 2 >= claim.sum_insured


# Order matters: the first reason is the one that the claimant is told.
_ADJUSTER: Final[tuple[tuple[str, _Test], ...]] = (
    ("policy_dates_inconsistent", lambda c: c.policy_end < c.policy_start),
    ("outside_cover_period", lambda c: not c.policy_start <= c.loss_date <= c.policy_end),
    ("reported_before_loss", lambda c: c.reported_date < c.loss_date),
    ("injury", lambda c: c.injured_persons > 0),
    ("above_sum_insured", lambda c: c.amount_claimed > c.sum_insured),
    ("not_above_deductible", lambda c: c.amount_claimed <= c.deductible),
    ("no_limit_for_currency", lambda c: c.currency not in FAST_TRACK_LIMIT),
    ("above_fast_track_limit", _above_limit),
    ("reported_late", lambda c: (c.reported_date - c.loss_date).days > LATE_REPORT_DAYS),
    ("no_police_report", lambda c: c.cause is Cause.THEFT and not c.police_report),
)
_INVESTIGATE: Final[tuple[tuple[str, _Test], ...]] = (
    ("many_prior_claims", lambda c: c.prior_claims >= MANY_PRIOR_CLAIMS),
    ("loss_just_after_start", _just_after_start),
)


def rules(claim: ClaimFiled, _context: Context) -> Verdict | None:
    """Only reasons that never pay automatically; None where a model may speak."""
    suspicious = tuple(code for code, applies in _INVESTIGATE if applies(claim))
    routine = tuple(code for code, applies in _ADJUSTER if applies(claim))
    if suspicious:
        return Verdict("special_investigation", reasons=suspicious + routine)
    if routine:
        return Verdict("adjuster", reasons=routine, attributes={"desk": _DESK[claim.line]})
    return None


def band(claim: ClaimFiled) -> str:
    """Amount in tenths of the fast-track limit of its currency, so that currencies are comparable."""
    limit = FAST_TRACK_LIMIT.get(claim.currency)
    if limit is None:
        return "unknown"
    share = claim.amount_claimed / limit
    return "small" if share <= Decimal("0.2") else "medium" if share <= 1 else "large"


def stratum(claim: ClaimFiled) -> str:
    if claim.injured_persons:
        return "injury"
    return f"{_CAUSE_GROUP[claim.cause]}/{band(claim)}"


def covariate(claim: ClaimFiled) -> float:
    """How many circumstances need a look of their own, whoever decides: each takes a person some time to clear up."""
    return float(sum(applies(claim) for _, applies in (*_INVESTIGATE, *_ADJUSTER)))


def _bin(value: int, edges: tuple[int, ...]) -> str:
    return next((f"<={edge}" for edge in edges if value <= edge), f">{edges[-1]}")


def features(claim: ClaimFiled) -> Features:
    paid_after = (claim.loss_date - claim.policy_start).days
    fields = {
        "line": claim.line.value,
        "cause": claim.cause.value,
        "band": band(claim),
        "delay": _bin((claim.reported_date - claim.loss_date).days, (1, 3, 7, 14, 30, 60)),
        "policy_age": _bin(paid_after, (14, 30, 60, 120, 240)),
        "prior": _bin(claim.prior_claims, (0, 1, 2, 3)),
        "police": str(claim.police_report),
        "third_party": str(claim.third_party),
        "third_party_police": f"{claim.third_party}{claim.police_report}",
        "share": _bin(int(claim.amount_claimed * 20 / max(claim.sum_insured, Decimal(1))), (0, 1, 2, 4, 8, 12, 16)),
        "round": str(claim.amount_claimed % 100 == 0),
    }
    return Features(text=claim.description, fields=fields)


def conclude(claim: ClaimFiled, label: str, confidence: float) -> Verdict:
    reasons = (f"model:{label}",)
    if label == "fast_track_pay":
        payable = claim.amount_claimed - claim.deductible
        return Verdict(label, confidence, reasons, {"payable": f"{payable:f}", "currency": claim.currency}, label)
    return Verdict(label, confidence, reasons, {"desk": _DESK[claim.line]}, label)
