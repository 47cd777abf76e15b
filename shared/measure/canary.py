"""Which cases a new version decides while it is tried: a keyed draw like those of arms and audits, and independent of both."""

from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal

_SPAN = 1 << 64


def takes_part(salt: bytes, *, automation: str, version: str, case: str, share: Decimal) -> bool:
    """Whether the version decides this case: deterministic and not guessable; a larger share keeps everybody who was in a smaller one.

    Args:
        salt: the tenant's secret, at least 16 bytes.
        version: of the model that is tried; another one draws anew.
        case: id of the case.
        share: 0..1.
    """
    message = b"\0".join(part.encode("utf-8", "surrogatepass") for part in ("canary", automation, version, case))
    draw = int.from_bytes(hmac.new(salt, message, hashlib.sha256).digest()[:8], "big")
    return draw < int(share * _SPAN)
