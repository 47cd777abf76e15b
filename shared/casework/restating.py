"""Keeps the ledger lines of a case in step with what is known of it: by audits, corrections, and what business systems say later.

Which lines should stand follows from facts alone, so it does not matter in which order they come, or how often this is done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from shared.casework.values import HUMAN
from shared.events.outcome import Result
from shared.ledger import posting, rates
from shared.ledger.posting import Kind, Line
from shared.ledger.repository import Booked, booked, next_sequence, post
from shared.money import Money, currency

if TYPE_CHECKING:
    from sqlalchemy import Connection

ONE: Final = Decimal(1)
# What `savings.restated` says where no late outcome but rework, or an audit, was the cause.
CORRECTED: Final = "corrected"
AUDITED: Final = "audited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a decided case; a `Subject` of the ledger.

    Attributes:
        probability: that its decision was drawn for an audit; None where it was not.
        wrong: what the audit found; None where nothing is found for good.
        result: of the latest late outcome by its own time; None where there is none.
        loss: that it states; None where it states none.
        told_at: its own time.
        saved: cash that the outcome saves that holds now; None where it saves none.
        corrected_at: since when that holds; None where it is the decision's own.
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
    told_at: datetime | None = None
    saved: Money | None = None
    corrected_at: datetime | None = None

    @property
    def automatic(self) -> bool:
        """Only an error of a tier is a cost of automation."""
        return self.arm == "automated" and self.tier != HUMAN

    @property
    def cash_stands(self) -> bool:
        """Cash that was saved counts as long as nobody doubts the outcome. Doubts of what held before a correction are not about it."""
        settled = self.corrected_at is not None and self.told_at is not None and self.told_at < self.corrected_at
        return settled or self.result in {None, Result.CONFIRMED_RIGHT}

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
    return [*_differences(lines, "cash", _cash(known)), *_differences(lines, "error", _error(known, price))]


def _cash(known: Known) -> Line | None:
    if known.saved is None or not known.cash_stands or known.arm == "control":
        return None
    return posting.for_cash(known, known.saved, at=known.decided_at)


def _error(known: Known, price: Money | None) -> Line | None:
    errors = known.errors()
    if not errors:
        return None
    stated = known.loss if errors == ONE and known.result is not None else None
    return posting.for_error(known, errors, stated or price, at=known.decided_at)


def _differences(lines: list[Booked], kind: Kind, wanted: Line | None) -> list[Line]:
    """What leaves only the wanted line of a kind standing, or none."""
    standing = [line for line in lines if line.kind == kind and not line.taken_back]
    kept = [line for line in standing if wanted is not None and _same(line, wanted)]
    reversals = [posting.reversal(line) for line in standing if line not in kept]
    return reversals if wanted is None or kept else [*reversals, wanted]


def _same(line: Booked, wanted: Line) -> bool:
    return (line.quantity, line.amount, line.currency) == (wanted.quantity, wanted.amount, wanted.currency)


def restate(connection: Connection, case_id: UUID) -> list[Line]:
    """Book what has to be; returns it. The caller has locked the case."""
    known = _known(connection, case_id)
    price = rates.price(connection, known.tenant_id, rates.LOSS_PER_ERROR, automation=known.automation, at=known.decided_at)
    numbered = []
    for line in changes(known, booked(connection, case_id, ("cash", "error")), price):
        # The number 0 is kept for what the decision itself saved: all other cash of a case corrects that.
        least = 1 if line.kind == "cash" else 0
        numbered.append(replace(line, sequence=max(least, next_sequence(connection, case_id, line.kind))))
        post(connection, numbered[-1:])
    return numbered


def saved_cash(connection: Connection, case_id: UUID) -> Money | None:
    """What the outcome that holds saves in cash, whether or not it counts now."""
    return _known(connection, case_id).saved


_KNOWN = """
SELECT d.case_id, d.tenant_id, d.automation, d.arm, d.stratum, d.tier, d.decided_at, a.probability, f.wrong, o.result, o.amount, o.currency,
       o.occurred_at AS told_at, k.corrected_at,
       CASE WHEN k.corrected_at IS NULL THEN l.amount ELSE k.cash_amount END AS saved_amount,
       CASE WHEN k.corrected_at IS NULL THEN l.currency ELSE k.cash_currency END AS saved_currency
FROM decisions d LEFT JOIN audits a ON a.case_id = d.case_id
LEFT JOIN ledger_lines l ON l.case_id = d.case_id AND l.kind = 'cash' AND l.sequence = 0
LEFT JOIN LATERAL (SELECT corrected_at, cash_amount, cash_currency FROM corrections WHERE case_id = d.case_id
                   ORDER BY corrected_at DESC, id DESC LIMIT 1) k ON true
LEFT JOIN LATERAL (SELECT wrong FROM audit_findings WHERE case_id = d.case_id ORDER BY round DESC LIMIT 1) f ON true
LEFT JOIN LATERAL (SELECT result, amount, currency, occurred_at FROM case_outcomes WHERE case_id = d.case_id AND state = 'applied'
                   ORDER BY occurred_at DESC, id DESC LIMIT 1) o ON true
WHERE d.case_id = %(case)s
"""


def _known(connection: Connection, case_id: UUID) -> Known:
    row = dict(connection.exec_driver_sql(_KNOWN, {"case": case_id}).mappings().one())
    result, loss, saved = row.pop("result"), _money(row, "amount", "currency"), _money(row, "saved_amount", "saved_currency")
    return Known(**row, result=None if result is None else Result(result), loss=loss, saved=saved)


def _money(row: dict[str, Any], amount: str, code: str) -> Money | None:
    """Taken out of the row."""
    value, unit = row.pop(amount), row.pop(code)
    return None if value is None else Money(value, currency(unit))
