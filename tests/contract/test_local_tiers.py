"""What the tiers that run here promise beyond `test_tiers`, for each automation that is shipped."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from services.lab.synth import TASKS, generate
from services.worker.rules import RulesTier
from services.worker.runtime.build import Kit, Room, build_cascade
from services.worker.tiers import NOTHING, Budget, CaseInput, Tier, TierResult
from shared.automations.registry import automation
from tests.memory_store import MemoryStore
from tests.tiny_models import tiny_kit, tiny_trees

if TYPE_CHECKING:
    from shared.automations.contract import Automation, Features, Verdict

LOCAL = ("rules", "cache", "nano", "trees", "mini", "large")


@dataclass(frozen=True)
class Subject:
    """One tier under test.

    Attributes:
        make: the tier for any automation with the outcomes of this one.
        cases: some of them twice.
    """

    automation: Automation
    make: Callable[[Automation], Tier]
    cases: Sequence[CaseInput]

    @property
    def tier(self) -> Tier:
        return self.make(self.automation)


def _local(name: str, kit: Kit, task: Automation) -> Tier:
    if name == "rules":
        return RulesTier(task)
    cascade = build_cascade(task, replace(kit, room=Room(MemoryStore(), 1 << 16)))
    if name == "cache":
        _fill(cascade.decide, kit, task)
    return next(tier for tier in cascade.tiers if tier.name == name)


def _fill(decide: Callable[[Sequence[CaseInput]], object], kit: Kit, task: Automation) -> None:
    """Every other case has been decided before."""
    assert task.name in kit.packs
    decide(_cases(automation(task.name))[::2])


def _cases(task: Automation) -> list[CaseInput]:
    events = [event.data for event in generate(task.name, 40, 11)]
    return [
        CaseInput(uuid.UUID(int=i), task.data_model.model_validate(data), tenant_id="acme") for i, data in enumerate([*events, *events])
    ]


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kit]:
    return {task: _with_trees(tiny_kit(folder, task), folder) for task in TASKS for folder in [tmp_path_factory.mktemp(task)]}


def _with_trees(kit: Kit, folder: Path) -> Kit:
    """Claims have both fields and invoices one; where complaints have none, trees say the same of all."""
    ((task, pack),) = kit.packs.items()
    columns = {"band": ("10k", "2k", "500", "100", "50k"), "police": ("False", "True")}
    nano, *later = pack.tiers
    return replace(kit, packs={task: replace(pack, tiers=(nano, tiny_trees(folder, columns, len(pack.labels)), *later))})


@pytest.fixture(params=[(task, name) for task in TASKS for name in LOCAL], ids="-".join)
def subject(request: pytest.FixtureRequest, kits: dict[str, Kit]) -> Subject:
    task, name = request.param
    found = automation(task)
    return Subject(found, partial(_local, name, kits[task]), _cases(found))


def said(results: Sequence[TierResult]) -> list[tuple[Verdict, list[tuple[str, float]], float | None, str | None]]:
    """All but what was measured."""
    return [(result.verdict, list(result.probabilities.items()), result.score, result.error) for result in results]


def test_one_result_per_case_in_the_order_of_the_batch(subject: Subject) -> None:
    tier, cases = subject.tier, list(subject.cases)
    results = said(tier.decide(cases))
    assert len(results) == len(cases)
    assert said(tier.decide(cases[::-1])) == results[::-1]
    assert list(tier.decide([])) == []


def test_a_case_gets_the_same_alone_as_in_any_batch(subject: Subject) -> None:
    tier, cases = subject.tier, list(subject.cases)
    together = said(tier.decide(cases))
    assert [said(tier.decide([case]))[0] for case in cases] == together
    assert said(tier.decide(cases[:7])) + said(tier.decide(cases[7:])) == together


def test_a_verdict_is_an_outcome_of_the_automation_or_an_abstention_with_sane_figures(subject: Subject) -> None:
    for result in subject.tier.decide(subject.cases):
        assert result.verdict.outcome is None or result.verdict.outcome in subject.automation.outcomes
        assert 0 <= result.verdict.confidence <= 1
        assert len(result.probabilities) <= 3
        assert list(result.probabilities.values()) == sorted(result.probabilities.values(), reverse=True)
        assert all(0 <= value <= 1.000001 for value in result.probabilities.values())
        assert result.error is None


def test_what_the_cases_cost_is_measured_and_is_no_more_than_the_call_took(subject: Subject) -> None:
    tier = subject.tier
    tier.decide(subject.cases[:1])
    wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
    results = tier.decide(subject.cases)
    wall, cpu = time.perf_counter_ns() - wall, time.thread_time_ns() - cpu
    assert 0 < sum(result.usage.cpu_ns for result in results) <= cpu
    assert 0 < sum(result.usage.wall_ns for result in results) <= wall
    assert all(result.usage.cpu_ns >= 0 and result.usage.wall_ns >= 0 for result in results)


def test_a_case_that_raises_fails_alone_and_its_mates_get_what_they_would_have_got(subject: Subject) -> None:
    guilty = subject.cases[3]
    task = subject.automation

    def features(data: BaseModel) -> Features | None:
        if data is guilty.data:
            raise RuntimeError("customer data")
        found: Features | None = task.features(data)
        return found

    def rules(data: BaseModel, context: object) -> Verdict | None:
        if data is guilty.data:
            raise RuntimeError("customer data")
        found: Verdict | None = task.rules(data, context)
        return found

    results = said(subject.make(replace(task, features=features, rules=rules)).decide(subject.cases))
    expected = said(subject.tier.decide(subject.cases))
    assert results[:3] + results[4:] == expected[:3] + expected[4:]
    assert results[3][0].outcome is None
    # The cache leaves the report to the model that comes after it.
    assert (results[3][3], results[3][0].reasons) in {("RuntimeError", ("tier_error",)), (None, ())}


def test_a_tier_that_a_budget_would_notice_stops_where_the_budget_of_the_batch_ends(subject: Subject) -> None:
    tier = subject.tier
    results = tier.decide(subject.cases, Budget(seconds=0.0))
    if tier.needs == NOTHING:
        assert said(results) == said(tier.decide(subject.cases))
        return
    assert {(result.verdict.outcome, result.verdict.reasons, result.usage) for result in results} == {(None, ("budget",), NOTHING)}
    tier.decide(subject.cases)
    needs = tier.needs.wall_ns
    enough = tier.decide(subject.cases, Budget(seconds=5 * needs / 1e9))
    answered = sum("budget" not in result.verdict.reasons for result in enough)
    assert 0 <= answered < len(subject.cases)
    # Those who were served came first.
    assert all("budget" in result.verdict.reasons for result in enough[answered:])
