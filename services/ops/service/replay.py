"""Doing it again, by order of a person: cases that failed too often, deliveries, records that could not be read."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from services.ops.repository import answers, audit, cases, dead_letters, deliveries
from services.ops.repository.audit import Author
from services.ops.schemas.base import Count
from services.ops.schemas.integration import FIGURES
from services.ops.schemas.replay import BulkRedelivery, CaseReplayed, DeadLetterDetail, DeliverySummary
from services.ops.service import closing
from services.ops.service.integration import check_figures
from shared.automations import registry
from shared.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

_WHY_NOT = {
    "decided": "This case is decided, and a decision is final; reopen it where it was wrong.",
    "review": "This case waits for a person; submit its review instead.",
    "pending": "This case is on its way already.",
    "processing": "This case is on its way already.",
}


def case(connection: Connection, author: Author, case_id: UUID) -> CaseReplayed:
    """Send a quarantined case to the workers again and take its exception review back.

    Raises:
        Conflict: it is not quarantined.
    """
    state = cases.lock(connection, case_id)["state"]
    if state != "quarantined":
        raise Conflict(_WHY_NOT[state], state=state)
    _replay(connection, [case_id])
    audit.record(connection, author, "case.replayed", case_id)
    return CaseReplayed(case_id=case_id)


def bulk(connection: Connection, author: Author, automation: str, limit: int) -> Count:
    """The longest quarantined cases of an automation, up to ``limit`` of them.

    Raises:
        UnknownAutomation: none is installed under that name.
    """
    registry.automation(automation)
    replayed = _replay(connection, cases.quarantined(connection, author.tenant, automation, limit))
    more = cases.count_quarantined(connection, author.tenant, automation) > 0
    audit.record(connection, author, "automation.replayed", automation, {"cases": [str(case_id) for case_id in replayed]})
    return Count(count=len(replayed), more=more)


def _replay(connection: Connection, case_ids: Sequence[UUID]) -> list[UUID]:
    """Nobody is asked about them any more; what people have worked on them already is booked, for it was spent."""
    replayed = cases.replay(connection, case_ids)
    closing.book_abandoned(connection, answers.cancel(connection, replayed))
    return replayed


def delivery(connection: Connection, author: Author, delivery_id: UUID, *, reads_figures: bool) -> DeliverySummary:
    """Deliver again: same ``webhook-id``, same bytes.

    Raises:
        Forbidden: it holds figures, and the author may not read them.
        Conflict: it is on its way already.
    """
    deliveries.lock(connection, delivery_id)
    check_figures([deliveries.kind(connection, delivery_id)], may=reads_figures)
    if not deliveries.again(connection, delivery_id):
        raise Conflict("This delivery is on its way already.")
    audit.record(connection, author, "delivery.replayed", delivery_id)
    return deliveries.lock(connection, delivery_id)


def many_deliveries(connection: Connection, author: Author, order: BulkRedelivery, *, reads_figures: bool) -> Count:
    """Those that hold figures are left out where the author may not read them."""
    count = deliveries.many_again(connection, order, without=() if reads_figures else FIGURES)
    subject = str(order.endpoint_id) if order.endpoint_id else "*"
    audit.record(connection, author, "deliveries.replayed", subject, {"order": order.model_dump(mode="json"), "count": count})
    return Count(count=count, more=count == order.limit)


def resolve(connection: Connection, author: Author, letter_id: UUID, note: str) -> DeadLetterDetail:
    """Note that somebody has dealt with a record that could not be read.

    Raises:
        Conflict: it is a quarantined case, or was resolved before.
    """
    letter = dead_letters.one(connection, letter_id)
    if letter.kind == "case":
        raise Conflict("A quarantined case is resolved by its review or by a replay, so that it is decided in the end.")
    if not dead_letters.resolve(connection, letter_id):
        raise Conflict("This record was resolved before.")
    audit.record(connection, author, "dead_letter.resolved", letter_id, {"note": note})
    return dead_letters.one(connection, letter_id)
