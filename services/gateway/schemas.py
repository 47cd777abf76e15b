"""What the gateway answers."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from shared.intake.record import Receipt

_STATUS: Final[dict[str, JsonValue]] = {"id": "FNOL-2026-004711", "source": "/erp/claims", "status": "accepted"}


class EventStatus(BaseModel):
    """What became of one event: ``accepted`` is kept and will be decided, ``duplicate`` was there already and changed nothing."""

    id: str
    source: str
    status: Receipt


class Received(BaseModel):
    """Every event of the request, in order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"accepted": 1, "events": [_STATUS]}]})

    accepted: int = Field(ge=0, description="Events that were new.")
    events: list[EventStatus]

    @property
    def http_status(self) -> int:
        """200 where nothing was new."""
        return 200 if self.events and not self.accepted else 202


class EventType(BaseModel):
    type: str = Field(description="CloudEvents `type`.")
    automation: str
    title: str
    data_schema: dict[str, Any] = Field(description="JSON schema of the event's `data`.")


class EventTypes(BaseModel):
    items: list[EventType]
