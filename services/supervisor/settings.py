"""What `recoup up` reads from the environment; everything is optional, and what is missing is started here."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from services.supervisor.ports import port_or_free
from shared.settings import Brokers, FernetKeys, PostgresUrl, RedisUrl, prefixed

Port = Annotated[int, Field(ge=1, le=65535)]


class GivenServers(BaseSettings):
    """Servers that exist already; each one set here is not started."""

    model_config = prefixed("RECOUP_")

    # SQLAlchemy URL of the login role recoup_app.
    database_url: PostgresUrl | None = None
    # Of a role that may migrate that database; without it somebody else has migrated.
    database_admin_url: PostgresUrl | None = None
    # To set for recoup_app while migrating; only with the admin URL.
    database_app_password: SecretStr | None = None
    redis_url: RedisUrl | None = None
    # Comma separated host:port.
    kafka_bootstrap_servers: Brokers = ""
    # Fernet keys, comma separated; without it one is made and kept in the data directory.
    secret_key: FernetKeys | None = None


class Ports(BaseSettings):
    """Ports that must be used; one that is not set may move when its default is taken."""

    model_config = prefixed("RECOUP_")

    gateway_port: Port | None = None
    ops_port: Port | None = None
    roi_port: Port | None = None
    dispatcher_port: Port | None = None
    worker_port: Port | None = None
    courier_port: Port | None = None
    steward_port: Port | None = None
    # Of the embedded servers.
    postgres_port: Port | None = None
    redis_port: Port | None = None
    kafka_port: Port | None = None

    def of(self, name: str, default: int) -> int:
        """The given port, else the default, else a free one."""
        given = getattr(self, f"{name}_port")
        return int(given) if given is not None else port_or_free(default)


def inherited_environment() -> dict[str, str]:
    """The user's own environment, which children of the supervisor get too (PATH, proxies, RECOUP_* settings of a service)."""
    return dict(os.environ)  # noqa: TID251 # a supervisor passes its environment on; it reads no setting from it
