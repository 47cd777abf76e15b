"""Keeps late outcomes until the steward applies them to the cases that they name: once each, like cases, but opening none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from shared.events.outcome import CaseOutcome
from shared.ids import uuid7

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection

    from shared.intake.record import Identity, Incoming


def insert(connection: Connection, firsts: Mapping[Identity, Incoming]) -> dict[Identity, UUID]:
    """Ids of those that are new.

    Raises:
        pydantic.ValidationError: the model has changed since the event was admitted.
    """
    if not firsts:
        return {}
    records = list(firsts.values())
    said = [_said(record) for record in records]
    ids = [uuid7() for _ in records]
    inserted = connection.exec_driver_sql(
        "INSERT INTO case_outcomes (id, tenant_id, source, event_id, body_sha256, named_case, named_source, named_event_id, result, amount,"
        " currency, occurred_at, received_at, traceparent)"
        " SELECT * FROM unnest(%(ids)b::uuid[], %(tenants)b::text[], %(sources)b::text[], %(event_ids)b::text[], %(digests)b::bytea[],"
        " %(cases)b::uuid[], %(named_sources)b::text[], %(named_ids)b::text[], %(results)b::text[], %(amounts)b::numeric[],"
        " %(currencies)b::text[], %(occurred)b::timestamptz[], %(received)b::timestamptz[], %(traces)b::text[])"
        " ON CONFLICT (tenant_id, source, event_id) DO NOTHING RETURNING id",
        {
            "ids": ids,
            "tenants": [record.tenant for record in records],
            "sources": [record.source for record in records],
            "event_ids": [record.event_id for record in records],
            "digests": [record.body_sha256 for record in records],
            "cases": [one.case_id for one in said],
            "named_sources": [None if one.event is None else one.event.source for one in said],
            "named_ids": [None if one.event is None else one.event.id for one in said],
            "results": [one.result.value for one in said],
            "amounts": [None if one.loss is None else one.loss.amount for one in said],
            "currencies": [None if one.loss is None else one.loss.currency for one in said],
            "occurred": [record.occurred_at for record in records],
            "received": [record.received_at for record in records],
            "traces": [record.traceparent for record in records],
        },
    )
    fresh = set(inserted.scalars())
    return {identity: outcome_id for identity, outcome_id in zip(firsts, ids, strict=True) if outcome_id in fresh}


def existing(connection: Connection, identities: Sequence[Identity]) -> dict[Identity, tuple[UUID, bytes]]:
    """(id, digest of the body) of those that are kept already."""
    if not identities:
        return {}
    rows = connection.exec_driver_sql(
        "SELECT o.tenant_id, o.source, o.event_id, o.id, o.body_sha256"
        " FROM unnest(%(tenants)b::text[], %(sources)b::text[], %(event_ids)b::text[]) AS wanted (tenant_id, source, event_id)"
        " JOIN case_outcomes o USING (tenant_id, source, event_id)",
        {
            "tenants": [tenant for tenant, _, _ in identities],
            "sources": [source for _, source, _ in identities],
            "event_ids": [event_id for _, _, event_id in identities],
        },
    )
    return {(tenant, source, event_id): (outcome_id, bytes(digest)) for tenant, source, event_id, outcome_id, digest in rows}


def _said(record: Incoming) -> CaseOutcome:
    event: dict[str, Any] = orjson.loads(record.body)
    return CaseOutcome.model_validate_json(orjson.dumps(event.get("data")))
