"""Promises by name: the greatest share of wrong decisions, as people write it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

from services.lab.plan import LEVELS
from shared.automations.pack import Pack
from shared.errors import Rejected


class BadLevel(Rejected):
    """A level is a share between 0 and 1, such as 0.02 for 2 %."""

    code = "bad_level"


class OwnLevelLeftOut(Rejected):
    """The levels leave out the pack's own, which holds where nobody chooses another."""

    code = "own_level_left_out"


def level(text: str) -> str:
    """The one name of that share: ``0.020`` is ``0.02``.

    Raises:
        BadLevel: it is no number, or not between 0 and 1.
    """
    try:
        share = Decimal(text)
    except InvalidOperation as error:
        raise BadLevel(level=text) from error
    # A share so near to 0 or 1 that a 64-bit number cannot tell it apart promises nothing, or everything.
    if not share.is_finite() or not 0 < float(share) < 1:
        raise BadLevel(level=text)
    return f"{share.normalize():f}"


def to_prove(pack: Pack, asked: Iterable[str] | None) -> tuple[str, ...]:
    """Each share once, the least first; by default those of every training and the pack's own.

    Raises:
        BadLevel: as `level`.
        OwnLevelLeftOut: of those that are asked for.
    """
    own = level(pack.level)
    found = {level(text) for text in ((*LEVELS, own) if asked is None else asked)}
    if own not in found:
        raise OwnLevelLeftOut(own=own, levels=sorted(found, key=float))
    return tuple(sorted(found, key=float))
