"""Identifiers: time-ordered UUIDs (RFC 9562 version 7) for rows, so that indexes grow at one end."""

from __future__ import annotations

import secrets
import time
from typing import NewType
from uuid import UUID

TenantId = NewType("TenantId", str)
CaseId = NewType("CaseId", UUID)


def uuid7() -> UUID:
    """48 bits of Unix milliseconds, 74 random bits, version and variant as in RFC 9562 section 5.7."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | (0x7 << 76) | (secrets.randbits(12) << 64) | (0x2 << 62) | secrets.randbits(62)
    return UUID(int=value)
