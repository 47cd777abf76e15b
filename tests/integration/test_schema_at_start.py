"""A process whose database is behind its code waits a while and says what to do; one whose database is ahead begins."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import make_url
from typer.testing import CliRunner

from migrations.run import downgrade, upgrade
from services.ops.keys import app as keys
from shared.db import await_database, engine_for
from shared.db.schema import OutdatedSchema, refuse_older_schema, schema_revision
from shared.release import PYTHON, SCHEMA, VERSION
from shared.security.vault import new_vault_key
from shared.settings import DatabaseSettings
from tests import local_http
from tests.database_sessions import connected
from tests.patience import HANG_SECONDS, eventually
from tests.servers import ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.conftest import Database

# The newest first.
REVISIONS = [script.revision for script in ScriptDirectory(str(ROOT / "migrations")).walk_revisions()]
OLDER = REVISIONS[1]
# Module, and the variable that holds its port.
PROCESSES = {
    "services.gateway.main": "RECOUP_GATEWAY_PORT",
    "services.dispatcher.main": "RECOUP_DISPATCHER_PORT",
    "services.worker.main": "RECOUP_WORKER_PORT",
    "services.courier.main": "RECOUP_COURIER_PORT",
    "services.steward.main": "RECOUP_STEWARD_PORT",
    "services.ops.main": "RECOUP_OPS_PORT",
    "services.roi.main": "RECOUP_ROI_PORT",
}


@pytest.fixture(params=["recoup_api", "recoup_line"])
def engine(database: Database, request: pytest.FixtureRequest) -> Iterator[Engine]:
    with _engine(database, request.param) as found:
        yield found


@contextmanager
def _engine(database: Database, role: str) -> Iterator[Engine]:
    engine = engine_for(DatabaseSettings(url=SecretStr(database.app_url)), role=role, application="test")  # type: ignore[arg-type]
    yield engine
    engine.dispose()


def test_this_code_is_of_the_newest_revision_and_that_has_the_largest_number() -> None:
    """So what is larger was added later, also where two were once added in another order."""
    assert REVISIONS[0] == max(REVISIONS) == SCHEMA
    assert all(len(revision) == 4 and revision.isdecimal() for revision in REVISIONS)


def test_a_database_that_is_up_to_date_is_begun_with(engine: Engine) -> None:
    assert schema_revision(engine) == SCHEMA
    assert await_database(engine, patience=timedelta(0))


def test_a_newer_one_too(database: Database, engine: Engine) -> None:
    """The upgrade of a line that goes on: its new schema is there first."""
    _set_revision(database, "0999")
    assert await_database(engine, patience=timedelta(0))


def test_an_older_one_is_refused_in_words(database: Database, engine: Engine) -> None:
    downgrade(database.admin_url, OLDER)
    with pytest.raises(OutdatedSchema, match=f"is at {OLDER}, and this version of Recoup needs {SCHEMA}: run `recoup migrate`"):
        refuse_older_schema(engine)
    with pytest.raises(SystemExit) as end:
        await_database(engine, patience=timedelta(0))
    assert end.value.code == 1


# The login role's password belongs to the server, and comes with the template.
@pytest.mark.usefixtures("migrated_database")
def test_one_that_was_never_migrated_or_by_a_version_that_let_nobody_look_is_older(empty_database: Database) -> None:
    with _engine(empty_database, "recoup_line") as engine:
        assert schema_revision(engine) is None
        upgrade(empty_database.admin_url)
        with connected(empty_database.admin_url) as connection:
            connection.execute("REVOKE SELECT ON alembic_version FROM recoup_line")
        with pytest.raises(OutdatedSchema):
            refuse_older_schema(engine)
        # Also where there is nothing to migrate.
        upgrade(empty_database.admin_url)
        refuse_older_schema(engine)


def test_a_migration_meanwhile_is_waited_for_but_no_longer_than_until_the_end(database: Database, engine: Engine) -> None:
    stopped = threading.Event()
    _set_revision(database, OLDER)
    threading.Timer(0.5, _set_revision, [database, SCHEMA]).start()
    assert await_database(engine, stopped)
    _set_revision(database, OLDER)
    threading.Timer(0.5, stopped.set).start()
    assert not await_database(engine, stopped)


def test_a_command_says_it_at_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOUP_DATABASE_URL", database.app_url)
    monkeypatch.setenv("RECOUP_SECRET_KEY", new_vault_key())
    _set_revision(database, OLDER)
    done = CliRunner().invoke(keys, ["tenant", "create", "acme", "--name", "Acme", "--currency", "EUR"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"the schema of the database is at {OLDER}, ")
    assert done.stderr.count("\n") == 1


def test_a_command_says_in_one_line_that_nobody_is_there(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = make_url(database.app_url).set(port=free_port()).render_as_string(hide_password=False)
    monkeypatch.setenv("RECOUP_DATABASE_URL", nowhere)
    monkeypatch.setenv("RECOUP_SECRET_KEY", new_vault_key())
    done = CliRunner().invoke(keys, ["list", "--tenant", "acme"])
    assert (done.exit_code, done.stderr) == (1, "The database cannot be reached right now.\n")


@dataclass(frozen=True, slots=True)
class Running:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def waits(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return "schema_outdated" in self.log.read_text()

    @property
    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return local_http.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def answers(self, method: str, path: str) -> int | None:
        """The status, or None where nobody listens yet."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            answer = httpx.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=5)
        except httpx.TransportError:
            return None
        assert path.startswith("/v1/") <= ("retry-after" in answer.headers)
        return answer.status_code

    @property
    def build_info(self) -> list[str]:
        text = local_http.get(f"http://127.0.0.1:{self.port}/metrics", timeout=5).text
        return [line for line in text.splitlines() if line.startswith("recoup_build_info{")]


