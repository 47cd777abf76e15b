"""Where events come from and where decisions go: configuration, and secrets that are shown once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from services.ops.repository import audit, integration
from services.ops.repository.audit import Author
from services.ops.repository.integration import Owner
from services.ops.schemas.integration import (
    FIGURES,
    Endpoint,
    EndpointChange,
    EndpointCreated,
    NewEndpoint,
    NewSource,
    Rotation,
    SecretCreated,
    SecretSummary,
    Source,
    SourceChange,
    SourceCreated,
    SourceMapping,
)
from shared.automations import registry
from shared.errors import Conflict, Forbidden, NotFound
from shared.events.admission import automation_for
from shared.events.mapping import compiled
from shared.security.apikeys import READERS_OF_FIGURES, Role
from shared.security.vault import new_webhook_secret

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.security.vault import Vault

_NAME_TAKEN = "There is a source of this name already; choose another one."


def create_source(connection: Connection, author: Author, vault: Vault, wanted: NewSource) -> SourceCreated:
    """A source with its first secret.

    Raises:
        UnknownEventType: no automation handles it.
        MappingFailed: an expression of its mapping cannot be parsed.
        Conflict: the name is taken.
    """
    _check(wanted.event_type, wanted.mapping)
    source = integration.new_source(connection, wanted)
    if source is None:
        raise Conflict(_NAME_TAKEN)
    secret = wanted.secret or new_webhook_secret()
    integration.new_secret(connection, "source", source.id, vault.seal(secret))
    audit.record(connection, author, "source.created", source.id, wanted.model_dump(mode="json", exclude={"secret"}))
    return SourceCreated(**_members(source), secret=secret)


def change_source(connection: Connection, author: Author, source_id: UUID, wanted: SourceChange, now: datetime) -> Source:
    """Members that were left out stay as they are; raises as `create_source`, and NotFound."""
    given = wanted.model_dump(exclude_unset=True)
    # A mapping of null takes it away; null elsewhere means the same as leaving it out.
    changes: dict[str, Any] = {
        name: value for name, value in given.items() if name != "disabled" and (value is not None or name == "mapping")
    }
    before = integration.source(connection, source_id)
    if wanted.name not in {None, before.name}:
        raise Conflict("The name of a source is part of the identity of its events, so it stays; create another source.")
    if wanted.disabled is not None:
        changes["disabled_at"] = (before.disabled_at or now) if wanted.disabled else None
    after = Source.model_validate(_members(before) | changes)
    _check(after.event_type, after.mapping)
    stored = integration.change_source(connection, after)
    if stored is None:
        raise Conflict(_NAME_TAKEN)
    audit.record(connection, author, "source.changed", source_id, given)
    return stored


def _members(source: Source) -> dict[str, Any]:
    return source.model_dump(exclude={"webhook_path"})


def _check(event_type: str, mapping: SourceMapping | None) -> None:
    automation_for(event_type)
    if mapping is not None:
        compiled(mapping.model_dump())


def create_endpoint(connection: Connection, author: Author, vault: Vault, wanted: NewEndpoint, *, reads_figures: bool) -> EndpointCreated:
    """An endpoint with its first secret.

    Raises:
        Forbidden: it would receive figures, and the author may not read them.
        UnknownAutomation: as it says.
    """
    check_figures(wanted.events, may=reads_figures)
    _check_automations(wanted.automations)
    endpoint = integration.new_endpoint(connection, wanted)
    secret = new_webhook_secret()
    integration.new_secret(connection, "endpoint", endpoint.id, vault.seal(secret))
    audit.record(connection, author, "endpoint.created", endpoint.id, wanted.model_dump(mode="json"))
    return EndpointCreated(**endpoint.model_dump(), secret=secret)


def change_endpoint(connection: Connection, author: Author, endpoint_id: UUID, wanted: EndpointChange, *, reads_figures: bool) -> Endpoint:
    """Members that are None stay as they are.

    Raises:
        Forbidden: it receives figures, has received them or would, more than its state changes, and the author may not read them.
        NotFound, UnknownAutomation: as they say.
    """
    _check_automations(wanted.automations or ())
    if (wanted.url, wanted.automations, wanted.events) != (None, None, None):
        check_figures(wanted.events or (), may=reads_figures)
        _check_receiver(connection, endpoint_id, may=reads_figures)
    endpoint = integration.change_endpoint(connection, endpoint_id, wanted)
    audit.record(connection, author, "endpoint.changed", endpoint_id, wanted.model_dump(mode="json", exclude_none=True))
    return endpoint


def check_figures(kinds: Iterable[str], *, may: bool) -> None:
    """Raises Forbidden where there are figures among these kinds of messages and the author may not read them."""
    if not may and not FIGURES.isdisjoint(kinds):
        needs = [*READERS_OF_FIGURES, Role.ADMIN]
        raise Forbidden("Messages about savings hold figures, which this key may not read; use one that also has such a role.", needs=needs)


def _check_receiver(connection: Connection, endpoint_id: UUID, *, may: bool) -> None:
    """What was ever sent to it counts as well: another address would get that when it is tried or delivered again."""
    if not may:
        integration.await_planners(connection)
    receives = integration.endpoint_to_change(connection, endpoint_id).events
    if not may:
        check_figures(FIGURES if integration.has_been_sent(connection, endpoint_id, FIGURES) else receives, may=False)


def _check_automations(names: tuple[str, ...]) -> None:
    for name in names:
        registry.automation(name)


def delete(connection: Connection, author: Author, owner: Owner, owner_id: UUID) -> None:
    """Raises NotFound."""
    if not integration.delete(connection, owner, owner_id):
        raise NotFound
    audit.record(connection, author, f"{owner}.deleted", owner_id)


def secrets(connection: Connection, owner: Owner, owner_id: UUID) -> list[SecretSummary]:
    """Raises NotFound."""
    _must_exist(connection, owner, owner_id)
    return integration.secrets(connection, owner, owner_id)


def rotate_of_endpoint(
    connection: Connection, author: Author, vault: Vault, endpoint_id: UUID, wanted: Rotation, *, reads_figures: bool
) -> SecretCreated:
    """As `rotate`: whoever holds the secret could pass figures off as ours, or end those that the receiver believes.

    Raises:
        Forbidden: it receives figures or has, and the author may not read them.
    """
    _check_receiver(connection, endpoint_id, may=reads_figures)
    return rotate(connection, author, vault, ("endpoint", endpoint_id), wanted)


def rotate(connection: Connection, author: Author, vault: Vault, owner: tuple[Owner, UUID], wanted: Rotation) -> SecretCreated:
    """A new secret; the old ones stay valid for the overlap, so that both sides can change without a gap.

    Raises:
        NotFound: no such owner.
    """
    kind, owner_id = owner
    _must_exist(connection, kind, owner_id)
    integration.expire_secrets(connection, kind, owner_id, timedelta(hours=wanted.overlap_hours))
    secret = wanted.secret or new_webhook_secret()
    summary = integration.new_secret(connection, kind, owner_id, vault.seal(secret))
    audit.record(connection, author, f"{kind}.secret_rotated", owner_id, {"secret": str(summary.id), "overlap_hours": wanted.overlap_hours})
    return SecretCreated(**summary.model_dump(), secret=secret)


def _must_exist(connection: Connection, owner: Owner, owner_id: UUID) -> None:
    if owner == "source":
        integration.source(connection, owner_id)
    else:
        integration.endpoint(connection, owner_id)
