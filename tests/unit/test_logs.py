"""Logs: one JSON object a line, whoever writes, with the trace, and without what an error's message or a variable may hold."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.servers import ROOT

CANARY = "canary-4711"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PROGRAM = """
import asyncio, logging, structlog
from shared.telemetry import logs, trace
early = structlog.get_logger()
logs.configure("gateway", "info")
log, library = structlog.get_logger(), logging.getLogger("some.library")
canary = "canary-4711"
def fail():
    local = canary
    raise ValueError(f"cannot read {canary}\\nat line 2")
"""


def _lines(program: str) -> list[dict[str, Any]]:
    """A process of its own: logging is configured once in a process."""
    done = subprocess.run([sys.executable, "-c", PROGRAM + program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_structlog_and_the_standard_library_write_the_same_form() -> None:
    ours, theirs = _lines(f"""
trace.current.set({TRACE!r})
log.info("case_decided", case_id="1")
library.warning("the %s\\nbroke", "disk")
""")
    for line, level in ((ours, "info"), (theirs, "warning")):
        assert line["trace_id"] == TRACE.split("-")[1]
        assert line["service"] == "gateway"
        assert line["level"] == level
        assert line["timestamp"].endswith("Z")
    assert (ours["event"], ours["case_id"]) == ("case_decided", "1")
    assert theirs["event"] == "the disk\nbroke"


def test_a_logger_made_before_the_configuration_follows_it() -> None:
    (line,) = _lines('early.warning("said_early")')
    assert line["event"] == "said_early"


def test_what_is_below_the_level_and_library_chatter_stay_out() -> None:
    assert (
        _lines("""
log.debug("a")
library.debug("b")
logging.getLogger("httpx").info("c")
logging.getLogger("uvicorn.access").info("d")
""")
        == []
    )


@pytest.mark.parametrize(
    "how",
    [
        'log.exception("it_failed")',
        'log.error("it_failed", exc_info=True)',
        'log.error("it_failed", exc_info=error)',
        'library.exception("it_failed")',
        'library.error("it_failed", exc_info=error)',
        'library.exception("it_failed: %r", error)',
        'library.exception("it_failed: %(exc)s %(traceback)s", {"exc": repr(error), "traceback": canary})',
        'library.exception(f"it_failed\\n{error!r}")',
        'library.exception(f"it_failed {error}")',
    ],
)
def test_an_error_is_logged_by_its_type_and_place_and_not_by_its_message(how: str) -> None:
    (line,) = _lines(f"""
try:
    fail()
except ValueError as error:
    {how}
""")
    assert CANARY not in json.dumps(line)
    assert line["event"].startswith("it_failed")
    assert line["level"] == "error"
    assert line["error_type"] == "ValueError"
    assert line["stack"][-1].endswith(" fail")


def test_an_error_that_nobody_awaited_is_logged_without_its_message() -> None:
    lines = _lines("""
async def forgotten():
    fail()
async def main():
    task = asyncio.create_task(forgotten())
    await asyncio.sleep(0)
    del task
    await asyncio.sleep(0)
asyncio.run(main())
""")
    assert [line["error_type"] for line in lines] == ["ValueError"]
    assert CANARY not in json.dumps(lines)


def test_the_words_of_the_workers_pool_are_lines_like_all_others() -> None:
    (line,) = _lines("""
from billiard.pool import error
from celery import Celery, signals
from services.worker.process import keep_logging
signals.setup_logging.connect(keep_logging, weak=False)
Celery().log.setup_logging_subsystem()
error("Process %r exited", "ForkPoolWorker-2")
""")
    assert (line["event"], line["level"], line["service"]) == ("Process 'ForkPoolWorker-2' exited", "error", "gateway")
