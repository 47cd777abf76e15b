"""CPU time that stands on no case is booked once, by share of what was metered, and waits where there is nobody to bear it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.steward.overhead import book_overhead, shared_out
from shared.db import unit_of_work
from tests.horizon import settle
from tests.integration.facts import two_tenants
from tests.ledger_world import add_rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.conftest import Database

NOW = timedelta(0)
BOOKED = "SELECT tenant_id, automation, quantity, amount, currency FROM ledger_lines WHERE kind = 'compute' ORDER BY tenant_id, automation"


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    with two_tenants(database) as engine:
        yield engine


def _rows(engine: Engine, statement: str) -> list[tuple[Any, ...]]:
    with unit_of_work(engine) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


def _meter(engine: Engine, seconds: int, tenant: str | None = None, automation: str | None = None) -> None:
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO cpu_meter (tenant_id, automation, process, cpu_ns) VALUES (%(t)s, %(a)s, 'host:1', %(ns)s)",
            {"t": tenant, "a": automation, "ns": seconds * 1_000_000_000},
        )


def _book(engine: Engine, period: timedelta = NOW) -> int:
    settle(engine)
    return book_overhead(engine, period)


@given(st.integers(1, 10**15), st.dictionaries(st.integers(), st.integers(1, 10**12), min_size=1, max_size=20))
def test_parts_are_in_proportion_and_add_up_to_the_nanosecond(total: int, weights: dict[int, int]) -> None:
    parts = shared_out(total, weights)
    assert sum(parts.values()) == total
    assert all(abs(parts[key] - total * weight / sum(weights.values())) <= max(1, total * 1e-9) for key, weight in weights.items())


def test_what_stands_on_no_case_is_borne_by_share_at_each_tenants_price(engine: Engine) -> None:
    add_rate(engine, name="cpu_hour", value="3.6")
    _meter(engine, 3, "acme", "claims")
    _meter(engine, 1, "other", "invoices")
    _meter(engine, 12)
    assert _book(engine) == 2
    assert _rows(engine, BOOKED) == [
        ("acme", "claims", Decimal(6), Decimal("0.006"), "EUR"),
        ("other", "invoices", Decimal(2), None, None),
    ]
    assert _book(engine) == 0


def test_start_up_waits_for_the_first_case(engine: Engine) -> None:
    _meter(engine, 5)
    assert _book(engine) == 0
    _meter(engine, 1, "acme", "claims")
    _meter(engine, 2)
    assert _book(engine) == 1
    assert _rows(engine, BOOKED)[0][2] == Decimal(6)


def test_a_report_that_lags_behind_its_cases_is_no_negative_cost(engine: Engine) -> None:
    _meter(engine, 4, "acme", "claims")
    _meter(engine, 3)
    assert _book(engine) == 0
    _meter(engine, 2)
    assert _book(engine) == 1
    assert _rows(engine, BOOKED)[0][2] == Decimal(1)


def test_it_is_booked_once_a_period_and_once_with_two_stewards(engine: Engine) -> None:
    _meter(engine, 1, "acme", "claims")
    _meter(engine, 2)
    assert _book(engine, timedelta(hours=1)) == 0
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: book_overhead(engine, NOW), range(4))) == 1
    assert len(_rows(engine, BOOKED)) == 1
