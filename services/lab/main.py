"""Reads labelled data, writes model packs, reports and synthetic events; connects to nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.lab import comparison, evaluation, examples, gates, levels, manifest, tasks, training, versions
from services.lab.answers import answers
from services.lab.columns import Columns
from services.lab.examples import Example
from services.lab.plan import LEVELS, Plan
from services.lab.publishing import Published, draft, judge, publish, reports
from services.lab.synth import TASKS, SyntheticEvent, generate
from shared.automations.registry import installed
from shared.clock import SystemClock
from shared.commands import plain, told
from shared.errors import RecoupError

app = typer.Typer(
    add_completion=False, help="Synthesise, train and evaluate models.", no_args_is_help=True, pretty_exceptions_show_locals=False
)
_SHIPPED = Path(__file__).parents[1] / "worker" / "models"
_NAMED = "NAME or task of a shipped pack, a FOLDER with one, or FOLDER:NAME; where there are several versions, NAME@VERSION"

Seed = Annotated[int, typer.Option(help="Same seed, same result.")]
Data = Annotated[Path, typer.Option(help="CSV, TSV or JSON Lines, gzipped or not, Parquet, or a folder of them.", exists=True)]
Text = Annotated[str | None, typer.Option(help="Column of the text.")]
Label = Annotated[str, typer.Option(help="Column of the right label.")]
Fields = Annotated[str, typer.Option(help="Columns of fields, with commas between them.")]
Models = Annotated[Path, typer.Option(help="Folder of the shipped packs.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def _console() -> Console:
    return Console(stderr=True)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=_console())


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except RecoupError as error:
        raise typer.BadParameter(told(error)) from error


def _checked(task: str) -> str:
    if task not in TASKS:
        raise typer.BadParameter(f"{task!r} is none of {', '.join(TASKS)}")
    return task


def _listed(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())


def _figures(title: str, figures: Mapping[str, Any]) -> Table:
    table = Table("figure", "value", title=plain(title))
    for name, value in figures.items():
        if not isinstance(value, dict):
            table.add_row(name.replace("_", " "), plain(str(value)))
    return table


def _levels(figures: Mapping[str, Any]) -> Table:
    table = Table("certified level", "automatic", "wrong", "upper 95 %", *figures["tiers"])
    for level, row in figures["levels"].items():
        tiers = (str(row["by_tier"][name]["accepted"]) for name in figures["tiers"])
        table.add_row(level, f"{row['coverage']:.1%}", f"{row['selective_error']:.2%}", f"{row['selective_error_upper_95']:.2%}", *tiers)
    return table


def _stages(progress: Progress) -> Callable[[str, int], Callable[[], None]]:
    def stage(name: str, total: int) -> Callable[[], None]:
        bar = progress.add_task(name, total=total)
        return lambda: progress.advance(bar)

    return stage


@app.command()
def train(  # noqa: PLR0913 - every option of a training is one argument of its command
    task: Annotated[str, typer.Option(help="Name of the pack; an installed automation of that name uses it.")],
    out: Annotated[Path, typer.Option(help="Folder of the pack; an existing manifest there keeps its other packs.", file_okay=False)],
    *,
    data: Annotated[Path | None, typer.Option(help="CSV, TSV, JSON Lines, Parquet, or a folder of them.", exists=True)] = None,
    text: Text = None,
    label: Label = "label",
    fields: Fields = "",
    group: Annotated[str | None, typer.Option(help="Column whose values keep near-copies in one split.")] = None,
    part: Annotated[str | None, typer.Option(help="Column that says train or validation, where the data are split already.")] = None,
    segment: Annotated[str | None, typer.Option(help="Column of groups that get bounds of their own.")] = None,
    person: Annotated[str, typer.Option(help="Labels that only a person makes final, with commas between them.")] = "",
    version: Annotated[str, typer.Option(help="Of the pack; other versions of its name stay published beside it.")] = versions.FIRST,
    level: Annotated[
        str | None, typer.Option(help="The promise that holds where nobody chooses another: greatest share of wrong decisions.")
    ] = None,
    event_type: Annotated[str, typer.Option(help="CloudEvents type of the cases; by default one with the task's name.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the data, for the card.")] = "",
    teacher: Annotated[str, typer.Option(help="minilm, or the folder of a BERT encoder: a large tier, and what mini learns from.")] = "",
    finetune: Annotated[int, typer.Option(min=0, help="Epochs for which the teacher learns the task.")] = 0,
    layers: Annotated[int | None, typer.Option(min=1, help="Of the teacher that are kept, from the first; by default all.")] = None,
    width: Annotated[
        int | None, typer.Option(min=1, help="Feed-forward units of each of these layers that are kept, the weightiest; by default all.")
    ] = None,
    rare: Annotated[int, typer.Option(min=1, help="Pieces of the teacher's vocabulary that occur less often are cut.")] = 1,
    one_file: Annotated[
        bool, typer.Option("--one-file", help="One artefact for all processors, with 7-bit weights, instead of one for each kind.")
    ] = False,
    trees: Annotated[bool | None, typer.Option(help="Train trees over the fields; by default where fields are named.")] = None,
    mini: Annotated[bool | None, typer.Option(help="Train the small transformer; by default where there is text, and torch.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Of the small transformer.")] = 12,
    max_tokens: Annotated[int, typer.Option(min=8, max=512, help="Of a document that a transformer reads.")] = 128,
    n: Annotated[int, typer.Option(min=1_000, help="Number of synthetic events, where there are no columns.")] = examples.SYNTHETIC,
    seed: Seed = 0,
) -> None:
    """Train, calibrate, certify and publish one pack.

    A pack that fails a gate is not published, and the command exits with 3. Where no --event-type is named, its cases are events of type
    recoup.TASK.received.v1.
    """
    if not teacher and (layers is not None or width is not None):
        raise typer.BadParameter("--layers and --width cut a teacher: name one with --teacher")
    named = Columns(label=label, text=text, fields=_listed(fields), group=group, part=part, segment=segment)
    with _explained(), _progress() as progress:
        promise, stage = None if level is None else levels.level(level), _stages(progress)
        versions.checked(version, task, manifest.packs(out))
        plan, found = _planned(task, data, named, (_listed(person), licence), (n, seed, stage))
        grows = _grows(trees, named, found)
        plan = replace(
            plan,
            version=version,
            teacher=teacher,
            finetune=finetune,
            layers=layers,
            width=width,
            rare=rare,
            variants=not one_file,
            # Where there are only fields, trees know all that a linear model does.
            nano=bool(text) or not grows,
            trees=grows,
            mini=text is not None and find_spec("torch") is not None if mini is None else mini,
            epochs=epochs,
            max_tokens=max_tokens,
            level=promise or plan.level,
            declares=replace(plan.declares, event_type=event_type) if plan.declares and event_type else plan.declares,
            seed=seed,
        )
        if plan.declares is not None:
            versions.refuse_other_events(plan.declares, plan, manifest.packs(out))
        made_in = draft(out, versions.stem(plan.name, plan.version))
        pack = training.train(plan, found, made_in, stage)
        judged = judge(pack, made_in, found, seed, installed().get(task), own_events=not (text or fields))
        (made,) = publish([judged], made_in, out)
    _told(made)
    if made.failed:
        raise typer.Exit(3)


def _planned(
    task: str,
    data: Path | None,
    named: Columns,
    told: tuple[tuple[str, ...], str],
    drawn: tuple[int, int, Callable[[str, int], Callable[[], None]]],
) -> tuple[Plan, list[Example]]:
    """From the columns that were named, else from the task's own events."""
    n, seed, stage = drawn
    if named.text or named.fields:
        if data is None:
            raise typer.BadParameter("--data is needed where columns are named")
        return tasks.from_table(task, data, named, *told)
    if data is not None and task != "complaints":
        raise typer.BadParameter("to train on your own data, name their columns with --text or --fields")
    return tasks.from_events(_checked(task), data, n, seed, stage("synthetic events", n))


