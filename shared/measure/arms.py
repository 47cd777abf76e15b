"""Which arm a case belongs to: deterministic, so that a second look agrees with the first, and not guessable from outside.

The arm is the first 64 bits of HMAC-SHA-256 over (automation, source, event id), keyed by the tenant's salt, read as a fraction of 2^64 and
compared with the control share. Analysis is by intention to treat: an arm never changes.
"""

from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal
from typing import Literal

Arm = Literal["automated", "control"]

_SPAN = 1 << 64


def assign(salt: bytes, *, automation: str, source: str, event_id: str, control_share: Decimal) -> Arm:
    """The arm of one event.

    Args:
        salt: the tenant's secret, at least 16 bytes.
        automation: name of the automation; two automations draw independently.
        source: CloudEvents source.
        event_id: CloudEvents id.
        control_share: probability of the control arm, 0..1.
    """
    message = b"\0".join(part.encode("utf-8", "surrogatepass") for part in (automation, source, event_id))
    draw = int.from_bytes(hmac.new(salt, message, hashlib.sha256).digest()[:8], "big")
    return "control" if draw < int(control_share * _SPAN) else "automated"
