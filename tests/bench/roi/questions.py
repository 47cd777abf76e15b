"""What is asked: every endpoint as the API describes itself, with the defaults, over two years, and as known earlier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from tests.bench.roi.asking import Question

# Parameters that an endpoint needs to be asked at all, or that say what else to ask it.
_NEEDED: Mapping[str, Mapping[str, str]] = {
    "/v1/roi/planner": {"automation": "claims", "cases_per_day": "100", "manual_seconds": "300", "deviation_seconds": "200"},
    "/v1/roi/whatif": {"automation": "claims"},
    "/v1/roi/payback": {"investment": "10000"},
}


# Scores can be asked for 100 days at once.
_SHORT = {"/v1/roi/whatif"}


def questions(schema: Mapping[str, Any], now: datetime, *, entry: str) -> list[Question]:
    """One for every GET below ``/v1/roi``, and more where the period or the moment makes a difference.

    Args:
        schema: the API's OpenAPI document.
        entry: id of a sealed ledger line.
    """
    return [question for path, item in sorted(schema["paths"].items()) for question in _of(path, item.get("get"), now, entry)]


def _of(path: str, operation: Mapping[str, Any] | None, now: datetime, entry: str) -> Iterator[Question]:
    if operation is None or not path.startswith("/v1/roi/"):
        return
    names = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"}
    filled = path.replace("{n}", "1").replace("{id}", entry)
    needed = dict(_NEEDED.get(path, {}))
    if path == "/v1/roi/ledger/consistency":
        needed = {"from": "1", "to": "1"}
    if path == "/v1/roi/bridge":
        needed = {"earlier": (now - timedelta(days=14)).isoformat()}
    download = "/exports/" in path or path.endswith((".pdf", "/board"))
    yield Question(filled, needed, download)
    if {"from", "as_of"} <= names and "conservation" not in path and not download:
        years = {"from": (now - timedelta(days=725)).isoformat()} | ({"bucket": "week"} if "bucket" in names else {})
        if path not in _SHORT:
            yield Question(filled, needed | years)
        yield Question(filled, needed | {"as_of": (now - timedelta(days=100)).isoformat()})
