"""How far the two clocks of submitted reviews disagree."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from services.ops.repository.rows import rows
from shared.measure.human_time import NONE_SUBMITTED, Disagreement

if TYPE_CHECKING:
    from sqlalchemy import Connection

_CLOCKS = """
SELECT automation, kind, reviews, apart, active_seconds, span_seconds, difference_seconds, beyond_span_seconds
FROM review_clocks(%(since)s, %(until)s) WHERE tenant_id = current_setting('app.tenant') ORDER BY automation, kind
"""


def disagreements(connection: Connection, since: datetime, until: datetime) -> dict[str, dict[str, Disagreement]]:
    """By automation and kind, of reviews submitted in ``since <= t < until``; the kind `*` is all of them."""
    found: dict[str, dict[str, Disagreement]] = defaultdict(lambda: {"*": NONE_SUBMITTED})
    for row in rows(connection, _CLOCKS, {"since": since, "until": until}):
        sums = Disagreement(
            reviews=row["reviews"],
            apart=row["apart"],
            active=row["active_seconds"],
            span=row["span_seconds"],
            difference=row["difference_seconds"],
            beyond_span=row["beyond_span_seconds"],
        )
        found[row["automation"]][row["kind"]] = sums
        found[row["automation"]]["*"] += sums
    return found
