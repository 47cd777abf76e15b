"""The real worker process: orders over Redis, children that are killed, health and metrics."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import timedelta
from typing import TYPE_CHECKING

import psutil
import pytest
from pydantic import BaseModel, SecretStr

from services.steward.overhead import book_overhead
from shared.automations.contract import Automation, Outcome
from shared.settings import RedisSettings
from shared.taskqueue import app as taskqueue
from shared.taskqueue.orders import Order, Orders
from shared.telemetry import trace
from tests.horizon import settle
from tests.intake_data import add_tenant, engine_of, rows
from tests.patience import HANG_SECONDS
from tests.servers import ROOT, free_port
from tests.worker_data import INJURY, claim_cases, record, synthetic_cases, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy import Engine

    from tests.conftest import Database

# An automation that somebody else installed. Its first decision never ends; it says which process to kill.
PLUGIN = """
import os, pathlib, time
from pydantic import BaseModel
from shared.automations.contract import Automation, Outcome, Verdict
from tests.patience import HANG_SECONDS

class Data(BaseModel):
    marker: str

def rules(data, context):
    marker = pathlib.Path(data.marker)
    if data.marker and not marker.exists():
        marker.with_suffix(".draft").write_text(str(os.getpid()))
        marker.with_suffix(".draft").rename(marker)
        time.sleep(3600)
    return Verdict("fine")

