"""An automation whose cases a model elsewhere looks at, and how that model is set."""

from __future__ import annotations

import uuid
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
from pydantic import BaseModel, SecretStr

from services.worker.remote.configuration import DatedPrice, RemoteModel
from services.worker.tiers import CaseInput
from shared.automations.complaints.decisions import PRODUCTS
from shared.automations.contract import Automation, Context, Features, Outcome, Verdict
from tests.model_servers import KEY, LABELS

if TYPE_CHECKING:
    from tests.conftest import Database
    from tests.model_servers import ModelServer


class Note(BaseModel):
    text: str


def _features(note: Note) -> Features | None:
    if note.text == "bad":
        raise RuntimeError("customer data")
    return Features(note.text) if note.text else None


def _rules(note: Note, _context: Context) -> Verdict | None:
    if note.text == "bad":
        raise RuntimeError("customer data")
    return Verdict("card", reasons=("says_card",)) if "card" in note.text else None


NOTES = Automation(
    name="notes",
    event_type="com.example.note.v1",
    data_model=Note,
    outcomes={product: Outcome() for product in PRODUCTS},
    features=_features,
    rules=_rules,
)


def remote_model(server: ModelServer, protocol: str = "openai", **changes: Any) -> RemoteModel:
    """For every tenant, on this machine, at 1 and 10 EUR a million tokens, or 0.0001 EUR a call."""
    given: dict[str, Any] = {
        "protocol": protocol,
        "url": server.url + ("/v1" if protocol == "openai" else ""),
        "model": "small-1",
        "key": SecretStr(KEY),
        "labels": LABELS,
        "residency": "edge",
        "tenants": ["*"],
        "currency": "EUR",
        "prices": [PRICES[protocol]],
        "daily_cap": Decimal(5),
    }
    return RemoteModel.model_validate(given | changes)


PRICES = {
    "openai": DatedPrice(since=date(2026, 1, 1), input_per_million=Decimal(1), output_per_million=Decimal(10), source="price list 2026"),
    "kserve": DatedPrice(since=date(2026, 1, 1), per_call=Decimal("0.0001"), source="share of the server's rent"),
}


def cases(*texts: str, first: int = 0) -> list[CaseInput]:
    return [CaseInput(uuid.UUID(int=i), Note(text=text), tenant_id="acme") for i, text in enumerate(texts, first)]


def forget_calls(database: Database) -> None:
    with psycopg.connect(database.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("TRUNCATE remote_calls, remote_spend")
