"""Reads a log of real manual handling; adds up seconds of work per case; hands them to the operations API as a baseline of grade B."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from hashlib import file_digest
from pathlib import Path
from typing import IO, Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.cli import ops_api
from services.cli.handling_logs import Columns, Trace, UnreadableLog, Work, csv_segments, csv_traces, opened, xes_traces
from shared.commands import plain
from shared.measure.handling import LONGEST, MOST_LEFT_OUT, Tally, pair
from shared.measure.savings import MINIMUM_CONTROL

_MICRO = Decimal("1e-6")
_EVERY = 2000


class Format(StrEnum):
    XES = "xes"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read. Together with its bytes it says what comes out, so it is kept with the baseline."""

    format: Format
    columns: Columns
    stratum: str | None
    zone: ZoneInfo
    longest: timedelta

    def options(self) -> dict[str, str]:
        """What has an influence with this format."""
        named = asdict(self.columns) if self.format is Format.CSV else {"stratum": self.stratum}
        return {name: value for name, value in named.items() if value} | {
            "timezone": self.zone.key,
            "longest_seconds": f"{self.longest.total_seconds():.0f}",
        }


def baseline(  # noqa: PLR0913  # the options of a command
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or XES; .gz is read as it is.")],
    *,
    automation: Annotated[str, typer.Option(help="Whose manual handling this is.")],
    format_: Annotated[Format | None, typer.Option("--format", help="Guessed from the file's name where it is left out.")] = None,
    stratum: Annotated[str | None, typer.Option(help="Column (CSV) or trace attribute (XES) that names a case's stratum.")] = None,
    case_column: Annotated[str, typer.Option(help="CSV: which case.")] = "case_id",
    start_column: Annotated[str, typer.Option(help="CSV: start of the work; with --lifecycle-column, when it happened.")] = "start_time",
    end_column: Annotated[str, typer.Option(help="CSV: end of the work.")] = "end_time",
    activity_column: Annotated[str, typer.Option(help="CSV with --lifecycle-column: which work.")] = "activity",
    lifecycle_column: Annotated[str | None, typer.Option(help="CSV with a line per moment: start, suspend, resume, complete.")] = None,
    timezone: Annotated[str, typer.Option(help="Of times that name none.")] = "UTC",
    longest_hours: Annotated[float, typer.Option(min=0.01, max=1000, help="Longer pieces of work are left out.")] = LONGEST
    / timedelta(hours=1),
    url: ops_api.Url = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only read the file and show what would be stored.")] = False,
) -> None:
    """Store what real manual handling took, per case and stratum, as a baseline of grade B. Safe to repeat: a file is stored once.

    The key is read from RECOUP_API_KEY.
    """
    console = Console(stderr=True)
    columns = Columns(case_column, start_column, end_column, activity_column, stratum, lifecycle_column)
    reading = Reading(format_ or _guessed(file), columns, stratum, _zone(timezone), timedelta(hours=longest_hours))
    if not dry_run:
        _refuse_early(url, automation)
    try:
        tally = read(file, reading, console)
    except UnreadableLog as error:
        raise typer.BadParameter(f"{file.name}: {error.message}") from error
    _refuse_thin(tally)
    console.print(_table(tally))
    console.print(f"{tally.segments:,} pieces of work" + (f"; left out: {_counted(tally)}" if tally.left_out else ""))
    if dry_run:
        console.print("dry run: nothing was stored")
        return
    with file.open("rb") as content:
        digest = file_digest(content, "sha256").hexdigest()
    stored = ops_api.call(url, "POST", "/v1/baselines/log", body=order(automation, file.name, digest, reading, tally))
    count = len(stored["baselines"])
    console.print(
        f"{count} {'baseline' if count == 1 else 'baselines'} stored{'' if stored['created'] else ' before; nothing was stored again'}"
    )


