"""What the demo prints can be copied into a shell, and says where nothing is known."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from services.lab.demo import show
from services.lab.demo.line import RunningLine


def test_a_folder_with_a_space_and_brackets_is_shown_as_a_shell_takes_it() -> None:
    shown = io.StringIO()
    line = RunningLine(dict.fromkeys(("gateway", "ops", "roi"), "http://127.0.0.1:1"), {}, 1)
    show.how_to_keep_it_running(Console(file=shown, width=60), Path("/tmp/my [b] runs"), line, "rk_a_b", kafka=False)
    assert "recoup up --data-dir '/tmp/my [b] runs'\n" in shown.getvalue()


def test_an_interval_that_is_not_known_is_a_dash() -> None:
    assert show._span({"low": None, "high": None}) == "-"
    assert show._span({"low": "1.25", "high": "3"}) == "1.2 to 3.0"
