"""What to set before measuring, and what to expect after it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from services.roi.answers import capacity as capacities
from services.roi.answers import planning
from services.roi.answers.capacity_schemas import Capacity
from services.roi.answers.planning_schemas import HoldoutPlan
from services.roi.endpoints.access import FAILURES, Answers, Asked, OneAutomation, Tenant
from shared.web.problem import PROBLEMS

router = APIRouter(prefix="/v1/roi", tags=["roi"], responses=FAILURES)

_Share = Annotated[Decimal, Field(gt=0, lt=1, max_digits=5, decimal_places=4)]
_Seconds = Annotated[float | None, Query(ge=0, le=1e8, allow_inf_nan=False, description="Default: as measured.")]
_USUAL = [Decimal("0.02"), Decimal("0.05"), Decimal("0.1")]


def _assumed(
    cases_per_day: Annotated[float | None, Query(gt=0, le=1e8, allow_inf_nan=False, description="Default: as measured.")] = None,
    manual_seconds: _Seconds = None,
    deviation_seconds: _Seconds = None,
    assisted_seconds: _Seconds = None,
) -> planning.Assumed:
    return planning.Assumed(cases_per_day, manual_seconds, deviation_seconds, assisted_seconds)


@router.get("/planner", summary="How many cases to hold out", responses={409: PROBLEMS[409]})
def planner(  # noqa: PLR0913  # a parameter for each thing that may be asked
    tenant: Tenant,
    roi: Answers,
    question: Asked,
    automation: OneAutomation,
    assumed: Annotated[planning.Assumed, Depends(_assumed)],
    *,
    control_share: Annotated[list[_Share], Query(min_length=1, max_length=20, description="Shares to compare.")] = _USUAL,
    weeks: Annotated[Decimal, Query(gt=0, le=520, max_digits=5, decimal_places=2, examples=["3"])] = Decimal(3),
    precision: Annotated[Decimal, Query(ge=Decimal("0.001"), le=1, description="Half-width over saving.", examples=["0.05"])] = Decimal(
        "0.05"
    ),
) -> HoldoutPlan:
    """Such as "5 % control gives ± 19 % in 3 weeks and costs 90 minutes a day". 409 where nothing is measured and too little is stated."""
    return planning.plan(roi, tenant, question, automation, planning.Wanted(control_share, weeks, precision, assumed))


@router.get("/capacity", summary="Hours released against the measured queue")
def capacity(tenant: Tenant, roi: Answers, question: Asked) -> Capacity:
    """How much work waits, how fast it is done, and what the released hours per day are beside it."""
    return capacities.capacity(roi, tenant, question)