def _grows(asked: bool | None, named: Columns, found: list[Example]) -> bool:  # noqa: FBT001 - an option that may be absent
    grows = bool(named.fields) if asked is None else asked
    if grows and not found[0].features.fields:
        raise typer.BadParameter("--trees grow over fields: name their columns with --fields")
    return grows


def _told(made: Published) -> None:
    console, pack = Console(), made.pack
    size, (_, page) = sum(artefact.bytes for artefact in pack.files.values()) / 1e6, reports(pack)
    console.print(_figures(f"{pack.name} {pack.version}, {size:.2f} MB", pack.report))
    console.print(_levels(pack.report))
    for gate in made.failed:
        _console().print(f"[red]not published[/]: {gate.name} is {gate.value:.4f}, the bound is {gate.bound}: {gate.why}", soft_wrap=True)
    if made.failed:
        _console().print(f"see {made.reports / page}", markup=False, soft_wrap=True)
    else:
        _console().print(f"published: see {page} beside the manifest", markup=False, soft_wrap=True)


@app.command()
def evaluate(  # noqa: PLR0913 - as train
    pack: Annotated[str, typer.Option(help=f"{_NAMED}.")],
    data: Data,
    *,
    text: Text = None,
    label: Label = "label",
    fields: Fields = "",
    segment: Annotated[str | None, typer.Option(help="Column of groups to report apart.")] = None,
    models: Models = _SHIPPED,
    as_json: Json = False,
) -> None:
    """Accuracy, macro F1, calibration, coverage and selective error of a pack on labelled data.

    Without --text and --fields, rows are events as written by synth.
    """
    with _explained():
        found, folder = evaluation.find_pack(pack, models)
        judged = tasks.for_pack(found.task, data, _columns(text, label, fields, segment), label)
        figures, _ = evaluation.evaluate(found, folder, judged)
    if as_json:
        typer.echo(json.dumps(figures))
        return
    console = Console()
    console.print(_figures(f"{found.name} on {data.name}", figures))
    console.print(_levels(figures))
    table = Table("label", "precision", "recall", "F1", "n")
    for name, row in figures["labels"].items():
        table.add_row(plain(name), *(str(row[column]) for column in ("precision", "recall", "f1", "n")))
    console.print(table)


