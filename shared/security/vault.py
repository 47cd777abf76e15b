"""Secrets that must be read again (webhook signing) are sealed at rest; a leaked table is then not a leaked secret."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shared.errors import InvariantBroken

if TYPE_CHECKING:
    from shared.settings import SecretSettings


class Vault:
    """Seals with the first key, opens with any: a new key is put in front, rows are sealed anew, the old one is removed."""

    def __init__(self, settings: SecretSettings) -> None:
        keys = [key.strip() for key in settings.secret_key.get_secret_value().split(",")]
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, secret: str) -> bytes:
        return self._fernet.encrypt(secret.encode())

    def open(self, sealed: bytes) -> str:
        """Raises InvariantBroken where none of the keys has sealed it."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken as error:
            raise InvariantBroken("a stored secret was sealed with a key that RECOUP_SECRET_KEY no longer holds") from error


def new_webhook_secret() -> str:
    """``whsec_`` and 32 random bytes in base64, the form of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def new_vault_key() -> str:
    return Fernet.generate_key().decode()
