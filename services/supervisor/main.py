"""`recoup up`: reads RECOUP_* and the data directory, emits children: the servers that are not given, the migrations, every process."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from os import cpu_count
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer
from cryptography.fernet import Fernet
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape

from services.supervisor import plan
from services.supervisor.embedded.kafka import Kafka
from services.supervisor.embedded.postgres import Postgres
from services.supervisor.embedded.redis import Redis
from services.supervisor.file_lock import only_one
from services.supervisor.report import environment_script, ready_facts, table, write_private_file, write_ready_file
from services.supervisor.secret_files import SecretFiles
from services.supervisor.service import Line, Stopped
from services.supervisor.settings import GivenServers, Ports, inherited_environment
from shared.clock import SystemClock
from shared.errors import RecoupError
from shared.settings import load_all

if TYPE_CHECKING:
    from services.supervisor.embedded.server import EmbeddedServer

DATABASE = "recoup"
# Away from the standard ports, where another server of the user may come and go.
POSTGRES_PORT, REDIS_PORT, KAFKA_PORT = 15432, 16379, 19092

app = typer.Typer(add_completion=False, help="Run the whole line on this machine.")
console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Settings:
    given: GivenServers
    ports: Ports


@dataclass(frozen=True, slots=True)
class Options:
    """Of the command line, with what the environment gave."""

    data: Path
    ready_file: Path | None
    workers: int
    ports: Ports
    service_ports: dict[plan.Service, int]
    kafka: bool

    @property
    def environment_file(self) -> Path:
        return self.data / "env"


@dataclass(frozen=True, slots=True)
class Embedded:
    """The servers to start here; None where one is given or not wanted."""

    postgres: Postgres | None
    redis: Redis | None
    kafka: Kafka | None

    @property
    def servers(self) -> list[EmbeddedServer]:
        return [server for server in (self.postgres, self.redis, self.kafka) if server is not None]


class StopSignal:
    """Remembers that SIGTERM or SIGINT came."""

    def __init__(self) -> None:
        self.came = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: object) -> None:
        self.came = True


@app.command()
def main(
    *,
    data_dir: Annotated[Path, typer.Option(help="Databases, logs and secrets are kept here.")] = Path(".recoup"),
    kafka: Annotated[bool | None, typer.Option("--kafka/--no-kafka", help="Kafka as the event log. Default: if one is given.")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="JSON with urls, ports, pids; written when everything is ready.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that decide cases. Default: one per core.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Start only this process, as gateway, ops or worker; may be repeated.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only validate the settings.")] = False,
) -> None:
    """Start everything on this machine: PostgreSQL, Redis, migrations and every process; Ctrl-C stops it, and the data stay.

    Ports that are taken move. What a shell needs to use the line is in the file `env` of the data directory.
    """
    settings = load_all(Settings)
    given, ports = settings.given, settings.ports
    try:
        use_kafka = bool(given.kafka_bootstrap_servers) if kafka is None else kafka
        services = plan.chosen(kafka=use_kafka, only=only or ())
        if check:
            console.print("settings are valid")
            return
        with only_one(data_dir / "supervisor.lock"):
            chosen_ports = {service: ports.of(service.name, service.port) for service in services}
            cores = cpu_count() or 1
            _run(given, Options(data_dir.resolve(), ready_file, workers or cores, ports, chosen_ports, use_kafka))
    except RecoupError as error:
        console.print(escape(str(error)), style="red", soft_wrap=True)
        raise typer.Exit(1) from error


def _run(given: GivenServers, options: Options) -> None:
    signals = StopSignal()
    embedded = _embedded(given, options)
    line = Line(embedded.servers, options.data / "logs", SystemClock(), _say, lambda: signals.came)
    _say_moved_ports(options)
    try:
        _start(line, given, embedded, options)
        _announce(line, options)
        line.watch(lambda: _write(line, options))
    except Stopped:
        pass
    finally:
        _say("stopping")
        for file in filter(None, (options.ready_file, options.environment_file)):
            file.unlink(missing_ok=True)
        line.stop()


def _start(line: Line, given: GivenServers, embedded: Embedded, options: Options) -> None:
    inherited = inherited_environment()
    line.start_servers()
    connections = _connections(given, embedded, options)
    line.migrate(connections, inherited)
    line.start_processes(options.service_ports, plan.service_environment(inherited, connections, options.service_ports, options.workers))


def _embedded(given: GivenServers, options: Options) -> Embedded:
    ports = options.ports
    return Embedded(
        postgres=None if given.database_url else Postgres(options.data, ports.of("postgres", POSTGRES_PORT)),
        redis=None if given.redis_url else Redis(options.data, ports.of("redis", REDIS_PORT)),
        kafka=Kafka(options.data, ports.of("kafka", KAFKA_PORT)) if options.kafka and not given.kafka_bootstrap_servers else None,
    )


def _connections(given: GivenServers, embedded: Embedded, options: Options) -> plan.Connections:
    """Given servers as they are, embedded ones with their own secrets."""
    secrets = SecretFiles(options.data / "secrets")
    own_kafka = embedded.kafka.url if embedded.kafka else given.kafka_bootstrap_servers
    connections = plan.Connections(
        database_url=_text(given.database_url),
        admin_url=_text(given.database_admin_url) or None,
        app_password=_text(given.database_app_password) or None,
        redis_url=embedded.redis.url if embedded.redis else _text(given.redis_url),
        kafka=own_kafka if options.kafka else "",
        secret_key=_text(given.secret_key) or secrets.get("secret_key", lambda: Fernet.generate_key().decode()),
        embedded=embedded.postgres is not None,
        own_kafka=embedded.kafka is not None,
    )
    return _with_own_database(connections, embedded.postgres, secrets) if embedded.postgres else connections


def _with_own_database(connections: plan.Connections, postgres: Postgres, secrets: SecretFiles) -> plan.Connections:
    postgres.ensure_database(DATABASE)
    password = secrets.get("app_password")
    return replace(
        connections,
        database_url=postgres.url_of("recoup_app", password, DATABASE),
        admin_url=postgres.admin_url(DATABASE),
        app_password=password,
    )


def _announce(line: Line, options: Options) -> None:
    _write(line, options)
    console.print(table(line))
    _say(f"in another shell: source {quote(str(options.environment_file))}")
    _say(f"logs are in {line.logs}; Ctrl-C stops everything")


def _write(line: Line, options: Options) -> None:
    write_private_file(options.environment_file, environment_script(line))
    if options.ready_file:
        write_ready_file(options.ready_file, ready_facts(line))


def _say_moved_ports(options: Options) -> None:
    for service, port in options.service_ports.items():
        if port != service.port:
            _say(f"{service.name} listens on port {port} instead of {service.port}")


def _say(message: str) -> None:
    console.print(escape(message), soft_wrap=True)


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


if __name__ == "__main__":
    app()
