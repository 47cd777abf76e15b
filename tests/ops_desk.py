"""A running operations API over a test's own database, and rows as the line would have left them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from fastapi.testclient import TestClient
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from services.ops.endpoints.api import api
from services.ops.service.session import Ops
from shared.clock import SystemClock
from shared.db import engine_for
from shared.ids import uuid7
from shared.security import apikeys
from shared.security.vault import Vault, new_vault_key
from shared.settings import DatabaseSettings, SecretSettings
from shared.web.auth import Authenticator

if TYPE_CHECKING:
    from fastapi import FastAPI
    from httpx import Response

    from tests.conftest import Database

CLAIM = {
    "policy_number": "P-1",
    "policy_start": "2026-01-01",
    "policy_end": "2026-12-31",
    "line": "motor",
    "cause": "glass",
    "loss_date": "2026-11-01",
    "reported_date": "2026-11-02",
    "amount_claimed": "420.00",
    "currency": "EUR",
    "sum_insured": "20000",
    "description": "A stone hit the windscreen.",
}
ROLES = ("integrator", "operator", "executive", "admin")


@dataclass(slots=True)
class Desk:
    """The API, one token per tenant and role, and the superuser's eyes on the database."""

    app: FastAPI
    client: TestClient
    vault: Vault
    sql: psycopg.Connection[dict[str, Any]]
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: object = None, *, role: str = "admin", tenant: str = "acme") -> Response:
        headers = {"Authorization": f"Bearer {self.token(tenant, role)}"}
        return self.client.request(method, path, json=body, headers=headers)  # type: ignore[return-value]  # starlette's own httpx

    def get(self, path: str, **who: str) -> Any:
        return _checked(self.call("GET", path, **who))

    def post(self, path: str, body: object = None, **who: str) -> Any:
        return _checked(self.call("POST", path, {} if body is None else body, **who))

    def patch(self, path: str, body: object, **who: str) -> Any:
        return _checked(self.call("PATCH", path, body, **who))

    def token(self, tenant: str, role: str) -> str:
        if (tenant, role) not in self.tokens:
            key = apikeys.generate()
            self.sql.execute(
                "INSERT INTO api_keys (id, tenant_id, name, prefix, secret_sha256, roles) VALUES (%s, %s, %s, %s, %s, %s)",
                (uuid7(), tenant, f"{role} of {tenant}", key.prefix, key.secret_sha256, [role]),
            )
            self.tokens[(tenant, role)] = key.token
        return self.tokens[(tenant, role)]

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        return self.sql.execute(statement.encode(), values).fetchall()

    def tenant(self, tenant: str, time_scale: int = 1) -> None:
        self.sql.execute(
            "INSERT INTO tenants (id, name, simulated, time_scale, arm_salt) VALUES (%s, %s, %s, %s, %s)",
            (tenant, tenant, time_scale != 1, time_scale, bytes(16)),
        )

    def case(self, *, tenant: str = "acme", state: str = "review", arm: str = "automated", **more: Any) -> UUID:
        """Members in ``more``: automation, data, age (timedelta), stratum."""
        case_id, automation = uuid7(), more.get("automation", "claims")
        received_at = datetime.now(UTC) - more.get("age", timedelta(0))  # noqa: TID251  # the test's own moment
        body = json.dumps(
            {"specversion": "1.0", "id": str(case_id), "source": "/test", "type": "t", "data": more.get("data", CLAIM)}
        ).encode()
        self.sql.execute(
            "INSERT INTO cases (id, tenant_id, source, event_id, event_type, automation, body_sha256, arm, control_probability, stratum,"
            " state, attempt, occurred_at, received_at) VALUES (%s, %s, '/test', %s, 't', %s, %s, %s, 0.05, %s, %s, 1, %s, %s)",
            (
                case_id,
                tenant,
                str(case_id),
                automation,
                sha256(body).digest(),
                arm,
                more.get("stratum", "motor"),
                state,
                received_at,
                received_at,
            ),
        )
        self.sql.execute(
            "INSERT INTO payloads (received_at, case_id, tenant_id, body) VALUES (%s, %s, %s, %s)", (received_at, case_id, tenant, body)
        )
        return case_id

    def review(
        self, case_id: UUID, kind: str = "exception", *, reasons: Sequence[str] = (), proposal: Mapping[str, Any] | None = None
    ) -> UUID:
        review_id = uuid7()
        self.sql.execute(
            "INSERT INTO reviews (id, tenant_id, case_id, automation, kind, reasons, proposal)"
            " SELECT %s, tenant_id, id, automation, %s, %s, %s FROM cases WHERE id = %s",
            (review_id, kind, Jsonb(list(reasons)), None if proposal is None else Jsonb(proposal), case_id),
        )
        return review_id

    def waiting(self, *, arm: str = "automated", tenant: str = "acme", **more: Any) -> tuple[UUID, UUID]:
        """A case that waits for a person: ids of the case and of its review."""
        case_id = self.case(tenant=tenant, arm=arm, **more)
        kind = "control" if arm == "control" else "exception"
        return case_id, self.review(case_id, kind, reasons=more.get("reasons", ()), proposal={"outcome": "adjuster"})

    def inference(self, case_id: UUID) -> None:
        self.sql.execute(
            "INSERT INTO inferences (case_id, attempt, position, tenant_id, tier, outcome, score, detail, cpu_ns, wall_ns)"
            " SELECT id, 1, 0, tenant_id, 'nano', 'adjuster', 0.71, '{}', 1000, 2000 FROM cases WHERE id = %s",
            (case_id,),
        )

    def decision(self, case_id: UUID, outcome: str = "adjuster") -> None:
        self.sql.execute(
            "INSERT INTO decisions (case_id, tenant_id, automation, arm, stratum, source, outcome, adverse, confidence, reasons,"
            " attributes, tier, decided_by, received_at, decided_at)"
            " SELECT id, tenant_id, automation, arm, 'motor', source, %s, false, 0.97, '[]', '{}', 'nano', 'model', received_at, now()"
            " FROM cases WHERE id = %s",
            (outcome, case_id),
        )

    def delivery(self, case_id: UUID, endpoint_id: UUID, state: str) -> UUID:
        outbox_id, delivery_id = uuid7(), uuid7()
        self.sql.execute(
            "INSERT INTO outbox (id, tenant_id, case_id, automation, kind, body)"
            " SELECT %s, tenant_id, id, automation, 'decision.made', 'body' FROM cases WHERE id = %s",
            (outbox_id, case_id),
        )
        self.sql.execute(
            "INSERT INTO deliveries (id, tenant_id, outbox_id, endpoint_id, state, attempt, next_attempt_at)"
            " SELECT %s, tenant_id, %s, %s, %s, 7, now() FROM cases WHERE id = %s",
            (delivery_id, outbox_id, endpoint_id, state, case_id),
        )
        return delivery_id

    def outcome(self, case: UUID | str, result: str = "reopened", *, tenant: str = "acme", **more: Any) -> UUID:
        """A late outcome that waits to be applied; ``case`` is an id of ours or of the case's event. Members in ``more``: loss, age."""
        outcome_id, named = uuid7(), case if isinstance(case, UUID) else None
        at = datetime.now(UTC) - more.get("age", timedelta(0))  # noqa: TID251  # the test's own moment
        event = (None, None) if named is not None else ("/test", case)
        loss = (None, None) if "loss" not in more else (more["loss"], "EUR")
        self.sql.execute(
            "INSERT INTO case_outcomes (id, tenant_id, source, event_id, body_sha256, named_case, named_source, named_event_id, result,"
            " amount, currency, occurred_at, received_at) VALUES (%s, %s, '/erp', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (outcome_id, tenant, str(outcome_id), bytes(32), named, *event, result, *loss, at, at),
        )
        return outcome_id

    def poison(self, tenant: str = "acme") -> UUID:
        poison_id = uuid7()
        self.sql.execute(
            'INSERT INTO poison_records (id, tenant_id, automation, topic, "partition", "offset", raw, headers, error, received_at)'
            " VALUES (%s, %s, 'claims', 'events', 0, %s, '\\x00ff', '[{\"name\": \"x\", \"value_base64\": null}]', 'Malformed', now())",
            (poison_id, tenant, poison_id.int % 1_000_000_007),
        )
        return poison_id


@contextmanager
def open_desk(database: Database) -> Iterator[Desk]:
    """Tenants ``acme`` and ``other`` exist."""
    settings = DatabaseSettings(url=SecretStr(database.app_url), pool_size=4)
    engine = engine_for(settings, role="recoup_api", application="ops-test")
    clock, vault = SystemClock(), Vault(SecretSettings(secret_key=SecretStr(new_vault_key())))
    app = api(
        Ops(engine, clock, vault, Authenticator(engine, clock), timedelta(minutes=5)), threads=4, readiness=lambda: {"database": True}
    )
    with (
        psycopg.connect(database.admin_url.replace("+psycopg", ""), autocommit=True, row_factory=dict_row) as sql,
        TestClient(app, raise_server_exceptions=False) as client,
    ):
        desk = Desk(app, client, vault, sql)
        desk.tenant("acme")
        desk.tenant("other")
        yield desk
    engine.dispose()


def _checked(response: Response) -> Any:
    assert response.status_code < 300, response.text
    return response.json() if response.content else None
