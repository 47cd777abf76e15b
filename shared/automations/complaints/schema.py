"""The data of ``com.recoup.complaint.received.v1``."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class ComplaintReceived(BaseModel):
    """One complaint in the customer's words."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    text: Annotated[str, Field(max_length=40_000)]
    channel: Literal["web", "email", "letter", "phone", "branch", "social"] | None = None
    received_date: date | None = None
    customer_segment: Annotated[str, Field(max_length=64)] | None = None
    reference: Annotated[str, Field(max_length=64)] | None = None
