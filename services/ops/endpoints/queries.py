"""Query and path parameters that more than one route takes, and the cut of a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Path, Query
from pydantic import BaseModel

from services.ops.schemas.base import Line
from shared.web.pagination import Cursor, Page

Item = TypeVar("Item", bound=BaseModel)

AutomationFilter = Annotated[Line | None, Query(description="Name of an automation.")]
Name = Annotated[Line, Path(description="Name of an automation.", examples=["claims"])]


def page(found: Sequence[Item], limit: int, place: Callable[[Item], tuple[datetime, UUID]]) -> Page[Item]:
    """``found`` holds one item more than ``limit`` where there is a next page."""
    items = list(found[:limit])
    return Page[Item](items=items, next_cursor=Cursor(*place(items[-1])).encode() if len(found) > limit else None)
