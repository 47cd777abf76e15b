"""How a tenant is set: automations, keys, and the log of who changed what."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from services.ops.schemas.audits import Brake
from services.ops.schemas.base import Identified, Input, Instant, Line, Output
from shared.security.apikeys import Role

Share = Annotated[Decimal, Field(ge=0, le=1, max_digits=5, decimal_places=4, examples=["0.05"])]
ErrorRate = Annotated[Decimal, Field(gt=0, lt=1, max_digits=4, decimal_places=4, examples=["0.05"])]
# An hour of it fits a ledger line. The hours of all tenants are booked together, so one that does not would hold up everybody's.
Monthly = Annotated[Decimal, Field(ge=0, lt=10**12, max_digits=16, decimal_places=4, examples=["250.00"])]


class OutcomeRules(Output):
    adverse: bool
    automatic: bool
    choosable: bool


class AutomationSummary(Output):
    """An installed automation as it is set for this tenant."""

    name: str = Field(examples=["claims"])
    title: str
    event_type: str
    tiers: list[str]
    outcomes: dict[str, OutcomeRules]
    paused: bool
    control_share: Decimal
    platform_monthly: Decimal
    audit_share: Decimal = Field(description="Of automatic decisions that a person makes again without seeing them.")
    audit_strata: dict[str, Decimal] = Field(description="Shares of strata where more is at stake.")
    error_limit: Decimal = Field(description="Evidence of a higher error rate brakes the automation.")
    error_level: Decimal | None = Field(description="Thresholds certified for this error level hold; null: as the models were published.")
    budget_seconds: Decimal | None = Field(description="Time that one case may take in tiers; null: no limit.")
    budget_money: Decimal | None = Field(description="What one case may cost in tiers, in your currency; null: no limit.")
    brake: Brake | None = Field(description="Null unless the brake is on: people decide everything.")
    open_cases: dict[str, int] = Field(description="Cases that are not decided, by state.")
    data_schema: dict[str, Any] = Field(description="JSON Schema of the event's data.")


class AutomationChange(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"paused": True, "control_share": "0.10"}]})

    paused: bool | None = None
    control_share: Share | None = None
    platform_monthly: Monthly | None = None
    audit_share: Share | None = None
    audit_strata: dict[Line, Share] | None = Field(default=None, max_length=200, description="Replaces those that are set.")
    error_limit: ErrorRate | None = None
    error_level: ErrorRate | None = Field(default=None, description="Null takes it back.")
    budget_seconds: Annotated[Decimal, Field(ge=0, max_digits=9, decimal_places=3, examples=["2.5"])] | None = Field(
        default=None, description="A tier that needs more than a case has left is passed over. Null takes the limit away."
    )
    budget_money: Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=8, examples=["0.002"])] | None = Field(
        default=None, description="In your currency. Null takes the limit away."
    )

    @property
    def taken_back(self) -> frozenset[str]:
        """Members that are null on purpose, among those that may be."""
        may = self.model_fields_set & {"error_level", "budget_seconds", "budget_money"}
        return frozenset(name for name in may if getattr(self, name) is None)


class NewKey(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "ERP", "roles": ["integrator"]}]})

    name: Line
    roles: tuple[Role, ...] = Field(min_length=1, max_length=len(Role))
    expires_at: Instant | None = None


class Key(Identified):
    name: str
    prefix: str
    roles: list[Role]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class KeyCreated(Key):
    token: str = Field(description="Shown this once and stored nowhere.", examples=["rk_0123456789ab_…"])


class AuditRow(Identified):
    actor: str
    action: str
    object_type: str
    object_id: str
    detail: Any
    created_at: datetime
