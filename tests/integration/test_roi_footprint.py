"""Energy and carbon: what was measured, what is assumed, and nothing in between."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from shared.measure.footprint import Assumptions, footprint
from tests.integration.facts import hours_ago
from tests.roi_world import Board, open_board

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database


@pytest.fixture
def board(database: Database) -> Iterator[Board]:
    with open_board(database, control_share="0") as board:
        yield board


def _overhead(board: Board, seconds: int, automation: str = "claims") -> None:
    board.execute(
        "INSERT INTO ledger_lines (id, tenant_id, automation, kind, quantity, unit, grade, occurred_at)"
        " VALUES (gen_random_uuid(), 'acme', %(a)s, 'compute', %(s)s, 'cpu_s', 'A', clock_timestamp() - interval '1 minute')",
        {"a": automation, "s": seconds},
    )


def test_an_hour_of_a_busy_core_is_its_power_times_the_data_centres_overhead() -> None:
    found = footprint(Decimal(3600), Assumptions(watts=Decimal(10), overhead=Decimal("1.2"), grams_per_kwh=Decimal(500)))
    assert (found.kwh, found.grams) == (Decimal("0.012"), Decimal(6))


def test_cpu_time_on_cases_and_beside_them_is_converted_by_assumptions_that_are_shown(board: Board) -> None:
    board.work(["0"] * 5)
    _overhead(board, 3600)
    _overhead(board, 1800, "invoices")
    found = board.ask("footprint")
    assert found["nature"] == "estimate"
    # A millisecond on each of five cases.
    assert [(row["automation"], Decimal(row["cpu_seconds"])) for row in found["automations"]] == [
        ("claims", Decimal("3600.005")), ("invoices", Decimal(1800)),
    ]  # fmt: skip
    kwh = Decimal("5400.005") * Decimal("4.26") * Decimal("1.135") / 3_600_000
    assert Decimal(found["total"]["energy_kwh"]) == kwh.quantize(Decimal("1e-9"))
    assert Decimal(found["total"]["carbon_grams"]) == (kwh * 481).quantize(Decimal("1e-6"))
    assert (found["assumed"]["watts_per_core"], len(found["assumed"]["sources"])) == ("4.26", 2)


def test_however_little_it_is_no_number_has_an_exponent(board: Board) -> None:
    shown = [board.ask("footprint")["total"]]
    board.work(["0"])
    shown.append(board.ask("footprint")["total"])
    assert [row["energy_kwh"] for row in shown] == ["0.000000000", "0.000000001"]
    assert not any("E" in value for row in shown for value in row.values() if value is not None)


def test_it_is_asked_of_an_earlier_moment_and_of_one_automation_as_every_figure(board: Board) -> None:
    _overhead(board, 3600)
    _overhead(board, 1800, "invoices")
    assert Decimal(board.ask("footprint", automation="invoices")["total"]["cpu_seconds"]) == 1800
    ((moment,),) = board.rows("SELECT clock_timestamp()")
    before = board.ask("footprint", as_of=moment.isoformat())
    _overhead(board, 600)
    assert board.ask("footprint", as_of=moment.isoformat()) == before
    assert Decimal(board.ask("footprint", as_of=hours_ago(2).isoformat())["total"]["cpu_seconds"]) == 0
