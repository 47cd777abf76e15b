"""What a pack says of its scores is what the same cases give in production, tier by tier; other cases are found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.lab.certify import Promise, Sample, certify, reached
from services.lab.thresholds import TierScores, decide, path
from services.worker.runtime.build import SHIPPED, Kit, build_cascade, certified_scores
from services.worker.runtime.pack import load
from shared.automations.pack import Certificate
from shared.automations.registry import automation
from shared.measure.drift import ALPHA, Finding, Outputs, compared

NAMES = ("nano", "mini")
LEVELS = st.sampled_from(("0.02", "0.05"))


def _drawn(draws: np.random.Generator, size: int, harder: float = 0.0) -> tuple[TierScores, ...]:
    """Cases of which a cheap tier is less sure than a good one; the harder they are, the less sure is each."""
    hardness, final, tiers = draws.normal(harder, 1.0, size), draws.random(size) > 0.05, []
    for skill, noise in ((4.0, 1.5), (6.0, 1.0)):
        logit = skill - 2.0 * hardness + draws.normal(0, noise, size)
        tiers.append(TierScores(1 / (1 + np.exp(-logit)), draws.random(size) > 1 / (1 + np.exp(-logit)), final))
    return tuple(tiers)


@dataclass(frozen=True)
class World:
    """A certificate, and the chance that its production cases are drawn with."""

    certificate: Certificate
    draws: np.random.Generator

    def day(self, harder: float = 0.0) -> dict[str, tuple[int, ...]]:
        """Scores of 2,000 cases, of those that reach each tier."""
        cases = _drawn(self.draws, 2_000, harder)
        found = decide(cases, tuple(self.certificate.thresholds.values()), self.certificate.floor)
        return dict(reached(found, Sample(names=NAMES, scores=cases)))

    def against(self, said: dict[str, tuple[int, ...]], number: int = 1) -> dict[str, Finding]:
        held = self.certificate.scores
        return {name: compared(Outputs(held[name], {}), Outputs(said[name], {}), number) for name in NAMES}


def _world(seed: int, level: str) -> World:
    draws = np.random.default_rng(seed)
    tune, sample = _drawn(draws, 1_500), _drawn(draws, 1_500)
    return World(certify(path(tune), tune, Sample(names=NAMES, scores=sample), Promise(level=level)), draws)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), LEVELS)
def test_cases_like_those_that_were_certified_are_no_drift_in_any_tier(seed: int, level: str) -> None:
    world = _world(seed, level)
    assert sum(world.certificate.scores["nano"]) == world.certificate.n
    assert not any(found.drifted for found in world.against(world.day()).values())


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), LEVELS)
def test_harder_cases_are_found_on_the_first_day(seed: int, level: str) -> None:
    world = _world(seed, level)
    assert world.against(world.day(harder=1.5))["nano"].drifted


def test_chance_alone_calls_as_few_models_drifted_as_with_a_first_day() -> None:
    lives, called = 100, 0
    for seed in range(lives):
        world = _world(seed, "0.02")
        for number in range(1, 11):
            found = world.against(world.day(), number)
            called += any(said.score_p <= said.level for said in found.values())
    # Two tiers, each a model.
    assert called / (2 * lives) <= 2 * ALPHA


def test_a_later_tier_that_was_held_against_all_cases_would_be_called_drifted() -> None:
    """Where nothing is proven, every complaint reaches the large tier of the shipped pack; at its own level those that nano leaves open."""
    pack = load(SHIPPED)["complaints"]
    everything, hard = (found.scores["large"] for level in ("0.01", pack.level) if (found := pack.certificate(level)) is not None)
    assert sum(everything) > 3 * sum(hard) > 600
    assert compared(Outputs(everything, {}), Outputs(hard, {}), 1).drifted


def test_a_worker_tells_for_each_level_what_its_pack_says_and_nothing_of_a_pack_that_does_not() -> None:
    pack = load(SHIPPED)["claims"]
    told = certified_scores(build_cascade(automation("claims"), Kit.read(SHIPPED)))
    assert [(row["tier"], row["model"], row["alpha"], row["is_default"]) for row in told] == [
        ("nano", "claims@2.0.0", found.alpha, found.level == pack.level) for found in pack.certificates
    ]
    assert [row["scores"] for row in told] == [list(found.scores["nano"]) for found in pack.certificates]
