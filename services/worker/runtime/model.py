"""The tiers that models are: nano, trees, mini and large differ in what they run, not in what they promise."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Final

from services.worker.tiers import (
    ABSTAINED,
    NOTHING,
    OVER_BUDGET,
    UNLIMITED,
    Answers,
    Budget,
    CaseInput,
    TierResult,
    Usage,
    isolated,
    metered,
)
from shared.automations.contract import Automation, Features, Verdict
from shared.automations.pack import Pack
from shared.errors import InvariantBroken
from shared.inference.models import Models
from shared.inference.scorers import Probabilities, Scorer, mixed

_TOP: Final = 3
# Each measured document moves the estimate of the next one's cost by a sixteenth of the difference.
_MEMORY: Final = 16
_NO_ANSWERS: Final[Answers] = MappingProxyType({})


class ModelTier:
    """Decides where the likeliest label reaches its minimum, abstains with ``uncertain`` below, and without a reason where no features are.

    Nor is there a reason, or any work, where the tier before gave its label less than the floor below which this one is not asked.

    Linear models and trees score a whole batch at once and cost too little to be counted against a budget. Transformers take one document
    a call, and stop where the budget of the batch ends.

    Raises:
        InvariantBroken: a label of the pack is no outcome of the automation, or the pack has no such tier.
    """

    def __init__(self, automation: Automation, pack: Pack, name: str, models: Models) -> None:
        unknown, model = set(pack.labels) - set(automation.outcomes), pack.tier(name)
        if unknown or model is None:
            raise InvariantBroken("a pack does not fit its automation", pack=pack.name, tier=name, labels=sorted(unknown))
        self.name = name
        self._automation, self._pack, self._tier, self._models = automation, pack, model, models
        self._version = f"{pack.name}@{pack.version}"
        self._is_instant = model.kind in {"linear", "trees"}
        self._is_mixed_later = any(name in other.mix for other in pack.tiers if other.name != name)
        # Never nothing: a budget of nothing pays for no transformer.
        self._needs = NOTHING if self._is_instant else Usage(cpu_ns=1, wall_ns=1)
        self._minima: dict[float | None, Mapping[str, float]] = {}
        self._floors: dict[float | None, tuple[str, float]] = {}

    @property
    def certified_scores(self) -> list[dict[str, object]]:
        """What this model's scores were when it was certified for this processor, by level; empty where its pack does not say."""
        pack, variant = self._pack, self._models.variant(self._pack)
        found = (pack.certificate(level, variant) for level in dict.fromkeys(proven.level for proven in pack.certificates))
        return [
            {
                "tier": self.name,
                "model": self._version,
                "alpha": proven.alpha,
                "is_default": proven.level == pack.level,
                "scores": list(proven.scores[self.name]),
            }
            for proven in found
            if proven is not None and self.name in proven.scores
        ]

    @property
    def needs(self) -> Usage:
        """A running mean of the latest documents."""
        return self._needs

    def probabilities(self, documents: Sequence[Features]) -> Probabilities:
        """``(documents, labels)``, of this model alone; a row depends on its document alone, bit for bit."""
        return self._scorer.probabilities(documents)

    def decide(self, batch: Sequence[CaseInput], budget: Budget = UNLIMITED) -> Sequence[TierResult]:
        wanted = [self._is_asked(case) for case in batch]
        asked = [case for case, is_asked in zip(batch, wanted, strict=True) if is_asked]
        results = iter(self._metered(asked) if self._is_instant else self._one_by_one(asked, budget))
        return [next(results) if is_asked else TierResult(ABSTAINED) for is_asked in wanted]

    def _is_asked(self, case: CaseInput) -> bool:
        """Always where the tier before was not: nobody knows then how hard the case is."""
        if self.name != self._pack.tiers[-1].name or not case.scores:
            return True
        level = case.terms.error_level
        known = self._floors.get(level)
        if known is None:
            variant = self._models.variant(self._pack)
            known = self._floors[level] = self._pack.floor(self._pack.level_within(level, variant), variant)
        before, floor = known
        return case.scores.get(before, 1.0) >= floor

    def _one_by_one(self, batch: Sequence[CaseInput], budget: Budget) -> Sequence[TierResult]:
        limit_ns = None if budget.seconds is None else budget.seconds * 1e9
        started = time.perf_counter_ns()
        results: list[TierResult] = []
        for case in batch:
            if limit_ns is not None and time.perf_counter_ns() - started + self._needs.wall_ns > limit_ns:
                results.append(OVER_BUDGET)
                continue
            (result,) = self._metered([case])
            self._learn(result.usage)
            results.append(result)
        return results

    def _learn(self, usage: Usage) -> None:
        known = self._needs
        self._needs = Usage(
            cpu_ns=max(1, known.cpu_ns + (usage.cpu_ns - known.cpu_ns) // _MEMORY),
            wall_ns=max(1, known.wall_ns + (usage.wall_ns - known.wall_ns) // _MEMORY),
        )

    def _metered(self, batch: Sequence[CaseInput]) -> Sequence[TierResult]:
        if not batch:
            return []
        return [replace(result, usage=usage) for result, usage in metered(lambda: isolated(batch, self._decide), len(batch))]

    @cached_property
    def _scorer(self) -> Scorer:
        """At first use, because the processor is probed for it."""
        return self._models.scorer(self._pack, self._tier)

    @cached_property
    def _others(self) -> Mapping[str, Scorer]:
        """Models that this tier mixes with its own, for cases about which they have not been asked."""
        others = [tier for tier in self._pack.tiers if tier.name in self._tier.mix and tier.name != self.name]
        return {tier.name: self._models.scorer(self._pack, tier) for tier in others}

    def _decide(self, batch: Sequence[CaseInput]) -> Sequence[TierResult]:
        features: list[Features | None] = [self._automation.features(case.data) for case in batch]
        documents = [document for document in features if document is not None]
        rows = iter(self.probabilities(documents)) if documents else iter(())
        return [
            TierResult(ABSTAINED, model=self._version) if document is None else self._result(case, document, next(rows))
            for case, document in zip(batch, features, strict=True)
        ]

    def _result(self, case: CaseInput, document: Features, row: Probabilities) -> TierResult:
        labels = self._pack.labels
        # Plain Python: for a handful of classes numpy's call overhead costs more than the sort (9 µs a case).
        own = row.tolist()
        probabilities = self._mixed(case, document, own) if self._tier.mix else own
        order = sorted(range(len(labels)), key=probabilities.__getitem__, reverse=True)[:_TOP]
        top = {labels[index]: probabilities[index] for index in order}
        label = labels[order[0]]
        score = min(top[label], 1.0)
        answers = {self.name: own} if self._is_mixed_later else _NO_ANSWERS
        return TierResult(self._verdict(case, label, score), top, score, model=self._version, answers=answers)

    def _mixed(self, case: CaseInput, document: Features, own: Sequence[float]) -> list[float]:
        missing = {name: scorer.probabilities([document])[0].tolist() for name, scorer in self._others.items() if name not in case.answers}
        found: list[float] = mixed(self._tier.mix, {**case.answers, **missing, self.name: own}).tolist()
        return found

    def _verdict(self, case: CaseInput, label: str, score: float) -> Verdict:
        if score < self._minimum(case.terms.error_level)[label]:
            return Verdict(None, score, ("uncertain",), label=label)
        return self._automation.conclude(case.data, label, score)

    def _minimum(self, error_level: float | None) -> Mapping[str, float]:
        known = self._minima.get(error_level)
        if known is None:
            variant = self._models.variant(self._pack)
            level = self._pack.level_within(error_level, variant)
            known = {label: self._pack.minimum(self.name, label, level, variant) for label in self._pack.labels}
            self._minima[error_level] = known
        return known
