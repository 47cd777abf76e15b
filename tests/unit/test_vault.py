"""Sealed secrets open with the keys that are held, also while a key is being replaced."""

from __future__ import annotations

import base64

import pytest
from pydantic import SecretStr, ValidationError

from shared.errors import InvariantBroken
from shared.security.vault import Vault, new_vault_key, new_webhook_secret
from shared.settings import SecretSettings

# Fixed: parts of a test's name must be the same in every process of a run.
A_KEY = base64.urlsafe_b64encode(bytes(32)).decode()


def _vault(*keys: str) -> Vault:
    return Vault(SecretSettings(secret_key=SecretStr(",".join(keys))))


def test_what_is_sealed_opens_again_and_does_not_show() -> None:
    vault, secret = _vault(new_vault_key()), new_webhook_secret()
    sealed = vault.seal(secret)
    assert vault.open(sealed) == secret
    assert secret.encode() not in sealed
    assert vault.seal(secret) != sealed, "equal secrets must not look equal"


def test_a_key_is_replaced_without_a_gap() -> None:
    old, new = new_vault_key(), new_vault_key()
    sealed_before = _vault(old).seal("secret")
    both = _vault(new, f" {old} ")
    assert both.open(sealed_before) == "secret"
    sealed_anew = both.seal("secret")
    assert _vault(new).open(sealed_anew) == "secret", "the first key seals"
    with pytest.raises(InvariantBroken):
        _vault(new).open(sealed_before)


def test_a_changed_seal_does_not_open() -> None:
    vault = _vault(new_vault_key())
    sealed = bytearray(vault.seal("secret"))
    sealed[20] ^= 1
    with pytest.raises(InvariantBroken):
        vault.open(bytes(sealed))


@pytest.mark.parametrize("key", ["", "short", "ä" * 44, "not base64!" * 4, f"{A_KEY},"])
def test_a_key_that_is_none_is_refused_at_the_start(key: str) -> None:
    with pytest.raises(ValidationError, match="must be a Fernet key"):
        _vault(key)


def test_webhook_secrets_have_the_standards_form() -> None:
    secret = new_webhook_secret()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