def _columns(text: str | None, label: str, fields: str, segment: str | None = None) -> Columns | None:
    return Columns(label=label, text=text, fields=_listed(fields), segment=segment) if text or fields else None


@app.command()
def compare(  # noqa: PLR0913 - as train
    first: Annotated[str, typer.Argument(help=f"{_NAMED}.")],
    second: Annotated[str, typer.Argument(help="Likewise.")],
    data: Data,
    *,
    text: Text = None,
    label: Label = "label",
    fields: Fields = "",
    models: Models = _SHIPPED,
    as_json: Json = False,
) -> None:
    """Whether the second pack is better than the first: the paired difference of accuracy with a 95 % interval.

    Rows with labels that one of them does not know are dropped.
    """
    with _explained():
        packs = [evaluation.find_pack(name, models) for name in (first, second)]
        found = tasks.for_pack(packs[0][0].task, data, _columns(text, label, fields), label)
        shared = evaluation.known(found, *(pack for pack, _ in packs))
        both = [answers(pack, folder, shared) for pack, folder in packs]
        figures = comparison.compared(both[0], both[1], [example.group for example in shared])
        figures["dropped"] = len(found) - len(shared)
    if as_json:
        typer.echo(json.dumps(figures))
    else:
        Console().print(_figures(f"{second} against {first} on {data.name}", figures))


