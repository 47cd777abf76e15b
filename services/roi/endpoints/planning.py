"""What to set before measuring, and what to expect after it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from services.roi.answers import capacity as capacities
from services.roi.answers import forecasting, planning, whatif
from services.roi.answers import payback as paybacks
from services.roi.answers.capacity_schemas import Capacity
from services.roi.answers.forecast_schemas import Forecast, Payback
from services.roi.answers.planning_schemas import HoldoutPlan
from services.roi.answers.whatif_schemas import WhatIf
from services.roi.endpoints.access import FAILURES, Answers, AskedRecently, OneAutomation, Tenant
from shared.web.problem import PROBLEMS

router = APIRouter(prefix="/v1/roi", tags=["roi"], responses=FAILURES)

_Share = Annotated[Decimal, Field(gt=0, lt=1, max_digits=5, decimal_places=4)]
_Seconds = Annotated[float | None, Query(ge=0, le=1e8, allow_inf_nan=False, description="Default: as measured.")]
_USUAL = [Decimal("0.02"), Decimal("0.05"), Decimal("0.1")]


def _assumed(
    cases_per_day: Annotated[float | None, Query(ge=0.01, le=1e8, allow_inf_nan=False, description="Default: as measured.")] = None,
    manual_seconds: _Seconds = None,
    deviation_seconds: _Seconds = None,
    assisted_seconds: _Seconds = None,
) -> planning.Assumed:
    return planning.Assumed(cases_per_day, manual_seconds, deviation_seconds, assisted_seconds)


@router.get("/planner", summary="How many cases to hold out", responses={409: PROBLEMS[409]})
def planner(  # noqa: PLR0913  # a parameter for each thing that may be asked
    tenant: Tenant,
    roi: Answers,
    question: AskedRecently,
    automation: OneAutomation,
    assumed: Annotated[planning.Assumed, Depends(_assumed)],
    *,
    control_share: Annotated[list[_Share], Query(min_length=1, max_length=20, description="Shares to compare.")] = _USUAL,
    weeks: Annotated[Decimal, Query(gt=0, le=520, max_digits=5, decimal_places=2, examples=["3"])] = Decimal(3),
    precision: Annotated[Decimal, Query(ge=Decimal("0.001"), le=1, description="Half-width over saving.", examples=["0.05"])] = Decimal(
        "0.05"
    ),
) -> HoldoutPlan:
    """Such as "5 % control gives ± 20 % in 3 weeks and costs 90 minutes a day". 409 where nothing is measured and too little is stated."""
    return planning.plan(roi, tenant, question, automation, planning.Wanted(control_share, weeks, precision, assumed))


@router.get("/capacity", summary="Hours released against the measured queue")
def capacity(tenant: Tenant, roi: Answers, question: AskedRecently) -> Capacity:
    """How much work waits, how fast it is done, and what the released hours per day are beside it.

    What waits is of now, even with `as_of`.
    """
    return capacities.capacity(roi, tenant, question)


@router.get("/forecast", summary="The next period, if it is like the measured one")
def forecast(
    tenant: Tenant, roi: Answers, question: AskedRecently, days_ahead: Annotated[int, Query(ge=1, le=366, examples=[30])] = 30
) -> Forecast:
    """From how the newest whole weeks, eight at most, differ (days where there are fewer than four), and how sure baselines are."""
    return forecasting.forecast(roi, tenant, question, days_ahead)


_Money = Annotated[Decimal, Query(ge=0, max_digits=16, decimal_places=4, description="In the answer's currency.", examples=["50000"])]
_Rate = Annotated[Decimal, Query(ge=0, le=1, max_digits=5, decimal_places=4, description="Discount rate per year.", examples=["0.08"])]


@router.get("/payback", summary="Whether and when an investment pays")
def payback(  # a parameter for each thing that may be asked
    tenant: Tenant,
    roi: Answers,
    question: AskedRecently,
    investment: _Money,
    *,
    discount_rate: _Rate = Decimal("0.08"),
    months: Annotated[int, Query(ge=1, le=120, description="Horizon from the day of the investment.")] = 36,
) -> Payback:
    """The investment is made on the day of `from`. Net present value and payback, with the platform's cost; cash and capacity apart."""
    return paybacks.payback(roi, tenant, question, paybacks.Plan(investment, discount_rate, months))


_Threshold = Annotated[Decimal, Field(ge=0, le=1, max_digits=3, decimal_places=2)]
_THRESHOLDS = [Decimal(hundredths) / 100 for hundredths in (50, 60, 70, 80, 90, 95, 98)]


@router.get("/whatif", summary="What other thresholds would have meant")
def what_if(
    tenant: Tenant,
    roi: Answers,
    question: AskedRecently,
    automation: OneAutomation,
    threshold: Annotated[list[_Threshold], Query(min_length=1, max_length=100, description="Least score, in hundredths.")] = _THRESHOLDS,
) -> WhatIf:
    """Saving, errors and review load at other least scores of the models, from stored scores.

    All of it is of the whole days (UTC) that the period touches, because scores are summed by day: `from` and `to` of the answer say which.
    With `as_of`, everything as it was known when that day began; the answer's `as_of` says so.
    """
    return whatif.what_if(roi, tenant, question, automation, threshold)
