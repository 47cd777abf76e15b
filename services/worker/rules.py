"""The first tier: the automation's hard business rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.worker.tiers import ABSTAINED, NOTHING, UNLIMITED, Budget, CaseInput, TierResult, Usage, isolated, metered
from shared.automations.contract import Automation


class RulesTier:
    name = "rules"

    def __init__(self, automation: Automation) -> None:
        self._automation = automation

    @property
    def needs(self) -> Usage:
        """Nothing that a budget would notice."""
        return NOTHING

    def decide(self, batch: Sequence[CaseInput], budget: Budget = UNLIMITED) -> Sequence[TierResult]:  # noqa: ARG002 - rules cost microseconds
        if not batch:
            return []
        return [replace(result, usage=usage) for result, usage in metered(lambda: isolated(batch, self._decide), len(batch))]

    def _decide(self, batch: Sequence[CaseInput]) -> Sequence[TierResult]:
        return [self._result(case) for case in batch]

    def _result(self, case: CaseInput) -> TierResult:
        verdict = self._automation.rules(case.data, case.context) or ABSTAINED
        if verdict.outcome is not None and verdict.outcome not in self._automation.outcomes:
            raise KeyError(verdict.outcome)
        return TierResult(verdict, score=verdict.confidence if verdict.outcome else None)
