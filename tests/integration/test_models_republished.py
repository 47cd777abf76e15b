"""A worker that runs while models are published again and again: it reads the present manifest where a file of its own is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from services.lab import files, manifest
from shared.settings import RedisSettings
from shared.taskqueue import app as taskqueue
from shared.taskqueue.orders import Order, Orders
from tests.intake_data import add_tenant, engine_of, rows
from tests.patience import HANG_SECONDS, eventually
from tests.servers import ROOT, free_port
from tests.tiny_models import tiny_pack
from tests.worker_data import synthetic_cases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy import Engine

    from tests.conftest import Database

SETTLED = "SELECT count(*) FROM cases WHERE automation = %s AND state IN ('decided', 'review')"


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    add_tenant(database, control_shares={"claims": "0", "complaints": "0"})
    engine = engine_of(database)
    yield engine
    engine.dispose()


@pytest.fixture
def orders(empty_redis_url: str) -> Iterator[Orders]:
    app = taskqueue.celery_app(RedisSettings(url=SecretStr(empty_redis_url)))
    yield Orders(app)
    app.close()


def _publish(folder: Path, version: str) -> None:
    """As the lab does: files under names of their content, the manifest, and then what neither this one nor the one before names goes."""
    made_in = folder / ".work"
    made_in.mkdir()
    # Other bytes, so other names.
    pack = tiny_pack(made_in, "complaints", seed=int(version))
    final = replace(files.by_content(pack), version=version, card="", notice="")
    before = manifest.packs(folder)
    moved = dict(zip(pack.files, final.files, strict=True))
    files.place(made_in, folder, moved)
    manifest.write(folder, [final])
    files.sweep(folder, files.names([*before, final]), moved)
    made_in.rmdir()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    _publish(folder, "1")
    return folder


@pytest.fixture
def log(database: Database, empty_redis_url: str, models: Path, tmp_path: Path) -> Iterator[Path]:
    """Of a worker with one child that runs."""
    environment = os.environ | {  # noqa: TID251  # of this test run, for the process under test
        "RECOUP_DATABASE_URL": database.app_url,
        "RECOUP_REDIS_URL": empty_redis_url,
        "RECOUP_WORKER_PORT": str(free_port()),
        "RECOUP_WORKER_PROCESSES": "1",
        "RECOUP_WORKER_BACKOFF_BASE": "PT0.2S",
        "RECOUP_WORKER_MODELS": str(models),
    }
    path = tmp_path / "worker.log"
    with path.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "services.worker.main"], cwd=ROOT, env=environment, stdout=file, stderr=file)
    try:
        yield path
    finally:
        process.terminate()
        process.wait(HANG_SECONDS)


@pytest.mark.slow
def test_a_worker_that_missed_two_publications_reads_the_present_manifest(
    database: Database, engine: Engine, orders: Orders, models: Path, log: Path
) -> None:
    def send(automation: str, ids: list[UUID]) -> bool:
        """As the steward does again and again; whether all of them are settled."""
        orders.send(Order(automation, case_id) for case_id in ids)
        return rows(database, SETTLED, (automation,)) == [(len(ids),)]

    first = synthetic_cases(engine, "claims", 3)
    eventually(lambda: send("claims", first), why=log.read_text)
    # The child has read the manifest, and no model.
    for version in ("2", "3"):
        _publish(models, version)
    late = synthetic_cases(engine, "complaints", 20)
    eventually(lambda: send("complaints", late), why=log.read_text)
    # The nano is the same file in all three; what it was sure of needed nothing that is gone.
    asked = rows(database, "SELECT DISTINCT model_version FROM inferences WHERE tier IN ('mini', 'large') AND score IS NOT NULL")
    assert asked == [("complaints@3",)]
    assert log.read_text().count('"decider_built"') == 2
    assert rows(database, "SELECT max(attempt) FROM cases WHERE automation = 'complaints'") == [(2,)]
