"""What more than one process reads from the environment; each service adds its own small class.

Every class is frozen and refuses unknown fields. Only a ``main`` instantiates one.
"""

from __future__ import annotations

import ssl
import sys
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeVar, get_type_hints
from urllib.parse import SplitResult, urlsplit

from cryptography.fernet import Fernet
from pydantic import AfterValidator, DirectoryPath, Field, FilePath, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def prefixed(prefix: str) -> SettingsConfigDict:
    """An empty variable counts as one that is not set: compose files and charts cannot leave one out."""
    return SettingsConfigDict(env_prefix=prefix, frozen=True, extra="forbid", env_ignore_empty=True)


Settings = TypeVar("Settings", bound=BaseSettings)
Configuration = TypeVar("Configuration", bound="DataclassInstance")


def load(kind: type[Settings]) -> Settings:
    """Read settings from the environment; ends the process with status 2 and one line for each variable that is missing or wrong."""
    try:
        return kind()
    except (ValidationError, SettingsError) as error:
        _end(_problems(kind, error))


def load_all(configuration: type[Configuration]) -> Configuration:
    """As `load`, for a dataclass whose every field is a settings class: all problems of a process are told at once."""
    kinds = get_type_hints(configuration)
    loaded: dict[str, BaseSettings] = {}
    problems: list[str] = []
    for field in fields(configuration):
        try:
            loaded[field.name] = kinds[field.name]()
        except (ValidationError, SettingsError) as error:
            problems += _problems(kinds[field.name], error)
    if problems:
        _end(problems)
    return configuration(**loaded)


def _end(problems: list[str]) -> NoReturn:
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    raise SystemExit(2)


def _problems(kind: type[BaseSettings], error: ValidationError | SettingsError) -> list[str]:
    """``VARIABLE: what is wrong``, without the value, which may be a secret."""
    prefix = kind.model_config.get("env_prefix", "")
    if isinstance(error, SettingsError):
        # The message names the field and the source, not the value.
        field = str(error).partition('"')[2].partition('"')[0]
        return [f"{(prefix + field).upper()}: lists and mappings are written as JSON"]
    # A variable has several problems where it is a list, or may be of several types.
    found: dict[str, list[str]] = {}
    for problem in error.errors(include_input=False, include_url=False):
        name = (prefix + str(problem["loc"][0])).upper() if problem["loc"] else ""
        found.setdefault(name, []).append(problem["msg"].removeprefix("Value error, "))
    # What concerns several variables names them itself.
    return [": ".join(filter(None, (name, "; ".join(dict.fromkeys(messages))))) for name, messages in found.items()]


def _postgres(url: SecretStr) -> SecretStr:
    parts = _parts(url)
    if parts.scheme != "postgresql+psycopg" or not parts.path.strip("/"):
        raise ValueError("must look like postgresql+psycopg://user:password@host:5432/database")
    return url


def _redis(url: SecretStr) -> SecretStr:
    if _parts(url).scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("must look like redis://:password@host:6379/0, or rediss:// for TLS")
    return url


def _sentry(dsn: SecretStr) -> SecretStr:
    parts = _parts(dsn)
    if parts.scheme not in {"http", "https"} or not parts.username or not parts.path.rpartition("/")[2].isdecimal():
        raise ValueError("must look like https://key@host/number")
    return dsn


def _parts(url: SecretStr) -> SplitResult:
    try:
        parts = urlsplit(url.get_secret_value())
        # Raises where it is no number below 65536.
        _ = parts.port
    except ValueError:
        raise ValueError("is no URL; special characters of a password are written as %XX") from None
    return parts


def _fernet_keys(keys: SecretStr) -> SecretStr:
    try:
        for key in keys.get_secret_value().split(","):
            Fernet(key.strip())
    except ValueError:
        raise ValueError("must be a Fernet key, or several separated by commas; `recoup keys secret` makes one") from None
    return keys


def _brokers(servers: str) -> str:
    for server in servers.split(",") if servers else ():
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError("must be host:port, or several separated by commas")
    return servers


PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis)]
FernetKeys = Annotated[SecretStr, AfterValidator(_fernet_keys)]
Brokers = Annotated[str, AfterValidator(_brokers)]


def _with_manifest(folder: Path) -> Path:
    if not (folder / "models.toml").is_file():
        raise ValueError("must hold a models.toml, as `recoup lab train` writes it")
    return folder


class PackSettings(BaseSettings):
    """Read by every process, and by the registry of automations."""

    model_config = prefixed("RECOUP_")

    # Folder of packs of models: each is an automation, or the models of an installed one.
    packs: Annotated[DirectoryPath, AfterValidator(_with_manifest)] | None = None


