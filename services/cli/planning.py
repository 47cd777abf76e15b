"""Reads numbers from the command line and says how many cases to hold out; connects to nothing."""

from __future__ import annotations

import math
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from shared.commands import print_rows
from shared.measure.planner import Holdout, Process, holdout, percent, sentence, share_for, weeks_for

app = typer.Typer(add_completion=False, help="How many cases to hold out: what that gives, and what it costs.")

_SHARES = [0.02, 0.05, 0.1, 0.2]


def _fraction(values: list[float]) -> list[float]:
    if not all(0 < value < 1 for value in values):
        raise typer.BadParameter("a share lies between 0 and 1, such as 0.05")
    return values


@app.command()
def plan(  # noqa: PLR0913  # the options of a command
    *,
    cases_per_day: Annotated[float, typer.Option(min=0.01, max=1e8, help="In both arms together, over all days of the week.")],
    manual_seconds: Annotated[float, typer.Option(min=0, max=1e8, help="A person's time for a case without automation, on average.")],
    deviation_seconds: Annotated[
        float | None, typer.Option(min=0, max=1e8, help="Standard deviation of that time within a stratum. Default: as large as the mean.")
    ] = None,
    assisted_seconds: Annotated[
        float, typer.Option(min=0, max=1e8, help="A person's time for a case with automation, on average over all cases.")
    ] = 0.0,
    control_share: Annotated[list[float], typer.Option(callback=_fraction, help="To compare; may be given several times.")] = _SHARES,
    weeks: Annotated[float, typer.Option(min=0.1, max=520, help="How long to measure.")] = 3.0,
    precision: Annotated[float, typer.Option(min=0.001, max=1, help="Half-width over saving that you want.")] = 0.05,
    as_json: Annotated[bool, typer.Option("--json", help="For programs, on standard output.")] = False,
) -> None:
    """What each share of held-out cases gives and costs.

    Precision is that of the always-valid interval, which holds however often one looks. `/v1/roi/planner` takes what was measured.
    """
    deviation = manual_seconds if deviation_seconds is None else deviation_seconds
    process = Process(cases_per_day, manual_seconds, deviation, assisted_seconds)
    options = [holdout(process, share, weeks) for share in control_share]
    needed = share_for(process, precision, weeks)
    reached = [weeks_for(process, precision, option.share) for option in options]
    if as_json:
        typer.echo(orjson.dumps(_answer(process, options, reached, needed, precision), option=orjson.OPT_INDENT_2))
        return
    _show(options, reached, needed, precision)


def _show(options: list[Holdout], reached: list[float | None], needed: float | None, precision: float) -> None:
    wanted = f"weeks to ± {percent(precision)}"
    rows = [
        (
            percent(option.share),
            f"{option.controls:,.0f}",
            f"{option.saved / 3600:,.1f}",
            _width(option.always_valid, option.saved),
            _width(option.fixed_time, option.saved),
            f"{option.minutes_per_day:,.0f}",
            "never" if until is None else f"{until:,.1f}",
        )
        for option, until in zip(options, reached, strict=True)
    ]
    console = Console(highlight=False, soft_wrap=True)
    console.print("What holding out gives")
    print_rows(("held out", "control cases", "hours saved", "±, any day", "±, one day", "minutes a day", wanted), rows)
    for option in options:
        console.print(sentence(option))
    weeks = f"{options[0].weeks:g} weeks"
    console.print(
        f"Not even one half reaches ± {percent(precision)} in {weeks}."
        if needed is None
        else f"The least share that reaches ± {percent(precision)} in {weeks}: {needed * 100:.2f} %"
    )


def _width(half: float, saved: float) -> str:
    return f"{half / 3600:,.1f} h" if saved <= 0 else f"{half / 3600:,.1f} h ({percent(half / saved)})"


def _answer(
    process: Process, options: list[Holdout], reached: list[float | None], needed: float | None, precision: float
) -> dict[str, Any]:
    return {
        "process": {
            "cases_per_day": process.cases_per_day,
            "manual_seconds": process.manual,
            "deviation_seconds": process.deviation,
            "assisted_seconds": process.assisted,
        },
        "precision": precision,
        "share_needed": needed,
        "options": [
            {
                "control_share": option.share,
                "weeks": option.weeks,
                "control_cases": option.controls,
                "saved_hours": option.saved / 3600,
                "always_valid_hours": option.always_valid / 3600,
                "fixed_time_hours": option.fixed_time / 3600,
                "precision": None if math.isinf(option.precision) else option.precision,
                "minutes_per_day": option.minutes_per_day,
                "weeks_needed": until,
                "sentence": sentence(option),
            }
            for option, until in zip(options, reached, strict=True)
        ],
    }


if __name__ == "__main__":
    app()
