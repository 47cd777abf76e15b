"""The lines behind the figures, page by page."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from services.roi.main import build
from services.roi.service import Roi
from shared.clock import SystemClock
from shared.db import unit_of_work
from shared.web.pagination import Cursor
from tests.integration.facts import add_key, engine_of
from tests.integration.time_travel import SetClock
from tests.roi_line import work
from tests.roi_world import Board

if TYPE_CHECKING:
    from tests.conftest import Database


@pytest.fixture
def line(board: Board) -> Engine:
    return board.line


@pytest.fixture
def client(board: Board) -> TestClient:
    return board.client


def test_the_ledger_is_paged_without_gaps_and_filtered(client: TestClient, line: Engine) -> None:
    work(line, 30)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = client.get("/v1/roi/ledger", params={"limit": 7} | ({} if cursor is None else {"cursor": cursor})).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    with unit_of_work(line) as connection:
        ids = connection.exec_driver_sql("SELECT id::text FROM ledger_lines").scalars().all()
    assert sorted(seen) == sorted(ids)
    compute = client.get("/v1/roi/ledger", params={"kind": "compute", "automation": "claims"}).json()["items"]
    assert {item["kind"] for item in compute} == {"compute"}
    one = client.get("/v1/roi/ledger", params={"case_id": compute[0]["case_id"]}).json()["items"]
    assert {item["case_id"] for item in one} == {compute[0]["case_id"]}


def test_all_pages_are_of_the_period_of_the_first_one(board: Board, database: Database) -> None:
    work(board.line, 30)
    clock = SetClock(SystemClock().now())
    authorization = {"Authorization": f"Bearer {add_key(board.line, 'acme', 'executive')}"}
    with (
        engine_of(database, "recoup_api") as engine,
        TestClient(build(Roi(engine, clock), engine, SystemClock(), threads=4), headers=authorization) as client,
    ):
        every = client.get("/v1/roi/ledger", params={"limit": 200}).json()["items"]
        first = client.get("/v1/roi/ledger", params={"limit": 10}).json()
        clock.moment += timedelta(days=40)
        rest = client.get("/v1/roi/ledger", params={"limit": 200, "cursor": first["next_cursor"]})
        assert first["items"] + rest.json()["items"] == every
        # What was handed out before cursors knew a period is of the one that is asked for.
        last = first["items"][-1]
        older = {"cursor": Cursor(datetime.fromisoformat(last["booked_at"]), UUID(last["id"])).encode(), "limit": "200"}
        assert client.get("/v1/roi/ledger", params=older).json()["items"] == []
        start = clock.moment - timedelta(days=50)
        assert client.get("/v1/roi/ledger", params=older | {"from": start.isoformat()}).json() == rest.json()
        other = client.get("/v1/roi/ledger", params={"cursor": first["next_cursor"], "from": start.isoformat()})
        assert (other.status_code, other.json()["code"]) == (422, "bad_period")
        assert "`cursor` is of another period" in other.text
