"""What the demo prints: the ROI API's own answers, and beside them the truth that only a simulation knows."""

from __future__ import annotations

from decimal import Decimal
from shlex import quote
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from shared.commands import listed
from shared.measure.rounding import at_least

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rich.console import Console

    from services.lab.demo.line import RunningLine
    from services.lab.demo.tally import Tally


def decided(summary: Mapping[str, Any]) -> int:
    return int(summary["total"]["cases"]["total"])


def conservation_difference(conservation: Mapping[str, Any]) -> int:
    return sum(abs(int(row["difference"])) for row in conservation["hours"])


def saved_hours(summary: Mapping[str, Any]) -> dict[str, float | None]:
    hours = summary["total"]["saved"]["hours"]
    return {"saved_hours_low": _number(hours["low"]), "saved_hours": _number(hours["point"]), "saved_hours_high": _number(hours["high"])}


def cost_per_event(summary: Mapping[str, Any]) -> float | None:
    return _number(summary["total"]["money"]["cost_per_event"])


def everything(console: Console, tally: Tally, answers: Mapping[str, Any], *, scale: float) -> None:
    console.print()
    console.print(_tiers(tally))
    for line in _roi(tally, answers["summary"], console.width):
        console.print(line, markup=False, soft_wrap=True)
    console.print(
        f"Reviews were worked by [bold]simulated[/] people: {scale:g} of their seconds took one. The tenant is marked as simulated;"
        " no other tenant's clock can run faster than people's. 'truth' is what the simulation knows and the product does not.",
        soft_wrap=True,
    )


def how_to_keep_it_running(console: Console, data_dir: Path, line: RunningLine, key: str, *, kafka: bool) -> None:
    console.print(
        f"\n[bold]Keep it running:[/] recoup up --data-dir {escape(quote(str(data_dir)))}{' --kafka' if kafka else ''}", soft_wrap=True
    )
    console.print(f"  events   {line.urls['gateway']}/docs\n  people   {line.urls['ops']}/docs\n  figures  {line.urls['roi']}/docs")
    console.print(f"  curl -s {line.urls['roi']}/v1/roi/summary -H 'Authorization: Bearer {key}'", soft_wrap=True)


def _tiers(tally: Tally) -> Table:
    table = Table("automation", "rules", "models", "people", "right of the automatic ones", title="Who decided")
    counts = tally.by_tier()
    for automation in sorted({story.automation for story in tally.stories.values()}):
        tiers = {tier: count for (name, tier), count in counts.items() if name == automation}
        rules, people = tiers.pop("rules", 0), tiers.pop("human", 0)
        right, alone = tally.right(automation)
        share = f"{right / alone:.1%}" if alone else "-"
        table.add_row(automation, f"{rules}", f"{sum(tiers.values())}", f"{people}", share)
    return table


def _roi(tally: Tally, summary: Mapping[str, Any], width: int) -> Iterator[str]:
    """As `listed` says: eighty columns hold no table of ten figures."""
    rows = []
    for figures in [*summary["automations"], summary["total"]]:
        name, saved, money = figures["automation"], figures["saved"], figures["money"]
        hours, cases = saved["hours"], figures["cases"]
        rows.append(
            (
                *(name or "total", f"{cases['total']}", f"{cases['control']}", _at_least(saved["at_least_hours"]), _shown(hours["point"])),
                *(_span(hours), f"{tally.saved_seconds(name) / 3600:,.1f}", saved["grade"] or "-"),
                *(_shown(money["total_cost"], 4), _shown(money["cash"], 2)),
            )
        )
    yield "\nWhat it saved, in hours"
    titles = ("automation", "cases", "control", "at least", "point", "95 % interval", "truth", "grade", "cost EUR", "cash EUR")
    yield from listed(titles, rows, width, numbers=True)
    saved = summary["total"]["saved"]
    if saved["hours"]["point"] is None and saved["note"]:
        yield f"Nothing is measured yet: {saved['note']}. More --events have more of them."


def _span(hours: Mapping[str, str | None]) -> str:
    low, high = hours["low"], hours["high"]
    return "-" if low is None or high is None else f"{_shown(low)} to {_shown(high)}"


def _number(value: str | None) -> float | None:
    return None if value is None else float(value)


def _at_least(hours: str) -> str:
    return f"{at_least(Decimal(hours), Decimal('0.1')):,}"


def _shown(value: str | None, digits: int = 1) -> str:
    return "-" if value is None else f"{float(value):,.{digits}f}"
