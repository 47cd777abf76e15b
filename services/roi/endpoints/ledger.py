"""The lines behind the figures, and proofs about them."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from services.roi.endpoints.access import FAILURES, Answers, AsOf, Automation, RecentFrom, Tenant, To
from services.roi.schemas import LedgerLine
from services.roi.seal_schemas import ConsistencyProof, InclusionProof, Seal
from services.roi.sealed import SealedLedger
from services.roi.service import LedgerQuestion
from shared.web.pagination import Cursor, Cursored, Limit, Page
from shared.web.problem import PROBLEMS

Kind = Literal["manual_time", "review_time", "compute", "remote_model", "error", "platform", "cash", "reversal"]

router = APIRouter(prefix="/v1/roi", tags=["roi"], responses=FAILURES)


def _filtered(  # a parameter for each filter
    *,
    start: RecentFrom = None,
    to: To = None,
    automation: Automation = None,
    kind: Kind | None = None,
    case_id: UUID | None = None,
    as_of: AsOf = None,
) -> LedgerQuestion:
    return LedgerQuestion(start, to, automation, kind, case_id, as_of)


def _sealed(roi: Answers) -> SealedLedger:
    return SealedLedger(roi.engine)


Filtered = Annotated[LedgerQuestion, Depends(_filtered)]
Sealed = Annotated[SealedLedger, Depends(_sealed)]
_SEAL_NUMBER = {"ge": 1, "le": 2**63 - 1}


@router.get("/ledger", summary="The lines behind the figures")
def ledger(tenant: Tenant, roi: Answers, wanted: Filtered, cursor: Cursored = None, limit: Limit = 50) -> Page[LedgerLine]:
    """Append-only facts in seconds and money, newest booking first. All pages are of the period of the first one."""
    return roi.ledger(tenant, wanted, Cursor.decode(cursor), limit)


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
