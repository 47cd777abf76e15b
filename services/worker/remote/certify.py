"""`recoup certify`: reads RECOUP_REMOTE_MODELS and labelled events, asks the model about each, prints the certificate that it earns."""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress

from services.worker.remote.build import build_model
from services.worker.remote.configuration import RemoteModel
from services.worker.remote.model import Model, Unavailable, Unusable
from services.worker.remote.proving import Answer, tried
from services.worker.remote.tier import labels_of, subject_of
from services.worker.settings import RemoteSettings
from shared.automations.contract import Automation, Context, Features
from shared.automations.registry import automation as automation_named
from shared.clock import SystemClock
from shared.commands import told
from shared.errors import RecoupError
from shared.settings import load

app = typer.Typer(add_completion=False, help="Certify a model that runs elsewhere, on labelled events.")
Case = tuple[str, Features, str]


@app.command()
def main(
    automation: Annotated[str, typer.Option(help="Whose model in RECOUP_REMOTE_MODELS is asked.")],
    data: Annotated[Path, typer.Option(help="JSON Lines: an event's data under `data`, and its label.", exists=True, dir_okay=False)],
    *,
    label: Annotated[str, typer.Option(help="Member that holds the right label.")] = "label",
    error_level: Annotated[float, typer.Option(min=0.0001, max=0.4999, help="Greatest share of wrong answers to prove.")] = 0.02,
    delta: Annotated[float, typer.Option(min=0.0001, max=0.1, help="Probability that the proof may be wrong.")] = 0.05,
) -> None:
    """Prove on labelled events what a model that runs elsewhere may decide; prints the certificate; exits with 3 where none is earned.

    Calls the model once for each event that no rule decides, and so costs what these calls cost; they are in nobody's ledger.
    """
    console = Console(stderr=True)
    try:
        configured = load(RemoteSettings).models.get(automation)
        if configured is None:
            raise typer.BadParameter(f"RECOUP_REMOTE_MODELS has no model for {automation!r}")
        found = automation_named(automation)
        labels, cases = labels_of(found, configured), list(_cases(found, data, label))
        model = build_model(configured, labels, SystemClock())
    except RecoupError as error:
        raise typer.BadParameter(told(error)) from error
    with Progress(console=console) as progress:
        bar = progress.add_task("asking", total=len(cases))
        answers = asyncio.run(_asked(model, configured, cases, lambda: progress.advance(bar)))
    trial = tried(answers, error_level, delta)
    made = trial.certificate(subject_of(configured, model), labels, error_level, delta)
    console.print(f"{trial.accepted} of {trial.n} accepted at {trial.threshold}, {trial.errors} of them wrong")
    if made is None:
        console.print("[red]not proven[/]: more labels are needed, or a wider level", soft_wrap=True)
        raise typer.Exit(3)
    typer.echo(json.dumps(asdict(made)))


def _cases(automation: Automation, data: Path, label: str) -> Iterator[Case]:
    """What is left to models, as the worker would show it to them, each with what is the same for its copies."""
    # Not by `splitlines`: a text may hold other ends of lines than the file's.
    for number, line in enumerate(data.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row: dict[str, Any] = json.loads(line.decode())
            given, right = automation.data_model.model_validate(row["data"]), str(row[label])
        except (ValueError, KeyError, TypeError) as error:
            raise typer.BadParameter(f"line {number}: {_said(error)}") from error
        features = automation.features(given)
        if features is not None and automation.rules(given, Context()) is None:
            yield json.dumps([features.text, dict(features.fields)], sort_keys=True), features, right


def _said(error: Exception) -> str:
    """Without what the line holds."""
    return f"{error.error_count()} fields are not as they must be" if isinstance(error, ValidationError) else type(error).__name__


async def _asked(model: Model, configured: RemoteModel, cases: Sequence[Case], passed: Callable[[], None]) -> list[Answer]:
    """In the order of the cases; no answer counts as one that passes no threshold."""
    room = asyncio.Semaphore(configured.concurrency)

    async def ask(case: Case) -> Answer:
        identity, features, right = case
        async with room:
            try:
                said = (await model.ask(features, configured.timeout.total_seconds())).probabilities
            except (Unavailable, Unusable):
                said = {}
        passed()
        likeliest = max(said, key=said.__getitem__, default=None)
        return Answer(identity, 0.0 if likeliest is None else said[likeliest], likeliest == right)

    try:
        return list(await asyncio.gather(*(ask(case) for case in cases)))
    finally:
        await model.close()


if __name__ == "__main__":
    app()
