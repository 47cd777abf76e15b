"""Keyset pages: a cursor is the place of the last item, so a page costs the same however deep it is and nothing is shown twice."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field

from shared.errors import Malformed

Item = TypeVar("Item")

_NOT_OURS = "`cursor` must be the `next_cursor` of an earlier page."

Limit = Annotated[int, Query(ge=1, le=200, description="Items a page.")]
Cursored = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]


class Page(BaseModel, Generic[Item]):
    """``next_cursor`` is null on the last page."""

    items: list[Item]
    next_cursor: str | None = Field(default=None, examples=["MjAyNi0wMS0wMVQwMDowMDowMCswMDowMHwwMTk…"])


@dataclass(frozen=True, slots=True)
class Cursor:
    """The sort key of the last item of a page."""

    at: datetime
    id: UUID

    def encode(self) -> str:
        return base64.urlsafe_b64encode(f"{self.at.astimezone(UTC).isoformat()}|{self.id}".encode()).decode()

    @classmethod
    def decode(cls, text: str | None) -> Cursor | None:
        """Raises Malformed where it is none of ours."""
        if text is None:
            return None
        try:
            at, _, identity = base64.urlsafe_b64decode(text.encode()).decode().partition("|")
            cursor = cls(datetime.fromisoformat(at), UUID(identity))
        except ValueError as error:
            raise Malformed(_NOT_OURS) from error
        # An instant at the edge of the calendar with another offset would only fail in the query.
        if cursor.at.utcoffset() != timedelta(0):
            raise Malformed(_NOT_OURS)
        return cursor
