"""Which automatic decisions a person decides again: a keyed draw, as for `arms`, that needs the standard library only."""

from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal

_SPAN = 1 << 64


def selected(salt: bytes, *, automation: str, case: str, probability: Decimal) -> bool:
    """Whether this decision is audited: deterministic and not guessable, like `arms.assign` and independent of it.

    Args:
        salt: the tenant's secret, at least 16 bytes.
        case: id of the case.
        probability: 0..1, to be stored with the audit.
    """
    message = b"\0".join(part.encode("utf-8", "surrogatepass") for part in ("audit", automation, case))
    draw = int.from_bytes(hmac.new(salt, message, hashlib.sha256).digest()[:8], "big")
    return draw < int(probability * _SPAN)
