"""Fixtures that several files of integration tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``rows.csv`` and ``pack``, not to be written to; see `tests.lab_world.write_tickets`."""
    from tests.lab_world import write_tickets  # noqa: PLC0415 - importing the lab takes longer than most tests that do without it

    folder = tmp_path_factory.mktemp("tickets")
    write_tickets(folder)
    return folder
