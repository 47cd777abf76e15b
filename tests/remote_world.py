"""An automation whose cases a model elsewhere looks at, and how that model is set."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
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
from tests.servers import ROOT

if TYPE_CHECKING:
    from services.worker.remote.tier import RemoteTier
    from tests.conftest import Database
    from tests.model_servers import ModelServer


MORTGAGE = "The mortgage company lost my mortgage payment."
CALLS = "SELECT state, tokens, amount, counted FROM remote_calls ORDER BY id"
Make = Callable[..., "RemoteTier"]


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


def program(kind: str, **changes: Any) -> RemoteModel:
    """A graph or program of `tests/programs`, in a process of its own; it may take a while to load."""
    given: dict[str, Any] = {
        "protocol": kind,
        "target": f"classifiers:{'graph' if kind == 'langgraph' else 'program'}",
        "model": "words-1",
        "environment": {"PYTHONPATH": SecretStr(str(ROOT / "tests" / "programs"))},
        "max_tokens": 1000,
        "labels": LABELS,
        "residency": "edge",
        "tenants": ["*"],
        "currency": "EUR",
        "prices": [PRICES["openai"]],
        "daily_cap": Decimal(5),
    }
    return RemoteModel.model_validate(given | changes)


def loaded(tier: RemoteTier) -> None:
    """Wait until the tier's program is there."""
    deadline = time.monotonic() + 120
    while tier.decide(cases("card", first=int(time.monotonic() * 1000)))[0].verdict.reasons in {("remote_starting",), ("remote_resting",)}:
        assert time.monotonic() < deadline, "the program does not load"
        time.sleep(0.2)


PRICES = {
    "openai": DatedPrice(since=date(2026, 1, 1), input_per_million=Decimal(1), output_per_million=Decimal(10), source="price list 2026"),
    "kserve": DatedPrice(since=date(2026, 1, 1), per_call=Decimal("0.0001"), source="share of the server's rent"),
}


def cases(*texts: str, first: int = 0) -> list[CaseInput]:
    return [CaseInput(uuid.UUID(int=i), Note(text=text), tenant_id="acme") for i, text in enumerate(texts, first)]


def forget_calls(database: Database) -> None:
    with psycopg.connect(database.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("TRUNCATE remote_calls, remote_spend")
