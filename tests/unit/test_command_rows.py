"""What commands list stays readable and uncut in narrow terminals, and is shown as it was written."""

from __future__ import annotations

from rich.cells import cell_len

from shared.commands import listed, plain, told
from shared.errors import Rejected

COLUMNS = ("id", "name", "revoked")
ID = "01a22f30-d6ac-7f85-9c5b-29cfa5954cca"


def shown(rows: list[tuple[str, ...]], width: int | None) -> list[str]:
    return list(listed(COLUMNS, rows, width))


def test_rows_that_fit_are_a_table() -> None:
    lines = shown([(ID, "[/x] [red]株式会社", "")], 80)
    assert len(lines) == 5
    assert f"│ {ID} │ [/x] [red]株式会社 │" in lines[3]


def test_rows_that_do_not_fit_are_blocks_without_anything_cut_or_broken() -> None:
    name = "Größe שלום of the finance and controlling department in the second building"
    blocks = [f"id       {ID}", f"name     {name}", "", f"id       {ID}", "name     short", "revoked  2026-12-01 01:18", ""]
    assert shown([(ID, name, ""), (ID, "short", "2026-12-01 01:18")], 80) == blocks


def test_where_there_is_no_terminal_all_is_a_table_as_wide_as_its_content() -> None:
    lines = shown([(ID, "x" * 500, ""), (ID, "株式会社", "")], None)
    assert {cell_len(line) for line in lines} == {len(ID) + 500 + len("revoked") + 10}


def test_a_table_fits_to_the_last_cell() -> None:
    row = (ID, "株式会社", "")
    wide = cell_len(shown([row], None)[0])
    assert [len(shown([row], width)) for width in (wide, wide - 1)] == [5, 3]


def test_nothing_is_a_table_without_rows() -> None:
    assert len(shown([], 20)) == 4


def test_what_would_move_the_cursor_or_turn_text_around_is_replaced() -> None:
    assert plain("a\x1b[31mb\u202ec\nd").plain == "a\ufffd[31mb\ufffdc\ufffdd"


def test_an_error_names_its_values_as_people_write_them() -> None:
    assert told(Rejected("No such column.", column="x", there_are=["a", "b"])) == "No such column. (column: x; there are: a, b)"
    assert told(Rejected("No.")) == "No."
