"""What courier tests share: a tenant with endpoints and decisions in a real database, and couriers to run on it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from cryptography.fernet import Fernet
from sqlalchemy import Engine

from services.courier.consumer import Courier
from services.courier.keyring import Keyring
from services.courier.settings import CourierSettings
from services.courier.transport import Sender
from shared.clock import SystemClock
from shared.db import engine_for, unit_of_work
from shared.ids import uuid7
from shared.security.guard import Policy
from shared.security.vault import Vault, new_webhook_secret
from shared.settings import DatabaseSettings, SecretSettings
from tests.patience import HANG_SECONDS, eventually
from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from services.courier.publisher import Publisher
    from tests.conftest import Database

LOCAL = '["127.0.0.0/8"]'


class World:
    """One tenant. Everything goes through the role that couriers and workers have."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.vault_key = Fernet.generate_key().decode()
        self.vault = Vault(SecretSettings(secret_key=self.vault_key))
        self.engine: Engine = engine_for(DatabaseSettings(url=database.app_url, pool_size=8), role="recoup_line", application="test")
        self.tenant = f"t-{uuid4().hex[:8]}"
        self.execute("INSERT INTO tenants (id, name, arm_salt) VALUES (%(id)s, 'Test', '\\x00')", id=self.tenant)

    def execute(self, statement: str, **names: Any) -> list[Any]:
        with unit_of_work(self.engine) as connection:
            result = connection.exec_driver_sql(statement, names)
            return list(result.all()) if result.returns_rows else []

    def endpoint(
        self, url: str, *, automations: Sequence[str] = (), secrets: Sequence[str] | None = None, events: Sequence[str] = ("decision.made",)
    ) -> UUID:
        identity = uuid7()
        self.execute(
            "INSERT INTO endpoints (id, tenant_id, url, automations, events)"
            " VALUES (%(id)s, %(tenant)s, %(url)s, %(automations)s::text[], %(events)s::text[])",
            id=identity, tenant=self.tenant, url=url, automations=list(automations), events=list(events),
        )  # fmt: skip
        for secret in [new_webhook_secret()] if secrets is None else secrets:
            self.secret(identity, secret)
        return identity

    def secret(self, endpoint: UUID, secret: str, *, expires_in_seconds: float | None = None) -> None:
        self.execute(
            "INSERT INTO endpoint_secrets (id, tenant_id, endpoint_id, sealed, expires_at)"
            " VALUES (%(id)s, %(tenant)s, %(endpoint)s, %(sealed)s, now() + make_interval(secs => %(expires)s))",
            id=uuid7(), tenant=self.tenant, endpoint=endpoint, sealed=self.vault.seal(secret), expires=expires_in_seconds,
        )  # fmt: skip

    def decide(self, count: int = 1, *, automation: str = "claims") -> list[bytes]:
        """Put decisions into the outbox; returns their bodies."""
        ids = [uuid7() for _ in range(count)]
        data = '"type":"com.recoup.decision.made.v1","data":{"outcome":"pay","note":"ü"}'
        bodies = [f'{{"specversion":"1.0","id":"{one}",{data}}}'.encode() for one in ids]
        self.execute(
            "INSERT INTO outbox (id, tenant_id, case_id, automation, kind, body, traceparent)"
            " SELECT id, %(tenant)s, id, %(automation)s, 'decision.made', body, %(traceparent)s"
            " FROM unnest(%(ids)s::uuid[], %(bodies)s::bytea[]) AS d (id, body)",
            tenant=self.tenant, automation=automation, ids=ids, bodies=bodies,
            traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01",
        )  # fmt: skip
        return bodies

    def deliveries(self) -> list[Any]:
        return self.execute(
            "SELECT id, endpoint_id, state, attempt, last_status, last_error, delivered_at,"
            " extract(epoch FROM next_attempt_at - now())::float8 AS due_in FROM deliveries ORDER BY created_at, id"
        )

    def states(self) -> dict[str, int]:
        return dict(self.execute("SELECT state, count(*)::int FROM deliveries GROUP BY state"))

    def settled(self, seconds: float = 20.0) -> list[Any]:
        """The deliveries, once none is due or being sent."""
        eventually(
            lambda: (
                not self.execute("SELECT FROM outbox WHERE planned_at IS NULL")
                and not self.execute("SELECT FROM deliveries WHERE state = 'sending' OR (state = 'pending' AND next_attempt_at <= now())")
            ),
            seconds,
        )
        return self.deliveries()

    @contextlib.contextmanager
    def courier(self, *, publisher: Publisher | None = None, sender: Sender | None = None, **settings: Any) -> Iterator[Courier]:
        """A courier on a thread of this process."""
        chosen = CourierSettings(**{"timeout": timedelta(seconds=1), "lease": timedelta(seconds=4), **settings})
        clock = SystemClock()
        sender = sender or Sender(local_policy(), timeout=chosen.timeout, clock=clock)
        courier = Courier(
            engine=self.engine, sender=sender, keyring=Keyring(self.vault, clock), publisher=publisher, settings=chosen, clock=clock
        )
        loop, stop = asyncio.new_event_loop(), asyncio.Event()

        async def work() -> None:
            await courier.run(stop)
            sender.close()
            await asyncio.sleep(0)

        thread = threading.Thread(target=lambda: loop.run_until_complete(work()))
        thread.start()
        try:
            yield courier
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(30)
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
            if publisher is not None:
                publisher.close()

    def environment(self, **courier: str) -> dict[str, str]:
        return {
            "RECOUP_DATABASE_URL": self.database.app_url,
            "RECOUP_SECRET_KEY": self.vault_key,
            "RECOUP_COURIER_PORT": "0",
            "RECOUP_COURIER_ALLOWED_NETWORKS": LOCAL,
            "RECOUP_COURIER_REQUIRE_HTTPS": "false",
            **{f"RECOUP_COURIER_{name.upper()}": value for name, value in courier.items()},
        }

    def start_process(self, log: Path, **courier: str) -> subprocess.Popen[bytes]:
        """A real courier; the caller ends it."""
        with log.open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "services.courier.main"], cwd=ROOT, env=self.environment(**courier), stdout=file, stderr=file
            )


def local_policy() -> Policy:
    return Policy(networks=(ip_network("127.0.0.0/8"),), require_https=False)


def end(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> int:
    """The exit status."""
    process.send_signal(number)
    try:
        return process.wait(HANG_SECONDS)
    finally:
        process.kill()
        process.wait(5)
