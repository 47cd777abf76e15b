"""Which processes make up the line, in which order they end, and what each finds in its environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


class UnknownProcess(Rejected):
    """There is no process of this name."""

    code = "unknown_process"


@dataclass(frozen=True, slots=True)
class Service:
    """One process of the line.

    Attributes:
        is_api: people and other programs call it; the others answer probes only.
        title: what a person finds on its port.
        port: default; serves /healthz, /readyz and /metrics.
        stop_stage: all of a stage end before the next begins to: first what lets work in, then what does it.
    """

    name: str
    title: str
    port: int
    stop_stage: int = 3
    needs_kafka: bool = False
    is_api: bool = False

    @property
    def port_variable(self) -> str:
        return f"RECOUP_{self.name.upper()}_PORT"


SERVICES = (
    Service("gateway", "events come in: POST /v1/events", 8080, stop_stage=1, is_api=True),
    Service("ops", "reviews, cases and settings", 8081, is_api=True),
    Service("roi", "what it saves", 8082, is_api=True),
    Service("dispatcher", "Kafka to inbox", 9101, stop_stage=2, needs_kafka=True),
    Service("worker", "decides cases", 9102),
    Service("courier", "delivers decisions", 9103),
    Service("steward", "reaper, roll-ups, invariants", 9104),
)

WORKERS_VARIABLE = "RECOUP_WORKER_PROCESSES"
# What only `recoup up` and the migrations may know.
ADMINISTRATIVE = ("RECOUP_DATABASE_ADMIN_URL", "RECOUP_DATABASE_APP_PASSWORD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Where the line finds its servers.

    Attributes:
        database_url: SQLAlchemy URL of the login role ``recoup_app``.
        admin_url: of a role that may migrate; None: somebody else migrates.
        app_password: to set for ``recoup_app`` while migrating; None leaves it as it is.
        kafka: bootstrap servers; empty: the inbox itself is the event log.
        secret_key: Fernet keys, comma separated.
        embedded: the database is ours, on this machine.
        own_kafka: the broker is.
    """

    database_url: str
    redis_url: str
    secret_key: str
    kafka: str = ""
    admin_url: str | None = None
    app_password: str | None = None
    embedded: bool = True
    own_kafka: bool = False

    def environment(self) -> dict[str, str]:
        """What every process is told."""
        return {
            "RECOUP_DATABASE_URL": self.database_url,
            "RECOUP_REDIS_URL": self.redis_url,
            "RECOUP_KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "RECOUP_SECRET_KEY": self.secret_key,
        }

    def administrative_environment(self) -> dict[str, str]:
        """What the migrations are told on top."""
        values = zip(ADMINISTRATIVE, (self.admin_url, self.app_password), strict=True)
        return {name: value for name, value in values if value is not None}


# Defaults of the embedded profile; what the user has set wins. Receivers of decisions run on the same machine there.
LOCAL_DEFAULTS = {
    "RECOUP_ENVIRONMENT": "local",
    "RECOUP_HOST": "127.0.0.1",
    "RECOUP_COURIER_ALLOWED_NETWORKS": '["127.0.0.0/8", "::1/128"]',
    "RECOUP_COURIER_REQUIRE_HTTPS": "false",
}

KAFKA_LOGIN = tuple(f"RECOUP_KAFKA_{name}" for name in ("SECURITY_PROTOCOL", "SASL_MECHANISM", "USERNAME", "PASSWORD", "CA_FILE"))


def chosen(*, kafka: bool, only: Collection[str]) -> tuple[Service, ...]:
    """The services to run; ``only`` limits them where it is not empty.

    Raises:
        UnknownProcess: ``only`` names one that does not exist, or the dispatcher without Kafka.
    """
    possible = tuple(service for service in SERVICES if kafka or not service.needs_kafka)
    unknown = set(only) - {service.name for service in possible}
    if unknown:
        names = ", ".join(service.name for service in possible)
        raise UnknownProcess(
            f"no such process: {', '.join(sorted(unknown))}; there are {names}{'' if kafka else ' (dispatcher with --kafka)'}"
        )
    return tuple(service for service in possible if not only or service.name in only)


def stop_stages(services: Iterable[Service]) -> list[list[Service]]:
    """In the order in which they end."""
    by_stage: dict[int, list[Service]] = {}
    for service in services:
        by_stage.setdefault(service.stop_stage, []).append(service)
    return [by_stage[stage] for stage in sorted(by_stage)]


def service_environment(
    inherited: Mapping[str, str], connections: Connections, ports: Mapping[Service, int], workers: int
) -> dict[str, str]:
    """The whole environment of every process of the line (one for all: each reads its own prefix)."""
    told = {service.port_variable: str(port) for service, port in ports.items()} | {WORKERS_VARIABLE: str(workers)}
    defaults = LOCAL_DEFAULTS if connections.embedded else {}
    merged = defaults | _without_a_login(inherited, connections) | connections.environment() | told
    return {name: value for name, value in merged.items() if name not in ADMINISTRATIVE}


def migration_environment(inherited: Mapping[str, str], connections: Connections) -> dict[str, str]:
    return _without_a_login(inherited, connections) | connections.environment() | connections.administrative_environment()


def _without_a_login(inherited: Mapping[str, str], connections: Connections) -> dict[str, str]:
    """A broker of our own asks for none."""
    return {name: value for name, value in inherited.items() if not (connections.own_kafka and name in KAFKA_LOGIN)}
