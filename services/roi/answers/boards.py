"""Everything that the page for the board shows, from the answers that it sums up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from services.roi import sealed
from services.roi.answers import evidence
from services.roi.period import Bucket
from services.roi.repository import figures as repository
from services.roi.repository.snapshots import snapshot

if TYPE_CHECKING:
    from services.roi.service import Question, Roi

# Longer periods are drawn by the week, so that bars stay wide enough to see.
_BY_DAY = timedelta(days=45)


def page(roi: Roi, tenant: str, question: Question) -> bytes:
    """As PDF, of one snapshot: its plots add up to its figures, and its seal is the newest of what they know."""
    from services.roi.exports.board import Board, drawn

    with snapshot(roi.engine, tenant) as connection:
        summary = evidence.judged_in(connection, roi, tenant, question)
        # A period by default moves on with the hour.
        period = replace(question, start=summary.start, end=summary.end)
        bucket = Bucket.DAY if summary.end - summary.start <= _BY_DAY else Bucket.WEEK
        series = roi.timeseries_in(connection, tenant, period, bucket)
        name = repository.tenant_name(connection, tenant)
        seal = sealed.newest(connection, tenant, question.as_of)
    return drawn(Board(tenant, name, summary, series, seal))