def _refuse_early(url: str | None, automation: str) -> None:
    """A large log takes minutes to read; a missing key or a misspelt name is said before."""
    installed = [found["name"] for found in ops_api.call(url, "GET", "/v1/automations")]
    if automation not in installed:
        raise typer.BadParameter(f"no automation {automation} is installed; there are: {', '.join(sorted(installed))}")


def read(file: Path, reading: Reading, console: Console) -> Tally:
    """Raises UnreadableLog, which names the line."""
    tally = Tally(reading.longest)
    with opened(file) as (content, raw), _progress(console) as progress:
        task = progress.add_task("reading", total=file.stat().st_size)
        for number, found in enumerate(_found(content, reading)):
            _add(tally, found)
            if number % _EVERY == 0:
                progress.update(task, completed=raw.tell())
        progress.update(task, completed=file.stat().st_size)
    return tally


def order(automation: str, name: str, digest: str, reading: Reading, tally: Tally) -> dict[str, Any]:
    """The body of the request that stores it."""
    assert tally.start is not None
    assert tally.end is not None
    return {
        "automation": automation,
        "source": {"name": name, "format": reading.format.value, "sha256": digest, "options": reading.options()},
        "period_start": tally.start.isoformat(),
        "period_end": tally.end.isoformat(),
        "segments": tally.segments,
        "left_out": dict(tally.left_out),
        "strata": [
            {"stratum": t.stratum, "n": t.n, "mean_seconds": _decimal(t.mean), "variance_seconds2": _decimal(t.variance)}
            for t in tally.times()
        ],
    }


def _found(content: IO[bytes], reading: Reading) -> Iterator[Work | Trace]:
    if reading.format is Format.XES:
        return xes_traces(content, reading.stratum, reading.zone)
    if reading.columns.lifecycle is not None:
        return csv_traces(content, reading.columns, reading.zone)
    return csv_segments(content, reading.columns, reading.zone)


def _add(tally: Tally, found: Work | Trace) -> None:
    if isinstance(found, Work):
        segments = [found.segment]
    else:
        paired = pair(found.moments)
        segments, tally.left_out = paired.segments, tally.left_out + paired.left_out
    try:
        for segment in segments:
            tally.add(found.case, found.stratum, segment)
    except ValueError as error:
        raise UnreadableLog(f"line {found.line}: {error}") from error


def _refuse_thin(tally: Tally) -> None:
    if not tally.segments:
        raise typer.BadParameter("no work with a start and an end is in it: a log of single moments does not say how long anything took")
    if tally.share_left_out > MOST_LEFT_OUT:
        raise typer.BadParameter(
            f"{tally.share_left_out:.0%} of it would be left out ({_counted(tally)}): what remains is no measure of manual handling"
        )
    if tally.cases < MINIMUM_CONTROL:
        raise typer.BadParameter(f"{tally.cases} cases are too few; {MINIMUM_CONTROL} are needed")


def _table(tally: Tally) -> Table:
    assert tally.start is not None
    assert tally.end is not None
    table = Table("stratum", "cases", "mean s", "standard deviation s", title=f"{tally.start:%Y-%m-%d} to {tally.end:%Y-%m-%d}")
    for times in tally.times():
        table.add_row(plain(times.stratum), str(times.n), f"{times.mean:.1f}", f"{times.variance**0.5:.1f}")
    return table


def _counted(tally: Tally) -> str:
    return ", ".join(f"{count} {why}" for why, count in sorted(tally.left_out.items()))


def _progress(console: Console) -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn(), console=console)


def _guessed(file: Path) -> Format:
    for suffix in file.suffixes[::-1]:
        if suffix.lower().lstrip(".") in set(Format):
            return Format(suffix.lower().lstrip("."))
    raise typer.BadParameter(f"{file.name} does not say what it is; add --format xes or --format csv")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise typer.BadParameter(f"there is no time zone {name!r}") from error


def _decimal(value: float) -> str:
    return f"{Decimal(repr(value)).quantize(_MICRO):f}"
