"""One simulated year of a process whose true saving is known for every day.

What varies from one deployment to the next: volume, control share, how heavy the tails of handling times are (the two public loan logs of
the BPI Challenge have log-normal deviations of about 0.85 and 1.06), trend and season of manual time, unequal strata, how much automation
removes, and crossovers: a case of one arm that is handled as if in the other. Truth is by intention to treat, so crossovers are in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.measure.mixture import Floats
from shared.measure.sequence import Days

YEAR = 365
# Planned end; looks go on after it.
PLANNED_DAYS = 182
_STRATA = 4
_SIZES = np.array([8.0, 4.0, 2.0, 0.6])


@dataclass(frozen=True, slots=True)
class Terms:
    """What is fixed before a deployment begins.

    Attributes:
        volume: cases per day, in the mean.
        share: probability of the control arm.
        deviation: of the logarithm of handling times within a stratum.
        saves: False for A/A: automation changes nothing.
        crossovers: probability, in each arm, of being handled as if in the other.
    """

    volume: float
    share: float
    deviation: float
    saves: bool
    crossovers: float

    @property
    def planned(self) -> float:
        """Control cases at the planned end."""
        return self.volume * self.share * PLANNED_DAYS


@dataclass(frozen=True, slots=True)
class Deployment:
    """Terms, the sums that Recoup would have, and seconds truly saved up to the end of each day."""

    terms: Terms
    days: Days
    truth: Floats


def terms(rng: np.random.Generator) -> Terms:
    """Draw the terms; every second deployment is A/A."""
    return Terms(
        volume=float(np.exp(rng.uniform(np.log(20), np.log(200)))),
        share=float(rng.choice([0.05, 0.10, 0.20])),
        deviation=float(rng.uniform(0.6, 1.2)),
        saves=bool(rng.random() < 0.5),
        crossovers=float(rng.uniform(0.0, 0.05)),
    )


def deploy(rng: np.random.Generator, drawn: Terms) -> Deployment:
    """Simulate a year, case by case."""
    day = np.repeat(np.arange(YEAR), rng.poisson(drawn.volume, YEAR))
    stratum = rng.choice(_STRATA, len(day), p=rng.dirichlet(_SIZES))
    manual = _manual(rng, drawn, day, stratum)
    assisted = _assisted(rng, manual) if drawn.saves else manual
    if_control, if_automated = _crossed(rng, drawn, manual, assisted)
    control = rng.random(len(day)) < drawn.share
    truth = np.bincount(day[~control], (if_control - if_automated)[~control], YEAR).cumsum()
    return Deployment(drawn, _days(drawn, day * _STRATA + stratum, control, np.where(control, if_control, if_automated)), truth)


def _manual(rng: np.random.Generator, drawn: Terms, day: NDArray[np.int64], stratum: NDArray[np.int64]) -> Floats:
    year = np.arange(YEAR) / YEAR
    season = rng.uniform(0.0, 0.15) * np.sin(2 * np.pi * (year * rng.choice([1, 4, 12]) + rng.random()))
    drift = rng.uniform(-0.4, 0.4) * year + season
    centre = rng.normal(6.0, 0.7, _STRATA)
    logarithm = centre[stratum] + drift[day] + drawn.deviation * rng.standard_normal(len(day))
    return np.asarray(np.exp(logarithm), dtype=np.float64)


def _assisted(rng: np.random.Generator, manual: Floats) -> Floats:
    """Nothing for cases that a tier decides; for the rest a person takes shorter or longer than without help."""
    decided = rng.random(len(manual)) < rng.uniform(0.4, 0.9)
    return np.where(decided, 0.0, manual * rng.uniform(0.3, 1.1))


def _crossed(rng: np.random.Generator, drawn: Terms, manual: Floats, assisted: Floats) -> tuple[Floats, Floats]:
    crosses = rng.random((2, len(manual))) < drawn.crossovers
    return np.where(crosses[0], assisted, manual), np.where(crosses[1], manual, assisted)


def _days(drawn: Terms, cell: NDArray[np.int64], control: NDArray[np.bool_], seconds: Floats) -> Days:
    def sums(arm: NDArray[np.bool_], power: int) -> Floats:
        found = np.bincount(cell[arm], seconds[arm] ** power, YEAR * _STRATA)
        return np.asarray(found.reshape(YEAR, _STRATA), dtype=np.float64)

    share = np.full((YEAR, _STRATA), drawn.share)
    return Days(sums(~control, 0), sums(~control, 1), sums(control, 0), sums(control, 1), sums(control, 2), share)
