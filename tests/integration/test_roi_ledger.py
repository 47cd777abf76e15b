"""The lines behind the figures, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from shared.db import unit_of_work
from tests.roi_line import work
from tests.roi_world import Board, open_board

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database


@pytest.fixture
def board(database: Database) -> Iterator[Board]:
    with open_board(database) as board:
        yield board


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
