"""Asks tier after tier until one decides; whatever none may decide needs a person. Pure orchestration: no I/O of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.worker.allowance import affords, left, purse, total
from services.worker.tiers import OVER_BUDGET, UNLIMITED, Budget, CaseInput, Tier, TierResult, Usage
from shared.automations.contract import Automation, Verdict

UNCERTAIN: Final = "uncertain"
ADVERSE: Final = "adverse"


@dataclass(frozen=True, slots=True)
class Step:
    """What one tier said, in the order in which they were asked."""

    tier: str
    result: TierResult


@dataclass(frozen=True, slots=True)
class CascadeResult:
    """Either ``verdict`` is final, or a person is needed.

    Attributes:
        verdict: the final verdict; None where a person must decide.
        tier: name of the tier that decided or proposed, or None where none had anything to say.
        proposed: what the machine would have said, for the person; its confidence may be low. None: nothing.
        reasons: why a person is needed; the reasons of the verdict where it is final.
        steps: every tier that was asked.
    """

    case: CaseInput
    verdict: Verdict | None
    tier: str | None
    proposed: Verdict | None
    reasons: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def needs_person(self) -> bool:
        return self.verdict is None

    @property
    def error(self) -> str | None:
        """Class of the exception that a tier met in this case, or None. A retry may help; if not, a person must."""
        return next((step.result.error for step in self.steps if step.result.error), None)

    @property
    def model(self) -> str | None:
        """Name and version of the model that decided or proposed."""
        return next((step.result.model for step in self.steps if step.tier == self.tier), None)

    @property
    def usage(self) -> Usage:
        """Raises ValueError where two tiers were paid in two currencies."""
        return total(step.result.usage for step in self.steps)


Listener = Callable[[Sequence[CascadeResult]], None]


class Cascade:
    """One automation's tiers, cheapest first."""

    def __init__(self, automation: Automation, tiers: Sequence[Tier], listeners: Sequence[Listener] = ()) -> None:
        """Args: listeners: each is told every result of every batch; they must not raise."""
        self.automation = automation
        self.tiers = tuple(tiers)
        self._listeners = tuple(listeners)

    def decide(self, batch: Sequence[CaseInput], budget: Budget = UNLIMITED) -> Sequence[CascadeResult]:
        """One result per case, in the order of the batch.

        Args:
            budget: for the whole batch. What each case may cost is in its own terms.
        """
        steps: list[list[Step]] = [[] for _ in batch]
        still_open = list(range(len(batch)))
        for tier in self.tiers:
            if not still_open:
                break
            rest = left(budget, (step.result.usage for taken in steps for step in taken))
            self._ask(tier, still_open, batch, steps, rest)
            # A case that a tier failed on is not asked further: a later tier must not decide what a hard rule never saw.
            still_open = [index for index in still_open if _is_open(steps[index][-1].result)]
        results = [self._concluded(case, tuple(taken)) for case, taken in zip(batch, steps, strict=True)]
        for listener in self._listeners:
            listener(results)
        return results

    @staticmethod
    def _ask(tier: Tier, still_open: Sequence[int], batch: Sequence[CaseInput], steps: Sequence[list[Step]], budget: Budget) -> None:
        """One more step for each open case; those that cannot afford the tier are passed over."""
        needs = tier.needs
        able = [index for index in still_open if affords(batch[index].terms, (step.result.usage for step in steps[index]), needs)]
        cases = [_informed(batch[index], steps[index]) for index in able]
        results = dict(zip(able, tier.decide(cases, budget), strict=True))
        for index in still_open:
            steps[index].append(Step(tier.name, results.get(index, OVER_BUDGET)))

    def _concluded(self, case: CaseInput, steps: tuple[Step, ...]) -> CascadeResult:
        last = steps[-1] if steps else None
        if last is None or last.result.verdict.outcome is None:
            return self._abstained(case, steps)
        verdict = last.result.verdict
        if not self.automation.requires_person(str(verdict.outcome)):
            return CascadeResult(case, verdict, last.tier, None, verdict.reasons, steps)
        reasons = (ADVERSE, *verdict.reasons) if self.automation.outcomes[str(verdict.outcome)].adverse else verdict.reasons
        return CascadeResult(case, None, last.tier, verdict, reasons, steps)

    def _abstained(self, case: CaseInput, steps: tuple[Step, ...]) -> CascadeResult:
        """The reasons of those who abstained, and the last model's likeliest label as a proposal."""
        said = tuple(dict.fromkeys(reason for step in steps for reason in step.result.verdict.reasons))
        leaning = next((step for step in reversed(steps) if step.result.verdict.label is not None and step.result.error is None), None)
        if leaning is None:
            return CascadeResult(case, None, None, None, said or (UNCERTAIN,), steps)
        verdict = leaning.result.verdict
        proposed = self.automation.conclude(case.data, str(verdict.label), verdict.confidence)
        return CascadeResult(case, None, leaning.tier, proposed, said or (UNCERTAIN,), steps)


def _informed(case: CaseInput, steps: Sequence[Step]) -> CaseInput:
    """With what the models said that were asked before, and what is left of its money."""
    answers = {name: row for step in steps for name, row in step.result.answers.items()}
    scores = {step.tier: step.result.score for step in steps if step.result.score is not None}
    money = purse(case.terms, (step.result.usage for step in steps))
    return replace(case, answers=answers, scores=scores, money=money) if answers or scores or money is not None else case


def _is_open(result: TierResult) -> bool:
    return result.verdict.outcome is None and result.error is None
