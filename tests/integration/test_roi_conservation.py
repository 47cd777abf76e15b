"""Where every record is, from a real database."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from shared.db import unit_of_work
from tests.horizon import roll_up
from tests.integration.facts import decide, receive
from tests.roi_world import Board


@pytest.fixture
def line(board: Board) -> Engine:
    return board.line


@pytest.fixture
def client(board: Board) -> TestClient:
    return board.client


def test_every_record_is_somewhere_before_and_after_it_is_rolled_up(client: TestClient, line: Engine) -> None:
    with unit_of_work(line) as connection:
        cases = receive(connection, 40, repeated=4)
        decide(connection, cases[:20])
        decide(connection, cases[20:25], tier="human")
        connection.exec_driver_sql("UPDATE cases SET state = 'review' WHERE id = %(id)s", {"id": cases[30].id})
        connection.exec_driver_sql("UPDATE cases SET state = 'quarantined' WHERE id = %(id)s", {"id": cases[31].id})
    balances = []
    for _ in range(2):
        answer = client.get("/v1/roi/conservation").json()
        assert answer["holds"]
        balances.append(answer["hours"])
        roll_up(line)
    assert balances[0] == balances[1]
    (balance,) = balances[0]
    assert balance["received"] == 44
    assert (balance["duplicate"], balance["in_flight"], balance["dead_letter"], balance["review"]) == (4, 14, 1, 1)
    assert balance["automated"] + balance["human"] + balance["control"] == 25


def test_a_lost_case_shows_as_a_difference(client: TestClient, line: Engine) -> None:
    with unit_of_work(line) as connection:
        cases = receive(connection, 3)
        connection.exec_driver_sql("UPDATE cases SET state = 'decided' WHERE id = %(id)s", {"id": cases[0].id})
    answer = client.get("/v1/roi/conservation").json()
    assert (answer["holds"], answer["hours"][0]["difference"]) == (False, 1)
