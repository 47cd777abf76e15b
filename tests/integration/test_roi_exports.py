"""What a file says is what the API says."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from services.roi.exports import lines
from services.roi.period import Bucket
from services.roi.service import LedgerQuestion, Roi
from shared.db import unit_of_work
from shared.ledger import posting
from shared.ledger import repository as ledger
from shared.money import Money, currency
from tests.integration.facts import add_key, decide, engine_of, hours_ago, receive
from tests.integration.time_travel import SetClock, set_database_clock
from tests.roi_world import Board

if TYPE_CHECKING:
    from tests.conftest import Database

TIMES = [str(40 + number % 50) for number in range(160)]


def table(board: Board, name: str, **parameters: Any) -> list[dict[str, str]]:
    answer = board.get(f"exports/{name}", **parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="recoup-{name}.csv"'
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def at(found: Any, path: str) -> str:
    for name in path.split("."):
        found = None if found is None else found[name]
    return "" if found is None else str(found)


def test_the_rows_of_the_summary_are_the_total_and_each_automation(board: Board) -> None:
    board.work(TIMES)
    board.work(TIMES[:40], automation="=HYPERLINK(1)")
    board.rate("labour_hour", "40")
    period = {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
    answer = board.ask("summary", **period)
    rows = table(board, "summary", **period)
    figures = [answer["total"], *answer["automations"]]
    assert [row["automation"] for row in rows] == ["", "'=HYPERLINK(1)", "claims"]
    paths = ["cases.total", "saved.at_least_hours", "saved.hours.high", "saved.grade", "money.total_cost", "money.labour_value.point"]
    for row, figure in zip(rows, figures, strict=True):
        assert row["from"] == "2026-01-01T00:00:00.000000Z"
        assert {path: row[path] for path in paths} == {path: at(figure, path) for path in paths}


def test_timeseries_and_breakdown_are_the_same_as_over_the_api(board: Board) -> None:
    board.work(TIMES)
    points = board.ask("timeseries", bucket="hour")["series"]
    rows = table(board, "timeseries", bucket="hour")
    assert len(rows) == sum(len(series["points"]) for series in points)
    found = {row["seconds.point"] for row in rows if row["automation"] == "claims"}
    assert found == {point["seconds"]["point"] for point in points[1]["points"]}
    parts = board.ask("breakdown", by="tier")["parts"]
    assert [(row["key"], row["cases"]) for row in table(board, "breakdown", by="tier")] == [(p["key"], str(p["cases"])) for p in parts]


def test_money_that_no_rate_converts_is_named_wherever_it_is_missing(board: Board) -> None:
    board.work(TIMES, hours=30)
    moment = hours_ago(0).isoformat()
    with unit_of_work(board.line) as connection:
        platform = Money(Decimal(5000), currency("USD"))
        ledger.post(connection, [posting.for_platform("acme", "claims", platform, hour=Bucket.HOUR.start(hours_ago(30)))])
    questions: list[tuple[str, dict[str, Any]]] = [
        ("timeseries", {"bucket": "day"}), ("forecast", {}), ("bridge", {"earlier": moment}), ("payback", {"investment": "10"}),
    ]  # fmt: skip
    for name, parameters in questions:
        assert board.ask(name, **parameters)["unconverted"] == ["USD"], name
    assert board.ask("bridge", earlier=hours_ago(3).isoformat(), later=moment)["unconverted"] == []
    assert {row["money.unconverted"] for row in table(board, "summary")} == {"platform 5000.000000 USD"}
    assert {row["unconverted"] for row in table(board, "timeseries", bucket="day")} == {"USD"}
    with zipfile.ZipFile(io.BytesIO(board.get("exports/summary", format="xlsx").content)) as archive:
        assert "USD" in archive.read("xl/worksheets/sheet4.xml").decode()
    board.rate("fx:USD:EUR", "0.5", None)
    for name, parameters in questions[:2]:
        assert board.ask(name, **parameters)["unconverted"] == [], name
    # The rate is new: at the earlier moment, before the money, there was nothing to convert.
    assert board.ask("bridge", earlier=moment)["unconverted"] == []
    assert {row["money.unconverted"] for row in table(board, "summary")} == {""}


def test_every_line_of_the_ledger_is_in_the_file_once_page_after_page(board: Board) -> None:
    with unit_of_work(board.line) as connection:
        decide(connection, receive(connection, 1500), tier="human")
    rows = table(board, "ledger")
    known = board.rows("SELECT id::text, kind, coalesce(quantity::text, ''), coalesce(amount::text, '') FROM ledger_lines")
    assert len(known) > 2000, "more than one page"
    assert sorted((row["id"], row["kind"], row["quantity"], row["amount"]) for row in rows) == sorted(known)
    assert {row["kind"] for row in table(board, "ledger", kind="compute")} == {"compute"}


def test_a_download_that_goes_on_into_the_next_hour_has_every_line_of_the_period_it_began_with(
    board: Board, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Bucket.HOUR.start(hours_ago(30 * 24))
    for booked in (first + timedelta(minutes=10), first + timedelta(hours=5)):
        set_database_clock(database, booked)
        board.work(["100"] * 10)
    monkeypatch.setattr(lines, "_PAGE", 7)
    clock = SetClock(first + timedelta(days=30, minutes=-1))
    wanted = LedgerQuestion(None, None, None, None, None)
    with engine_of(database, "recoup_api") as engine:
        roi = Roi(engine, clock)
        whole = list(lines.lines(roi, "acme", wanted))
        slow = lines.lines(roi, "acme", wanted)
        taken = [next(slow) for _ in range(7)]
        clock.moment += timedelta(minutes=2)
        assert [*taken, *slow] == whole
    assert len(whole) == board.rows("SELECT count(*) FROM ledger_lines")[0][0] > 14


def test_a_workbook_has_a_sheet_for_what_stands_beside_the_figures(board: Board) -> None:
    board.work(TIMES)
    answer = board.get("exports/summary", format="xlsx")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = archive.read("xl/workbook.xml").decode()
    assert all(f'name="{name}"' in names for name in ("summary", "by_grade", "rates", "unconverted"))
    for name in ("timeseries", "breakdown", "ledger"):
        assert board.get(f"exports/{name}", format="xlsx").content[:2] == b"PK"


def test_a_question_that_makes_no_sense_is_a_problem_and_not_a_file(board: Board) -> None:
    for name in ("summary", "timeseries", "breakdown", "ledger"):
        assert board.problem(f"exports/{name}", to="9999-01-01T00:00:00Z")[0] == 422


def test_nobody_takes_the_figures_of_another_tenant_home(board: Board) -> None:
    board.work(TIMES[:20])
    token = add_key(board.line, "other", "executive")
    with TestClient(board.application, headers={"Authorization": f"Bearer {token}"}) as stranger:
        assert stranger.get("/v1/roi/exports/ledger").text.count("\r\n") == 1, "the header alone"
    assert len(table(board, "ledger")) > 0
