"""What may be asked, and by whom: executives, operators and admins, about the tenant of their key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, cast

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import AfterValidator, AwareDatetime, StringConstraints

from services.roi.period import RECENT, in_range
from services.roi.service import Question, Roi
from shared.measure.baselines import Grade
from shared.security.apikeys import READERS_OF_FIGURES
from shared.web.auth import BEARER, Authenticator, require
from shared.web.problem import PROBLEMS

_Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]


def _in_range(moment: datetime) -> datetime:
    if not in_range(moment):
        raise ValueError("must lie between the years 2000 and 2199")
    # Sums are by hours and days of UTC: whoever asks in another zone asks about the same moment.
    return moment.astimezone(UTC)


# Refused here, before anything is added to it or taken from it: Python knows no moment before year 1.
Moment = Annotated[AwareDatetime, AfterValidator(_in_range)]


def start(default: str) -> Any:
    """The parameter ``from``, with what it is where nobody says it."""
    return Query(alias="from", description=f"Default: {default}", examples=["2026-10-24T00:00:00Z"])


From = Annotated[
    Moment | None, start("start of the calendar quarter (UTC) of `to`: the same at every look, which is what `always_valid` needs.")
]
RecentFrom = Annotated[Moment | None, start("30 days before `to`; of a forecast, eight weeks.")]
To = Annotated[Moment | None, Query(description="Default: now, or `as_of`.", examples=["2026-11-23T00:00:00Z"])]
Automation = Annotated[_Word | None, Query(description="Name of an automation; all without it.", examples=["claims"])]
OneAutomation = Annotated[_Word, Query(description="Name of an automation.", examples=["claims"])]
CurrencyCode = Annotated[
    str | None, Query(pattern=r"^[A-Z]{3}$", description="Currency of the answer; default: the tenant's.", examples=["EUR"])
]
MinGrade = Annotated[
    Grade,
    Query(
        description="Evidence below this grade saves nothing: an automation with any of it behind its figure shows none, in parts neither."
    ),
]
AsOf = Annotated[
    Moment | None,
    Query(description="As known at this moment: what was booked later is left out.", examples=["2026-11-20T12:00:00Z"]),
]
# How every question can fail.
FAILURES: dict[int | str, dict[str, Any]] = {status: PROBLEMS[status] for status in (401, 403, 422, 503)}


async def _tenant(request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)] = None) -> str:
    authenticator = cast("Authenticator", request.app.state.authenticator)
    return (await require(authenticator, *READERS_OF_FIGURES)(credentials)).tenant


# What waits for nothing is asynchronous: FastAPI sends whatever else it is given to a thread and back.
async def _roi(request: Request) -> Roi:
    return cast("Roi", request.app.state.roi)


async def _question(
    start: From = None,
    to: To = None,
    automation: Automation = None,
    currency: CurrencyCode = None,
    min_grade: MinGrade = Grade.D,
    as_of: AsOf = None,
) -> Question:
    return Question(start, to, automation, currency, min_grade, as_of)


async def _recent_question(
    start: RecentFrom = None,
    to: To = None,
    automation: Automation = None,
    currency: CurrencyCode = None,
    min_grade: MinGrade = Grade.D,
    as_of: AsOf = None,
) -> Question:
    return Question(start, to, automation, currency, min_grade, as_of, RECENT)


Tenant = Annotated[str, Depends(_tenant)]
Answers = Annotated[Roi, Depends(_roi)]
Asked = Annotated[Question, Depends(_question)]
# About what comes, for which the newest weeks say most.
AskedRecently = Annotated[Question, Depends(_recent_question)]
