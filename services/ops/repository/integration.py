"""Sources, endpoints and their sealed secrets."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from services.ops.repository.rows import changed, many, maybe, one, place
from services.ops.schemas.integration import (
    Endpoint,
    EndpointChange,
    NewEndpoint,
    NewSource,
    SecretSummary,
    Source,
    SourceMapping,
)
from shared.ids import uuid7

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.web.pagination import Cursor

Owner = Literal["source", "endpoint"]

_SOURCE = "id, name, event_type, mapping, created_at, disabled_at"

_SOURCES = f"""
SELECT {_SOURCE} FROM sources
WHERE tenant_id = current_setting('app.tenant') AND (%(at)s::timestamptz IS NULL OR (created_at, id) > (%(at)s, %(last)s))
ORDER BY created_at, id LIMIT %(limit)s
"""  # noqa: S608  # a constant of this module

_ONE_SOURCE = f"SELECT {_SOURCE} FROM sources WHERE id = %(id)s FOR UPDATE"  # noqa: S608  # a constant of this module

_NEW_SOURCE = f"""
INSERT INTO sources (id, tenant_id, name, event_type, mapping)
VALUES (%(id)s, current_setting('app.tenant'), %(name)s, %(event_type)s, %(mapping)s)
ON CONFLICT (tenant_id, name) DO NOTHING RETURNING {_SOURCE}
"""  # noqa: S608  # a constant of this module

_CHANGE_SOURCE = f"""
UPDATE sources s SET name = %(name)s, event_type = %(event_type)s, mapping = %(mapping)s,
    disabled_at = CASE WHEN %(disabled)s THEN coalesce(s.disabled_at, now()) END
WHERE s.id = %(id)s AND NOT EXISTS (SELECT FROM sources o WHERE o.tenant_id = s.tenant_id AND o.name = %(name)s AND o.id <> s.id)
RETURNING {_SOURCE}
"""  # noqa: S608  # a constant of this module

_ENDPOINT = "id, url, automations, events, state, disabled_reason, failing_since, created_at"

_ENDPOINTS = f"""
SELECT {_ENDPOINT} FROM endpoints
WHERE tenant_id = current_setting('app.tenant') AND (%(at)s::timestamptz IS NULL OR (created_at, id) > (%(at)s, %(last)s))
ORDER BY created_at, id LIMIT %(limit)s
"""  # noqa: S608  # a constant of this module

_ONE_ENDPOINT = f"SELECT {_ENDPOINT} FROM endpoints WHERE id = %(id)s"  # noqa: S608  # a constant of this module

# By the kinds, of which there are few a day: endpoints have no index of their deliveries.
_HAS_BEEN_SENT = """
SELECT EXISTS (
    SELECT FROM outbox o JOIN deliveries d ON d.outbox_id = o.id AND d.endpoint_id = %(id)s
    WHERE o.tenant_id = current_setting('app.tenant') AND o.kind = ANY (%(kinds)s) AND o.subject IS NOT NULL
)
"""

# As the courier names it.
_AWAIT_PLANNERS = "SELECT pg_advisory_xact_lock(hashtextextended('courier.plan', 0))"

_NEW_ENDPOINT = f"""
INSERT INTO endpoints (id, tenant_id, url, automations, events)
VALUES (%(id)s, current_setting('app.tenant'), %(url)s, %(automations)s, %(events)s) RETURNING {_ENDPOINT}
"""  # noqa: S608  # a constant of this module

_CHANGE_ENDPOINT = f"""
UPDATE endpoints SET url = coalesce(%(url)s, url), automations = coalesce(%(automations)s::text[], automations),
    events = coalesce(%(events)s::text[], events),
    state = coalesce(%(state)s, state),
    disabled_reason = CASE %(state)s::text WHEN 'enabled' THEN NULL WHEN 'disabled' THEN 'by an operator' ELSE disabled_reason END,
    failing_since = CASE WHEN %(state)s::text = 'enabled' THEN NULL ELSE failing_since END