OUTCOMES = {"fine": Outcome()}
AUTOMATION = Automation(name="sleepy", event_type="test.sleepy", data_model=Data, outcomes=OUTCOMES, rules=rules, tiers=("rules",))
"""
METADATA = "Metadata-Version: 2.1\nName: sleepy\nVersion: 1.0\n"
# What this process needs to know of it.
SLEEPY = Automation(name="sleepy", event_type="test.sleepy", data_model=BaseModel, outcomes={"fine": Outcome()})
ENTRY_POINTS = "[recoup.automations]\nsleepy = sleepy:AUTOMATION\n"


class Worker:
    def __init__(self, database: Database, redis_url: str, folder: Path) -> None:
        self.port = free_port()
        self._log = folder / "worker.log"
        environment = os.environ | {  # noqa: TID251  # of this test run, for the process under test
            "PYTHONPATH": f"{ROOT}:{folder / 'plugins'}",
            "RECOUP_DATABASE_URL": database.app_url,
            "RECOUP_REDIS_URL": redis_url,
            "RECOUP_WORKER_PORT": str(self.port),
            "RECOUP_WORKER_PROCESSES": "1",
            "RECOUP_WORKER_LEASE": "PT2S",
            "RECOUP_WORKER_CPU_PERIOD": "PT1S",
        }
        with self._log.open("ab") as log:
            self.process = psutil.Popen([sys.executable, "-m", "services.worker.main"], cwd=ROOT, env=environment, stderr=log, stdout=log)

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def log(self) -> str:
        return self._log.read_text()

    def stop(self) -> int | None:
        self.process.terminate()
        return self.process.wait(30)


def await_(condition: Callable[[], bool], worker: Worker, seconds: float = HANG_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, worker.log()[-4000:]
        assert worker.process.is_running(), worker.log()[-4000:]
        time.sleep(0.1)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    add_tenant(database, control_shares={"claims": "0", "sleepy": "0"})
    engine = engine_of(database)
    yield engine
    engine.dispose()


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    installed = folder / "sleepy-1.0.dist-info"
    installed.mkdir(parents=True)
    (folder / "sleepy.py").write_text(PLUGIN)
    (installed / "METADATA").write_text(METADATA)
    (installed / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


@pytest.fixture
def worker(database: Database, empty_redis_url: str, plugin: Path, tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(database, empty_redis_url, tmp_path)
    await_(lambda: worker.get("/readyz")[0] == 200, worker)
    yield worker
    for process in [worker.process, *worker.process.children(recursive=True)] if worker.process.is_running() else []:
        process.kill()
    worker.process.wait(10)


@pytest.fixture
def orders(empty_redis_url: str) -> Iterator[Orders]:
    app = taskqueue.celery_app(RedisSettings(url=SecretStr(empty_redis_url)))
    yield Orders(app)
    app.close()


def _settled(database: Database, count: int) -> bool:
    return rows(database, "SELECT count(*) FROM cases WHERE state IN ('decided', 'review')") == [(count,)]


def _send(orders: Orders, automation: str, ids: list[UUID]) -> None:
    assert orders.send(Order(automation, case_id) for case_id in ids) == len(ids)


def test_orders_are_carried_out_counted_and_traced_and_a_second_one_is_harmless(
    worker: Worker, orders: Orders, engine: Engine, database: Database
) -> None:
    ids = synthetic_cases(engine, "claims", 300)
    trace.current.set(f"00-{'a' * 32}-{'b' * 16}-01")
    _send(orders, "claims", ids)
    await_(lambda: _settled(database, 300), worker)
    _send(orders, "claims", ids[:100])
    (last,) = claim_cases(engine, INJURY)
    _send(orders, "claims", [last])
    await_(lambda: _settled(database, 301), worker)
    assert rows(database, "SELECT count(*), count(DISTINCT case_id) FROM ledger_lines") == [(301, 301)]
    told = "SELECT count(*) FROM model_versions v, jsonb_array_elements(v.certified_scores) WHERE v.automation = 'claims'"
    assert rows(database, told) == [(3,)]
    metrics = worker.get("/metrics")[1]
    assert 'recoup_decided_total{automation="claims",result="rules"}' in metrics
    assert 'recoup_inference_cpu_seconds_total{automation="claims",tier="rules"}' in metrics
    assert worker.stop() == 0
    (built,) = [json.loads(line) for line in worker.log().splitlines() if "decider_built" in line]
    assert (built["trace_id"], built["service"]) == ("a" * 32, "worker")


def test_a_case_whose_process_was_killed_while_it_decided_is_decided_in_the_end(
    worker: Worker, orders: Orders, engine: Engine, database: Database, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    ids = waiting(engine, [record("1", {"marker": str(marker)}, SLEEPY), record("2", {"marker": ""}, SLEEPY)])
    _send(orders, "sleepy", ids)
    await_(marker.exists, worker)
    os.kill(int(marker.read_text()), signal.SIGKILL)

    def decided() -> bool:
        """As the steward does, send again what nobody has settled."""
        _send(orders, "sleepy", ids)
        time.sleep(0.5)
        return _settled(database, 2)

    await_(decided, worker)
    assert rows(database, "SELECT min(attempt), max(attempt) FROM cases") == [(2, 2)]
    assert rows(database, "SELECT count(*), count(DISTINCT case_id) FROM decisions") == [(2, 2)]
    assert rows(database, "SELECT count(*), count(DISTINCT case_id) FROM ledger_lines") == [(2, 2)]


def test_the_ledger_holds_all_cpu_time_that_the_processes_spent_also_that_of_one_that_was_killed(
    worker: Worker, orders: Orders, engine: Engine, database: Database
) -> None:
    """Start-up, idling and failures too: the operating system's own count is the other side."""
    _send(orders, "claims", synthetic_cases(engine, "claims", 400, seed=1))
    await_(lambda: _settled(database, 400), worker)
    children = worker.process.children(recursive=True)
    max(children, key=lambda child: sum(child.cpu_times()[:2])).kill()
    _send(orders, "claims", synthetic_cases(engine, "claims", 200, seed=2))
    await_(lambda: _settled(database, 600), worker)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert worker.stop() == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    settle(engine)
    assert book_overhead(engine, timedelta(0)) == 1
    assert book_overhead(engine, timedelta(0)) == 0
    ((on_cases, overhead),) = rows(
        database,
        "SELECT sum(quantity) FILTER (WHERE case_id IS NOT NULL)::float8, sum(quantity) FILTER (WHERE case_id IS NULL)::float8"
        " FROM ledger_lines WHERE kind = 'compute'",
    )
    assert isinstance(on_cases, float)
    assert isinstance(overhead, float)
    assert min(on_cases, overhead) > 0
    # All but the end of the interpreter, which comes after the last report: a third of a second, more on a busy machine.
    assert spent - 1.2 < on_cases + overhead < spent + 0.05


def test_children_end_with_a_main_process_that_was_killed(worker: Worker, orders: Orders, engine: Engine, database: Database) -> None:
    _send(orders, "claims", claim_cases(engine, INJURY))
    await_(lambda: _settled(database, 1), worker)
    children = worker.process.children(recursive=True)
    worker.process.kill()
    worker.process.wait(10)
    assert psutil.wait_procs(children, timeout=20)[1] == []


def test_missing_settings_are_named_and_end_the_process() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RECOUP_")}  # noqa: TID251  # as above
    done = subprocess.run(
        [sys.executable, "-m", "services.worker.main", "--check"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "RECOUP_DATABASE_URL" in done.stderr
