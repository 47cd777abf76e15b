"""What more than one process reads from the environment; each service adds its own small class.

Every class is frozen and refuses unknown fields. Only a ``main`` instantiates one.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError


def prefixed(prefix: str) -> SettingsConfigDict:
    return SettingsConfigDict(env_prefix=prefix, frozen=True, extra="forbid")


Settings = TypeVar("Settings", bound=BaseSettings)


def load(kind: type[Settings]) -> Settings:
    """Read settings from the environment; ends the process with status 2 and one line for each variable that is missing or wrong."""
    try:
        return kind()
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        for problem in error.errors(include_input=False, include_url=False):
            name = (prefix + "_".join(str(part) for part in problem["loc"])).upper()
            sys.stderr.write(f"{name}: {problem['msg']}\n")
        raise SystemExit(2) from error
    except SettingsError as error:
        # The message names the field and the source, not the value.
        field = str(error).partition('"')[2].partition('"')[0].upper()
        sys.stderr.write(f"{kind.model_config.get('env_prefix', '')}{field}: lists and mappings are written as JSON\n")
        raise SystemExit(2) from error


class ProcessSettings(BaseSettings):
    """Read by every process."""

    model_config = prefixed("RECOUP_")

    # `local` is the embedded profile: everything on this machine, for one team.
    profile: Literal["local", "production"] = "production"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    # Empty: nothing leaves the machine.
    sentry_dsn: SecretStr | None = None
    # Name and release under which errors are reported.
    environment: str = "production"
    # Address that metrics, health and HTTP APIs listen on; containers need all of them.
    host: str = "127.0.0.1"


class DatabaseSettings(BaseSettings):
    model_config = prefixed("RECOUP_DATABASE_")

    # postgresql+psycopg://recoup_app:…@host:5432/recoup: the login role, never the owner of the tables.
    url: SecretStr
    # Connections per process; a worker child needs two, an API one per thread.
    pool_size: int = Field(default=4, ge=1, le=100)
    # A statement that runs longer is cancelled by the server.
    statement_timeout: timedelta = timedelta(seconds=10)


class RedisSettings(BaseSettings):
    model_config = prefixed("RECOUP_REDIS_")

    url: SecretStr


class KafkaSettings(BaseSettings):
    """Empty ``bootstrap_servers`` means that the inbox itself is the event log (`DirectLog`)."""

    model_config = prefixed("RECOUP_KAFKA_")

    # Comma separated host:port.
    bootstrap_servers: str = ""
    events_topic: str = "recoup.events.v1"
    decisions_topic: str = "recoup.decisions.v1"
    dead_topic: str = "recoup.dead.v1"
    consumer_group: str = "recoup-dispatcher"
    partitions: int = Field(default=6, ge=1, le=1000)
    # 3 (with min.insync.replicas 2) wherever there is more than one broker.
    replication_factor: int = Field(default=1, ge=1, le=9)
    # Longer than the longest outage of Postgres that must be survived.
    retention: timedelta = timedelta(days=7)


class SecretSettings(BaseSettings):
    model_config = prefixed("RECOUP_")

    # Seals webhook secrets at rest: Fernet keys, comma separated, the first one seals (rotation). `recoup keys secret` makes one.
    secret_key: SecretStr
