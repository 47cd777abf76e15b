"""The OpenAPI document of the ROI API: reviewed and complete. That no request breaks it is tested where its figures are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.openapi_snapshots import refuse_unreviewed
from tests.roi_world import Board, open_board

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database


@pytest.fixture
def board(database: Database) -> Iterator[Board]:
    with open_board(database) as board:
        yield board


def test_the_document_is_the_reviewed_one(board: Board) -> None:
    refuse_unreviewed("roi", board.application.openapi(), "tests/contract/test_roi_openapi.py")


def test_every_operation_says_what_it_does_and_how_it_fails(board: Board) -> None:
    paths = {path: item for path, item in board.application.openapi()["paths"].items() if path.startswith("/v1/roi")}
    assert len(paths) >= 20
    for path, methods in paths.items():
        assert set(methods) == {"get"}, f"{path}: figures are read, never written"
        operation = methods["get"]
        assert operation.get("summary"), path
        assert operation.get("description"), path
        assert {"200", "401", "403", "422", "503"} <= set(operation["responses"]), path
        assert operation["security"], path
