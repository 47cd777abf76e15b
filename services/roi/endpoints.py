"""What may be asked, and by whom: executives, operators and admins, about the tenant of their key."""

from __future__ import annotations

from typing import Annotated, Literal, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import AwareDatetime, StringConstraints

from services.roi.breakdown import Dimension
from services.roi.period import Bucket
from services.roi.schemas import Breakdown, Conservation, LedgerLine, Summary, Timeseries
from services.roi.seal_schemas import ConsistencyProof, InclusionProof, Seal
from services.roi.sealed import SealedLedger
from services.roi.service import LedgerQuestion, Question, Roi
from shared.measure.baselines import Grade
from shared.security.apikeys import Role
from shared.web.auth import BEARER, Authenticator, require
from shared.web.pagination import Cursor, Cursored, Limit, Page
from shared.web.problem import PROBLEMS

DESCRIPTION = """
What automation saved, measured against randomly held-out cases: at least how many hours, at which cost, on which evidence.

Hours and cash are never added up. Figures are computed from sums that are kept up to date about once a second (`computed_through`);
`/v1/roi/conservation` is exact at the moment of the answer. Decimals are strings. Errors are problem+json (RFC 9457).
"""

_Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]
From = Annotated[AwareDatetime | None, Query(alias="from", description="Default: 30 days before `to`.", examples=["2026-10-24T00:00:00Z"])]
To = Annotated[AwareDatetime | None, Query(description="Default: now.", examples=["2026-11-23T00:00:00Z"])]
Automation = Annotated[_Word | None, Query(description="Name of an automation; all without it.", examples=["claims"])]
CurrencyCode = Annotated[
    str | None, Query(pattern=r"^[A-Z]{3}$", description="Currency of the answer; default: the tenant's.", examples=["EUR"])
]
MinGrade = Annotated[Grade, Query(description="Evidence below this grade saves nothing.")]
Kind = Literal["manual_time", "review_time", "compute", "remote_model", "error", "platform", "cash", "reversal"]

router = APIRouter(prefix="/v1/roi", tags=["roi"], responses={status: PROBLEMS[status] for status in (401, 403, 422, 503)})


def _tenant(request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)] = None) -> str:
    authenticator = cast("Authenticator", request.app.state.authenticator)
    return require(authenticator, Role.EXECUTIVE, Role.OPERATOR)(credentials).tenant


def _roi(request: Request) -> Roi:
    return cast("Roi", request.app.state.roi)


def _question(
    start: From = None,
    to: To = None,
    automation: Automation = None,
    currency: CurrencyCode = None,
    min_grade: MinGrade = Grade.D,
) -> Question:
    return Question(start, to, automation, currency, min_grade)


def _sealed(request: Request) -> SealedLedger:
    return SealedLedger(_roi(request).engine)


Tenant = Annotated[str, Depends(_tenant)]
Answers = Annotated[Roi, Depends(_roi)]
Asked = Annotated[Question, Depends(_question)]
Sealed = Annotated[SealedLedger, Depends(_sealed)]
_SEAL_NUMBER = {"ge": 1, "le": 2**63 - 1}


@router.get("/summary", summary="What was saved, and what it cost")
def summary(tenant: Tenant, roi: Answers, question: Asked) -> Summary:
    """Per automation and in total: cases, hours saved with their interval, costs, cash. The headline is the lower bound."""
    return roi.summary(tenant, question)


@router.get("/timeseries", summary="The same over time")
def timeseries(tenant: Tenant, roi: Answers, question: Asked, bucket: Bucket = Bucket.DAY) -> Timeseries:
    """The first series is the total. Every bucket is compared with the baselines of the whole period."""
    return roi.timeseries(tenant, question, bucket)


@router.get("/breakdown", summary="The same by one dimension")
def breakdown(tenant: Tenant, roi: Answers, question: Asked, by: Dimension = Dimension.AUTOMATION) -> Breakdown:
    """Money stays in the currency that it was booked in."""
    return roi.breakdown(tenant, question, by)


@router.get("/conservation", summary="Where every received record is")
def conservation(tenant: Tenant, roi: Answers, start: From = None, to: To = None, automation: Automation = None) -> Conservation:
    """Exact at the moment of the answer, by hour of receipt; two days unless asked otherwise, 1,000 hours at most."""
    return roi.conservation(tenant, start, to, automation)


@router.get("/ledger", summary="The lines behind the figures")
def ledger(  # noqa: PLR0913  # a parameter for each filter
    tenant: Tenant,
    roi: Answers,
    *,
    start: From = None,
    to: To = None,
    automation: Automation = None,
    kind: Kind | None = None,
    case_id: UUID | None = None,
    cursor: Cursored = None,
    limit: Limit = 50,
) -> Page[LedgerLine]:
    """Append-only facts in seconds and money, newest booking first."""
    return roi.ledger(tenant, LedgerQuestion(start, to, automation, kind, case_id), Cursor.decode(cursor), limit)


@router.get("/ledger/seals", summary="Seals of the ledger, newest first")
def seals(
    tenant: Tenant,
    ledger: Sealed,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,18}$", description="`next_cursor` of the page before.")] = None,
    limit: Limit = 50,
) -> Page[Seal]:
    """About one a second while lines are booked, and one an hour at least. Keep some where nobody of us can write."""
    return ledger.seals(tenant, None if cursor is None else int(cursor), limit)


@router.get("/ledger/seals/{n}", summary="One seal", responses={404: PROBLEMS[404]})
def seal(tenant: Tenant, ledger: Sealed, n: Annotated[int, Path(**_SEAL_NUMBER)]) -> Seal:
    """For comparison with one that was kept."""
    return ledger.seal(tenant, n)


@router.get("/ledger/lines/{id}/proof", summary="Proof that a line is sealed", responses={s: PROBLEMS[s] for s in (404, 409)})
def proof(
    tenant: Tenant,
    ledger: Sealed,
    entry_id: Annotated[UUID, Path(alias="id", description="Of a ledger line, or of a rate or baseline.")],
    n: Annotated[int | None, Query(alias="seal", description="Number of the seal; default: the newest.", **_SEAL_NUMBER)] = None,
) -> InclusionProof:
    """To be checked by `verify_proof.py`, offline and without us. 409 where the line came after that seal."""
    return ledger.inclusion(tenant, entry_id, n)


@router.get("/ledger/consistency", summary="Proof that nothing was taken back", responses={s: PROBLEMS[s] for s in (404, 409)})
def consistency(
    tenant: Tenant,
    ledger: Sealed,
    older: Annotated[int, Query(alias="from", description="Number of the older seal.", **_SEAL_NUMBER)],
    newer: Annotated[int, Query(alias="to", description="Number of the newer seal.", **_SEAL_NUMBER)],
) -> ConsistencyProof:
    """That the ledger of the newer seal begins with all of the older one's entries, unchanged and in the same order."""
    return ledger.consistency(tenant, older, newer)
