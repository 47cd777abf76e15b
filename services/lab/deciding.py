"""What the line makes final with a pack: hard rules and models in the automation's order, as the worker asks them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import BaseModel

from services.lab.answers import Answers
from services.lab.examples import Example
from services.lab.thresholds import decide
from shared.automations.contract import Automation, Context
from shared.automations.pack import Certificate, Pack

_RULES = "rules"
Case = tuple[BaseModel, Context]


def finals(
    automation: Automation, pack: Pack, ask: Callable[[Sequence[Example]], Answers], cases: Sequence[Case], proven: Sequence[Certificate]
) -> list[list[str | None]]:
    """For each certificate, the outcome that each case gets without a person; None: a person decides.

    Args:
        ask: the pack's answers.
    """
    ruled = [_ruled(automation, case) for case in cases]
    is_first = _is_first(automation, pack)
    open_still = [index for index, outcome in enumerate(ruled) if outcome is None or not is_first]
    seen = {index: found for index in open_still if (found := automation.features(cases[index][0])) is not None}
    answers = ask([Example(found, pack.labels[0], "") for found in seen.values()]) if seen else None
    return [_finals(automation, cases, ruled, dict(zip(seen, _labels(answers, found), strict=True))) for found in proven]


def _is_first(automation: Automation, pack: Pack) -> bool:
    """Whether rules are asked, and before every model."""
    models = {tier.name for tier in pack.tiers}
    return next((name for name in automation.tiers if name in models or name == _RULES), None) == _RULES


def _ruled(automation: Automation, case: Case) -> str | None:
    verdict = automation.rules(*case) if _RULES in automation.tiers else None
    return None if verdict is None else verdict.outcome


def _labels(answers: Answers | None, proven: Certificate) -> list[tuple[str, float] | None]:
    """Label and probability of each case that a model is sure enough of, of the tier that ends it."""
    if answers is None:
        return []
    names = tuple(answers.tiers)
    found = decide(answers.scores(), tuple(proven.thresholds[name] for name in names), proven.floor)
    rows = [answers.tiers[names[tier]][index] for index, tier in enumerate(found.tier)]
    return [
        (answers.pack.labels[int(row.argmax())], float(row.max())) if is_accepted else None
        for row, is_accepted in zip(rows, found.accepted, strict=True)
    ]


def _finals(
    automation: Automation, cases: Sequence[Case], ruled: Sequence[str | None], said: dict[int, tuple[str, float] | None]
) -> list[str | None]:
    found = []
    for index, (data, _) in enumerate(cases):
        sure = said.get(index)
        outcome = ruled[index] if sure is None else automation.conclude(data, *sure).outcome
        found.append(None if outcome is None or automation.requires_person(outcome) else outcome)
    return found
