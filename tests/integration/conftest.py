"""Fixtures that several files of integration tests share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database
    from tests.roi_world import Board


@pytest.fixture(scope="session")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``rows.csv`` and ``pack``, not to be written to; see `tests.lab_world.write_tickets`."""
    from tests.lab_world import write_tickets  # noqa: PLC0415 - importing the lab takes longer than most tests that do without it

    folder = tmp_path_factory.mktemp("tickets")
    write_tickets(folder)
    return folder


@pytest.fixture
def board(database: Database) -> Iterator[Board]:
    """The ROI API over a database of its own."""
    from tests.roi_world import open_board  # noqa: PLC0415 - only tests of figures need it

    with open_board(database) as board:
        yield board
