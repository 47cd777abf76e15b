"""Reads labelled data, writes model packs, reports and synthetic events; connects to nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.lab import evaluation, examples, training
from services.lab.synth import TASKS, SyntheticEvent, generate
from shared.automations.pack import MANIFEST, Pack, parse, render
from shared.automations.registry import automation
from shared.errors import RecoupError

app = typer.Typer(help="Synthesise, train and evaluate models.", no_args_is_help=True, pretty_exceptions_show_locals=False)
_SHIPPED = Path(__file__).parents[1] / "worker" / "models"

Task = Annotated[str, typer.Option(help=f"One of {', '.join(TASKS)}.")]
Seed = Annotated[int, typer.Option(help="Same seed, same result.")]


def _console() -> Console:
    return Console(stderr=True)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=_console())


def _checked(task: str) -> str:
    if task not in TASKS:
        raise typer.BadParameter(f"{task!r} is none of {', '.join(TASKS)}")
    return task


def _figures(title: str, figures: dict[str, Any]) -> Table:
    table = Table("figure", "value", title=title)
    for name, value in figures.items():
        if not isinstance(value, dict):
            table.add_row(name.replace("_", " "), str(value))
    return table


def _training_data(task: str, data: Path | None, n: int, seed: int) -> tuple[list[examples.Example], examples.Source]:
    found = automation(task)
    if task == "complaints":
        products = [name for name, outcome in found.outcomes.items() if outcome.automatic]
        return examples.cfpb(data or examples.CFPB, products)
    if data is not None:
        raise typer.BadParameter(f"{task} is trained on synthetic events; --data is for complaints")
    with _progress() as progress:
        bar = progress.add_task("synthetic events", total=n)
        return examples.synthetic(found, n, seed, lambda: progress.advance(bar))


def _store(pack: Pack, content: bytes, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    manifest = out / MANIFEST
    others = [other for other in parse(manifest.read_text(encoding="utf-8")) if other.name != pack.name] if manifest.is_file() else []
    (out / pack.tiers[0].artefacts[0].file).write_bytes(content)
    manifest.write_text(render([*others, pack]), encoding="utf-8")


@app.command()
def train(
    task: Task,
    out: Annotated[Path, typer.Option(help="Folder of the pack; an existing manifest there keeps its other packs.")],
    data: Annotated[Path | None, typer.Option(help="CSV of complaint narratives with columns narrative and product.")] = None,
    n: Annotated[int, typer.Option(min=1_000, help="Number of synthetic events, for the other tasks.")] = examples.SYNTHETIC,
    seed: Seed = 0,
) -> None:
    """Train, calibrate, certify and store one nano model."""
    try:
        found, source = _training_data(_checked(task), data, n, seed)
        with _console().status(f"training {task} on {len(found)} examples"):
            pack, content = training.train(automation(task), found, source, seed)
    except RecoupError as error:
        raise typer.BadParameter(f"{error.message} {error.context}") from error
    _store(pack, content, out)
    Console().print(_figures(f"{pack.name} {pack.version}, {len(content) / 1e6:.2f} MB", dict(pack.report)))


def _evaluation_data(pack: Pack, data: Path, text: str | None, label: str) -> list[examples.Example]:
    if text is not None:
        return list(examples.texts(data, text, label))
    return list(examples.events(automation(pack.task), examples.rows(data), label))


@app.command()
def evaluate(
    pack: Annotated[str, typer.Option(help="Name or task of a shipped pack, or a folder with one.")],
    data: Annotated[Path, typer.Option(help="CSV or JSON Lines, gzipped or not.", exists=True, dir_okay=False)],
    text: Annotated[str | None, typer.Option(help="Column of the text. Without it, rows are events as written by synth.")] = None,
    label: Annotated[str, typer.Option(help="Column of the right label.")] = "label",
    models: Annotated[Path, typer.Option(help="Folder of the shipped packs.")] = _SHIPPED,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Accuracy, macro F1, calibration, coverage and selective error of a pack on labelled data."""
    try:
        found, folder = evaluation.find_pack(pack, models)
        figures = evaluation.evaluate(found, folder, _evaluation_data(found, data, text, label))
    except RecoupError as error:
        raise typer.BadParameter(f"{error.message} {error.context}") from error
    if as_json:
        typer.echo(json.dumps(figures))
        return
    console = Console()
    console.print(_figures(f"{found.name} on {data.name}", figures))
    table = Table("label", "precision", "recall", "F1", "n")
    for name, row in figures["labels"].items():
        table.add_row(name, *(str(row[column]) for column in ("precision", "recall", "f1", "n")))
    console.print(table)


def _as_cloudevent(event: SyntheticEvent) -> dict[str, Any]:
    found = {"specversion": "1.0", "id": event.event_id, "source": "/lab/synth", "type": event.event_type}
    return {**found, "time": event.time, "data": event.data}


@app.command()
def synth(
    task: Task,
    out: Annotated[Path, typer.Option(help="JSON Lines file to write.")],
    *,
    n: Annotated[int, typer.Option(min=1, help="Number of events.")] = 1_000,
    seed: Seed = 0,
    cloudevents: Annotated[bool, typer.Option("--cloudevents", help="As `recoup import events` reads them, without the truth.")] = False,
) -> None:
    """Write synthetic events with their truth and handling times."""
    written = _as_cloudevent if cloudevents else asdict
    with out.open("w", encoding="utf-8") as file, _progress() as progress:
        for event in progress.track(generate(_checked(task), n, seed), total=n, description=f"synthetic {task}"):
            file.write(json.dumps(written(event), default=lambda value: value.isoformat(), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    app()
