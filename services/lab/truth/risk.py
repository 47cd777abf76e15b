"""Simulated years of audits, whose true error rates are known, and automations whose rate stays on one side of the certified limit."""

from __future__ import annotations

import numpy as np

from services.lab.truth.deployments import YEAR
from shared.measure.audit import Looks, bounds
from shared.measure.brake import Evidence, Rule

_STEPS = 1_000


def bounds_cover(rng: np.random.Generator) -> bool:
    """One year: whether the bounds of the error rate held the true share of wrong decisions at every daily look.

    Ordinary decisions are audited with one probability, a smaller class with more at stake with a higher one; the rates of both drift.
    """
    decisions = rng.poisson(np.exp(rng.uniform(np.log(30), np.log(1000))) * np.array([[0.8, 0.2]]), (YEAR, 2))
    wrong = rng.binomial(decisions, _rates(rng))
    probability = np.array([rng.choice([0.02, 0.05]), rng.choice([0.05, 0.2])])
    audited = rng.binomial(wrong, probability)
    looks = Looks(decisions.sum(axis=1).cumsum().astype(float), (audited / probability).sum(axis=1).cumsum(), float(probability.min()))
    found = bounds(looks)
    truth = np.divide(wrong.sum(axis=1).cumsum(), looks.decisions, out=np.full(YEAR, np.nan), where=looks.decisions > 0)
    return found.covers(truth)


def _rates(rng: np.random.Generator) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Days x classes: between 0.3 and 8 %, moving to another value over the year."""
    ends = np.exp(rng.uniform(np.log(0.003), np.log(0.08), (2, 2)))
    year = np.linspace(0.0, 1.0, YEAR)[:, np.newaxis]
    return np.asarray(ends[0] * (1 - year) + ends[1] * year)


def share_that_brakes(rng: np.random.Generator, *, limit: float, rate: float, audits: int, runs: int) -> float:
    """Share of automations with this error rate that have braked themselves after so many audits."""
    rule, evidence = Rule(limit), Evidence.none((runs,))
    for start in range(0, audits, _STEPS):
        for wrong in rng.random((min(_STEPS, audits - start), runs)) < rate:
            rule.add(evidence, wrong)
    return float(evidence.brakes().mean())
