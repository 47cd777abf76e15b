"""`make chaos`: breaks a running line over Kafka again and again, in random order, and checks every event of every round.

Each round is a company of its own that sends every XRechnung invoice and some complaints, twice and shuffled, while one thing breaks.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from shared.clock import SystemClock
from shared.reports import Report
from tests.chaos.faults import FAULTS
from tests.environment import Environment
from tests.harness.company import Company, Sent, company
from tests.harness.history import check, settle
from tests.harness.line import ReadyLine, running_line
from tests.harness.material import complaints, invoices
from tests.servers import ROOT

console = Console()
app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class Round:
    """One fault under load.

    Attributes:
        recovery_seconds: from the fault until every process was ready again and every event decided and called back.
        problem: what the check found, or empty.
    """

    fault: str
    events: int
    lost: int
    doubled: int
    recovery_seconds: float
    problem: str


@app.command()
def main(
    *,
    rounds: Annotated[int, typer.Option(min=1, help="How often something breaks; each fault comes equally often.")] = 2 * len(FAULTS),
    events: Annotated[int, typer.Option(min=1, help="Complaints of a round, beside the invoices.")] = 1000,
    seed: Annotated[int, typer.Option(help="Order of faults and of events.")] = 1,
) -> None:
    """Break the line and see whether anything is lost or doubled; exit status 1 where it is."""
    report = Report("chaos", SystemClock())
    data = (ROOT / Environment().data).resolve()
    material = [*invoices(data), *complaints(data, events)]
    folder = Path(tempfile.mkdtemp(prefix="recoup-chaos-"))
    folder.chmod(0o755)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with running_line(folder, kafka=True) as line, Progress(*columns, console=console) as progress:
            found = [
                _round(line, material, fault, seed + number)
                for number, fault in progress.track(list(enumerate(_plan(rounds, seed))), description="rounds survived")
            ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not _reported(report, found):
        raise typer.Exit(1)


def _plan(rounds: int, seed: int) -> list[str]:
    names = [name for number in range(rounds // len(FAULTS) + 1) for name in random.Random(seed + number).sample(list(FAULTS), len(FAULTS))]
    return names[:rounds]


def _round(line: ReadyLine, material: list[Sent], fault: str, seed: int) -> Round:
    line.await_ready()
    broken_at = [0.0]

    def break_it() -> None:
        broken_at[0] = time.monotonic()
        FAULTS[fault](line)

    problem = ""
    with company(line) as acme:
        try:
            acme.send_all(material, seed=seed, meanwhile=break_it)
            line.await_ready()
            settle(acme, material)
            recovered = time.monotonic() - broken_at[0]
            check(acme, material)
        except (AssertionError, TimeoutError) as error:
            recovered, problem = time.monotonic() - broken_at[0], str(error)
            console.print(f"{fault} (seed {seed}): {problem[:2000]}", markup=False)
        return Round(fault, len(material), *_counts(acme, material), recovered, problem)


def _counts(acme: Company, material: list[Sent]) -> tuple[int, int]:
    """(events that never came back, events that came back under two ids or with two bodies)."""
    received = acme.receiver.bodies
    doubled = sum(len(ids) > 1 or any(len(bodies) > 1 for bodies in ids.values()) for ids in received.values())
    return len({event.event_id for event in material} - set(received)), doubled


def _reported(report: Report, found: list[Round]) -> bool:
    report.add("rounds", len(found))
    report.add("events", sum(one.events for one in found))
    report.add("lost", sum(one.lost for one in found), equal=0)
    report.add("doubled", sum(one.doubled for one in found), equal=0)
    report.add("rounds_with_a_problem", sum(bool(one.problem) for one in found), equal=0)
    for fault in sorted({one.fault for one in found}):
        seconds = [one.recovery_seconds for one in found if one.fault == fault]
        report.add(f"all_back_after_seconds.{fault.replace(' ', '_')}", round(max(seconds), 1), "s")
    return report.finish(console)


if __name__ == "__main__":
    app()
