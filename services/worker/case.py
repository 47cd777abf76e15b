"""A claimed case, and what its payload says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import NamedTuple
from uuid import UUID

from pydantic import BaseModel, create_model

from services.worker.tiers import NO_TERMS, CaseInput, Terms
from shared.automations.contract import Automation, Context
from shared.errors import InvariantBroken


class Claimed(NamedTuple):
    """A row that is this worker's until its lease runs out.

    Attributes:
        attempt: number of this claim, from 1; the fence compares it.
        control_probability: of the control arm, as it applied when the arm was drawn.
        body: canonical CloudEvents JSON; None where the payload is gone.
    """

    case_id: UUID
    tenant_id: str
    automation: str
    arm: str
    source: str
    event_id: str
    event_type: str
    occurred_at: datetime
    received_at: datetime
    traceparent: str | None
    attempt: int
    control_probability: Decimal
    body: bytes | None


@dataclass(slots=True)
class Case:
    """A claimed case whose payload has been read.

    Attributes:
        covariate: as the automation declares it, from facts known before the arm was drawn; None without one.
        fingerprint: 32 bytes, equal for the same business document; None where there is none.
        duplicate_of: the earlier case with this fingerprint; never told to the control arm.
    """

    claim: Claimed
    data: BaseModel
    stratum: str
    covariate: float | None = None
    fingerprint: bytes | None = None
    duplicate_of: UUID | None = field(default=None)
    terms: Terms = NO_TERMS

    @property
    def case_id(self) -> UUID:
        return self.claim.case_id

    @property
    def tenant_id(self) -> str:
        return self.claim.tenant_id

    @property
    def automation(self) -> str:
        return self.claim.automation

    @property
    def arm(self) -> str:
        return self.claim.arm

    @property
    def is_control(self) -> bool:
        return self.claim.arm == "control"

    def as_input(self) -> CaseInput:
        duplicate_of = None if self.duplicate_of is None else str(self.duplicate_of)
        return CaseInput(self.claim.case_id, self.data, Context(duplicate_of=duplicate_of), self.claim.tenant_id, self.terms)


@cache
def _envelope(model: type[BaseModel]) -> type[BaseModel]:
    """Reads the data out of an event in one pass over its bytes."""
    return create_model("Envelope", data=(model, ...))


def read(automation: Automation, claim: Claimed) -> Case:
    """Validate the data as the gateway did, and place the case.

    Raises:
        InvariantBroken: the payload is gone.
        pydantic.ValidationError: the automation's model has changed since the gateway let the event in.
    """
    if claim.body is None:
        raise InvariantBroken("a case has no payload", case_id=claim.case_id)
    data = _envelope(automation.data_model).model_validate_json(claim.body).data  # type: ignore[attr-defined]  # its one field
    fingerprint = automation.fingerprint(data)
    digest = None if fingerprint is None else hashlib.sha256(fingerprint.encode()).digest()
    return Case(claim, data, automation.stratum(data), automation.covariate_of(data), digest)
