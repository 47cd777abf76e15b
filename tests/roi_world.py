"""The ROI API over a real database, and facts to ask it about."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from starlette.testclient import TestClient

from services.roi.main import build
from services.roi.service import Roi
from shared.clock import SystemClock
from shared.db import unit_of_work
from tests.horizon import roll_up
from tests.integration.facts import Case, add_key, add_tenant, decide, engine_of, hours_ago, receive

if TYPE_CHECKING:
    from fastapi import FastAPI
    from httpx2 import Response
    from sqlalchemy import Engine

    from tests.conftest import Database


# What begins with the quarter by default: on its first day tests of the day before would see nothing.
_QUARTERLY = frozenset({"summary", "timeseries", "breakdown", "evidence", "bridge", "footprint", "board.pdf"})
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)


def of_thirty_days(path: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """What is asked, with a period where none is."""
    if path.removeprefix("exports/") not in _QUARTERLY or {"from", "to"} & parameters.keys():
        return parameters
    moment = parameters.get("as_of") or parameters.get("later")
    until = SystemClock().now() if moment is None else datetime.fromisoformat(moment)
    return parameters | {"from": max(_FIRST, until - timedelta(days=30)).isoformat()}


@dataclass(frozen=True, slots=True)
class Board:
    """Attributes: line: engine of the processes that write facts; client: an executive of the tenant ``acme``."""

    line: Engine
    application: FastAPI
    client: TestClient

    def get(self, path: str, **parameters: Any) -> Response:
        """An answer about everything that is committed now; of 30 days where no period is asked for, whatever the quarter."""
        roll_up(self.line)
        return self.client.get(f"/v1/roi/{path}", params=of_thirty_days(path, parameters))

    def ask(self, path: str, **parameters: Any) -> Any:
        answer = self.get(path, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def problem(self, path: str, **parameters: Any) -> tuple[int, str]:
        answer = self.get(path, **parameters)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        return answer.status_code, answer.json()["code"]

    def work(
        self, times: Sequence[str], *, hours: float = 1, stratum: str = "s", automation: str = "claims", tier: str = "nano"
    ) -> list[Case]:
        """A case for each time that a person would need: control cases take it, the others are decided by ``tier``."""
        with unit_of_work(self.line) as connection:
            cases = receive(connection, len(times), at=hours_ago(hours), automation=automation)
            for case, seconds in zip(cases, times, strict=True):
                decide(connection, [case], seconds=seconds, tier=tier, at=hours_ago(hours), stratum=stratum)
        return cases

    def rate(self, name: str, value: str, code: str | None = "EUR", *, automation: str = "*", days_ago: float = 1) -> None:
        self.execute(
            "INSERT INTO rates (id, tenant_id, name, automation, value, currency, valid_from, source)"
            " VALUES (gen_random_uuid(), 'acme', %(name)s, %(automation)s, %(value)s, %(code)s, now() - %(ago)s * interval '1 day', 't')",
            {"name": name, "value": value, "code": code, "automation": automation, "ago": days_ago},
        )

    def execute(self, statement: str, values: dict[str, Any] | None = None) -> None:
        with unit_of_work(self.line) as connection:
            connection.exec_driver_sql(statement, values or {})

    def rows(self, statement: str, values: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with unit_of_work(self.line) as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement, values or {})]


@contextmanager
def open_board(database: Database, *, control_share: str = "0.3") -> Iterator[Board]:
    with engine_of(database) as line, engine_of(database, "recoup_api") as engine:
        with unit_of_work(line) as connection:
            add_tenant(connection, control_share=control_share)
            add_tenant(connection, "other")
        application = build(Roi(engine, SystemClock()), engine, SystemClock(), threads=4)
        with TestClient(application, headers={"Authorization": f"Bearer {add_key(line, 'acme', 'executive')}"}) as client:
            yield Board(line, application, client)


def manual_times(cases: Sequence[Case], times: Sequence[str]) -> list[float]:
    """Of the control cases among them."""
    return [float(Decimal(seconds)) for case, seconds in zip(cases, times, strict=True) if case.arm == "control"]


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
