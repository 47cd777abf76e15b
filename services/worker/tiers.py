"""What every tier of a cascade is: cases in, one result each, same length and order."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol
from uuid import UUID

from pydantic import BaseModel

from shared.automations.contract import Context, Verdict
from shared.money import Money

ABSTAINED: Final = Verdict(None, confidence=0.0)
TIER_ERROR: Final = "tier_error"
BUDGET: Final = "budget"
# Probabilities of every label, in the pack's order, by model.
Answers = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Budget:
    """What a case, or a whole batch, may cost at most; None: no limit.

    Attributes:
        seconds: wall time in tiers; for a batch counted from the call.
        money: CPU time at its price, and calls that are paid for.
    """

    seconds: float | None = None
    money: Money | None = None


UNLIMITED: Final = Budget()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a tenant has set for an automation.

    Attributes:
        error_level: greatest share of errors among automatic decisions, 0..1; the thresholds that are certified for it hold. None: those
            that the model was published with.
        budget: for each case, all tiers together.
        cpu_hour: price of an hour of one core. None: not known, so a budget of money does not count CPU time.
    """

    error_level: float | None = None
    budget: Budget = UNLIMITED
    cpu_hour: Money | None = None


NO_TERMS: Final = Terms()


@dataclass(frozen=True, slots=True)
class CaseInput:
    """``data`` is an instance of the automation's data model; ``answers`` are those of the models that were asked already.

    Attributes:
        scores: by tier that was asked already, the probability of its likeliest label.
        money: what is left of its own budget; None: no limit.
    """

    case_id: UUID
    data: BaseModel
    context: Context = field(default_factory=Context)
    tenant_id: str = ""
    terms: Terms = NO_TERMS
    answers: Answers = field(default_factory=lambda: MappingProxyType({}))
    scores: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    money: Money | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What one case cost in one tier. The shares of a batch add up to what was measured for the batch, to the nanosecond."""

    cpu_ns: int = 0
    wall_ns: int = 0
    tokens: int = 0
    money: Money | None = None


@dataclass(frozen=True, slots=True)
class TierResult:
    """One tier about one case.

    Attributes:
        verdict: its ``outcome`` is None where the tier abstains.
        probabilities: of the three likeliest labels, likeliest first; empty where the tier has none.
        score: probability of the likeliest label, or None.
        evidence: tokens that moved the label most, strongest first; empty on the hot path.
        model: name and version of what decided, or None for rules.
        error: class of the exception that this case raised, or None. Its verdict then abstains.
        answers: probabilities of every label by model, as far as any was asked until now; what a later tier mixes with its own.
        saved_cpu_ns: what the models took that were not asked, when they were asked the same before.
    """

    verdict: Verdict
    probabilities: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    score: float | None = None
    evidence: tuple[str, ...] = ()
    usage: Usage = Usage()
    model: str | None = None
    error: str | None = None
    answers: Answers = field(default_factory=lambda: MappingProxyType({}))
    saved_cpu_ns: int = 0


class Tier(Protocol):
    """One step of a cascade. Calls come from one thread of one process."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> Usage:
        """What one more case may take, as far as is known now. The tier is not asked about a case that has less than that left."""
        ...

    def decide(self, batch: Sequence[CaseInput], budget: Budget = UNLIMITED) -> Sequence[TierResult]:
        """One result per case, in the order of the batch.

        What a case gets does not depend on the other cases of the batch. An exception of one case is an error result of that case.
        A case for which the rest of ``budget`` is too small abstains with the reason ``budget``; the terms of each case are the cascade's
        business.

        Raises:
            Retryable: the whole tier is out of order now.
        """
        ...


NOTHING: Final = Usage()
OVER_BUDGET: Final = TierResult(Verdict(None, confidence=0.0, reasons=(BUDGET,)))


def shares(total: int, count: int) -> list[int]:
    """``total`` in ``count`` nearly equal parts that add up to it."""
    each, rest = divmod(total, count)
    return [each + (index < rest) for index in range(count)]


def metered(work: Callable[[], Sequence[TierResult]], count: int) -> list[tuple[TierResult, Usage]]:
    """Runs ``work`` for ``count`` cases and splits its CPU time of this thread, and its wall time, over them."""
    wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
    results = work()
    cpu, wall = time.thread_time_ns() - cpu, time.perf_counter_ns() - wall
    return [
        (result, Usage(cpu_ns=cpu_share, wall_ns=wall_share))
        for result, cpu_share, wall_share in zip(results, shares(cpu, count), shares(wall, count), strict=True)
    ]


def failed(error: Exception) -> TierResult:
    """The result of a case that raised. Its message may hold customer data, so only its class is kept."""
    return TierResult(Verdict(None, confidence=0.0, reasons=(TIER_ERROR,)), error=type(error).__name__)


def isolated(batch: Sequence[CaseInput], decide: Callable[[Sequence[CaseInput]], Sequence[TierResult]]) -> Sequence[TierResult]:
    """Decides the batch at once; where that raises, each case by itself, so that only the guilty one fails."""
    try:
        return decide(batch)
    except Exception as error:  # noqa: BLE001 - rules and features of any automation run here, and one bad case must not stop its mates
        if len(batch) == 1:
            return [failed(error)]
        return [result for case in batch for result in isolated([case], decide)]
