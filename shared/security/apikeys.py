"""API keys: ``rk_<prefix>_<secret>``; only a SHA-256 of the secret is stored. It has 256 random bits: a slow hash adds nothing."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    INTEGRATOR = "integrator"
    """Sends events, manages sources and endpoints."""
    OPERATOR = "operator"
    """Works reviews, inspects, replays, pauses; reads figures."""
    EXECUTIVE = "executive"
    """Reads figures."""
    ADMIN = "admin"
    """Everything, and the keys."""


# Who may read what automation saved, however it is told; an admin may as well.
READERS_OF_FIGURES: Final = (Role.EXECUTIVE, Role.OPERATOR)


@dataclass(frozen=True, slots=True)
class NewKey:
    """``token`` is shown once and stored nowhere."""

    token: str
    prefix: str
    secret_sha256: bytes


def generate() -> NewKey:
    prefix = secrets.token_hex(6)
    secret = secrets.token_urlsafe(32)
    return NewKey(token=f"rk_{prefix}_{secret}", prefix=prefix, secret_sha256=digest(secret))


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def split(token: str) -> tuple[str, str] | None:
    """``(prefix, secret)``, or None where the token has not the form of a key."""
    parts = token.split("_", 2)
    if len(parts) != 3 or parts[0] != "rk" or not (parts[1].isascii() and parts[1].isalnum()) or not parts[2]:
        return None
    return parts[1], parts[2]


def matches(secret: str, secret_sha256: bytes) -> bool:
    return hmac.compare_digest(digest(secret), secret_sha256)
