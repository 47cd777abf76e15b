"""What a tenant allows a case to take, from the settings to the tiers that were asked and what people are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest

from services.worker.cascade import Cascade
from services.worker.runtime.build import build_cascade
from shared.automations.registry import automation
from tests.intake_data import NOON, add_tenant, engine_of, rows
from tests.tiny_models import tiny_kit
from tests.worker_data import decider, synthetic_cases

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.conftest import Database

TRANSFORMERS = {"mini", "large"}
# Of an hour of CPU time, so dear that a millisecond costs a cent.
DEAR = 36_000


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    add_tenant(database, control_shares={"complaints": "0"})
    engine = engine_of(database)
    yield engine
    engine.dispose()


@pytest.fixture
def cascades(tmp_path: Path) -> Mapping[str, Cascade]:
    """Complaints with a linear model and two transformers, all of them real."""
    return {"complaints": build_cascade(automation("complaints"), tiny_kit(tmp_path, "complaints"))}


def _execute(database: Database, statement: str, *values: object) -> None:
    with psycopg.connect(database.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement.encode(), values)


def _allow(database: Database, column: str, value: str) -> None:
    _execute(database, f"UPDATE automation_settings SET {column} = %s WHERE automation = 'complaints'", value)


def _price(database: Database) -> None:
    statement = (
        "INSERT INTO rates (id, tenant_id, name, value, currency, valid_from, source)"
        " VALUES (%s, 'acme', 'cpu_hour', %s, 'EUR', %s, 'test')"
    )
    _execute(database, statement, uuid4(), DEAR, NOON.replace(year=NOON.year - 1))


def _asked(engine: Engine, database: Database, cascades: Mapping[str, Cascade], seed: int = 1) -> dict[str, int]:
    """Cases that each tier was asked about and answered."""
    decider(engine, cascades).decide("complaints", synthetic_cases(engine, "complaints", 60, seed))
    found = rows(database, "SELECT tier, count(*) FROM inferences WHERE cpu_ns > 0 GROUP BY tier")
    return {str(tier): int(str(count)) for tier, count in found}


def _reasons(database: Database) -> set[object]:
    return {reason for (reason,) in rows(database, "SELECT DISTINCT jsonb_array_elements_text(reasons) FROM reviews")}


def test_without_a_budget_every_tier_is_asked_about_what_is_still_open(
    engine: Engine, database: Database, cascades: Mapping[str, Cascade]
) -> None:
    assert set(_asked(engine, database, cascades)) >= TRANSFORMERS
    assert "budget" not in _reasons(database)


def test_no_time_keeps_the_transformers_out_and_says_so_to_the_person_who_decides_instead(
    engine: Engine, database: Database, cascades: Mapping[str, Cascade]
) -> None:
    _allow(database, "budget_seconds", "0")
    asked = _asked(engine, database, cascades)
    assert asked.get("nano", 0) > 30
    assert not TRANSFORMERS & set(asked)
    assert "budget" in _reasons(database)
    assert rows(database, "SELECT count(*) FROM cases WHERE state NOT IN ('decided', 'review')") == [(0,)]
    # What nano is sure of costs next to nothing and is decided all the same.
    assert rows(database, "SELECT DISTINCT tier FROM decisions WHERE tier <> 'rules'") == [("nano",)]


def test_money_counts_cpu_time_at_the_tenants_price(engine: Engine, database: Database, cascades: Mapping[str, Cascade]) -> None:
    _price(database)
    _allow(database, "budget_money", "0.00001")
    # What a transformer needs is known after it has been asked: the first few may cost more.
    before = sum(_asked(engine, database, cascades).get(name, 0) for name in TRANSFORMERS)
    after = sum(_asked(engine, database, cascades, seed=2).get(name, 0) for name in TRANSFORMERS)
    assert after - before <= 2
    assert "budget" in _reasons(database)


def test_money_does_not_count_cpu_time_whose_price_nobody_knows(
    engine: Engine, database: Database, cascades: Mapping[str, Cascade]
) -> None:
    _allow(database, "budget_money", "0")
    assert set(_asked(engine, database, cascades)) >= TRANSFORMERS
    assert "budget" not in _reasons(database)
