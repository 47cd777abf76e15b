"""One running line for all tests of a worker."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.supervisor.embedded.kafka_jars import java, kafka_jars
from services.supervisor.errors import MissingTool
from tests.environment import Environment, cannot
from tests.harness import tickets
from tests.harness.line import ReadyLine, running_line
from tests.servers import KAFKA_CACHE


@pytest.fixture(scope="session")
def line(environment: Environment) -> Iterator[ReadyLine]:
    """The whole line over Kafka, shared by the tests of one worker: each of them brings a tenant of its own."""
    try:
        java()
        kafka_jars(KAFKA_CACHE)
    except MissingTool as error:
        cannot(f"NO KAFKA, NOT TESTED: {error.message}", environment)
    folder = Path(tempfile.mkdtemp(prefix="recoup-line-"))
    folder.chmod(0o755)
    with running_line(folder, kafka=True, packs=tickets.train(folder)) as found:
        yield found
    shutil.rmtree(folder, ignore_errors=True)
