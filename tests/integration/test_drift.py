"""What models say is held against what they said at first, day by day."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from services.steward import drift
from shared.ids import uuid7
from tests.intake_data import engine_of
from tests.ops_desk import Desk, open_desk

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.conftest import Database


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        yield desk


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = engine_of(database)
    yield engine
    engine.dispose()


def _day(desk: Desk, days_ago: int, cases: int, *, sure: float = 0.9, tenant: str = "acme") -> None:
    """Cases of that day, whose scores are high with probability ``sure``; each was tried twice, and the first try said otherwise."""
    generator = random.Random(days_ago)
    at = datetime.now(UTC) - timedelta(days=days_ago)  # noqa: TID251  # the test's own moment
    with desk.sql.cursor() as cursor:
        for _ in range(cases):
            case_id, score = uuid7(), 0.95 if generator.random() < sure else 0.35
            cursor.execute(
                "INSERT INTO cases (id, tenant_id, source, event_id, event_type, automation, body_sha256, arm, control_probability, state,"
                " attempt, occurred_at, received_at) VALUES (%s, %s, '/t', %s, 't', 'claims', '', 'automated', 0, 'decided', 2, %s, %s)",
                (case_id, tenant, str(case_id), at, at),
            )
            cursor.executemany(
                "INSERT INTO inferences (case_id, attempt, position, tenant_id, tier, model_version, label, score, detail, cpu_ns, wall_ns)"
                " VALUES (%s, %s, 1, %s, 'nano', 'claims-nano@1.0.0', %s, %s, '{}', 1, 1)",
                [(case_id, 1, tenant, "odd", 0.05), (case_id, 2, tenant, "adjuster" if score > 0.5 else "pay", score)],
            )


def test_a_model_whose_scores_fall_raises_an_alarm_once_and_nothing_else(
    desk: Desk, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk.sql.transaction():
        _day(desk, 4, 600)
        _day(desk, 3, 50)
        _day(desk, 2, 300)
        _day(desk, 1, 300, sure=0.4)
    monkeypatch.setattr(drift, "DAYS_BACK", 5)
    monkeypatch.setattr(drift, "SETTLE", timedelta(0))
    with capture_logs() as lines:
        assert [drift.watch(engine), drift.watch(engine)] == [4, 0]
    assert [(line["event"], line["model_version"]) for line in lines] == [("model_drifted", "claims-nano@1.0.0")]
    windows = desk.get("/v1/models/drift?automation=claims")["items"]
    assert [(w["cases"], w["is_reference"], w["finding"] is not None, w["drifted"]) for w in windows] == [
        (300, False, True, True),
        (300, False, True, False),
        (50, False, False, False),
        (600, True, False, False),
    ]
    assert windows[0]["finding"]["level"] < windows[1]["finding"]["level"]
    assert drift.count(engine) == 1
    assert desk.get("/v1/models/drift", tenant="other")["items"] == []
    assert desk.rows("SELECT * FROM brakes") == []


def test_a_day_that_has_not_ended_waits(desk: Desk, engine: Engine) -> None:
    _day(desk, 0, 5)
    assert drift.watch(engine) == 0
