"""Savings, and where every record is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from services.roi.answers import evidence
from services.roi.breakdown import Dimension
from services.roi.endpoints.access import FAILURES, Answers, Asked, AsOf, Automation, Moment, Tenant, To, start
from services.roi.period import Bucket
from services.roi.schemas import Breakdown, Conservation, Summary, Timeseries

BalanceFrom = Annotated[Moment | None, start("two days before `to`.")]

router = APIRouter(prefix="/v1/roi", tags=["roi"], responses=FAILURES)


@router.get("/summary", summary="What was saved, and what it cost")
def summary(tenant: Tenant, roi: Answers, question: Asked) -> Summary:
    """Per automation and in total: cases, hours saved with their interval, costs, cash. The headline is the lower bound."""
    return evidence.judged(roi, tenant, question)


@router.get("/timeseries", summary="The same over time")
def timeseries(tenant: Tenant, roi: Answers, question: Asked, bucket: Bucket = Bucket.DAY) -> Timeseries:
    """The first series is the total. Every bucket is compared with the baselines of the whole period; of hours the default is 30 days."""
    return roi.timeseries(tenant, question, bucket)


@router.get("/breakdown", summary="The same by one dimension")
def breakdown(tenant: Tenant, roi: Answers, question: Asked, by: Dimension = Dimension.AUTOMATION) -> Breakdown:
    """Money stays in the currency that it was booked in."""
    return roi.breakdown(tenant, question, by)


@router.get("/conservation", summary="Where every received record is")
def conservation(
    tenant: Tenant, roi: Answers, start: BalanceFrom = None, to: To = None, automation: Automation = None, as_of: AsOf = None
) -> Conservation:
    """Exact at the moment of the answer or of `as_of`, by hour of receipt; two days unless asked otherwise, 1,000 hours at most."""
    return roi.conservation(tenant, start, to, automation, as_of)