@app.command()
def certify(  # noqa: PLR0913 - as train
    pack: Annotated[
        str, typer.Option(help="FOLDER with a pack of your own, FOLDER:NAME or FOLDER:NAME@VERSION; its manifest is written anew.")
    ],
    data: Annotated[Path, typer.Option(help="Fresh labels, which neither training nor tuning has seen.", exists=True)],
    *,
    text: Text = None,
    label: Label = "label",
    fields: Fields = "",
    promises: Annotated[
        str | None,
        typer.Option("--levels", help=f"Promises to prove, with commas between them; by default {', '.join(LEVELS)} and the pack's own."),
    ] = None,
    version: Annotated[str | None, typer.Option(help="Stands beside the pack as it was; by default takes its place.")] = None,
) -> None:
    """Prove the pack's promises anew on fresh labels: a hash-chosen half orders the settings, the other half certifies.

    Prints a line for each certificate: level, variant, share decided automatically, upper bound of the share of these that is wrong. Exits
    with 3 where nothing is proven at any level: the manifest is written all the same, and people decide all cases. It says so where the
    pack's own level is not proven: then people decide all cases where no other level is chosen.
    """
    with _explained():
        found, folder = evaluation.own_pack(pack, _SHIPPED)
        wanted = levels.to_prove(found, None if promises is None else _listed(promises) or (promises,))
        version = versions.checked_beside(version or found.version, found, manifest.packs(folder))
        judged = tasks.for_pack(found.task, data, _columns(text, label, fields), label)
        made = training.recertified(found, folder, judged, wanted, version)
    _console().print(f"certified {made.name} {made.version} in {folder}", markup=False, soft_wrap=True)
    for certificate in made.certificates:
        typer.echo(f"{certificate.level} {certificate.variant} {certificate.coverage:.4f} {certificate.upper:.4f}")
    if not (proven := gates.promises(made)).passed:
        _console().print(f"[red]not proven[/]: {proven.why}; people decide all cases where nothing is proven", soft_wrap=True)
        raise typer.Exit(3)
    if not all(found.coverage for found in made.certificates if found.level == made.level):
        _console().print(f"[yellow]{made.level} is not proven[/]: people decide all cases where no other level is chosen", soft_wrap=True)


@app.command()
def ship(
    data: Annotated[Path, typer.Option(help="Folder of the public sets.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option(help="Folder of the packs; an existing manifest there keeps its other packs.", file_okay=False)],
) -> None:
    """Train and publish the packs of intents that are shipped: three tasks on one encoder."""
    try:
        from services.lab import shipping  # noqa: PLC0415 - only here is torch needed
    except ModuleNotFoundError as error:
        raise typer.BadParameter(f"shipping needs {error.name!r}: pip install 'recoup[train]'") from error
    with _explained(), _progress() as progress:
        made = shipping.ship(data, out, _stages(progress))
    for published in made:
        _told(published)
    if any(published.failed for published in made):
        raise typer.Exit(3)


@contextmanager
def _opened(out: Path) -> Iterator[TextIO]:
    try:
        file = out.open("w", encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{out} cannot be written: {error.strerror}") from error
    with file:
        yield file


def _as_cloudevent(event: SyntheticEvent) -> dict[str, Any]:
    found = {"specversion": "1.0", "id": event.event_id, "source": "/lab/synth", "type": event.event_type}
    return {**found, "time": event.time, "data": event.data}


@app.command()
def synth(
    task: Annotated[str, typer.Option(help=f"One of {', '.join(TASKS)}.")],
    out: Annotated[Path, typer.Option(help="JSON Lines file to write.", dir_okay=False)],
    *,
    n: Annotated[int, typer.Option(min=1, help="Number of events.")] = 1_000,
    seed: Seed = 0,
    cloudevents: Annotated[bool, typer.Option("--cloudevents", help="As `recoup import events` reads them, without the truth.")] = False,
) -> None:
    """Write synthetic events with their truth and handling times."""
    written, events = _as_cloudevent if cloudevents else asdict, generate(_checked(task), n, seed)
    count = 0
    # Their time goes on from one to the next, and no door lets in what is from the future.
    now = SystemClock().now()
    with _opened(out) as file, _progress() as progress:
        for event in progress.track(events, total=n, description=f"synthetic {task}"):
            if cloudevents and event.time > now:
                break
            file.write(json.dumps(written(event), default=lambda value: value.isoformat(), ensure_ascii=False) + "\n")
            count += 1
    if count < n:
        typer.echo(f"{out}: {count} events; those after them would be from the future. Use several seeds for more.", err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
