"""Where events come from and where decisions go."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, computed_field

from services.ops.schemas.base import Expression, Identified, Input, Line, Output


def _receivable(url: str) -> str:
    """The shape only: whether the address may be called at all is decided on every call, after the name is resolved."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError("must be a URL") from error
    if parts.scheme not in {"https", "http"} or not parts.hostname or port == 0:
        raise ValueError("must be an http or https URL with a host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("must not hold a user name, a password or a fragment")
    return url


def _signing(secret: str) -> str:
    try:
        size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except (ValueError, binascii.Error) as error:
        raise ValueError("must be whsec_ and base64") from error
    if not 24 <= size <= 64:
        raise ValueError("must hold 24 to 64 bytes")
    return secret


Url = Annotated[str, Field(min_length=8, max_length=2000, pattern=r"^https?://[!-~]+$"), AfterValidator(_receivable)]
SigningSecret = Annotated[str, Field(pattern=r"^whsec_[A-Za-z0-9+/]{32,88}={0,2}$", max_length=96), AfterValidator(_signing)]
MessageKind = Literal[
    "decision.made",
    "decision.corrected",
    "savings.recorded",
    "savings.restated",
    "automation.braked",
    "ledger.sealed",
]
DECISIONS: Final[tuple[MessageKind, ...]] = ("decision.made", "decision.corrected")
FIGURES: Final[frozenset[MessageKind]] = frozenset({"savings.recorded", "savings.restated"})
OverlapHours = Annotated[int, Field(ge=0, le=24 * 30, description="How long the old secrets stay valid beside the new one.")]


class SourceMapping(Input):
    """JMESPath expressions over a foreign payload."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "claim.number", "data": "claim", "time": "claim.reported_at"}]})

    id: Expression | None = Field(default=None, description="Left out: the header `webhook-id`.")
    data: Expression | None = Field(default=None, description="Left out: the whole payload.")
    time: Expression | None = None
    subject: Expression | None = None


class NewSource(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "portal",
                    "event_type": "com.recoup.claim.filed.v1",
                    "mapping": {"id": "claim.number", "data": "claim", "time": "claim.reported_at"},
                }
            ]
        }
    )

    name: Line
    event_type: Line
    mapping: SourceMapping | None = Field(default=None, description="Null: the payload is the event's data as it is.")
    secret: SigningSecret | None = Field(default=None, description="The sender's own signing secret; made here where it is left out.")


class SourceChange(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"disabled": True}]})

    name: Line | None = None
    event_type: Line | None = None
    mapping: SourceMapping | None = Field(default=None, description="Null takes the mapping away; left out keeps it.")
    disabled: bool | None = None


class Source(Identified):
    name: str
    event_type: str
    mapping: SourceMapping | None
    created_at: datetime
    disabled_at: datetime | None

    @computed_field(description="Path on the gateway to which this source posts.")  # type: ignore[prop-decorator]  # pydantic's own idiom
    @property
    def webhook_path(self) -> str:
        return f"/v1/webhooks/{self.id}"


class SourceCreated(Source):
    secret: str = Field(description="Shown this once.", examples=["whsec_…"])


class Trial(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"payload": {"claim": {"number": "C-1", "reported_at": "2026-11-23T08:00:00Z"}}}]}
    )

    payload: Any


class FieldError(Output):
    field: str
    problem: str


class TrialResult(Output):
    """What the gateway would make of the payload; nothing is stored."""

    accepted: bool
    event: Any = Field(description="The mapped event; null where the mapping fails.")
    errors: list[FieldError]


class SecretSummary(Identified):
    """A signing secret without the secret."""

    created_at: datetime
    expires_at: datetime | None


class Rotation(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_hours": 24}]})

    overlap_hours: OverlapHours = 24
    secret: SigningSecret | None = None


class SecretCreated(SecretSummary):
    secret: str = Field(description="Shown this once.", examples=["whsec_…"])


class NewEndpoint(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"url": "https://erp.example.com/recoup", "automations": ["invoices"], "events": ["decision.made", "decision.corrected"]}
            ]
        }
    )

    url: Url
    automations: tuple[Line, ...] = Field(default=(), max_length=50, description="Empty: messages about every automation.")
    events: tuple[MessageKind, ...] = Field(default=DECISIONS, min_length=1, max_length=20, description="What it receives.")


class EndpointChange(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"state": "enabled"}]})

    url: Url | None = None
    automations: tuple[Line, ...] | None = Field(default=None, max_length=50)
    events: tuple[MessageKind, ...] | None = Field(default=None, min_length=1, max_length=20)
    state: Literal["enabled", "disabled"] | None = None


class Endpoint(Identified):
    url: str
    automations: list[str]
    events: list[str]
    state: Literal["enabled", "disabled"]
    disabled_reason: str | None
    failing_since: datetime | None
    created_at: datetime


class EndpointCreated(Endpoint):
    secret: str = Field(description="Shown this once; the receiver verifies signatures with it.", examples=["whsec_…"])
