"""What the demo prints can be copied into a shell, and says where nothing is known."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from services.lab.demo import show
from services.lab.demo.line import RunningLine
from services.lab.demo.tally import Tally


def test_a_folder_with_a_space_and_brackets_is_shown_as_a_shell_takes_it() -> None:
    shown = io.StringIO()
    line = RunningLine(dict.fromkeys(("gateway", "ops", "roi"), "http://127.0.0.1:1"), {}, 1)
    show.how_to_keep_it_running(Console(file=shown, width=60), Path("/tmp/my [b] runs"), line, "rk_a_b", kafka=False)
    assert "recoup up --data-dir '/tmp/my [b] runs'\n" in shown.getvalue()


def test_an_interval_that_is_not_known_is_a_dash() -> None:
    assert show._span({"low": None, "high": None}) == "-"
    assert show._span({"low": "1.25", "high": "3"}) == "1.2 to 3.0"


@pytest.mark.parametrize("width", [80, 110])
def test_no_figure_is_cut_in_a_terminal_of_eighty_columns(width: int) -> None:
    hours = {"low": "236.71", "point": "315.72", "high": "419.53"}
    total = {
        "automation": None,
        "cases": {"total": 1000, "control": 101},
        "money": {"total_cost": "0.5", "cash": "26701.35"},
        "saved": {"hours": hours, "at_least_hours": "162.64", "grade": "A", "note": None},
    }
    lines = list(show._roi(Tally({}), {"automations": [], "total": total}, width))
    assert max(map(len, lines)) <= width
    for figure in ("total", "1000", "101", "162.6", "315.7", "236.7 to 419.5", "26,701.35"):
        assert any(figure in line for line in lines)


def test_a_demo_that_is_too_short_to_measure_anything_says_why() -> None:
    unknown = {"hours": {"low": None, "point": None, "high": None}, "at_least_hours": "0", "grade": None, "note": "6 of 30 control cases"}
    total = {"automation": None, "cases": {"total": 30, "control": 6}, "money": {"total_cost": "0", "cash": "0"}, "saved": unknown}
    *_, last = show._roi(Tally({}), {"automations": [], "total": total}, 110)
    assert last == "Nothing is measured yet: 6 of 30 control cases. More --events have more of them."