WHERE id = %(id)s RETURNING {_ENDPOINT}
"""  # noqa: S608  # a constant of this module

_SECRETS = {
    "source": "SELECT id, created_at, expires_at FROM source_secrets WHERE source_id = %(owner)s ORDER BY created_at DESC, id DESC",
    "endpoint": "SELECT id, created_at, expires_at FROM endpoint_secrets WHERE endpoint_id = %(owner)s ORDER BY created_at DESC, id DESC",
}

_NEW_SECRET = {
    "source": """
        INSERT INTO source_secrets (id, tenant_id, source_id, sealed)
        VALUES (%(id)s, current_setting('app.tenant'), %(owner)s, %(sealed)s) RETURNING id, created_at, expires_at""",
    "endpoint": """
        INSERT INTO endpoint_secrets (id, tenant_id, endpoint_id, sealed)
        VALUES (%(id)s, current_setting('app.tenant'), %(owner)s, %(sealed)s) RETURNING id, created_at, expires_at""",
}

_EXPIRE_SECRETS = {
    "source": """
        UPDATE source_secrets SET expires_at = now() + %(overlap)s
        WHERE source_id = %(owner)s AND (expires_at IS NULL OR expires_at > now() + %(overlap)s)""",
    "endpoint": """
        UPDATE endpoint_secrets SET expires_at = now() + %(overlap)s
        WHERE endpoint_id = %(owner)s AND (expires_at IS NULL OR expires_at > now() + %(overlap)s)""",
}


def sources(connection: Connection, cursor: Cursor | None, limit: int) -> list[Source]:
    return many(Source, connection, _SOURCES, {**place(cursor), "limit": limit})


def source(connection: Connection, source_id: UUID) -> Source:
    """Locked until the transaction ends; raises NotFound."""
    return one(Source, connection, _ONE_SOURCE, {"id": source_id})


def new_source(connection: Connection, wanted: NewSource) -> Source | None:
    """None where a source of that name exists."""
    values = {"id": uuid7(), "name": wanted.name, "event_type": wanted.event_type, "mapping": _json(wanted.mapping)}
    return maybe(Source, connection, _NEW_SOURCE, values)


def change_source(connection: Connection, wanted: Source) -> Source | None:
    """Store the members of ``wanted`` that can change; None where another source has that name."""
    values: dict[str, Any] = {"id": wanted.id, "name": wanted.name, "event_type": wanted.event_type, "mapping": _json(wanted.mapping)}
    return maybe(Source, connection, _CHANGE_SOURCE, {**values, "disabled": wanted.disabled_at is not None})


def _json(mapping: SourceMapping | None) -> Jsonb:
    return Jsonb(None if mapping is None else mapping.model_dump(exclude_none=True))


def endpoints(connection: Connection, cursor: Cursor | None, limit: int) -> list[Endpoint]:
    return many(Endpoint, connection, _ENDPOINTS, {**place(cursor), "limit": limit})


def endpoint(connection: Connection, endpoint_id: UUID) -> Endpoint:
    """Raises NotFound."""
    return one(Endpoint, connection, _ONE_ENDPOINT, {"id": endpoint_id})


def endpoint_to_change(connection: Connection, endpoint_id: UUID) -> Endpoint:
    """Locked until the transaction ends, so that what it receives is still so when it has changed; raises NotFound."""
    return one(Endpoint, connection, f"{_ONE_ENDPOINT} FOR UPDATE", {"id": endpoint_id})


def await_planners(connection: Connection) -> None:
    """From here until the transaction ends no courier plans deliveries, and what was being planned can be seen."""
    connection.exec_driver_sql(_AWAIT_PLANNERS)


def has_been_sent(connection: Connection, endpoint_id: UUID, kinds: Iterable[str]) -> bool:
    """Some message of these kinds, which are about no single case, is on its way to an endpoint, or was: it may be delivered again."""
    found: bool = connection.exec_driver_sql(_HAS_BEEN_SENT, {"id": endpoint_id, "kinds": list(kinds)}).scalar_one()
    return found


def new_endpoint(connection: Connection, wanted: NewEndpoint) -> Endpoint:
    values = {"id": uuid7(), "url": wanted.url, "automations": list(wanted.automations), "events": list(wanted.events)}
    return one(Endpoint, connection, _NEW_ENDPOINT, values)


def change_endpoint(connection: Connection, endpoint_id: UUID, wanted: EndpointChange) -> Endpoint:
    """Raises NotFound."""
    automations = None if wanted.automations is None else list(wanted.automations)
    events = None if wanted.events is None else list(wanted.events)
    values = {"id": endpoint_id, "url": wanted.url, "automations": automations, "events": events, "state": wanted.state}
    return one(Endpoint, connection, _CHANGE_ENDPOINT, values)


def delete(connection: Connection, owner: Owner, owner_id: UUID) -> bool:
    """Its secrets go with it; what it sent or received stays. False where it does not exist."""
    statement = "DELETE FROM sources WHERE id = %(id)s" if owner == "source" else "DELETE FROM endpoints WHERE id = %(id)s"
    return changed(connection, statement, {"id": owner_id}) == 1


def secrets(connection: Connection, owner: Owner, owner_id: UUID) -> list[SecretSummary]:
    return many(SecretSummary, connection, _SECRETS[owner], {"owner": owner_id})


def new_secret(connection: Connection, owner: Owner, owner_id: UUID, sealed: bytes) -> SecretSummary:
    return one(SecretSummary, connection, _NEW_SECRET[owner], {"id": uuid7(), "owner": owner_id, "sealed": sealed})


def expire_secrets(connection: Connection, owner: Owner, owner_id: UUID, overlap: timedelta) -> int:
    """Let every secret of today end after ``overlap``, unless it ends sooner."""
    return changed(connection, _EXPIRE_SECRETS[owner], {"owner": owner_id, "overlap": overlap})
