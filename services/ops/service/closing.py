"""Closes a case that a person has answered: decision, callback and ledger lines, for `shared.casework` and `shared.ledger` to write."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import orjson
from pydantic import BaseModel, ValidationError

from services.ops.repository import answers
from services.ops.repository.answers import Abandoned, Work
from services.ops.schemas.reviews import ReviewSubmission
from shared.automations import registry
from shared.casework.repository import mark_decided, record_decisions
from shared.casework.values import HUMAN, UNKNOWN_STRATUM, Decided
from shared.errors import Conflict
from shared.ledger import posting
from shared.ledger.repository import next_sequence, post

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from shared.automations.contract import Automation


def close(connection: Connection, work: Work, reviewer: str, answer: ReviewSubmission, booked: Decimal) -> None:
    """Write everything that follows from a person's answer.

    Args:
        booked: seconds, already scaled for a simulated tenant.

    Raises:
        Conflict: the case no longer waits for a person.
    """
    if not mark_decided(connection, [work.case_id]):
        raise Conflict("This case no longer waits for a person; it was decided or sent round again.")
    book_abandoned(connection, answers.cancel(connection, [work.case_id], but=work.id))
    automation = registry.automation(work.automation)
    decided = decision(work, reviewer, answer, adverse=automation.outcomes[answer.outcome].adverse)
    record_decisions(connection, [decided])
    book(connection, posting.for_review(decided, booked, at=decided.decided_at))
    post(connection, cash(automation, work, decided))


def book(connection: Connection, line: posting.Line) -> None:
    """Book one more line of a case, which the caller has locked: work on a case may come in several pieces."""
    assert line.case_id is not None
    post(connection, [replace(line, sequence=next_sequence(connection, line.case_id, line.kind))])


def book_abandoned(connection: Connection, abandoned: Iterable[Abandoned]) -> None:
    """Book what was worked on reviews that were taken back; the caller has locked their cases."""
    for work in abandoned:
        book(connection, posting.for_review(work, work.seconds, at=work.now))


def decision(work: Work, reviewer: str, answer: ReviewSubmission, *, adverse: bool) -> Decided:
    return Decided(
        case_id=work.case_id,
        tenant_id=work.tenant_id,
        automation=work.automation,
        arm=work.arm,
        stratum=work.stratum or UNKNOWN_STRATUM,
        source=work.source,
        event_id=work.event_id,
        event_type=work.event_type,
        occurred_at=work.occurred_at,
        received_at=work.received_at,
        traceparent=work.traceparent,
        outcome=answer.outcome,
        adverse=adverse,
        confidence=None,
        reasons=answer.reasons,
        attributes=answer.attributes,
        tier=HUMAN,
        model_version=None,
        decided_by=reviewer,
        decided_at=work.now,
        covariate=work.covariate,
    )


def cash(automation: Automation, work: Work, decided: Decided) -> list[posting.Line]:
    """The cash that Recoup saved by asking a person: only where it, and not chance, brought the case to one."""
    data = event_data(automation, work.body)
    if work.arm == "control" or data is None:
        return []
    # Why a person was asked counts as well: who confirms a duplicate need not type that it is one.
    money = automation.cash(data, decided.outcome, (*decided.reasons, *work.asked_because))
    return [] if money is None else [posting.for_cash(decided, money, at=decided.decided_at)]


def event_data(automation: Automation, body: bytes | None) -> BaseModel | None:
    """The event's data as the automation's model; None where the payload is gone or does not fit the model any more."""
    if body is None:
        return None
    try:
        return automation.data_model.model_validate_json(orjson.dumps(orjson.loads(body).get("data")))
    except ValidationError:
        return None
