"""Everything that the page for the board shows, from the answers that it sums up."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from services.roi.answers import evidence
from services.roi.exports.board import Board, drawn
from services.roi.period import Bucket
from services.roi.repository import figures as repository
from services.roi.sealed import SealedLedger
from shared.db import unit_of_work

if TYPE_CHECKING:
    from services.roi.service import Question, Roi

# Longer periods are drawn by the week, so that bars stay wide enough to see.
_BY_DAY = timedelta(days=45)


def page(roi: Roi, tenant: str, question: Question) -> bytes:
    """As PDF."""
    summary = evidence.judged(roi, tenant, question)
    bucket = Bucket.DAY if summary.end - summary.start <= _BY_DAY else Bucket.WEEK
    with unit_of_work(roi.engine, tenant=tenant) as connection:
        name = repository.tenant_name(connection, tenant)
    seal = SealedLedger(roi.engine).newest(tenant, question.as_of)
    return drawn(Board(tenant, name, summary, roi.timeseries(tenant, question, bucket), seal))
