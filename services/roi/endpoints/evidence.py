"""What the figures rest on."""

from __future__ import annotations

from fastapi import APIRouter

from services.roi.answers import evidence as answers
from services.roi.answers.evidence_schemas import Evidence
from services.roi.endpoints.access import FAILURES, Answers, Asked, Tenant

router = APIRouter(prefix="/v1/roi", tags=["roi"], responses=FAILURES)


@router.get("/evidence", summary="What the figures rest on")
def evidence(tenant: Tenant, roi: Answers, question: Asked) -> Evidence:
    """Whether the experiment was carried out as planned, which baselines are in use, and how far clocks disagree."""
    return answers.evidence(roi, tenant, question)
