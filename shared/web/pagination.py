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
    """The sort key of the last item of a page.

    Attributes:
        period: start and end of what all pages are of, where it would move on between them.
    """

    at: datetime
    id: UUID
    period: tuple[datetime, datetime] | None = None

    def encode(self) -> str:
        parts = [_written(self.at), str(self.id), *map(_written, self.period or ())]
        return base64.urlsafe_b64encode("|".join(parts).encode()).decode()

    @classmethod
    def decode(cls, text: str | None) -> Cursor | None:
        """Raises Malformed where it is none of ours."""
        if text is None:
            return None
        try:
            at, identity, *period = base64.urlsafe_b64decode(text.encode()).decode().split("|")
            # Without a period where one was made before there was any.
            return cls(_read(at), UUID(identity), _both(period) if period else None)
        except ValueError as error:
            raise Malformed(_NOT_OURS) from error


def _both(period: list[str]) -> tuple[datetime, datetime]:
    start, end = map(_read, period)
    return start, end


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _read(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    # An instant at the edge of the calendar with another offset would only fail in the query.
    if moment.utcoffset() != timedelta(0):
        raise ValueError("not in UTC")
    return moment
