"""Standard Webhooks headers: ``id.timestamp.body`` signed by every valid secret, so that a receiver can rotate without a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standardwebhooks.webhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID


def message_id(delivery: UUID) -> str:
    """The same in every attempt: receivers drop what they have seen."""
    return f"msg_{delivery.hex}"


def signer(secret: str) -> Webhook:
    """Raises ValueError where ``secret`` is not ``whsec_`` and base64."""
    return Webhook(secret)


def headers(delivery: UUID, body: bytes, signers: Sequence[Webhook], at: datetime) -> list[tuple[bytes, bytes]]:
    """Headers of one attempt.

    Args:
        body: UTF-8.
        at: time of this attempt, aware; receivers refuse what is older than five minutes.
    """
    identity, text = message_id(delivery), body.decode()
    signatures = " ".join(signer.sign(identity, at, text) for signer in signers)
    return [
        (b"webhook-id", identity.encode()),
        (b"webhook-timestamp", str(int(at.timestamp())).encode()),
        (b"webhook-signature", signatures.encode()),
    ]
