"""Why figures moved."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from services.roi.answers import bridge as bridges
from services.roi.answers.bridge_schemas import Bridge
from services.roi.endpoints.access import FAILURES, Answers, Automation, CurrencyCode, From, MinGrade, Moment, Tenant, To
from services.roi.service import Question
from shared.measure.baselines import Grade

router = APIRouter(prefix="/v1/roi", tags=["roi"], responses=FAILURES)


def _question(
    start: From = None, to: To = None, automation: Automation = None, currency: CurrencyCode = None, min_grade: MinGrade = Grade.D
) -> Question:
    return Question(start, to, automation, currency, min_grade)


def _moments(
    earlier: Annotated[Moment, Query(description="The figures as known then.", examples=["2026-11-01T08:00:00Z"])],
    later: Annotated[
        Moment | None, Query(description="The figures as known then; default: now.", examples=["2026-11-20T08:00:00Z"])
    ] = None,
) -> bridges.Moments:
    return bridges.Moments(earlier, later)


@router.get("/bridge", summary="Why the figures of a period moved between two moments")
def bridge(
    tenant: Tenant,
    roi: Answers,
    question: Annotated[Question, Depends(_question)],
    between: Annotated[bridges.Moments, Depends(_moments)],
) -> Bridge:
    """By cause: new work, late events, corrections and reversals, baselines, rates. Parts add up to the difference exactly."""
    return bridges.bridge(roi, tenant, question, between)
