"""A webhook source as the gateway uses it: opened, compiled, ready to verify and map."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from shared.errors import InvariantBroken
from shared.events.mapping import compiled, source_uri

if TYPE_CHECKING:
    from uuid import UUID

    from services.gateway.repository import SourceRow
    from shared.events.mapping import PayloadMapping
    from shared.security.vault import Vault


@dataclass(frozen=True, slots=True)
class Source:
    """Attributes: secrets: newest first; empty where all have expired."""

    id: UUID
    tenant: str
    name: str
    event_type: str
    mapping: PayloadMapping
    disabled: bool
    secrets: tuple[Webhook, ...] = field(repr=False)

    @property
    def uri(self) -> str:
        """The CloudEvents source of its events."""
        return source_uri(self.name)


def opened(row: SourceRow, vault: Vault) -> Source:
    """The source of a row.

    Raises:
        MappingFailed: its mapping is not valid JMESPath.
        InvariantBroken: a secret cannot be opened, or is none.
    """
    return Source(
        id=row.id,
        tenant=row.tenant,
        name=row.name,
        event_type=row.event_type,
        mapping=compiled(row.mapping),
        disabled=row.disabled,
        secrets=tuple(_webhook(vault.open(sealed)) for sealed in row.sealed_secrets),
    )


def _webhook(secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except (ValueError, EmptyWebhookSecretError):
        raise InvariantBroken("a stored webhook secret is not base64") from None
