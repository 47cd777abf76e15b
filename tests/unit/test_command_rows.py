"""What commands list stays readable and uncut in narrow terminals, and is shown as it was written."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console

from shared.commands import listed, plain, told
from shared.errors import Rejected

COLUMNS = ("id", "name", "revoked")
ID = "01a22f30-d6ac-7f85-9c5b-29cfa5954cca"


def shown(rows: list[tuple[str, ...]], width: int) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(listed(COLUMNS, rows, width))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_rows_that_fit_are_a_table() -> None:
    lines = shown([(ID, "[/x] [red]株式会社", "")], 80)
    assert len(lines) == 5
    assert f"│ {ID} │ [/x] [red]株式会社 │" in lines[3]


def test_rows_that_do_not_fit_are_blocks_without_anything_cut() -> None:
    name = "Größe שלום of the finance and controlling department in the second building"
    lines = shown([(ID, name, ""), (ID, "short", "2026-12-01 01:18")], 60)
    assert lines[0] == f"id       {ID}"
    assert " ".join(line[len("revoked  ") :] for line in lines[1:3]) == name
    assert lines[3] == ""
    assert lines[4:7] == [f"id       {ID}", "name     short", "revoked  2026-12-01 01:18"]
    assert max(map(cell_len, lines)) <= 60


def test_nothing_is_a_table_without_rows() -> None:
    assert "revoked" in "".join(shown([], 24))


def test_what_would_move_the_cursor_or_turn_text_around_is_replaced() -> None:
    assert plain("a\x1b[31mb\u202ec\nd").plain == "a\ufffd[31mb\ufffdc\ufffdd"


def test_an_error_names_its_values_as_people_write_them() -> None:
    assert told(Rejected("No such column.", column="x", there_are=["a", "b"])) == "No such column. (column: x; there are: a, b)"
    assert told(Rejected("No.")) == "No."
