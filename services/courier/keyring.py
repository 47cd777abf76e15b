"""Signers of each endpoint, opened from the vault and kept for a few seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from services.courier import signature
from shared.errors import InvariantBroken

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from standardwebhooks.webhooks import Webhook

    from services.courier.values import Secret
    from shared.clock import Clock
    from shared.security.vault import Vault

log = structlog.get_logger()

_KEPT_SECONDS = 10.0


class Keyring:
    def __init__(self, vault: Vault, clock: Clock) -> None:
        self._vault = vault
        self._clock = clock
        self._signers: dict[UUID, tuple[float, tuple[Webhook, ...]]] = {}

    def missing(self, endpoints: Iterable[UUID]) -> list[UUID]:
        """Those whose secrets must be read (again)."""
        now = self._clock.monotonic()
        self._signers = {endpoint: entry for endpoint, entry in self._signers.items() if entry[0] > now - 6 * _KEPT_SECONDS}
        return [endpoint for endpoint in set(endpoints) if self._read_at(endpoint) < now - _KEPT_SECONDS]

    def learn(self, endpoints: Iterable[UUID], secrets: Sequence[Secret]) -> None:
        """Take over what was read for ``endpoints``; one without secrets has none."""
        now = self._clock.monotonic()
        opened: dict[UUID, list[Webhook]] = {endpoint: [] for endpoint in endpoints}
        for secret in secrets:
            opened[secret.endpoint_id] += self._open(secret)
        for endpoint, signers in opened.items():
            self._signers[endpoint] = (now, tuple(signers))

    def of(self, endpoint: UUID) -> tuple[Webhook, ...]:
        """Empty where the endpoint has no secret that can be used: then nothing may be sent."""
        return self._signers.get(endpoint, (0.0, ()))[1]

    def _read_at(self, endpoint: UUID) -> float:
        return self._signers.get(endpoint, (float("-inf"), ()))[0]

    def _open(self, secret: Secret) -> list[Webhook]:
        try:
            return [signature.signer(self._vault.open(secret.sealed))]
        except (InvariantBroken, ValueError) as error:
            log.error("endpoint_secret_unusable", endpoint_id=str(secret.endpoint_id), error=type(error).__name__)  # noqa: TRY400  # no stack: a key is missing, nothing crashed
            return []
