"""An API's OpenAPI document beside the reviewed one in `tests/contract/snapshots`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings

_FOLDER = Path(__file__).parent / "contract" / "snapshots"
_PROSE = {"description", "title", "summary", "examples", "tags", "operationId"}


class _Update(BaseSettings):
    wanted: bool = Field(default=False, validation_alias="RECOUP_TEST_UPDATE_SNAPSHOTS")


def refuse_unreviewed(name: str, document: dict[str, Any], test: str) -> None:
    """Raises AssertionError where the document has changed; RECOUP_TEST_UPDATE_SNAPSHOTS=1 writes it anew."""
    snapshot, current = _FOLDER / f"{name}.openapi.json", _normalized(document)
    if _Update().wanted:
        snapshot.write_text(current, encoding="utf-8")
    change = f"the API has changed: review the difference, then RECOUP_TEST_UPDATE_SNAPSHOTS=1 pytest {test}"
    assert snapshot.read_text(encoding="utf-8") == current, change


def _essence(node: Any) -> Any:
    """The document without prose: paths, methods, schemas."""
    if isinstance(node, dict):
        # `properties` holds names of ours, which may be `title` or `description`.
        return {k: {n: _essence(s) for n, s in v.items()} if k == "properties" else _essence(v) for k, v in node.items() if k not in _PROSE}
    return [_essence(member) for member in node] if isinstance(node, list) else node


def _operation(operation: dict[str, Any]) -> dict[str, Any]:
    """Without the problems, which every operation shares."""
    answers = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
    essence: dict[str, Any] = _essence(
        {"parameters": operation.get("parameters", []), "body": operation.get("requestBody"), "answers": answers}
    )
    return essence


def _normalized(document: dict[str, Any]) -> str:
    paths = {path: {method: _operation(o) for method, o in methods.items()} for path, methods in document["paths"].items()}
    return json.dumps({"paths": paths, "schemas": _essence(document["components"]["schemas"])}, indent=1, sort_keys=True) + "\n"
