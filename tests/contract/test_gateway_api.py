"""The gateway's API against its own OpenAPI document: no request makes it fail, and every answer is as documented."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from pydantic import SecretStr
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance
from starlette.testclient import TestClient

from services.gateway.main import build
from services.gateway.settings import GatewaySettings
from shared.clock import SystemClock
from shared.db import engine_for
from shared.eventlog.memory import MemoryEventLog
from shared.security.vault import Vault, new_vault_key
from shared.settings import DatabaseSettings, SecretSettings
from tests.gateway_app import Tenant, claim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from tests.conftest import Database

CALM = settings(max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
STATEFUL = (not_a_server_error, response_schema_conformance, status_code_conformance)


@pytest.fixture
def served(database: Database) -> Iterator[tuple[FastAPI, Tenant]]:
    """The application over a log in memory, which works on any event loop."""
    tenant = Tenant(database, new_vault_key())
    tenant.create()
    engine = engine_for(DatabaseSettings(url=SecretStr(database.app_url)), role="recoup_api", application="test")
    log = MemoryEventLog()
    asyncio.run(log.start())
    vault = Vault(SecretSettings(secret_key=SecretStr(tenant.vault_key)))
    yield build(GatewaySettings(), engine, vault, log, SystemClock()), tenant
    engine.dispose()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.slow
def test_no_generated_request_makes_the_gateway_fail_or_answer_out_of_its_document(
    served: tuple[FastAPI, Tenant], mode: GenerationMode
) -> None:
    app, tenant = served
    source_id, _ = tenant.source()
    headers = {"Authorization": f"Bearer {tenant.key()}"}
    found = schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations()
    operations = [result.ok() for result in found if isinstance(result, Ok)]
    assert {operation.label for operation in operations} >= {"POST /v1/events", "POST /v1/webhooks/{source}", "GET /v1/event-types"}
    if mode is GenerationMode.NEGATIVE:  # a request without parameters and body cannot be wrong
        operations = [operation for operation in operations if operation.body]
    for operation in operations:

        @CALM
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            case.path_parameters.update({"source": str(source_id)} if "source" in case.path_parameters else {})
            case.call_and_validate(headers=headers, checks=STATEFUL)

        check()


def test_the_document_shows_an_example_for_each_way_in(served: tuple[FastAPI, Tenant]) -> None:
    app, _ = served
    document = app.openapi()
    for path in ("/v1/events", "/v1/webhooks/{source}"):
        operation = document["paths"][path]["post"]
        assert all(content["examples"] for content in operation["requestBody"]["content"].values())
        assert {"200", "202", "409", "413", "415", "422", "429", "503"} <= set(operation["responses"])
    assert set(document["paths"]["/v1/events"]["post"]["requestBody"]["content"]) == {
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "application/json",
    }


def test_every_example_of_the_document_is_accepted(served: tuple[FastAPI, Tenant]) -> None:
    app, tenant = served
    client = TestClient(app)
    content = app.openapi()["paths"]["/v1/events"]["post"]["requestBody"]["content"]
    parameters = app.openapi()["paths"]["/v1/events"]["post"]["parameters"]
    for media_type, described in content.items():
        for example in described["examples"].values():
            binary = {p["name"]: p["example"] for p in parameters} if media_type == "application/json" else {}
            headers = {"authorization": f"Bearer {tenant.key()}", "content-type": media_type, **binary}
            assert client.post("/v1/events", json=example["value"], headers=headers).status_code in {200, 202}
    assert claim()["type"] in {item["type"] for item in client.get("/v1/event-types", headers=headers).json()["items"]}
