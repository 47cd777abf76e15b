"""Messages to business systems about no single decision: what was saved, taken back, braked or sealed. CloudEvents, told once each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import orjson

from shared.ids import uuid7
from shared.ledger.posting import Line

if TYPE_CHECKING:
    from sqlalchemy import Connection

# The message is about every automation of the tenant.
EVERY = "*"


class NoticeKind(StrEnum):
    """Also what endpoints subscribe to, beside `decision.made` and `decision.corrected`."""

    SAVINGS_RECORDED = "savings.recorded"
    """The figures of a finished day."""
    SAVINGS_RESTATED = "savings.restated"
    """A late outcome or a correction took lines back, or added some."""
    AUTOMATION_BRAKED = "automation.braked"
    """An automation has stopped itself."""
    LEDGER_SEALED = "ledger.sealed"
    """The root of a tenant's ledger at the end of a day, to be kept elsewhere."""


_FIGURES = (NoticeKind.SAVINGS_RECORDED, NoticeKind.SAVINGS_RESTATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message.

    Attributes:
        automation: its name, or `EVERY`.
        subject: what it is about; there is one message of a kind and subject, ever.
        at: when that was so.
        id: of the CloudEvent.
    """

    tenant_id: str
    kind: NoticeKind
    automation: str
    subject: str
    at: datetime
    data: Mapping[str, object]
    traceparent: str | None = None
    id: UUID = field(default_factory=uuid7)

    def body(self, *, simulated: bool) -> bytes:
        """Figures say whether people are simulated."""
        mark = {"simulated": simulated} if self.kind in _FIGURES else {}
        return orjson.dumps(
            {
                "specversion": "1.0",
                "id": self.id,
                "source": "/recoup" if self.automation == EVERY else f"/recoup/{self.automation}",
                "type": f"com.recoup.{self.kind}.v1",
                "time": self.at,
                "subject": self.subject,
                "datacontenttype": "application/json",
                "data": {**self.data, **mark},
            },
            default=_written,
            option=orjson.OPT_UTC_Z,
        )


class OfCase(Protocol):
    """Whose lines were restated: a decided case, with the event that opened it."""

    @property
    def tenant_id(self) -> str: ...
    @property
    def automation(self) -> str: ...
    @property
    def case_id(self) -> UUID: ...
    @property
    def source(self) -> str: ...
    @property
    def event_id(self) -> str: ...
    @property
    def traceparent(self) -> str | None: ...


def restated(case: OfCase, *, subject: str, result: str, since: datetime, at: datetime, lines: Sequence[Line]) -> Notice:
    """That lines of a case were taken back, or others added.

    Args:
        subject: of what made it so.
        result: what is known now.
        since: when that became so.
        at: when the lines were booked.
    """
    return Notice(
        tenant_id=case.tenant_id,
        kind=NoticeKind.SAVINGS_RESTATED,
        automation=case.automation,
        subject=subject,
        at=at,
        traceparent=case.traceparent,
        data={
            "automation": case.automation,
            "case_id": str(case.case_id),
            "event": {"id": case.event_id, "source": case.source},
            "result": result,
            "since": since,
            "booked_at": at,
            "lines": [_line(line) for line in lines],
        },
    )


def _line(line: Line) -> dict[str, object]:
    """Negative in a reversal, which names the line that it takes back."""
    return {
        "id": str(line.id),
        "kind": line.kind,
        "quantity": line.quantity,
        "unit": line.unit,
        "amount": line.amount,
        "currency": line.currency,
        "occurred_at": line.occurred_at,
        "reverses": None if line.reverses is None else str(line.reverses),
    }


def tell(connection: Connection, notices: Sequence[Notice]) -> int:
    """Queue messages that are not queued yet; returns how many were. The decisions topic does not carry them."""
    if not notices:
        return 0
    simulated = set(
        connection.exec_driver_sql(
            "SELECT id FROM tenants WHERE simulated AND id = ANY (%(tenants)s::text[])",
            {"tenants": [notice.tenant_id for notice in notices]},
        ).scalars()
    )
    return connection.exec_driver_sql(
        "INSERT INTO outbox (id, tenant_id, subject, automation, kind, body, published_at, traceparent)"
        " SELECT n.id, n.tenant_id, n.subject, n.automation, n.kind, n.body, now(), n.traceparent"
        " FROM unnest(%(ids)b::uuid[], %(tenants)b::text[], %(subjects)b::text[], %(automations)b::text[], %(kinds)b::text[],"
        " %(bodies)b::bytea[], %(traces)b::text[]) AS n (id, tenant_id, subject, automation, kind, body, traceparent)"
        " ON CONFLICT (tenant_id, kind, subject) WHERE subject IS NOT NULL DO NOTHING",
        {
            "ids": [notice.id for notice in notices],
            "tenants": [notice.tenant_id for notice in notices],
            "subjects": [notice.subject for notice in notices],
            "automations": [notice.automation for notice in notices],
            "kinds": [notice.kind.value for notice in notices],
            "bodies": [notice.body(simulated=notice.tenant_id in simulated) for notice in notices],
            "traces": [notice.traceparent for notice in notices],
        },
    ).rowcount


def _written(value: object) -> str:
    """Decimals as text, as everywhere in our JSON."""
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(type(value).__name__)
