"""The pure parts of the supervisor: which processes, in which order, with which environment, and when again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.supervisor.backoff import FIRST_SECONDS, LONGEST_SECONDS, STEADY_SECONDS, Backoff
from services.supervisor.plan import (
    SERVICES,
    Connections,
    UnknownProcess,
    chosen,
    migration_environment,
    service_environment,
    stop_stages,
)

OWN = Connections(
    database_url="postgresql+psycopg://recoup_app:secret@127.0.0.1:1/recoup",
    admin_url="postgresql+psycopg://postgres:secret@127.0.0.1:1/recoup",
    app_password="secret",
    redis_url="redis://127.0.0.1:2/0",
    secret_key="key",
)
PORTS = {service: service.port for service in SERVICES}


def test_a_process_that_keeps_ending_is_started_later_and_later_up_to_ten_seconds() -> None:
    backoff, waits = Backoff(), []
    for _ in range(7):
        backoff = backoff.after(ran_seconds=0.1)
        waits.append(backoff.seconds)
    assert waits == [0.5, 1, 2, 4, 8, 10, 10]


def test_a_process_that_ran_for_long_is_started_soon_again() -> None:
    assert Backoff(failures=9).after(ran_seconds=STEADY_SECONDS).seconds == FIRST_SECONDS


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=2000))
def test_no_wait_is_ever_outside_its_bounds(runs: list[float]) -> None:
    backoff = Backoff()
    for ran in runs:
        backoff = backoff.after(ran)
    assert FIRST_SECONDS <= backoff.seconds <= LONGEST_SECONDS


def test_the_dispatcher_runs_only_with_kafka() -> None:
    without, with_kafka = chosen(kafka=False, only=()), chosen(kafka=True, only=())
    assert {service.name for service in with_kafka} - {service.name for service in without} == {"dispatcher"}
    assert len(without) == 6


def test_only_limits_the_processes_and_refuses_what_it_does_not_know() -> None:
    assert [service.name for service in chosen(kafka=False, only=["roi", "gateway"])] == ["gateway", "roi"]
    for name in ("nonsense", "dispatcher"):
        with pytest.raises(UnknownProcess, match=name):
            chosen(kafka=False, only=[name])


def test_the_gateway_ends_first_and_the_dispatcher_before_the_worker() -> None:
    stages = [{service.name for service in stage} for stage in stop_stages(SERVICES)]
    assert stages[:2] == [{"gateway"}, {"dispatcher"}]
    assert {"worker", "courier", "steward", "ops", "roi"} == stages[2]


def test_no_two_processes_share_a_port() -> None:
    assert len({service.port for service in SERVICES}) == len(SERVICES)


def test_processes_are_told_everything_but_the_administrators_secrets() -> None:
    inherited = {"PATH": "/bin", "RECOUP_DATABASE_ADMIN_URL": "given", "RECOUP_DATABASE_APP_PASSWORD": "given"}
    environment = service_environment(inherited, OWN, PORTS, workers=3)
    assert environment["PATH"] == "/bin"
    assert environment["RECOUP_DATABASE_URL"] == OWN.database_url
    assert environment["RECOUP_STEWARD_PORT"] == "9104"
    assert environment["RECOUP_WORKER_PROCESSES"] == "3"
    assert environment["RECOUP_ENVIRONMENT"] == "local"
    assert environment["RECOUP_COURIER_ALLOWED_NETWORKS"] == '["127.0.0.0/8", "::1/128"]'
    assert not [name for name in environment if "ADMIN" in name or "APP_PASSWORD" in name]


def test_what_the_user_has_set_wins_over_the_local_defaults_but_not_over_the_servers() -> None:
    inherited = {"RECOUP_HOST": "0.0.0.0", "RECOUP_REDIS_URL": "redis://elsewhere"}
    environment = service_environment(inherited, OWN, PORTS, workers=1)
    assert environment["RECOUP_HOST"] == "0.0.0.0"
    assert environment["RECOUP_REDIS_URL"] == OWN.redis_url


def test_a_login_at_kafka_is_for_a_broker_of_the_users() -> None:
    inherited = {"RECOUP_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "RECOUP_KAFKA_PASSWORD": "x", "RECOUP_KAFKA_PARTITIONS": "3"}
    own = replace(OWN, own_kafka=True)
    for environment in (service_environment(inherited, own, PORTS, workers=1), migration_environment(inherited, own)):
        assert [name for name in inherited if name in environment] == ["RECOUP_KAFKA_PARTITIONS"]
    assert inherited.items() <= service_environment(inherited, OWN, PORTS, workers=1).items()


def test_a_given_database_gets_no_local_defaults() -> None:
    given_database = Connections(database_url="a", redis_url="b", secret_key="c", embedded=False)
    environment = service_environment({}, given_database, PORTS, workers=1)
    assert "RECOUP_ENVIRONMENT" not in environment
    assert "RECOUP_COURIER_REQUIRE_HTTPS" not in environment


def test_the_migrations_get_the_administrators_secrets() -> None:
    environment = migration_environment({"PATH": "/bin"}, OWN)
    assert environment["RECOUP_DATABASE_ADMIN_URL"] == OWN.admin_url
    assert environment["RECOUP_DATABASE_APP_PASSWORD"] == "secret"
    assert environment["PATH"] == "/bin"
