"""The examples of docs/callbacks.md accept what the courier sends, and nothing else."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from standardwebhooks import WebhookVerificationError

from services.courier import signature
from shared.security.vault import new_webhook_secret

GUIDE = (Path(__file__).parents[2] / "docs" / "callbacks.md").read_text(encoding="utf-8")
BODY = '{"text": "ü"}'.encode()

Verify = Callable[[str, dict[str, str], bytes], object]


def _with_the_library(secret: str, headers: dict[str, str], body: bytes) -> object:
    example = re.findall(r"```python\n(from standardwebhooks.*?)```", GUIDE, re.DOTALL)[0].replace("whsec_…", secret)
    names: dict[str, Any] = {"headers": headers, "body": body}
    exec(example, names)
    return names["decision"]


def _without_it(secret: str, headers: dict[str, str], body: bytes) -> object:
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(import base64.*?)```", GUIDE, re.DOTALL)[0], names)
    return names["verify"](secret, headers, body)


def _headers(secrets: list[str], at: datetime) -> dict[str, str]:
    signers = [signature.signer(secret) for secret in secrets]
    return {name.decode(): value.decode() for name, value in signature.headers(uuid4(), BODY, signers, at)}


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251  # the clock of a receiver


@pytest.mark.parametrize("verify", [_with_the_library, _without_it])
def test_what_the_courier_signs_is_accepted_also_while_secrets_rotate(verify: Verify) -> None:
    old, new = new_webhook_secret(), new_webhook_secret()
    for secret in (old, new):
        verify(secret, _headers([new, old], _now()), BODY)


@pytest.mark.parametrize("verify", [_with_the_library, _without_it])
def test_another_secret_another_body_and_another_day_are_refused(verify: Verify) -> None:
    secret = new_webhook_secret()
    good = _headers([secret], _now())
    for key, headers, body in (
        (new_webhook_secret(), good, BODY),
        (secret, good, BODY + b" "),
        (secret, _headers([secret], _now() - timedelta(minutes=6)), BODY),
    ):
        with pytest.raises((ValueError, WebhookVerificationError)):
            verify(key, headers, body)
