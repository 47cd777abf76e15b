"""What may be said aloud about a figure."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.roi import figures
from services.roi.answers import soundness
from services.roi.facts import Decided, Experiment
from services.roi.schemas import Soundness
from services.roi.valuation import Valuation
from shared.measure.baselines import Grade
from shared.measure.integrity import Verdict
from shared.measure.savings import Estimate
from shared.measure.sequence import Bounds

SOUND = Soundness(integrity=Verdict.SOUND, reasons=[])


@pytest.mark.parametrize(("held", "claim"), [(600.0, "It is not shown"), (-360.0, "At least 0.100 hours lost")])
def test_a_loss_is_claimed_by_the_interval_that_holds_at_every_look(held: float, claim: str) -> None:
    nothing = figures.total([], [], Valuation.of([], "EUR"), Grade.D)
    estimate = Estimate(100, 100, -1800.0, -2880.0, -720.0, Grade.A, None)
    lost = nothing.model_copy(update={"saved": figures.saved(estimate, -4200.0, Bounds(-4200.0, -1800.0, held))})
    assert soundness.headline(lost, SOUND).startswith(claim)


def test_without_such_an_interval_a_loss_is_claimed_by_the_other_one() -> None:
    nothing = figures.total([], [], Valuation.of([], "EUR"), Grade.D)
    estimate = Estimate(100, 100, -1800.0, -2880.0, -720.0, Grade.B, None)
    lost = nothing.model_copy(update={"saved": figures.saved(estimate, -2880.0, None)})
    assert soundness.headline(lost, SOUND).startswith("At least 0.200 hours lost")


def test_a_loss_of_drawn_cases_is_none_of_all_where_the_others_saved_more() -> None:
    nothing = figures.total([], [], Valuation.of([], "EUR"), Grade.D)
    held = Bounds(-4200.0, -1800.0, -360.0, spent=3600.0)
    # Cases from times without a control group are in the estimate and not in the other interval.
    estimate = Estimate(900, 900, 36_000.0, 30_000.0, 42_000.0, Grade.A, None)
    saved = nothing.model_copy(update={"saved": figures.saved(estimate, held.least, held)})
    assert soundness.headline(saved, SOUND).startswith("It is not shown")


def test_an_interval_of_a_part_is_none_of_all_although_both_lower_ends_are_shown_alike() -> None:
    nothing = figures.total([], [], Valuation.of([], "EUR"), Grade.D)
    # Half a second on cases without a control group is less than what is shown of an hour.
    held = Bounds(-4200.0, -1800.0, -360.0, spent=0.5)
    estimate = Estimate(900, 900, 36_000.0, 30_000.0, 42_000.0, Grade.A, None)
    figure = figures.saved(estimate, held.least, held)
    assert figure.always_valid is not None
    assert (figure.always_valid.low, figure.all_cases) == (figure.at_least_hours, False)
    assert soundness.headline(nothing.model_copy(update={"saved": figure}), SOUND).startswith("It is not shown")


def _drawn(share: str, control: int) -> Experiment:
    none = Decimal(0)
    return Experiment("claims", Decimal(share), control, 0, 0, 0, 0, 0, 0, none, none, none, none)


def test_whoever_was_held_out_for_certain_is_not_taken_for_one_of_the_experiment_who_was_decided() -> None:
    """A hundred old ones are decided; since then 50 were drawn and wait, and 50 that all people got, without a draw, are decided."""
    before, decided = [_drawn("0.05", 100)], [Decided("claims", "control", "-", Decimal("0.05"), 100)]
    draws = [_drawn("0.05", 150), _drawn("1", 50)]
    assert soundness.waiting(draws, before, decided, young=50) == soundness.Waiting(old=0, drawn=100)
    # Were ten of the experiment among the young that are decided, ten old ones would wait.
    assert soundness.waiting(draws, before, decided, young=60) == soundness.Waiting(old=10, drawn=100)
