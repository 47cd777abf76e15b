"""The OpenAPI document of the operations API: reviewed, complete, and kept under fire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from tests.openapi_snapshots import refuse_unreviewed
from tests.ops_desk import Desk, open_desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database

EXAMPLES = 6


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        yield desk


def test_the_document_is_the_reviewed_one(desk: Desk) -> None:
    refuse_unreviewed("ops", desk.app.openapi(), "tests/contract/test_ops_openapi.py")


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
