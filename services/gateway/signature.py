"""Verifies Standard Webhooks signatures over the bytes as they came."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from standardwebhooks import Webhook

from services.gateway.errors import BadSignature
from shared.errors import Malformed

TOLERANCE: Final = timedelta(seconds=300)
_TIMESTAMP: Final = re.compile(r"[0-9]{1,11}")


def verify(secrets: Sequence[Webhook], headers: Mapping[str, str], raw: bytes, now: datetime) -> str:
    """The message id, if one of the signatures was made with one of the secrets, and lately.

    The library's own ``verify`` reads the system's clock and raises four kinds of errors; only its ``sign`` is used.

    Args:
        secrets: several during a rotation.
        headers: names in lower case.

    Raises:
        BadSignature: a header is missing, no signature fits, or the timestamp is more than `TOLERANCE` away from ``now``.
        Malformed: the body is not UTF-8, which the scheme requires.
    """
    message_id = headers.get("webhook-id", "")
    signatures = headers.get("webhook-signature", "")
    if not message_id or not signatures:
        raise BadSignature("Send the headers webhook-id, webhook-timestamp and webhook-signature.")
    sent_at = _timestamp(headers.get("webhook-timestamp", ""))
    if abs(now - sent_at) > TOLERANCE:
        raise BadSignature("webhook-timestamp is more than 300 seconds away from now; sign each attempt anew.")
    expected = _expected(secrets, message_id, sent_at, raw)
    given = [signature.encode() for signature in signatures.split(" ")]
    # All are compared, so that the time tells nothing about which one fits.
    if not any([hmac.compare_digest(one, other) for one in expected for other in given]):  # noqa: C419  # see above
        raise BadSignature("No signature in webhook-signature fits; is the secret of this source in use, and the body unchanged?")
    return message_id


def _expected(secrets: Sequence[Webhook], message_id: str, sent_at: datetime, raw: bytes) -> list[bytes]:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"The body is not UTF-8 (at byte {error.start}); send it as UTF-8.") from None
    return [secret.sign(message_id, sent_at, text).encode() for secret in secrets]


def _timestamp(text: str) -> datetime:
    if not _TIMESTAMP.fullmatch(text):
        raise BadSignature("webhook-timestamp must be whole seconds since 1970.")
    return datetime.fromtimestamp(int(text), UTC)
