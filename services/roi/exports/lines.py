"""All ledger lines of a period, page after page."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from shared.web.pagination import Cursor

if TYPE_CHECKING:
    from services.roi.schemas import LedgerLine
    from services.roi.service import LedgerQuestion, Roi

_PAGE = 2000


def lines(roi: Roi, tenant: str, wanted: LedgerQuestion) -> Iterator[LedgerLine]:
    """Newest booking first. The first page is read at once, so that a question that cannot be answered is refused before any answer."""
    page = roi.ledger(tenant, wanted, None, _PAGE)
    return chain(page.items, _rest(roi, tenant, wanted, page.next_cursor))


def _rest(roi: Roi, tenant: str, wanted: LedgerQuestion, cursor: str | None) -> Iterator[LedgerLine]:
    while cursor is not None:
        # A transaction for each page: a slow reader holds nothing open. Lines are only ever added, and newer ones come before.
        page = roi.ledger(tenant, wanted, Cursor.decode(cursor), _PAGE)
        yield from page.items
        cursor = page.next_cursor
