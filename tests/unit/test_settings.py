"""Settings that are missing or wrong end the process with status 2 and a line that names the variable, never its value."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from shared.settings import DatabaseSettings, KafkaSettings, ProcessSettings, RedisSettings, SecretSettings, load, prefixed
from tests.certificates import certificate

if TYPE_CHECKING:
    from pathlib import Path


class _Lists(BaseSettings):
    model_config = prefixed("RECOUP_TEST_")

    allowed: list[str] = []


@pytest.mark.parametrize(
    ("kind", "variable"),
    [(DatabaseSettings, "RECOUP_DATABASE_URL"), (RedisSettings, "RECOUP_REDIS_URL"), (SecretSettings, "RECOUP_SECRET_KEY")],
)
def test_a_missing_variable_is_named(
    kind: type[BaseSettings], variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(SystemExit) as end:
        load(kind)
    assert end.value.code == 2
    assert capsys.readouterr().err == f"{variable}: Field required\n"


@pytest.mark.parametrize(
    ("kind", "variable"),
    [
        (ProcessSettings, "RECOUP_SENTRY_DSN"),
        (ProcessSettings, "RECOUP_LOG_LEVEL"),
        (DatabaseSettings, "RECOUP_DATABASE_POOL_SIZE"),
        (KafkaSettings, "RECOUP_KAFKA_PARTITIONS"),
        (_Lists, "RECOUP_TEST_ALLOWED"),
    ],
)
def test_a_wrong_value_is_named_and_not_repeated(
    kind: type[BaseSettings], variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECOUP_DATABASE_URL", "postgresql+psycopg://u:canary@h/d")
    monkeypatch.setenv(variable, "canary")
    with pytest.raises(SystemExit) as end:
        load(kind)
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{variable}: ")
    assert said.count("\n") == 1
    assert "canary" not in said


def test_every_problem_is_told_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RECOUP_SENTRY_DSN", "x")
    monkeypatch.setenv("RECOUP_LOG_LEVEL", "x")
    with pytest.raises(SystemExit):
        load(ProcessSettings)
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == ["RECOUP_LOG_LEVEL", "RECOUP_SENTRY_DSN"]


def test_settings_are_read_frozen_and_hide_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOUP_DATABASE_URL", "postgresql+psycopg://u:canary@h/d")
    monkeypatch.setenv("RECOUP_DATABASE_STATEMENT_TIMEOUT", "PT3S")
    settings = load(DatabaseSettings)
    assert settings.statement_timeout == timedelta(seconds=3)
    assert "canary" not in repr(settings)
    with pytest.raises(ValueError, match="frozen"):
        settings.url = SecretStr("other")


KAFKA = {"RECOUP_KAFKA_USERNAME": "gateway", "RECOUP_KAFKA_PASSWORD": "canary-4711", "RECOUP_KAFKA_BOOTSTRAP_SERVERS": "b1:9093,b2:9093"}


def test_clients_of_kafka_are_told_who_they_are_and_whom_to_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (KAFKA | {"RECOUP_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "RECOUP_KAFKA_CA_FILE": __file__}).items():
        monkeypatch.setenv(name, value)
    settings = load(KafkaSettings)
    assert "canary" not in repr(settings)
    assert settings.connection == {
        "bootstrap_servers": ["b1:9093", "b2:9093"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "gateway",
        "sasl_plain_password": "canary-4711",
        "ssl_cafile": __file__,
    }


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"RECOUP_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "RECOUP_KAFKA_PASSWORD"),
        (KAFKA, "RECOUP_KAFKA_SECURITY_PROTOCOL"),
        (KAFKA | {"RECOUP_KAFKA_SECURITY_PROTOCOL": "SSL"}, "RECOUP_KAFKA_SECURITY_PROTOCOL"),
        ({"RECOUP_KAFKA_CA_FILE": __file__}, "RECOUP_KAFKA_CA_FILE"),
        ({"RECOUP_KAFKA_CERTIFICATE_FILE": __file__}, "RECOUP_KAFKA_SECURITY_PROTOCOL"),
        ({"RECOUP_KAFKA_KEY_FILE": __file__, "RECOUP_KAFKA_SECURITY_PROTOCOL": "SSL"}, "RECOUP_KAFKA_CERTIFICATE_FILE"),
        ({"RECOUP_KAFKA_CERTIFICATE_FILE": __file__, "RECOUP_KAFKA_SECURITY_PROTOCOL": "SSL"}, "RECOUP_KAFKA_CERTIFICATE_FILE"),
    ],
)
def test_what_would_protect_nothing_is_refused(
    given: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(KafkaSettings)
    said = capsys.readouterr().err
    assert named in said
    assert "canary" not in said


def test_a_certificate_of_its_own_is_shown_where_its_key_fits_and_needs_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate(tmp_path, "client")
    (tmp_path / "other").mkdir()
    certificate(tmp_path / "other", "client")
    plain, of_another = tmp_path / "key.pem", tmp_path / "other" / "key.pem"
    sealed = tmp_path / "sealed.pem"
    sealed.write_bytes(
        load_pem_private_key(plain.read_bytes(), None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    )
    (tmp_path / "both.pem").write_bytes((tmp_path / "certificate.pem").read_bytes() + plain.read_bytes())
    monkeypatch.setenv("RECOUP_KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("RECOUP_KAFKA_CERTIFICATE_FILE", str(tmp_path / "both.pem"))
    assert load(KafkaSettings).connection["ssl_keyfile"] is None
    monkeypatch.setenv("RECOUP_KAFKA_CERTIFICATE_FILE", str(tmp_path / "certificate.pem"))
    for key in (of_another, sealed):
        monkeypatch.setenv("RECOUP_KAFKA_KEY_FILE", str(key))
        with pytest.raises(SystemExit):
            load(KafkaSettings)
        assert "are no certificate and its key in PEM" in capsys.readouterr().err
    monkeypatch.setenv("RECOUP_KAFKA_KEY_FILE", str(plain))
    told = load(KafkaSettings).connection
    assert (told["ssl_certfile"], told["ssl_keyfile"]) == (str(tmp_path / "certificate.pem"), str(plain))
