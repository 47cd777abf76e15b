"""The transaction in which a question is answered."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import TYPE_CHECKING

from shared.db import unit_of_work

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

# The parts of a statement are found by the same indexes whatever its values are: to plan it for each question would take longer than to
# answer it. What a plan without values expects of a few rows is wrong by far, so it must be told that sorting thousands is dear.
_PLAN_ONCE = MappingProxyType({"plan_cache_mode": "force_generic_plan", "enable_sort": "off"})


def snapshot(engine: Engine, tenant: str) -> AbstractContextManager[Connection]:
    """All statements see one moment, and are planned once for each connection; raises as `unit_of_work` does."""
    return unit_of_work(engine, tenant=tenant, snapshot=True, settings=_PLAN_ONCE)
