"""What models say is held against what they said at first, or when they were certified, day by day."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from services.steward import drift
from services.worker.repository import Installed, announce_versions
from shared.db import unit_of_work
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


def _certify(engine: Engine, monkeypatch: pytest.MonkeyPatch, high: dict[str, int]) -> None:
    """Of 1,000 labels, so many had high scores at each level; 0.02 is the pack's own."""
    rows = [
        {"tier": "nano", "model": "claims-nano@1.0.0", "alpha": float(level), "is_default": level == "0.02",
         "scores": [0, 0, 0, 1_000 - count, 0, 0, 0, 0, 0, count]}
        for level, count in high.items()
    ]  # fmt: skip
    with unit_of_work(engine) as connection:
        announce_versions(connection, {"claims": Installed("1.0.0", {"1.0.0": rows})})
    monkeypatch.setattr(drift, "DAYS_BACK", 5)
    monkeypatch.setattr(drift, "SETTLE", timedelta(0))


def _found(desk: Desk) -> list[tuple[bool, bool, bool]]:
    """(drifted, held against the certified scores, is a reference) of each day that was held against anything, newest first."""
    windows = desk.get("/v1/models/drift?automation=claims")["items"]
    return [(w["drifted"], w["finding"]["certified"], w["is_reference"]) for w in windows if w["finding"]]


def test_scores_are_held_against_those_that_were_certified_from_the_first_day_on_and_labels_against_the_first_day(
    desk: Desk, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _certify(engine, monkeypatch, {"0.02": 900})
    with desk.sql.transaction():
        _day(desk, 3, 600)
        _day(desk, 2, 300)
        _day(desk, 1, 300, sure=0.4)
    assert drift.watch(engine) == 3
    assert _found(desk) == [(True, True, False), (False, True, False), (False, True, True)]
    first = desk.get("/v1/models/drift?automation=claims")["items"][-1]["finding"]
    assert (first["label_p"], first["label_index"]) == (1, 0)


def test_cases_unlike_those_that_were_certified_raise_an_alarm_on_the_first_day(
    desk: Desk, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _certify(engine, monkeypatch, {"0.02": 900})
    with desk.sql.transaction():
        _day(desk, 1, 600, sure=0.3)
    drift.watch(engine)
    assert _found(desk) == [(True, True, True)]


def test_the_scores_of_the_level_count_that_a_tenant_has_chosen_but_not_on_the_day_of_its_choice(
    desk: Desk, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _certify(engine, monkeypatch, {"0.01": 400, "0.02": 100, "0.05": 900})
    with desk.sql.transaction():
        _day(desk, 3, 600)
        _day(desk, 2, 600)
        _day(desk, 1, 600)
    desk.sql.execute(
        "INSERT INTO automation_settings (tenant_id, automation, error_level, updated_at)"
        " VALUES ('acme', 'claims', 0.0700, now() - interval '2 days')"
    )
    drift.watch(engine)
    # The oldest day came first: a reference, as of a pack that says nothing.
    assert _found(desk) == [(False, True, False), (False, False, False)]


def test_few_certification_labels_are_no_reference(desk: Desk, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    _certify(engine, monkeypatch, {"0.02": 900})
    with unit_of_work(engine) as connection:
        few = {"tier": "nano", "model": "claims-nano@1.0.0", "alpha": 0.02, "is_default": True, "scores": [99, *[0] * 9]}
        announce_versions(connection, {"claims": Installed("1.0.0", {"1.0.0": [few]})})
    with desk.sql.transaction():
        _day(desk, 2, 600)
        _day(desk, 1, 300)
    drift.watch(engine)
    assert _found(desk) == [(False, False, False)]


def test_a_day_that_has_not_ended_waits(desk: Desk, engine: Engine) -> None:
    _day(desk, 0, 5)
    assert drift.watch(engine) == 0
