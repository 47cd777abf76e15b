"""The short form of `make bench-roi`: a small ledger is loaded consistently, and every question of the API is asked and reported."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from rich.console import Console
from starlette.testclient import TestClient

from services.roi.main import build
from services.roi.service import Roi
from shared.clock import SystemClock
from shared.db import unit_of_work
from shared.ledger import posting, sealing
from shared.ledger import repository as ledger
from shared.money import Money, currency
from shared.reports import Report
from tests.bench.roi.checking import check_sample
from tests.bench.roi.loading import TENANTS, Size, load
from tests.bench.roi.main import conclude
from tests.bench.roi.questions import questions
from tests.horizon import settle
from tests.integration.facts import add_key, engine_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.bench.roi.asking import Question
    from tests.conftest import Database

LINES = 20_000


def test_sums_of_the_loaded_ledger_are_those_of_its_facts_and_a_changed_line_would_show(database: Database) -> None:
    assert LINES <= load(database.admin_url, Size(LINES)) < LINES * 1.1
    assert check_sample(database.admin_url, days=20) > 100
    with psycopg.connect(database.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("UPDATE case_sums SET human_seconds = human_seconds + 0.001 WHERE grain = 'day'")
    with pytest.raises(AssertionError, match="differ from the facts"):
        check_sample(database.admin_url, days=20)


def _seal_a_line(line: Engine) -> str:
    hour = SystemClock().now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    booked = posting.for_platform(TENANTS[0], "other", Money(Decimal(1), currency("EUR")), hour=hour)
    with unit_of_work(line) as connection:
        ledger.post(connection, [booked])
    settle(line)
    with unit_of_work(line) as connection:
        sealing.seal(connection)
    return str(booked.id)


def _ask(client: TestClient, question: Question) -> list[float]:
    started = time.perf_counter()
    answer = client.get(question.path, params=dict(question.parameters))
    assert answer.status_code == 200, f"{question.name}: {answer.text[:300]}"
    return [time.perf_counter() - started]


def test_every_question_is_answered_and_the_slowest_decides(database: Database, tmp_path: Path) -> None:
    load(database.admin_url, Size(LINES))
    clock = SystemClock()
    with engine_of(database) as line, engine_of(database, "recoup_api") as api:
        entry, token = _seal_a_line(line), add_key(line, TENANTS[0], "executive")
        with TestClient(build(Roi(api, clock), api, clock, threads=4), headers={"Authorization": f"Bearer {token}"}) as client:
            schema = client.get("/openapi.json").json()
            asked = questions(schema, clock.now(), entry=entry)
            times = {question.name: _ask(client, question) for question in asked}
    assert len({question.path for question in asked}) == sum(path.startswith("/v1/roi/") for path in schema["paths"])
    report = Report("roi", clock)
    downloads = {question.name for question in asked if question.download}
    conclude(report, times, times, downloads)
    report.finish(Console(quiet=True), tmp_path)
    figures = {row.metric: row for row in report.rows}
    held = {name: seconds for name, (seconds,) in times.items() if name not in downloads}
    assert figures["p99_ms"].value == pytest.approx(max(held.values()) * 1000, abs=0.01)
    assert (figures["p99_ms"].target, figures["growth_ratio"].value, figures["growth_ratio"].target) == (50, 1.0, 1.5)
