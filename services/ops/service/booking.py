"""How much of a review is booked: pure arithmetic over two clocks."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

_MILLISECOND = Decimal("0.001")
# What the columns hold; reached only by a clock that is wrong.
_MOST = Decimal(999_999_999)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds of one review.

    Attributes:
        active: by the reviewer's own clock, with the work of earlier claims.
        span: by the server's clock from claim to submit, with the work of earlier claims.
        booked: the smaller one, scaled for a simulated tenant.
    """

    active: Decimal
    span: Decimal
    booked: Decimal


def clocks(*, reported: Decimal, claim: Decimal, earlier: Decimal, time_scale: Decimal, trusted: Decimal = _MOST) -> Clocks:
    """Nobody can book more time than has passed since the claim.

    Args:
        reported: active seconds of this claim by the reviewer's clock.
        claim: seconds since the claim by the server's clock.
        earlier: active seconds of claims that were given back, each capped by its own span already.
        time_scale: 1 for real people.
        trusted: the most that is booked of this claim, whatever both clocks say.
    """
    active, span = _kept(reported + earlier), _kept(claim + earlier)
    return Clocks(active=active, span=span, booked=_kept(min(active, span, trusted + earlier) * time_scale))


def _kept(seconds: Decimal) -> Decimal:
    return min(seconds, _MOST).quantize(_MILLISECOND, rounding=ROUND_HALF_EVEN)
