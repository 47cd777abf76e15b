"""Fixtures over real servers. A missing server fails a test; only Kafka may be absent outside CI, where its Java may not be installed."""

from __future__ import annotations

import shutil
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis
from psycopg import sql
from sqlalchemy import make_url
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from migrations.run import upgrade
from services.supervisor.errors import MissingTool
from services.supervisor.file_lock import file_lock
from services.supervisor.secret_files import SecretFiles
from shared.telemetry import trace
from tests.environment import Environment, cannot
from tests.harness.fixtures import line
from tests.servers import DATABASES, MEMORY, ROOT, TestRun, shared_server

__all__ = ["line"]

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = "recoup_template"
# Beginnings of the names of tests that one worker runs, because they share what takes long to make: the running line, what commands say,
# and many splits.
TOGETHER = (
    (
        "tests/chaos/",
        "tests/e2e/test_declared_automation",
        "tests/e2e/test_main_job",
        "tests/e2e/test_readme_story",
        "tests/e2e/test_traces_and_privacy",
    ),
    ("tests/unit/test_cli.py",),
    ("tests/unit/test_lab_certify",),
)


@pytest.fixture(autouse=True)
def no_trace_of_others() -> Iterator[None]:
    """A consumer that a test runs itself leaves its last message's trace."""
    token = trace.current.set(None)
    yield
    trace.current.reset(token)


@dataclass(frozen=True, slots=True)
class Database:
    """One test's own database with the current schema.

    Attributes:
        admin_url: of the superuser.
        app_url: of the login role ``recoup_app``, as processes use it.
    """

    admin_url: str
    app_url: str
    name: str


class Together(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist's base is untyped
    """Each test by itself, but for those of a group. Groups named by marks do not work with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return next((group[0] for group in TOGETHER if nodeid.startswith(group)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    return Together(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """After pytest-randomly: workers begin with what takes long, so that at the end none waits for another's last test."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def environment() -> Environment:
    return Environment()


@pytest.fixture(scope="session")
def test_run(worker_id: str) -> TestRun:
    return TestRun.current(worker_id)


@pytest.fixture(scope="session")
def postgres_admin_url(test_run: TestRun) -> str:
    """The superuser's SQLAlchemy URL of the database ``postgres``."""
    return shared_server(test_run, "postgres").url


@pytest.fixture(scope="session")
def redis_url(test_run: TestRun) -> str:
    """A numbered database that no other worker uses; tests of this worker share it."""
    url = shared_server(test_run, "redis").url
    return f"{url.rpartition('/')[0]}/{test_run.worker % DATABASES}"


@pytest.fixture
def empty_redis_url(redis_url: str) -> str:
    """As `redis_url`, with nothing in it."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    return redis_url


@pytest.fixture(scope="session")
def kafka_bootstrap(test_run: TestRun, environment: Environment) -> str:
    """``host:port`` of a real broker that creates no topics by itself; use topic names of your own."""
    if environment.kafka:
        return environment.kafka
    try:
        return shared_server(test_run, "kafka").url
    except MissingTool as error:
        return cannot(f"NO KAFKA, NOT TESTED: {error.message}; or set RECOUP_KAFKA_BOOTSTRAP_SERVERS", environment)


@pytest.fixture(scope="session")
def chromium(environment: Environment) -> str:
    """Path of a real browser."""
    found = environment.chromium or next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
    return found or cannot("NO BROWSER, NOT TESTED: install chromium (apt-get install chromium), or set RECOUP_TEST_CHROMIUM", environment)


@pytest.fixture(scope="session")
def public_data(environment: Environment) -> Path:
    folder = (ROOT / environment.data).resolve()
    if not folder.is_dir():
        cannot(f"NO PUBLIC DATA, NOT TESTED: {folder} is missing (set RECOUP_TEST_DATA)", environment)
    return folder


@pytest.fixture(scope="session")
def app_password(test_run: TestRun) -> str:
    """Password of the login role; roles belong to the server, so every database of the run shares it."""
    return SecretFiles(test_run.folder / "secrets").get("app_password")


@pytest.fixture(scope="session")
def migrated_database(test_run: TestRun, postgres_admin_url: str, app_password: str) -> str:
    """Name of the template that `database` clones, migrated once per run."""
    done = test_run.folder / "migrated"
    with file_lock(test_run.folder / "migrated.lock"):
        if not done.exists():
            with _admin(postgres_admin_url) as connection:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(TEMPLATE)))
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
            upgrade(_with(postgres_admin_url, TEMPLATE), app_password=app_password)
            done.touch()
    return TEMPLATE


@pytest.fixture
def empty_database(postgres_admin_url: str, app_password: str) -> Iterator[Database]:
    """A database without a schema, for tests of the migrations themselves."""
    with _fresh_database(postgres_admin_url, app_password, "template1") as database:
        yield database


@pytest.fixture
def database(postgres_admin_url: str, app_password: str, migrated_database: str) -> Iterator[Database]:
    """A database of this test alone; connections still open at its end are cut."""
    with _fresh_database(postgres_admin_url, app_password, migrated_database) as database:
        yield database


@pytest.fixture(scope="module")
def module_database(postgres_admin_url: str, app_password: str, migrated_database: str) -> Iterator[Database]:
    """As `database`, for all tests of a module: for many small ones that empty what they look at."""
    with _fresh_database(postgres_admin_url, app_password, migrated_database) as database:
        yield database


@contextmanager
def _fresh_database(admin_url: str, app_password: str, template: str) -> Iterator[Database]:
    name = f"recoup_{uuid.uuid4().hex[:12]}"
    with _admin(admin_url) as connection:
        # Copying files takes two checkpoints, which cost nothing in memory; on a disk it is quicker to send every page through the log.
        in_memory = connection.execute("SELECT starts_with(current_setting('data_directory'), %s)", [str(MEMORY)]).fetchone() == (True,)
        clone = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY {}")
        strategy = sql.SQL("FILE_COPY" if in_memory else "WAL_LOG")
        connection.execute(clone.format(sql.Identifier(name), sql.Identifier(template), strategy))
    try:
        yield Database(admin_url=_with(admin_url, name), app_url=_with(admin_url, name, "recoup_app", app_password), name=name)
    finally:
        with _admin(admin_url) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _admin(admin_url: str) -> Iterator[psycopg.Connection]:
    dsn = make_url(admin_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def _with(admin_url: str, database: str, user: str | None = None, password: str | None = None) -> str:
    return make_url(admin_url).set(database=database, username=user, password=password).render_as_string(hide_password=False)
