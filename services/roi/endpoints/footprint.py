"""Energy and carbon."""

from __future__ import annotations

from fastapi import APIRouter

from services.roi.answers import footprint as footprints
from services.roi.endpoints.access import FAILURES, Answers, Asked, Tenant

router = APIRouter(prefix="/v1/roi", tags=["roi"], responses=FAILURES)


@router.get("/footprint", summary="Energy and carbon of the CPU time, estimated")
def footprint(tenant: Tenant, roi: Answers, question: Asked) -> footprints.FootprintAnswer:
    """CPU seconds are measured; energy and carbon follow from assumptions, which are in the answer."""
    return footprints.answer(roi, tenant, question)
