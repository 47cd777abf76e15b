"""kill -9 of everything in turn, in the middle of a run: nothing is lost and nothing is doubled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.faults import PROCESSES, flush_redis
from tests.harness.company import company
from tests.harness.history import check, settle
from tests.harness.line import ReadyLine
from tests.harness.material import complaints, invoices

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.slow]

EVENTS = 200


def survive(line: ReadyLine, public_data: Path, fault: Callable[[], None], seed: int) -> None:
    """Send, break something in the middle, let it heal, and check every event."""
    events = [*invoices(public_data), *complaints(public_data, EVENTS)]
    line.await_ready()
    with company(line) as acme:
        acme.send_all(events, seed=seed, meanwhile=fault)
        line.await_ready()
        settle(acme, events)
        check(acme, events)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_killed_process_loses_and_doubles_nothing(line: ReadyLine, public_data: Path, name: str) -> None:
    survive(line, public_data, lambda: line.kill(name), seed=len(name))


def test_a_killed_worker_child_loses_and_doubles_nothing(line: ReadyLine, public_data: Path) -> None:
    survive(line, public_data, line.kill_worker_child, seed=11)


def test_an_emptied_redis_loses_and_doubles_nothing(line: ReadyLine, public_data: Path) -> None:
    survive(line, public_data, lambda: flush_redis(line), seed=12)


def test_a_killed_broker_loses_and_doubles_nothing(line: ReadyLine, public_data: Path) -> None:
    survive(line, public_data, lambda: line.kill("kafka"), seed=13)


def test_a_postgres_that_restarts_immediately_loses_and_doubles_nothing(line: ReadyLine, public_data: Path) -> None:
    survive(line, public_data, line.quit_postgres, seed=14)
