"""What every tier promises, whether it runs here or elsewhere: one suite, every kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from services.worker.remote.build import build_tier
from services.worker.remote.repository import StoredSpending
from services.worker.remote.tier import RemoteTier
from services.worker.rules import RulesTier
from services.worker.runtime.build import SHIPPED
from services.worker.runtime.model import ModelTier
from services.worker.runtime.pack import load
from services.worker.tiers import Budget, Tier, TierResult
from shared.automations.contract import Verdict
from shared.clock import SystemClock
from shared.inference.models import Models
from tests.intake_data import add_tenant, engine_of
from tests.model_servers import ModelServer
from tests.remote_world import NOTES, cases, loaded, program, remote_model
from tests.tiny_models import tiny_pack

if TYPE_CHECKING:
    from tests.conftest import Database

TEXTS = (
    "My mortgage servicer lost a mortgage payment and reports me as late on the mortgage.",
    "The card was charged twice, and the card company does not answer.",
    "nothing that anybody could tell",
    "They closed my bank account without a word, and the bank keeps the money.",
    "",
) * 3


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def spending(module_database: Database) -> Iterator[StoredSpending]:
    add_tenant(module_database)
    engine = engine_of(module_database)
    yield StoredSpending(engine)
    engine.dispose()


def _nano(_request: pytest.FixtureRequest) -> Iterator[Tier]:
    yield ModelTier(NOTES, load(SHIPPED)["complaints"], "nano", Models(SHIPPED))


def _transformer(name: str) -> Callable[[pytest.FixtureRequest], Iterator[Tier]]:
    def make(request: pytest.FixtureRequest) -> Iterator[Tier]:
        folder = request.getfixturevalue("tmp_path")
        yield ModelTier(NOTES, tiny_pack(folder, "complaints"), name, Models(folder))

    return make


def _rules_tier(_request: pytest.FixtureRequest) -> Iterator[Tier]:
    yield RulesTier(NOTES)


def _remote(protocol: str) -> Callable[[pytest.FixtureRequest], Iterator[Tier]]:
    def make(request: pytest.FixtureRequest) -> Iterator[Tier]:
        settings = remote_model(request.getfixturevalue("server"), protocol)
        tier = build_tier(NOTES, settings, request.getfixturevalue("spending"), SystemClock())
        yield tier
        tier.close()

    return make


def _program(kind: str) -> Callable[[pytest.FixtureRequest], Iterator[Tier]]:
    def make(request: pytest.FixtureRequest) -> Iterator[Tier]:
        yield request.getfixturevalue("programs")(kind)

    return make


@pytest.fixture(scope="module")
def programs(spending: StoredSpending) -> Iterator[Callable[[str], RemoteTier]]:
    """One process for each program of all tests, because its libraries take seconds to load."""
    made: dict[str, RemoteTier] = {}

    def tier(kind: str) -> RemoteTier:
        if kind not in made:
            made[kind] = build_tier(NOTES, program(kind), spending, SystemClock())
            loaded(made[kind])
        return made[kind]

    yield tier
    for each in made.values():
        each.close()


# A new kind of tier is one more entry here.
KINDS: dict[str, Callable[[pytest.FixtureRequest], Iterator[Tier]]] = {
    "rules": _rules_tier,
    "nano": _nano,
    "mini": _transformer("mini"),
    "large": _transformer("large"),
    "openai": _remote("openai"),
    "kserve": _remote("kserve"),
    "langgraph": _program("langgraph"),
    "dspy": _program("dspy"),
}


@pytest.fixture(params=sorted(KINDS))
def tier(request: pytest.FixtureRequest) -> Iterator[Tier]:
    yield from KINDS[request.param](request)


def said(results: Sequence[TierResult]) -> list[tuple[Verdict, list[tuple[str, float]], float | None, str | None]]:
    """All but what was measured."""
    return [(result.verdict, list(result.probabilities.items()), result.score, result.error) for result in results]


def test_one_result_for_each_case_in_their_order_alone_or_in_any_batch(tier: Tier) -> None:
    together = said(tier.decide(cases(*TEXTS)))
    assert len(together) == len(TEXTS)
    assert any(result != together[0] for result in together)
    assert said(list(reversed(tier.decide(list(reversed(cases(*TEXTS))))))) == together
    # Other cases, so that an answer that was remembered does not count.
    assert [said(tier.decide([case]))[0] for case in cases(*TEXTS, first=1000)[:5]] == together[:5]
    assert tier.decide([]) == []


def test_a_verdict_is_an_outcome_or_an_abstention_with_sane_figures(tier: Tier) -> None:
    for result in tier.decide(cases(*TEXTS)):
        assert result.verdict.outcome is None or result.verdict.outcome in NOTES.outcomes
        assert 0 <= result.verdict.confidence <= 1
        assert len(result.probabilities) <= 3
        assert set(result.probabilities) <= set(NOTES.outcomes)
        assert list(result.probabilities.values()) == sorted(result.probabilities.values(), reverse=True)
        assert result.error is None
        assert (result.model is None) == (tier.name == "rules")


def test_a_case_that_raises_does_not_fail_its_batch_mates(tier: Tier) -> None:
    good, bad, after = tier.decide(cases(TEXTS[0], "bad", TEXTS[0]))
    assert said([good]) == said([after])
    assert good.error is None
    assert (bad.error, bad.verdict.outcome, bad.verdict.reasons) == ("RuntimeError", None, ("tier_error",))


def test_what_a_batch_took_is_split_over_its_cases(tier: Tier) -> None:
    wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
    results = tier.decide(cases(*TEXTS))
    wall, cpu = time.perf_counter_ns() - wall, time.thread_time_ns() - cpu
    for counted, measured in (([r.usage.cpu_ns for r in results], cpu), ([r.usage.wall_ns for r in results], wall)):
        assert 0 < sum(counted) <= measured
        assert min(counted) > 0


def test_a_case_takes_no_more_than_the_tier_says_it_needs(tier: Tier) -> None:
    needs = tier.needs
    for result in tier.decide(cases(*TEXTS)):
        assert (result.usage.money is None) or (needs.money is not None and result.usage.money.amount <= needs.money.amount)


def test_a_tier_that_is_paid_for_abstains_where_the_budget_is_used_up(tier: Tier) -> None:
    needs = tier.needs
    for budget in (Budget(seconds=0.0), Budget(money=None if needs.money is None else needs.money * 0)):
        results = tier.decide(cases(*TEXTS[:2], first=2000), budget)
        if needs.money is not None:
            assert [result.verdict.reasons for result in results] == [("budget",), ("budget",)]
            assert all(result.usage.money is None or not result.usage.money.amount for result in results)
        assert len(results) == 2
