"""`recoup demo`: reads nothing, starts `recoup up`, sends events, receives decisions, emits a report; leaves its data for a longer look."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.lab.demo import show
from services.lab.demo.line import RunningLine, running
from services.lab.demo.office import Office
from services.lab.demo.sender import send_all
from services.lab.demo.sink import Sink, serving
from services.lab.demo.tally import Story, Tally, percentile
from services.lab.demo.tenant import Company, Plan, found_company
from services.lab.synth import TASKS, generate
from shared.clock import SystemClock
from shared.reports import Report

if TYPE_CHECKING:
    from collections.abc import Mapping

# An hour of simulated work in a second.
SCALE = 3600.0
# More than the default of 5 %: a demo is short, and a control group needs thirty cases to count.
CONTROL_SHARE = "0.10"
SETTLE_SECONDS = 120.0
ROLL_UP_SECONDS = 30.0

# Where the output goes to a file, its tables are as wide as they need.
console = Console(highlight=False, width=None if Console().is_terminal else 110)
app = typer.Typer(add_completion=False, help="Run the whole line once on this machine and print what it saved.")


@app.command()
def main(
    *,
    events: Annotated[int, typer.Option(min=30, max=1_000_000, help="How many events, over three automations.")] = 3000,
    kafka: Annotated[bool, typer.Option("--kafka", help="With a real Kafka broker between (needs Java 17 and Maven).")] = False,
    data_dir: Annotated[Path, typer.Option(help="Databases, logs and the report; kept afterwards.")] = Path(".recoup/demo"),
    seed: Annotated[int, typer.Option(help="The same seed sends the same events.")] = 1,
    check: Annotated[bool, typer.Option("--check", help="Only validate the options.")] = False,
) -> None:
    """Run the whole line once with simulated people and print what it saved; exits with 1 where anything was lost or doubled."""
    if check:
        console.print("options are valid")
        return
    report = Report("demo", SystemClock())
    tally = tally_of(events, seed)
    console.print(f"starting the line ({'Kafka' if kafka else 'embedded'} profile), data in {data_dir}")
    with running(data_dir, kafka=kafka) as line:
        sink = Sink(tally)
        with serving(sink) as sink_url:
            tenant = f"demo-{int(time.time_ns() // 1_000_000_000):x}"
            company = found_company(line, Plan(tenant, TASKS, SCALE, CONTROL_SHARE), sink_url)
            sink.secret = company.endpoint_secret
            figures = asyncio.run(_run(line, company, tally))
            answers = _roi(line, company.key, len(tally.stories))
    _report(report, tally, figures, answers)
    show.everything(console, tally, answers, scale=SCALE)
    met = report.finish(console)
    show.how_to_keep_it_running(console, data_dir, line, company.key, kafka=kafka)
    if not met:
        raise typer.Exit(1)


def tally_of(events: int, seed: int) -> Tally:
    """An equal share of each automation, interleaved as they would arrive."""
    streams = [[Story(event, task) for event in generate(task, events // len(TASKS), seed)] for task in TASKS]
    return Tally({story.event.event_id: story for stories in zip(*streams, strict=True) for story in stories})


async def _run(line: RunningLine, company: Company, tally: Tally) -> dict[str, float]:
    """Send everything while the office works; returns when every callback has arrived, or when waiting is pointless."""
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console) as progress:
        total = len(tally.stories)
        sent = progress.add_task("webhooks accepted", total=total)
        back = progress.add_task("decisions received", total=total)
        people = progress.add_task("reviews done by simulated people", total=None)
        office = Office(line.urls["ops"], company.key, tally, SCALE, lambda: progress.advance(people))
        at_work = asyncio.create_task(office.work())
        started = time.monotonic()
        sending = await send_all(tally, company.sources, lambda: progress.advance(sent))
        await _settle(tally, at_work, lambda: progress.update(back, completed=total - tally.waiting))
        seconds = time.monotonic() - started
        office.closed.set()
        await at_work
        progress.update(people, total=office.reviewed)
    return {"sending": sending, "seconds": seconds, "reviewed": office.reviewed}


async def _settle(tally: Tally, at_work: asyncio.Task[None], update: Any) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while tally.waiting and time.monotonic() < deadline:
        if at_work.done():
            at_work.result()
        update()
        await asyncio.sleep(0.1)
    update()


def _roi(line: RunningLine, key: str, events: int) -> Mapping[str, Any]:
    """The ROI API's answers, asked once the roll-ups have seen every decision."""
    with httpx.Client(base_url=line.urls["roi"], headers={"Authorization": f"Bearer {key}"}, timeout=30) as roi:
        deadline = time.monotonic() + ROLL_UP_SECONDS
        # A run that meets the end of a quarter is shown whole.
        begin = (SystemClock().now() - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
        while True:
            summary = _get(roi, f"/v1/roi/summary?from={begin}")
            if show.decided(summary) >= events or time.monotonic() > deadline:
                return {"summary": summary, "conservation": _get(roi, "/v1/roi/conservation")}
            time.sleep(0.2)


def _get(client: httpx.Client, path: str) -> Any:
    answer = client.get(path)
    answer.raise_for_status()
    return answer.json()


def _report(report: Report, tally: Tally, figures: Mapping[str, float], answers: Mapping[str, Any]) -> None:
    stories = tally.stories.values()
    latencies = tally.latencies_ms()
    decided = sum(story.called_back_at is not None for story in stories)
    report.add("events_sent", len(stories))
    report.add("events_decided", decided, equal=len(stories))
    report.add("decided_automatically", sum(story.tier not in {None, "human"} for story in stories))
    report.add("reviewed_by_people", int(figures["reviewed"]))
    report.add("callbacks_received", sum(bool(story.bodies) for story in stories), equal=len(stories))
    report.add("lost", tally.lost(), equal=0)
    report.add("doubled", tally.doubled(), equal=0)
    report.add("conservation_difference", show.conservation_difference(answers["conservation"]), equal=0)
    report.add("events_per_second", round(decided / figures["seconds"], 1), "1/s")
    report.add("latency_p50_ms", percentile(latencies, 0.50), "ms")
    report.add("latency_p99_ms", percentile(latencies, 0.99), "ms")
    for name, value in show.saved_hours(answers["summary"]).items():
        report.add(name, value, "h")
    report.add("saved_hours_true", round(tally.saved_seconds() / 3600, 2), "h")
    report.add("cost_per_event", show.cost_per_event(answers["summary"]), "EUR")


if __name__ == "__main__":
    app()
