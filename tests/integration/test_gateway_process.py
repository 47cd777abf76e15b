"""The gateway as a process of its own: memory, logs, start and end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import orjson
import psutil
import pytest

from services.gateway.main import app
from shared.clock import SystemClock
from shared.security.vault import new_vault_key
from tests import local_http
from tests.checked_settings import checked
from tests.gateway_app import BATCH, CLAIM, STRUCTURED, Tenant, claim, signed
from tests.patience import eventually
from tests.servers import ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Database


MEBIBYTE = 1024 * 1024
CANARY = "Kanarienvogel-7731"


@dataclass(frozen=True, slots=True)
class GatewayProcess:
    process: subprocess.Popen[bytes]
    port: int
    log_file: Path
    tenant: Tenant

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def memory(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)


def _environment(database: Database, redis_url: str, vault_key: str, port: int) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "RECOUP_DATABASE_URL": database.app_url,
        "RECOUP_REDIS_URL": redis_url,
        "RECOUP_SECRET_KEY": vault_key,
        "RECOUP_GATEWAY_PORT": str(port),
        "RECOUP_LOG_LEVEL": "debug",
    }


@contextmanager
def _started(database: Database, redis_url: str, log_file: Path) -> Iterator[GatewayProcess]:
    tenant = Tenant(database, new_vault_key())
    tenant.create()
    port = free_port()
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.gateway.main"],
            cwd=ROOT,
            env=_environment(database, redis_url, tenant.vault_key, port),
            stderr=log,
            stdout=log,
        )
    gateway = GatewayProcess(process, port, log_file, tenant)
    try:
        eventually(lambda: _is_ready(gateway))
        yield gateway
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(gateway: GatewayProcess) -> bool:
    assert gateway.process.poll() is None, gateway.log_file.read_text()
    try:
        return local_http.get(f"{gateway.url}/readyz", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def gateway(database: Database, redis_url: str, tmp_path: Path) -> Iterator[GatewayProcess]:
    with _started(database, redis_url, tmp_path / "gateway.log") as found:
        yield found


def test_an_endless_upload_is_refused_early_and_memory_stays_flat(gateway: GatewayProcess) -> None:
    before = gateway.memory
    peak = before
    answer: list[bytes] = []
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.tenant.key()}\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        reader = threading.Thread(target=lambda: answer.append(connection.recv(4096)))
        reader.start()
        chunk = b"100000\r\n" + b" " * MEBIBYTE + b"\r\n"
        sent = 0
        while sent < 200 * MEBIBYTE:
            try:
                connection.sendall(chunk)
            except OSError:
                break
            sent += MEBIBYTE
            peak = max(peak, gateway.memory)
        reader.join(10)
    assert answer[0].startswith(b"HTTP/1.1 413")
    assert peak - before < 32 * MEBIBYTE
    assert _is_ready(gateway)


def test_no_text_of_a_customer_reaches_the_log(gateway: GatewayProcess) -> None:
    headers = {"authorization": f"Bearer {gateway.tenant.key()}", "content-type": STRUCTURED}
    source_id, secret = gateway.tenant.source({"id": "note"})
    good = claim(CANARY, subject=CANARY, data={**CLAIM, "description": CANARY})
    bodies: list[object] = [
        good,
        {**good, "time": "later"},
        claim(data={**CLAIM, "line": CANARY, CANARY: 1}),
        claim(type=CANARY),
        {CANARY: CANARY},
    ]
    with httpx.Client(base_url=gateway.url, timeout=20) as client:
        statuses = [client.post("/v1/events", content=orjson.dumps(body), headers=headers).status_code for body in bodies]
        client.post("/v1/events", content=f"[{CANARY}".encode(), headers={**headers, "content-type": BATCH})
        payload = orjson.dumps({"note": CANARY})
        at = SystemClock().now()
        client.post(f"/v1/webhooks/{source_id}", content=payload, headers=signed(secret, payload, message_id=CANARY, at=at))
        client.post(f"/v1/webhooks/{source_id}", content=payload, headers={"webhook-id": CANARY})
        client.get(f"/{CANARY}?{CANARY}={CANARY}", headers={"authorization": CANARY})
        _break_storage(gateway)
        broken = client.post("/v1/events", content=orjson.dumps({**good, "id": f"{CANARY}-2"}), headers=headers)
        # On a connection of its own: the server closes one after an error of ours.
        figures = local_http.get(f"{gateway.url}/metrics", timeout=20).text
    assert statuses == [202, 422, 422, 422, 422]
    assert broken.status_code >= 500
    assert CANARY not in gateway.log_file.read_text()
    assert CANARY not in figures
    assert CANARY not in broken.text


def _break_storage(gateway: GatewayProcess) -> None:
    """From now on every new payload is refused by an error of the database that repeats the row."""
    with gateway.tenant.admin() as connection:
        connection.execute("ALTER TABLE payloads ADD CONSTRAINT broken CHECK (length(body) < 0) NOT VALID")


def test_sigterm_ends_the_gateway_after_the_requests_in_flight(gateway: GatewayProcess) -> None:
    headers = {"authorization": f"Bearer {gateway.tenant.key()}", "content-type": STRUCTURED}
    assert local_http.post(f"{gateway.url}/v1/events", content=orjson.dumps(claim()), headers=headers, timeout=20).status_code == 202
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(15) in {0, -signal.SIGTERM}
    assert len(gateway.tenant.bodies()) == 1


def test_settings_are_checked_without_starting(database: Database, redis_url: str) -> None:
    good = _environment(database, redis_url, new_vault_key(), 8080)
    assert checked(app, good).exit_code == 0
    for name, value in {"RECOUP_SECRET_KEY": "no-key", "RECOUP_GATEWAY_PORT": "-1"}.items():
        refused = checked(app, {**good, name: value})
        assert refused.exit_code in {1, 2}
        assert name in refused.stderr
    missing = checked(app, {name: value for name, value in good.items() if name != "RECOUP_DATABASE_URL"})
    assert missing.exit_code == 2
    assert "RECOUP_DATABASE_URL" in missing.stderr
