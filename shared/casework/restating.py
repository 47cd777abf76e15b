"""Keeps the ledger lines of a case in step with what is known of its decision: by audits, and by what business systems say later.

Which lines should stand follows from facts alone, so it does not matter in which order they come, or how often this is done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from uuid import UUID

from shared.casework.values import HUMAN
from shared.events.outcome import Result
from shared.ledger import posting, rates
from shared.ledger.posting import Line
from shared.ledger.repository import Booked, booked, next_sequence, post
from shared.money import Money, currency

if TYPE_CHECKING:
    from sqlalchemy import Connection

ONE: Final = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a decided case; a `Subject` of the ledger.

    Attributes:
        probability: that its decision was drawn for an audit; None where it was not.
        wrong: what the audit found; None where nothing is found for good.
        result: of the latest late outcome by its own time; None where there is none.
        loss: that it states; None where it states none.
    """

    case_id: UUID
    tenant_id: str
    automation: str
    arm: str
    stratum: str
    tier: str
    decided_at: datetime
    probability: Decimal | None = None
    wrong: bool | None = None
    result: Result | None = None
    loss: Money | None = None

    @property
    def automatic(self) -> bool:
        """Only an error of a tier is a cost of automation."""
        return self.arm == "automated" and self.tier != HUMAN

    @property
    def cash_stands(self) -> bool:
        """Cash that was saved counts as long as nobody doubts the decision."""
        return self.result in {None, Result.CONFIRMED_RIGHT}

    def errors(self) -> Decimal:
        """How many errors this case stands for: one that is known for certain is one; one that an audit found stands for 1/probability."""
        if not self.automatic or self.result is Result.CONFIRMED_RIGHT:
            return Decimal(0)
        if self.result is Result.CONFIRMED_WRONG or (self.result is Result.REFUNDED and self.loss is not None):
            return ONE
        return 1 / self.probability if self.wrong and self.probability is not None else Decimal(0)


def changes(known: Known, lines: list[Booked], price: Money | None) -> list[Line]:
    """What has to be booked so that the right lines stand, without their sequence numbers.

    Args:
        lines: `cash` and `error` lines of the case, taken back or not, by sequence.
        price: loss by one error as it was when the case was decided.
    """
    return [*_cash(known, [line for line in lines if line.kind == "cash"]), *_error(known, lines, price)]


def _cash(known: Known, lines: list[Booked]) -> list[Line]:
    standing = [line for line in lines if not line.taken_back]
    if not known.cash_stands:
        return [posting.reversal(line) for line in standing]
    if standing or not lines:
        return []
    # The first one is what the decision saved; the others brought it back before.
    return [posting.again(lines[0])]


def _error(known: Known, lines: list[Booked], price: Money | None) -> list[Line]:
    standing = [line for line in lines if line.kind == "error" and not line.taken_back]
    errors = known.errors()
    wanted = []
    if errors:
        stated = known.loss if errors == ONE and known.result is not None else None
        wanted = [posting.for_error(known, errors, stated or price, at=known.decided_at)]
    kept = [line for line in standing if any(_same(line, one) for one in wanted)]
    reversals = [posting.reversal(line) for line in standing if line not in kept]
    return [*reversals, *(one for one in wanted if not any(_same(line, one) for line in kept))]


def _same(line: Booked, wanted: Line) -> bool:
    return (line.quantity, line.amount, line.currency) == (wanted.quantity, wanted.amount, wanted.currency)


def restate(connection: Connection, case_id: UUID) -> list[Line]:
    """Book what has to be; returns it. The caller has locked the case."""
    known = _known(connection, case_id)
    price = rates.price(connection, known.tenant_id, rates.LOSS_PER_ERROR, automation=known.automation, at=known.decided_at)
    numbered = []
    for line in changes(known, booked(connection, case_id, ("cash", "error")), price):
        numbered.append(replace(line, sequence=next_sequence(connection, case_id, line.kind)))
        post(connection, numbered[-1:])
    return numbered


_KNOWN = """
SELECT d.case_id, d.tenant_id, d.automation, d.arm, d.stratum, d.tier, d.decided_at, a.probability, f.wrong, o.result, o.amount, o.currency
FROM decisions d LEFT JOIN audits a ON a.case_id = d.case_id
LEFT JOIN LATERAL (SELECT wrong FROM audit_findings WHERE case_id = d.case_id ORDER BY round DESC LIMIT 1) f ON true
LEFT JOIN LATERAL (SELECT result, amount, currency FROM case_outcomes WHERE case_id = d.case_id AND state = 'applied'
                   ORDER BY occurred_at DESC, id DESC LIMIT 1) o ON true
WHERE d.case_id = %(case)s
"""


def _known(connection: Connection, case_id: UUID) -> Known:
    row = dict(connection.exec_driver_sql(_KNOWN, {"case": case_id}).mappings().one())
    amount, code, result = row.pop("amount"), row.pop("currency"), row.pop("result")
    loss = None if amount is None else Money(amount, currency(code))
    return Known(**row, result=None if result is None else Result(result), loss=loss)
