"""Replays the BPI Challenge 2017 through a running line with the real touch times and says whether the known saving is found.

Beside the one run, whose arms the line draws, the same applications are drawn again and again by the line's own code: of many such
experiments the interval must hold the truth in about 95 of 100, in total and in each stratum.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from shared.clock import SystemClock
from shared.measure.arms import assign
from shared.measure.baselines import EMPTY, Moments
from shared.measure.savings import Estimate, estimate, fit
from shared.reports import Report
from tests.harness import loan_applications
from tests.harness.bpic import CHANNELS, Application, Outcome, bank, read, replay, sample
from tests.harness.line import running_line

LOG = Path("../shared/data/eventlogs/real-start-end/bpic2017_w.csv.gz")
# Of a nominal 0.95: 400 drawings leave a standard error of 0.011, and times are heavy-tailed.
COVERAGE = 0.92

console = Console()
app = typer.Typer(add_completion=False)


@app.command()
def main(
    *,
    log: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Pieces of work, packed.")] = LOG,
    cases: Annotated[
        int, typer.Option(min=600, help="Applications to replay, a third of each channel as far as there are so many.")
    ] = 6000,
    control_share: Annotated[str, typer.Option(help="Held out for people without help.")] = "0.2",
    redrawn: Annotated[int, typer.Option(min=20, help="How often arms are drawn anew.")] = 400,
    seed: Annotated[int, typer.Option(help="Same seed, same sample and same arms.")] = 1,
) -> None:
    report = Report("bpic", SystemClock())
    applications = sample(read(log), dict.fromkeys(CHANNELS, cases // len(CHANNELS)), seed)
    report.add("cases", len(applications))
    _report_run(report, _run(applications, control_share, seed))
    share = Decimal(control_share)
    held = Counter(name for number in track(range(redrawn), "drawing arms anew") for name in _held(applications, share, number))
    for name in ("*", *CHANNELS):
        report.add(f"coverage_redrawn.{name}", held[name] / redrawn, min=COVERAGE)
    if not report.finish(console):
        raise typer.Exit(1)


def _run(applications: Sequence[Application], control_share: str, seed: int) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="recoup-bpic-"))
    folder.chmod(0o755)
    (folder / "line").mkdir(mode=0o755)
    packages = loan_applications.publish(folder / "packages")
    try:
        with (
            running_line(folder / "line", kafka=False, packages=packages) as line,
            bank(line, control_share=control_share, salt=seed.to_bytes(16)) as here,
        ):
            return replay(here, applications, patience_seconds=600)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _report_run(report: Report, found: Outcome) -> None:
    report.add("control_cases", found.control)
    report.add("decided_by_rules", found.decided_by_rules)
    report.add("share_of_work_removed", found.share)
    report.add("conservation_difference", found.differences, equal=0)
    shown = dict(found.strata) if found.always_valid is None else {**found.strata, "always_valid": found.always_valid}
    for name, interval in shown.items():
        for what in ("low", "point", "high", "truth"):
            report.add(f"saved_hours.{name}.{what}", getattr(interval, what) / 3600, "h")
        report.add(f"held.{name}", int(interval.holds), equal=1)


def _held(applications: Sequence[Application], share: Decimal, number: int) -> Iterator[str]:
    """Names of the figures whose interval holds the truth in one drawing."""
    control: dict[str, Moments] = defaultdict(lambda: EMPTY)
    automated: dict[str, Moments] = defaultdict(lambda: EMPTY)
    truth: dict[str, float] = defaultdict(float)
    for one in applications:
        arm = assign(number.to_bytes(16), automation="loans", source="/loans", event_id=one.number, control_share=share)
        if arm == "control":
            control[one.channel] += Moments(1, one.by_hand, one.by_hand**2)
        else:
            automated[one.channel] += Moments(1, one.with_help, one.with_help**2)
            truth[one.channel] += one.removed
    fitted = fit(control, automated, {})
    parts: Mapping[str, Mapping[str, Moments]] = {"*": automated, **{name: {name: moments} for name, moments in automated.items()}}
    for name, moments in parts.items():
        if _holds(estimate(fitted, moments), sum(truth.values()) if name == "*" else truth[name]):
            yield name


def _holds(found: Estimate, truth: float) -> bool:
    assert found.low is not None
    assert found.high is not None
    return found.low <= truth <= found.high


if __name__ == "__main__":
    app()
