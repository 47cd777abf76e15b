"""What the bench of models says that cascades cost, on a cascade whose second tier is the first one again at a hundred times the price."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from services.lab.examples import Example, synthetic
from services.lab.thresholds import TierScores
from services.worker.runtime.build import SHIPPED
from services.worker.runtime.pack import load
from shared.automations.pack import Pack
from shared.automations.registry import automation
from tests.bench.cascade_costs import ERROR, PEOPLE, Comparison, Costs, Tiers, compared, remixed

CPU = {"nano": 1.0, "large": 100.0}


@cache
def _twins() -> tuple[Pack, list[Example], Comparison]:
    pack = load(SHIPPED)["claims"]
    examples, _ = synthetic(automation("claims"), 4_000, 9, lambda: None)
    examples = [replace(example, part="validation") for example in examples]
    nano = pack.tiers[0]
    made = remixed(replace(pack, tiers=(nano, replace(nano, name="large"))), SHIPPED, examples)
    return made, examples, compared(made, SHIPPED, examples, CPU)


def _knowing(share: float) -> TierScores:
    """Sure and right of the easiest ``share`` of two thousand cases; unsure of the others, and of each half wrong."""
    place = np.arange(2_000) / 2_000
    return TierScores(
        np.where(place < share, 0.99 - 0.03 * place, 0.5 - 0.3 * place), (place >= share) & (np.arange(2_000) % 2 == 0), place >= 0
    )


def test_every_document_pays_for_the_first_tier_and_the_ones_that_it_leaves_open_for_the_second_too() -> None:
    scores = _knowing(0.7), _knowing(0.98)
    found = Tiers(("nano", "large"), scores, scores, CPU).promised()
    # Three in ten at least: the first tier does not know them.
    assert (found.coverage, found.errors) == (0.98, 0)
    assert 0.3 <= found.asked < 1
    assert found.cpu_seconds == pytest.approx(CPU["nano"] + found.asked * CPU["large"])


def test_a_second_tier_that_knows_nothing_more_is_not_asked_and_costs_nothing() -> None:
    _, _, found = _twins()
    assert (found.cascade.asked, found.cascade.cpu_seconds) == (0, CPU["nano"])
    assert {name: cost.cpu_seconds for name, cost in found.alone.items()} == CPU


def test_a_tier_alone_is_judged_without_what_the_others_know() -> None:
    made, _, found = _twins()
    assert made.tiers[1].mix.keys() == {"nano", "large"}
    nano, large = found.alone["nano"], found.alone["large"]
    assert (nano.coverage, nano.errors) == (large.coverage, large.errors)


def test_a_tier_without_people_behind_it_decides_all_that_a_tier_may_and_pays_for_it_in_errors() -> None:
    _, examples, found = _twins()
    single, attended = found.single["nano"], found.alone["nano"]
    assert single.coverage > attended.coverage
    assert single.errors > attended.errors
    # What is left are the cases that only a person may close.
    suspicious = sum(example.label == "special_investigation" for example in examples) / len(examples)
    assert 1 - single.coverage == pytest.approx(suspicious, abs=0.02)


def test_at_the_promised_share_of_errors_deciding_costs_what_people_cost() -> None:
    assert PEOPLE.total == 1
    assert Costs(0.0, coverage=1.0, errors=0.02).total == pytest.approx(PEOPLE.total)
    assert Costs(3600.0, coverage=0.9, errors=0.01).total == pytest.approx(0.04 + 0.1 + 0.01 * ERROR)


def test_the_cheapest_promise_is_one_that_keeps_the_level() -> None:
    _, _, found = _twins()
    assert found.cheapest.errors / found.cheapest.coverage <= 0.02
    assert found.cheapest.total < min(cost.total for cost in found.single.values())
