"""Starts the servers and the processes, keeps them running, and stops them in order."""

from __future__ import annotations

import sys
import time
from threading import Thread
from typing import TYPE_CHECKING

from services.supervisor import plan
from services.supervisor.errors import StartFailed
from services.supervisor.process import ChildProcess, Command
from services.supervisor.supervised_server import SupervisedServer
from services.supervisor.supervised_service import SupervisedService, describe_exit, service_command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from services.supervisor.embedded.server import EmbeddedServer
    from services.supervisor.plan import Connections, Service
    from shared.clock import Clock

MIGRATION_SECONDS = 120.0
READY_SECONDS = 120.0
WATCH_SECONDS = 0.1
LISTEN_SECONDS = 10.0


class Stopped(Exception):  # a request of the user, not an error
    """The user asked to stop while the line was starting."""


class Line:
    """Args: say: shows one line to the user. stopping: True once a signal asked to stop."""

    def __init__(
        self, servers: Sequence[EmbeddedServer], logs: Path, clock: Clock, say: Callable[[str], None], stopping: Callable[[], bool]
    ) -> None:
        self.servers = servers
        self.logs = logs
        self.processes: list[SupervisedService] = []
        self._clock = clock
        self._say = say
        self._stopping = stopping
        self._connections: Connections | None = None

    @property
    def connections(self) -> Connections:
        """Known once the servers run."""
        assert self._connections is not None
        return self._connections

    def start_servers(self) -> None:
        for server in self.servers:
            self._check_stop()
            self._say(f"starting {server.name} on port {server.port}")
            server.start()

    def migrate(self, connections: Connections, inherited: Mapping[str, str]) -> None:
        """Bring the schema up to date, where we were given a role that may."""
        self._connections = connections
        self._check_stop()
        if connections.admin_url is None:
            self._say("no RECOUP_DATABASE_ADMIN_URL: the schema is taken as it is")
            return
        command = Command(
            argv=(sys.executable, "-m", "migrations.run"),
            log_file=self.logs / "migrations.log",
            env=plan.migration_environment(inherited, connections),
        )
        self._say("migrating the database")
        _run_to_end(command, "the migrations", MIGRATION_SECONDS)

    def start_processes(self, ports: Mapping[Service, int], environment: dict[str, str]) -> None:
        """All at once; returns when every one of them is ready.

        Raises:
            StartFailed: one ended or was not ready in time; with the end of its log.
        """
        host = environment.get("RECOUP_HOST", "127.0.0.1")
        self.processes = [
            SupervisedService(service, port, service_command(service, environment, self.logs), self._clock, host)
            for service, port in ports.items()
        ]
        for process in self.processes:
            process.start()
        deadline = self._clock.monotonic() + READY_SECONDS
        for process in self.processes:
            self._await_ready(process, deadline)

    def watch(self, changed: Callable[[], None]) -> None:
        """Keep everything running until asked to stop; ``changed`` is called after each restart."""
        Thread(target=self._listen, name="listen", daemon=True).start()
        watched: list[SupervisedServer | SupervisedService] = [
            *(SupervisedServer(server, self._clock) for server in self.servers),
            *self.processes,
        ]
        while not self._stopping():
            pids = self._pids()
            for message in filter(None, (each.tend() for each in watched)):
                self._say(message)
            if self._pids() != pids:
                changed()
            time.sleep(WATCH_SECONDS)

    def stop(self) -> None:
        """What lets work in ends first, the databases last."""
        by_service = {process.service: process for process in self.processes}
        for stage in plan.stop_stages(by_service):
            for service in stage:
                by_service[service].ask_to_stop()
            for service in stage:
                by_service[service].finish()
        for server in reversed(self.servers):
            server.stop()

    def _listen(self) -> None:
        while not self._stopping():
            for process in self.processes:
                process.listen()
            time.sleep(LISTEN_SECONDS)

    def _await_ready(self, process: SupervisedService, deadline: float) -> None:
        while not process.ready():
            self._check_stop()
            self._refuse_dead()
            if self._clock.monotonic() > deadline:
                raise StartFailed(_obituary(process, f"was not ready within {READY_SECONDS:g} s"))
            time.sleep(WATCH_SECONDS)

    def _refuse_dead(self) -> None:
        for process in self.processes:
            code = process.ended()
            if code is not None:
                raise StartFailed(_obituary(process, describe_exit(code)))

    def _check_stop(self) -> None:
        if self._stopping():
            raise Stopped

    def _pids(self) -> list[int | None]:
        return [server.pid for server in self.servers] + [process.pid for process in self.processes]


def _obituary(process: SupervisedService, what: str) -> str:
    return f"{process.service.name} {what}; the end of {process.log_file}:\n{process.log_tail()}"


def _run_to_end(command: Command, what: str, timeout_seconds: float) -> None:
    child = ChildProcess(command)
    if child.wait(timeout_seconds) != 0:
        child.kill_group()
        child.wait()
        raise StartFailed(f"{what} failed; the end of {command.log_file}:\n{child.log_tail()}")
