"""A model server that runs here, and tiers that ask it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from services.worker.remote.build import build_tier
from services.worker.remote.repository import StoredSpending
from services.worker.remote.tier import RemoteTier
from shared.clock import SystemClock
from tests.intake_data import add_tenant, engine_of
from tests.model_servers import ModelServer
from tests.remote_world import NOTES, Make, forget_calls, remote_model

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.conftest import Database


@pytest.fixture(scope="module")
def running() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def server(running: ModelServer) -> ModelServer:
    running.begin_anew()
    return running


@pytest.fixture(scope="module")
def engine(module_database: Database) -> Iterator[Engine]:
    for tenant in ("acme", "other"):
        add_tenant(module_database, tenant)
    engine = engine_of(module_database)
    yield engine
    engine.dispose()


@pytest.fixture
def database(engine: Engine, module_database: Database) -> Database:
    forget_calls(module_database)
    return module_database


@pytest.fixture
def make(engine: Engine, database: Database, server: ModelServer) -> Iterator[Make]:
    made = []

    def tier(protocol: str = "openai", **changes: Any) -> RemoteTier:
        made.append(build_tier(NOTES, remote_model(server, protocol, **changes), StoredSpending(engine), SystemClock()))
        return made[-1]

    yield tier
    for tier_made in made:
        tier_made.close()