class ProcessSettings(PackSettings):
    """Read by every process."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    # Empty: nothing leaves the machine.
    sentry_dsn: Annotated[SecretStr, AfterValidator(_sentry)] | None = None
    # Name and release under which errors are reported.
    environment: str = "production"
    # Address that metrics, health and HTTP APIs listen on; containers need all of them.
    host: str = "127.0.0.1"


class DatabaseSettings(BaseSettings):
    model_config = prefixed("RECOUP_DATABASE_")

    # postgresql+psycopg://recoup_app:…@host:5432/recoup: the login role, never the owner of the tables.
    url: PostgresUrl
    # Connections per process; a worker child needs two, an API one per thread.
    pool_size: int = Field(default=4, ge=1, le=100)
    # A statement that runs longer is cancelled by the server.
    statement_timeout: timedelta = timedelta(seconds=10)


class RedisSettings(BaseSettings):
    model_config = prefixed("RECOUP_REDIS_")

    url: RedisUrl


class KafkaSettings(BaseSettings):
    """Empty ``bootstrap_servers`` means that the inbox itself is the event log (`DirectLog`)."""

    model_config = prefixed("RECOUP_KAFKA_")

    # Comma separated host:port.
    bootstrap_servers: Brokers = ""
    # How the brokers want to be spoken to. SASL needs username and password; without SSL both lie open on the way, PLAIN's as they are.
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str | None = None
    password: SecretStr | None = None
    # PEM bundle to trust instead of the system's, for brokers with certificates of a private authority.
    ca_file: FilePath | None = None
    # PEM files that say who we are, for brokers with ssl.client.auth=required: a certificate with its chain, and its key without a
    # password. No key file: the key is in the file of the certificate.
    certificate_file: FilePath | None = None
    key_file: FilePath | None = None
    events_topic: str = "recoup.events.v1"
    decisions_topic: str = "recoup.decisions.v1"
    dead_topic: str = "recoup.dead.v1"
    consumer_group: str = "recoup-dispatcher"
    partitions: int = Field(default=6, ge=1, le=1000)
    # 3 (with min.insync.replicas 2) wherever there is more than one broker.
    replication_factor: int = Field(default=1, ge=1, le=9)
    # Longer than the longest outage of Postgres that must be survived.
    retention: timedelta = timedelta(days=7)

    @model_validator(mode="after")
    def _says_who_asks(self) -> KafkaSettings:
        if self._is_sasl and (self.username is None or self.password is None):
            raise ValueError(
                f"RECOUP_KAFKA_SECURITY_PROTOCOL={self.security_protocol} needs RECOUP_KAFKA_USERNAME and RECOUP_KAFKA_PASSWORD"
            )
        if not self._is_sasl and (self.username is not None or self.password is not None):
            raise ValueError(
                "RECOUP_KAFKA_USERNAME and RECOUP_KAFKA_PASSWORD are told to nobody: RECOUP_KAFKA_SECURITY_PROTOCOL must be SASL_SSL"
            )
        if "SSL" not in self.security_protocol and self.ca_file is not None:
            raise ValueError("RECOUP_KAFKA_CA_FILE protects nothing: RECOUP_KAFKA_SECURITY_PROTOCOL must be SSL or SASL_SSL")
        return self

    @model_validator(mode="after")
    def _shows_a_certificate_of_its_own(self) -> KafkaSettings:
        if self.certificate_file is None:
            if self.key_file is not None:
                raise ValueError("RECOUP_KAFKA_KEY_FILE is told to nobody: it needs RECOUP_KAFKA_CERTIFICATE_FILE")
            return self
        if "SSL" not in self.security_protocol:
            raise ValueError("RECOUP_KAFKA_CERTIFICATE_FILE is shown to nobody: RECOUP_KAFKA_SECURITY_PROTOCOL must be SSL or SASL_SSL")
        try:
            # Without a password the library would ask for it on a terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(self.certificate_file, self.key_file, password="")
        except OSError:
            raise ValueError("RECOUP_KAFKA_CERTIFICATE_FILE and RECOUP_KAFKA_KEY_FILE are no certificate and its key in PEM") from None
        return self

    @property
    def _is_sasl(self) -> bool:
        return self.security_protocol.startswith("SASL_")

    @property
    def connection(self) -> dict[str, Any]:
        """What every client of kafka-python is told about the brokers."""
        told: dict[str, Any] = {"bootstrap_servers": self.bootstrap_servers.split(","), "security_protocol": self.security_protocol}
        if self._is_sasl:
            assert self.password is not None
            told |= {"sasl_mechanism": self.sasl_mechanism, "sasl_plain_username": self.username}
            told["sasl_plain_password"] = self.password.get_secret_value()
        if self.ca_file is not None:
            told["ssl_cafile"] = str(self.ca_file)
        if self.certificate_file is not None:
            told |= {"ssl_certfile": str(self.certificate_file), "ssl_keyfile": None if self.key_file is None else str(self.key_file)}
        return told


# A clock that shows local time and is read as UTC is up to 14 hours ahead; what is further ahead than that, and some drift, is no clock.
TIME_AHEAD = timedelta(days=1)


class EventSettings(BaseSettings):
    """Read by every door for events, so that they agree."""

    model_config = prefixed("RECOUP_EVENT_")

    # How far an event's own time may be ahead of its arrival; what is further ahead is refused over HTTP, and a dead letter over Kafka.
    time_ahead: timedelta = Field(default=TIME_AHEAD, ge=timedelta(0))


class SecretSettings(BaseSettings):
    model_config = prefixed("RECOUP_")

    # Seals webhook secrets at rest: Fernet keys, comma separated, the first one seals (rotation). `recoup keys secret` makes one.
    secret_key: FernetKeys
