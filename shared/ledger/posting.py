"""What is booked for what happened: ledger lines as values, nothing rounded but cash."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, Literal, Protocol
from uuid import UUID

from shared.ids import uuid7
from shared.money import Money

Kind = Literal["manual_time", "review_time", "compute", "remote_model", "error", "platform", "cash", "reversal"]
Grade = Literal["A", "B", "C", "D"]

# Scales of the table's columns. A decision's compute costs far less than a minor unit, so amounts keep ten decimals.
_QUANTITY: Final = Decimal("1e-9")
_AMOUNT: Final = Decimal("1e-10")
_HOUR: Final = Decimal(3600)


class Subject(Protocol):
    """The case that a line belongs to; `shared.casework.values.Decided` is one."""

    @property
    def case_id(self) -> UUID: ...
    @property
    def tenant_id(self) -> str: ...
    @property
    def automation(self) -> str: ...
    @property
    def arm(self) -> str: ...
    @property
    def stratum(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One append-only fact in seconds or money.

    Attributes:
        case_id: None for what belongs to no single case.
        sequence: tells lines of one kind and case apart.
        quantity: in ``unit``: `s` of a person's time, `cpu_s` of CPU time, `errors`, `tokens`.
        amount: in ``currency``; None where no rate was known, never zero for unknown.
        occurred_at: when it happened; when it was booked is the database's business.
        reverses: the line that a `reversal` takes back.
    """

    tenant_id: str
    automation: str
    kind: Kind
    grade: Grade
    occurred_at: datetime
    case_id: UUID | None = None
    sequence: int = 0
    arm: str | None = None
    stratum: str | None = None
    quantity: Decimal | None = None
    unit: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    baseline_id: UUID | None = None
    reverses: UUID | None = None
    id: UUID = field(default_factory=uuid7)


def for_compute(case: Subject, cpu_ns: int, cpu_hour: Money | None, *, at: datetime) -> Line:
    """Measured CPU time of the tiers and of everything around them.

    Args:
        cpu_hour: price of an hour of one core; None leaves the amount open.
        at: when the tiers had finished.
    """
    seconds = Decimal(cpu_ns).scaleb(-9)
    amount = None if cpu_hour is None else (seconds * cpu_hour.amount / _HOUR).quantize(_AMOUNT, rounding=ROUND_HALF_EVEN)
    return Line(
        tenant_id=case.tenant_id,
        automation=case.automation,
        case_id=case.case_id,
        kind="compute",
        arm=case.arm,
        stratum=case.stratum,
        quantity=seconds,
        unit="cpu_s",
        amount=amount,
        currency=None if cpu_hour is None else cpu_hour.currency,
        grade="A",
        occurred_at=at,
    )


def for_remote(case: Subject, sequence: int, tokens: int, cost: Money, *, counted: bool, at: datetime) -> Line:
    """One call of a remote model, not rounded.

    Args:
        sequence: of the case's calls, from 0.
        tokens: in and out; 0 where the model is paid by the call.
        cost: at the price valid when it was made.
        counted: the provider said how many tokens it was; else tokens and cost are the most that they can be, which is declared, not
            measured: grade D.
        at: when the call was over, or begun where nobody knows.
    """
    return Line(
        tenant_id=case.tenant_id,
        automation=case.automation,
        case_id=case.case_id,
        kind="remote_model",
        sequence=sequence,
        arm=case.arm,
        stratum=case.stratum,
        quantity=Decimal(tokens),
        unit="token",
        amount=cost.amount,
        currency=cost.currency,
        grade="A" if counted else "D",
        occurred_at=at,
    )


def for_overhead(tenant_id: str, automation: str, cpu_ns: int, cpu_hour: Money | None, *, at: datetime) -> Line:
    """An automation's share of the workers' CPU time that stands on no case."""
    seconds = Decimal(cpu_ns).scaleb(-9)
    amount = None if cpu_hour is None else (seconds * cpu_hour.amount / _HOUR).quantize(_AMOUNT, rounding=ROUND_HALF_EVEN)
    return Line(
        tenant_id=tenant_id,
        automation=automation,
        kind="compute",
        quantity=seconds,
        unit="cpu_s",
        amount=amount,
        currency=None if cpu_hour is None else cpu_hour.currency,
        grade="A",
        occurred_at=at,
    )


def for_review(case: Subject, seconds: Decimal, *, at: datetime) -> Line:
    """Measured time of a person: `manual_time` in the control arm, where nothing helped, else `review_time`.

    Args:
        seconds: booked time, already scaled for a simulated tenant.
        at: when the person decided.

    Raises:
        ValueError: negative.
    """
    if seconds < 0:
        raise ValueError("time cannot be negative")
    return Line(
        tenant_id=case.tenant_id,
        automation=case.automation,
        case_id=case.case_id,
        kind="manual_time" if case.arm == "control" else "review_time",
        arm=case.arm,
        stratum=case.stratum,
        quantity=seconds.quantize(_QUANTITY, rounding=ROUND_HALF_EVEN),
        unit="s",
        grade="A",
        occurred_at=at,
    )


def for_cash(case: Subject, money: Money, *, at: datetime) -> Line:
    """Cash that a decision saved, rounded to the currency's minor unit.

    Raises:
        ValueError: the case is in the control arm, whose cash nothing of ours has saved.
    """
    if case.arm == "control":
        raise ValueError("the control arm saves no cash")
    rounded = money.rounded()
    return Line(
        tenant_id=case.tenant_id,
        automation=case.automation,
        case_id=case.case_id,
        kind="cash",
        arm=case.arm,
        stratum=case.stratum,
        amount=rounded.amount,
        currency=rounded.currency,
        grade="A",
        occurred_at=at,
    )


def for_error(case: Subject, errors: Decimal, loss: Money | None, *, at: datetime) -> Line:
    """What wrong decisions cost, rounded to the currency's minor unit.

    Args:
        errors: how many this line stands for: 1/probability of the audit that found one, or 1 where it is known.
        loss: by one error; None leaves the amount open.
        at: when the case was decided.
    """
    amount = None if loss is None else (loss * errors).rounded()
    return Line(
        tenant_id=case.tenant_id,
        automation=case.automation,
        case_id=case.case_id,
        kind="error",
        arm=case.arm,
        stratum=case.stratum,
        quantity=errors.quantize(_QUANTITY, rounding=ROUND_HALF_EVEN),
        unit="errors",
        amount=None if amount is None else amount.amount,
        currency=None if amount is None else amount.currency,
        grade="A",
        occurred_at=at,
    )


class Taken(Protocol):
    """A line that is booked: what is needed to take it back."""

    @property
    def id(self) -> UUID: ...
    @property
    def line(self) -> Line: ...


def reversal(booked: Taken) -> Line:
    """Takes a whole line back by reference, in the hour of the line: figures of that time are restated."""
    line = booked.line
    return replace(
        line,
        id=uuid7(),
        kind="reversal",
        quantity=None if line.quantity is None else -line.quantity,
        amount=None if line.amount is None else -line.amount,
        reverses=booked.id,
    )


def for_platform(tenant_id: str, automation: str, cost: Money, *, hour: datetime) -> Line:
    """Fixed cost of one hour; not rounded, so that a month of hours adds up to the month's price.

    Args:
        hour: its start, UTC; one line per tenant, automation and hour.
    """
    return Line(
        tenant_id=tenant_id,
        automation=automation,
        kind="platform",
        amount=cost.amount.quantize(_AMOUNT, rounding=ROUND_HALF_EVEN),
        currency=cost.currency,
        grade="A",
        occurred_at=hour,
    )
