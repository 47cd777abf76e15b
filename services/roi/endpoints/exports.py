"""The figures as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from services.roi.answers import boards, evidence
from services.roi.breakdown import Dimension
from services.roi.endpoints.access import FAILURES, Answers, Asked, Tenant
from services.roi.endpoints.ledger import Filtered
from services.roi.exports import files, lines, tables
from services.roi.exports.tables import Table
from services.roi.period import Bucket

_CSV, _XLSX = "text/csv; charset=utf-8", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            _XLSX: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


class Format(StrEnum):
    CSV = "csv"
    """The first table only."""
    XLSX = "xlsx"
    """Every table, a sheet each."""


Wanted = Annotated[Format, Query(alias="format", description="`csv` holds the main table; `xlsx` also what stands beside it.")]

router = APIRouter(prefix="/v1/roi/exports", tags=["exports"], responses=FAILURES | _FILE, default_response_class=StreamingResponse)


@router.get("/summary", summary="The summary as a file")
def summary(tenant: Tenant, roi: Answers, question: Asked, form: Wanted = Format.CSV) -> StreamingResponse:
    """One row for the total and one for each automation."""
    return _file(tables.summary(evidence.judged(roi, tenant, question)), form)


@router.get("/timeseries", summary="The same over time as a file")
def timeseries(tenant: Tenant, roi: Answers, question: Asked, bucket: Bucket = Bucket.DAY, form: Wanted = Format.CSV) -> StreamingResponse:
    """One row for each bucket of each automation; the total has no automation."""
    return _file(tables.timeseries(roi.timeseries(tenant, question, bucket)), form)


@router.get("/breakdown", summary="The same by one dimension as a file")
def breakdown(
    tenant: Tenant, roi: Answers, question: Asked, by: Dimension = Dimension.AUTOMATION, form: Wanted = Format.CSV
) -> StreamingResponse:
    """One row for each part; `xlsx` has its money as well."""
    return _file(tables.breakdown(roi.breakdown(tenant, question, by)), form)


@router.get("/ledger", summary="The lines behind the figures as a file")
def ledger(tenant: Tenant, roi: Answers, wanted: Filtered, form: Wanted = Format.CSV) -> StreamingResponse:
    """Newest booking first, streamed. `xlsx` takes 100,000 lines at most."""
    return _file([tables.ledger(lines.lines(roi, tenant, wanted))], form)


_PDF: dict[int | str, dict[str, Any]] = {
    200: {"description": "The page.", "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}}
}
board = APIRouter(prefix="/v1/roi", tags=["exports"], responses=FAILURES | _PDF, default_response_class=Response)


@board.get("/board.pdf", summary="One page for the board")
def board_page(tenant: Tenant, roi: Answers, question: Asked) -> Response:
    """The lower bound first, its evidence, two plots, what it does not mean, and the newest seal of that moment. One page of A4."""
    content = boards.page(roi, tenant, question)
    return Response(content, media_type="application/pdf", headers={"Content-Disposition": 'inline; filename="recoup-board.pdf"'})


def _file(found: Sequence[Table], form: Format) -> StreamingResponse:
    content: Iterator[bytes] = files.as_csv(found[0]) if form is Format.CSV else files.as_workbook(found)
    name = f"recoup-{found[0].name}.{form.value}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(content, media_type=_CSV if form is Format.CSV else _XLSX, headers=headers)
