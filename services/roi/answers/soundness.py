"""Whether the experiment behind the figures was carried out as planned, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from services.roi.schemas import Figures, Saved, Soundness
from shared.measure.integrity import PATIENCE, Cell, Finding, Integrity, Verdict, report, undecided

if TYPE_CHECKING:
    from services.roi.facts import Decided, Experiment

# Strata are told apart at the decision only.
_ALL = "*"


class Waiting(NamedTuple):
    """Control cases of one automation that nobody has decided.

    Attributes:
        old, drawn: those drawn longer than the patience ago, and all that were drawn then.
    """

    old: int = 0
    drawn: int = 0


def waiting(draws: Iterable[Experiment], then: Iterable[Experiment], decided: Iterable[Decided], young: int) -> Waiting:
    """What is drawn in an experiment, less what is decided.

    Args:
        draws, then: up to now, and up to the patience ago.
        young: control cases received since then that are decided, in an experiment or not. Those that were not drawn in one are taken to be
            decided first: whoever counts too few young ones accuses nobody.
    """
    (drawn, certain), (before, certain_before) = _drawn_control(draws), _drawn_control(then)
    young = min(max(young - (certain - certain_before), 0), drawn - before)
    done = sum(row.cases for row in decided if row.arm == "control" and 0 < row.share < 1)
    return Waiting(max(before - max(done - young, 0), 0), before)


def _drawn_control(draws: Iterable[Experiment]) -> tuple[int, int]:
    """Control cases that were drawn in an experiment, and those that were no matter of chance."""
    inside = outside = 0
    for draw in draws:
        if 0 < draw.share < 1:
            inside += draw.drawn_control
        else:
            outside += draw.drawn_control
    return inside, outside


def examined(draws: Sequence[Experiment], decided: Iterable[Decided] = (), left: Waiting | None = None) -> Integrity:
    """The report about one automation.

    Draws are counted at intake, where both arms are complete. Strata are known of decided cases, and control cases wait for people: so
    each stratum is compared with the split of all decided cases, not with the planned one.

    Args:
        decided: of all time; without them nothing is said about strata.
        left: control cases that wait; without it nothing is said about them.
    """
    found = report([_cell(draw) for draw in draws]).findings
    strata = next(finding for finding in report(_decided(list(decided))).findings if finding.name == "strata")
    others = () if left is None else (undecided(left.old, left.drawn),)
    return Integrity((*(strata if finding.name == "strata" else finding for finding in found), *others))


def shown(found: Integrity) -> Soundness:
    return Soundness(
        integrity=found.verdict, reasons=[reason(finding) for finding in found.findings if finding.verdict is not Verdict.SOUND]
    )


def worst(parts: Iterable[tuple[str, Soundness]]) -> Soundness:
    """Of all automations, whose names stand before their reasons."""
    named = list(parts)
    order = list(Verdict)
    return Soundness(
        integrity=max((part.integrity for _, part in named), key=order.index, default=Verdict.SOUND),
        reasons=[f"{name}: {text}" for name, part in named for text in part.reasons],
    )


def reason(finding: Finding) -> str:
    # Two digits, and 100 % all the same, which `.2g` writes as 1e+02.
    share = f"{float(f'{(finding.value or 0) * 100:.2g}'):g} %"
    match finding.name:
        case "split" | "split_now":
            return f"the arms are not split as planned: {finding.observed} control cases, {finding.expected or 0:.0f} were to be expected"
        case "strata":
            return "strata are not split alike: which cases reach a decision depends on their arm"
        case "undecided":
            return f"{share} of the control cases older than {PATIENCE.days} days are not decided, and it is not chance which"
        case "crossovers":
            return f"{share} of all cases were handled as if they were in the other arm"
        case _:
            arm = finding.name.removeprefix("clocks_")
            return f"{share} of the cases of the {arm} arm have no measured time"


def headline(total: Figures, soundness: Soundness, *, simulated: bool = False) -> str:
    """One sentence that may be said aloud: the lower bound first, and nothing where the experiment is broken."""
    claim = _headline(total, soundness)
    return f"Simulated people, nothing of this was saved: {claim}" if simulated else claim


def _headline(total: Figures, soundness: Soundness) -> str:
    if soundness.integrity is Verdict.BROKEN:
        return f"The experiment is broken, so no saving is shown: {'; '.join(soundness.reasons)}."
    saved = total.saved
    if saved.hours.point is None:
        return f"No saving is measured: {saved.note or 'there is nothing to compare'}."
    doubt = "" if soundness.integrity is Verdict.SOUND else f" But: {'; '.join(soundness.reasons)}."
    return f"{_claim(saved)}; evidence {saved.grade.value if saved.grade else 'none'}; experiment {soundness.integrity.value}.{doubt}"


def _claim(saved: Saved) -> str:
    if saved.at_least_hours > 0:
        return f"At least {saved.at_least_hours:f} hours saved"
    # A loss is claimed as a saving is: by the interval that holds however often one looks, where there is one of all cases.
    most = (saved.always_valid if saved.always_valid is not None and saved.all_cases else saved.hours).high
    if most is not None and most < 0:
        return f"At least {-most:f} hours lost"
    return "It is not shown that time was saved"


def _cell(draw: Experiment) -> Cell:
    return Cell(
        stratum=_ALL,
        share=float(draw.share),
        control=draw.drawn_control,
        automated=draw.drawn_automated,
        crossed_automated=draw.crossed_automated,
        unclocked_control=draw.unclocked_control,
        unclocked_automated=draw.unclocked_automated,
    )


def _decided(rows: Sequence[Decided]) -> list[Cell]:
    cells = []
    for share in sorted({row.share for row in rows if 0 < row.share < Decimal(1)}):
        drawn = [row for row in rows if row.share == share]
        control = sum(row.cases for row in drawn if row.arm == "control")
        observed = control / max(sum(row.cases for row in drawn), 1)
        for stratum in sorted({row.stratum for row in drawn}):
            arms = [(row.arm, row.cases) for row in drawn if row.stratum == stratum]
            counts = {arm: sum(cases for name, cases in arms if name == arm) for arm in ("control", "automated")}
            cells.append(Cell(stratum, observed, counts["control"], counts["automated"]))
    return cells
