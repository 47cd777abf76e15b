"""The OpenAPI document of the operations API: reviewed, complete, and kept under fire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import schemathesis
from pydantic import Field
from pydantic_settings import BaseSettings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from tests.ops_desk import Desk, open_desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database

SNAPSHOT = Path(__file__).parent / "snapshots" / "ops.openapi.json"
UPDATE = "the API has changed: review the difference, then RECOUP_TEST_UPDATE_SNAPSHOTS=1 pytest tests/contract/test_ops_openapi.py"
EXAMPLES = 6
_PROSE = {"description", "title", "summary", "examples", "tags", "operationId"}


class _Update(BaseSettings):
    wanted: bool = Field(default=False, validation_alias="RECOUP_TEST_UPDATE_SNAPSHOTS")


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        yield desk


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


def test_the_document_is_the_reviewed_one(desk: Desk) -> None:
    current = _normalized(desk.app.openapi())
    if _Update().wanted:
        SNAPSHOT.write_text(current, encoding="utf-8")
    assert SNAPSHOT.read_text(encoding="utf-8") == current, UPDATE


def test_every_body_has_an_example_that_its_own_schema_accepts(desk: Desk) -> None:
    document = desk.app.openapi()
    operations = [operation for methods in document["paths"].values() for operation in methods.values() if "requestBody" in operation]
    names = {o["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2] for o in operations}
    assert {name for name in names if not document["components"]["schemas"][name].get("examples")} == set()


def test_every_operation_says_what_it_does_and_how_it_fails(desk: Desk) -> None:
    for path, methods in desk.app.openapi()["paths"].items():
        for method, operation in methods.items():
            assert operation.get("summary"), (method, path)
            assert {"401", "403", "404", "409", "422", "503"} <= set(operation["responses"]), (method, path)
            assert operation["security"], (method, path)


@pytest.mark.slow
def test_nothing_that_fits_the_document_breaks_the_server(desk: Desk) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", desk.app)
    headers = {"Authorization": f"Bearer {desk.token('acme', 'admin')}"}
    ids = _belongings(desk)
    answered: set[int] = set()
    checks = [not_a_server_error, response_schema_conformance, status_code_conformance]
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()

        @hypothesis.settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(hypothesis.HealthCheck)
        )
        @hypothesis.given(case=operation.as_strategy())
        def attack(case: schemathesis.Case[Any]) -> None:
            # Half of the calls meet something that exists.
            known = {name: ids[name] for name in case.path_parameters or {} if name in ids}
            for parameters in ({}, known) if known else ({},):
                case.path_parameters = {**(case.path_parameters or {}), **parameters}
                answered.add(case.call_and_validate(headers=headers, checks=checks).status_code)

        attack()
    assert answered >= {200, 201, 202, 204}, "the examples never got past the first check"


def _belongings(desk: Desk) -> dict[str, str]:
    case, review = desk.waiting()
    source = desk.post("/v1/sources", {"name": "s", "event_type": "com.recoup.claim.filed.v1"})
    endpoint = desk.post("/v1/endpoints", {"url": "https://other.example/hook"})
    delivery = desk.delivery(case, endpoint["id"], "dead")
    baseline = desk.post("/v1/baselines", {"automation": "claims", "mean_seconds": "840", "method": "m"})
    ids = {
        "case_id": case,
        "review_id": review,
        "delivery_id": delivery,
        "source_id": source["id"],
        "endpoint_id": endpoint["id"],
        "letter_id": desk.poison(),
        "baseline_id": baseline["id"],
    }
    return {name: str(value) for name, value in ids.items()} | {"name": "claims"}