@contextmanager
def _started(module: str, database: Database, redis_url: str, folder: Path) -> Iterator[Running]:
    port = free_port()
    environment = {
        "PATH": "/usr/bin:/bin",
        "RECOUP_DATABASE_URL": database.app_url,
        "RECOUP_REDIS_URL": redis_url,
        "RECOUP_SECRET_KEY": new_vault_key(),
        "RECOUP_WORKER_PROCESSES": "1",
        PROCESSES[module]: str(port),
    }
    if module == "services.dispatcher.main":
        # Nobody is there: the database comes first.
        environment["RECOUP_KAFKA_BOOTSTRAP_SERVERS"] = f"127.0.0.1:{free_port()}"
    log = folder / f"{module}.log"
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", module], cwd=ROOT, env=environment, stdout=file, stderr=file)
    try:
        yield Running(process, port, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(HANG_SECONDS)


@pytest.mark.slow
def test_every_process_waits_for_its_schema_begins_with_it_and_says_which_version_it_is(
    database: Database, empty_redis_url: str, tmp_path: Path
) -> None:
    downgrade(database.admin_url, OLDER)
    with ExitStack() as stack:
        running = {module: stack.enter_context(_started(module, database, empty_redis_url, tmp_path)) for module in PROCESSES}
        for process in running.values():
            eventually(lambda process=process: process.waits, why=process.log.read_text)  # type: ignore[misc]  # as elsewhere
            assert not process.is_ready
        upgrade(database.admin_url)
        expected = f'recoup_build_info{{python="{PYTHON}",schema="{SCHEMA}",version="{VERSION}"}} 1.0'
        for module, process in running.items():
            if module == "services.dispatcher.main":
                eventually(lambda process=process: "kafka_unreachable" in process.log.read_text())  # type: ignore[misc]
            else:
                eventually(lambda process=process: process.is_ready, why=process.log.read_text)  # type: ignore[misc]
            assert process.build_info == [expected]


@pytest.mark.slow
def test_every_process_is_alive_and_answers_while_its_database_is_away(database: Database, empty_redis_url: str, tmp_path: Path) -> None:
    """Nothing listens there. Whoever watches over a process that says nothing would end it."""
    nowhere = replace(database, app_url=make_url(database.app_url).set(port=free_port()).render_as_string(hide_password=False))
    with ExitStack() as stack:
        running = {module: stack.enter_context(_started(module, nowhere, empty_redis_url, tmp_path)) for module in PROCESSES}
        for process in running.values():
            eventually(lambda process=process: process.answers("GET", "/healthz") == 200, why=process.log.read_text)  # type: ignore[misc]
            eventually(lambda process=process: "database_unreachable" in process.log.read_text())  # type: ignore[misc]
            assert process.answers("GET", "/readyz") == 503
        for module, asked in (("gateway", ("POST", "/v1/events")), ("ops", ("GET", "/v1/cases")), ("roi", ("GET", "/v1/roi/summary"))):
            assert running[f"services.{module}.main"].answers(*asked) == 503
            assert running[f"services.{module}.main"].answers("HEAD", asked[1]) == 503


def _set_revision(database: Database, revision: str) -> None:
    with connected(database.admin_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [revision])
