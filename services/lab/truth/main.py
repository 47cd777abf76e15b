"""Simulates deployments with known truth; writes a report and, if asked, a plot; connects to nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.lab.truth import plot, risk
from services.lab.truth.deployments import deploy, terms
from services.lab.truth.judging import Judgement, judge
from shared.clock import SystemClock
from shared.reports import Report

app = typer.Typer(
    help="Simulate deployments with known truth and see whether the figures hold it.",
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

_LIMITS = (0.02, 0.05)
# Planned control cases.
_SMALL = 500


@app.command()
def truth(
    deployments: Annotated[int, typer.Option(min=20, help="Deployments for the intervals, and runs for each case of the brake.")] = 2_000,
    seed: Annotated[int, typer.Option(help="Same seed, same result.")] = 20261123,
    long: Annotated[
        int, typer.Option(min=100, help="Audits of automations that stay at their limit; the default is years of them.")
    ] = 20_000,
    plot_file: Annotated[Path | None, typer.Option("--plot", help="SVG of one deployment to write.", dir_okay=False)] = None,
) -> None:
    """Run all simulations; exit status 1 where a target is missed."""
    console = Console(stderr=True)
    report = Report("truth", SystemClock())
    report.add("deployments", deployments)
    seeds = np.random.SeedSequence(seed).spawn(3)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        _savings(report, progress.track(_judged(seeds[0], deployments), total=deployments, description="savings"))
        _risk(report, seeds[1], progress, deployments)
        _brakes(report, progress, seeds[2].spawn(6), deployments, long)
    if plot_file is not None:
        plot_file.write_text(plot.one_deployment(seed), encoding="utf-8")
    if not report.finish(Console()):
        raise typer.Exit(1)


def _judged(seed: np.random.SeedSequence, deployments: int) -> Iterable[Judgement]:
    for child in seed.spawn(deployments):
        rng = np.random.default_rng(child)
        yield judge(deploy(rng, terms(rng)))


def _share(values: Iterable[bool]) -> float:
    return float(np.mean(list(values)))


def _savings(report: Report, judged: Iterable[Judgement]) -> None:
    found = list(judged)
    report.add("coverage_all_looks", _share(one.covered for one in found), min=0.95)
    report.add("false_saving_rate", _share(one.claimed for one in found if not one.saves), max=0.05)
    report.add("width_ratio", float(np.nanmedian([one.ratio for one in found])), max=1.65)
    report.add("truth_above_interval", _share(one.above for one in found))
    report.add("truth_below_interval", _share(one.below for one in found))
    report.add("saving_found_rate", _share(one.claimed for one in found if one.saves))
    # Where little is planned the skewness correction is large: said beside the median, which does not show it.
    small = [one for one in found if one.planned < _SMALL]
    report.add("coverage_small_plans", _share(one.covered for one in small))
    report.add("width_ratio_small_plans", float(np.nanmedian([one.ratio for one in small])))
    report.add("fixed_time_coverage_weekly_looks", _share(one.fixed_covered for one in found))


def _risk(report: Report, seed: np.random.SeedSequence, progress: Progress, deployments: int) -> None:
    years = progress.track(seed.spawn(deployments), description="error rates")
    report.add("risk_coverage", _share(risk.bounds_cover(np.random.default_rng(child)) for child in years), min=0.95)


def _brakes(report: Report, progress: Progress, seeds: list[np.random.SeedSequence], runs: int, long: int) -> None:
    cases = [(multiple, audits, limit) for multiple, audits in ((3, 500), (2, 2_000), (1, long)) for limit in _LIMITS]
    found: dict[int, list[float]] = {}
    for (multiple, audits, limit), child in progress.track(list(zip(cases, seeds, strict=True)), description="brakes"):
        rng = np.random.default_rng(child)
        braked = risk.share_that_brakes(rng, limit=limit, rate=limit * multiple, audits=audits, runs=runs)
        found.setdefault(multiple, []).append(braked)
    # The worse of the two limits counts.
    report.add("brake_detection_3x", min(found[3]), min=0.90)
    report.add("brake_detection_2x", min(found[2]), min=0.90)
    report.add("false_brake_rate", max(found[1]), max=0.01)


if __name__ == "__main__":
    app()
