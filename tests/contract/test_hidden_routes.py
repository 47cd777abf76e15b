"""Routes that no document names, and so no test of roles and tenants either: they are open to whoever reaches the port."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from services.gateway.main import build as gateway
from services.gateway.settings import GatewaySettings
from services.ops.endpoints.api import api as ops
from services.ops.service.session import Ops
from services.roi.main import build as roi
from services.roi.service import Roi
from shared.clock import SystemClock
from shared.db import engine_for
from shared.eventlog.memory import MemoryEventLog
from shared.security.vault import Vault, new_vault_key
from shared.settings import DatabaseSettings, SecretSettings
from shared.web.auth import Authenticator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fastapi import FastAPI

CLOCK = SystemClock()
OPEN = {"/docs", "/openapi.json", "/healthz", "/readyz", "/metrics"}
# The script of the pages on which people review, and where a signature or nothing at all is asked for instead of a key.
BESIDES = {"gateway": set[str](), "ops": {"/static/worktime.js"}, "roi": set[str]()}
WITHOUT_KEY = {("post", "/v1/webhooks/{source}"), ("options", "/v1/webhooks/{source}"), ("options", "/v1/events")}


def _app(name: str) -> FastAPI:
    """Nothing listens at its database: what asks it fails otherwise than by 401."""
    settings = DatabaseSettings(url=SecretStr("postgresql+psycopg://recoup_app@127.0.0.1:1/recoup"))
    engine, vault = (
        engine_for(settings, role="recoup_api", application="test"),
        Vault(SecretSettings(secret_key=SecretStr(new_vault_key()))),
    )
    match name:
        case "gateway":
            return gateway(GatewaySettings(), engine, vault, MemoryEventLog(), CLOCK)
        case "ops":
            return ops(
                Ops(engine, CLOCK, vault, Authenticator(engine, CLOCK), timedelta(minutes=5)),
                threads=1,
                readiness=lambda: {"database": True},
            )
        case _:
            return roi(Roi(engine, CLOCK), engine, CLOCK, threads=1)


def _paths(routes: Iterable[object]) -> Iterator[str]:
    """Of routes and of the routers that are included, at whatever depth; of anything else what it is, so that nothing is passed over."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield getattr(route, "path", repr(route))
        else:
            yield from _paths(inner.routes)


@pytest.mark.parametrize("name", BESIDES)
def test_routes_outside_of_the_document_are_those_that_are_meant_to_be_open(name: str) -> None:
    app = _app(name)
    assert set(_paths(app.routes)) - set(app.openapi()["paths"]) == OPEN | BESIDES[name]


@pytest.mark.parametrize("name", BESIDES)
def test_whatever_the_document_names_asks_for_a_key_first(name: str) -> None:
    app = _app(name)
    with TestClient(app, raise_server_exceptions=False) as client:
        for path, methods in app.openapi()["paths"].items():
            for method in methods:
                status = client.request(method, path, content=b"{}", headers={"Content-Type": "application/json"}).status_code
                assert (status == 401) != ((method, path) in WITHOUT_KEY), (method, path, status)
