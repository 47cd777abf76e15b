"""Every route, every role, and what belongs to others."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from services.courier.repository import plan
from shared.db import unit_of_work
from shared.ids import uuid7
from tests.integration.facts import engine_of as line_engine
from tests.ops_desk import ROLES, Desk, open_desk
from tests.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database

INTEGRATOR, OPERATOR, EXECUTIVE, ADMIN = ROLES
ENGINEERS = {INTEGRATOR, OPERATOR, ADMIN}
OPERATORS = {OPERATOR, ADMIN}
INTEGRATORS = {INTEGRATOR, ADMIN}
ANALYSTS = {EXECUTIVE, OPERATOR, ADMIN}

# Who may call what. A route that is not named here fails the first test.
MATRIX: Mapping[tuple[str, str], set[str]] = {
    ("GET", "/v1/cases"): ENGINEERS,
    ("GET", "/v1/cases/{case_id}"): ENGINEERS,
    ("POST", "/v1/cases/{case_id}/reopen"): OPERATORS,
    ("POST", "/v1/cases/{case_id}/replay"): OPERATORS,
    ("POST", "/v1/replay"): OPERATORS,
    ("GET", "/v1/outcomes"): ENGINEERS,
    ("GET", "/v1/reviews"): OPERATORS,
    ("GET", "/v1/reviews/clocks"): ANALYSTS,
    ("GET", "/v1/reviews/{review_id}"): OPERATORS,
    ("POST", "/v1/reviews/claim-next"): OPERATORS,
    ("POST", "/v1/reviews/{review_id}/claim"): OPERATORS,
    ("POST", "/v1/reviews/{review_id}/heartbeat"): OPERATORS,
    ("POST", "/v1/reviews/{review_id}/release"): OPERATORS,
    ("POST", "/v1/reviews/{review_id}/submit"): OPERATORS,
    ("GET", "/v1/deliveries"): ENGINEERS,
    ("POST", "/v1/deliveries/replay"): ENGINEERS,
    ("POST", "/v1/deliveries/{delivery_id}/replay"): ENGINEERS,
    ("GET", "/v1/dead-letters"): OPERATORS,
    ("GET", "/v1/dead-letters/{letter_id}"): OPERATORS,
    ("POST", "/v1/dead-letters/{letter_id}/resolve"): OPERATORS,
    ("GET", "/v1/automations"): set(ROLES),
    ("GET", "/v1/automations/{name}/schema"): set(ROLES),
    ("PATCH", "/v1/automations/{name}"): OPERATORS,
    ("GET", "/v1/models"): set(ROLES),
    ("GET", "/v1/models/drift"): set(ROLES),
    ("PUT", "/v1/models/{name}/{version}"): OPERATORS,
    ("GET", "/v1/baselines"): ANALYSTS,
    ("POST", "/v1/baselines"): {ADMIN},
    ("POST", "/v1/baselines/log"): {ADMIN},
    ("POST", "/v1/baselines/study"): {ADMIN},
    ("POST", "/v1/baselines/{baseline_id}/renew"): {ADMIN},
    ("GET", "/v1/audits"): ANALYSTS,
    ("GET", "/v1/brakes"): ANALYSTS,
    ("POST", "/v1/automations/{name}/release-brake"): OPERATORS,
    ("GET", "/v1/rates"): ANALYSTS,
    ("POST", "/v1/rates"): {ADMIN},
    ("GET", "/v1/sources"): INTEGRATORS,
    ("POST", "/v1/sources"): INTEGRATORS,
    ("GET", "/v1/sources/{source_id}"): INTEGRATORS,
    ("PATCH", "/v1/sources/{source_id}"): INTEGRATORS,
    ("DELETE", "/v1/sources/{source_id}"): INTEGRATORS,
    ("POST", "/v1/sources/{source_id}/try"): INTEGRATORS,
    ("GET", "/v1/sources/{source_id}/secrets"): INTEGRATORS,
    ("POST", "/v1/sources/{source_id}/secrets"): INTEGRATORS,
    ("GET", "/v1/endpoints"): INTEGRATORS,
    ("POST", "/v1/endpoints"): INTEGRATORS,
    ("GET", "/v1/endpoints/{endpoint_id}"): INTEGRATORS,
    ("PATCH", "/v1/endpoints/{endpoint_id}"): INTEGRATORS,
    ("DELETE", "/v1/endpoints/{endpoint_id}"): INTEGRATORS,
    ("GET", "/v1/endpoints/{endpoint_id}/secrets"): INTEGRATORS,
    ("POST", "/v1/endpoints/{endpoint_id}/secrets"): INTEGRATORS,
    ("GET", "/v1/keys"): {ADMIN},
    ("POST", "/v1/keys"): {ADMIN},
    ("POST", "/v1/keys/{key_id}/revoke"): {ADMIN},
    ("GET", "/v1/audit"): {ADMIN},
}


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        yield desk


def _operations(desk: Desk) -> dict[tuple[str, str], dict[str, Any]]:
    paths = desk.app.openapi()["paths"]
    return {(method.upper(), path): operation for path, methods in paths.items() for method, operation in methods.items()}


def _body(desk: Desk, operation: dict[str, Any]) -> object:
    """The first example of the operation's body."""
    if "requestBody" not in operation:
        return None
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return desk.app.openapi()["components"]["schemas"][name]["examples"][0]


def test_the_matrix_names_every_route(desk: Desk) -> None:
    assert set(_operations(desk)) == set(MATRIX)


def test_each_role_may_call_its_routes_and_no_others(desk: Desk) -> None:
    for (method, path), operation in _operations(desk).items():
        url = path.replace("{name}", "claims")
        url = "/".join(str(uuid7()) if part.startswith("{") else part for part in url.split("/"))
        for role in ROLES:
            status = desk.call(method, url, _body(desk, operation), role=role).status_code
            assert (status != 403) == (role in MATRIX[method, path]), (method, path, role, status)
            assert status < 500, (method, path, role, status)


def test_nobody_gets_in_without_a_key(desk: Desk) -> None:
    for (method, path), operation in _operations(desk).items():
        for headers in ({}, {"Authorization": "Bearer rk_nobody_x"}, {"Authorization": "Basic YTpi"}):
            answer = desk.client.request(method, path, json=_body(desk, operation), headers=headers)
            assert answer.status_code == 401, (method, path)


def _belongings_of_other(desk: Desk) -> dict[str, str]:
    """Ids of the tenant ``other``, by the name of the path parameter."""
    case, review = desk.waiting(tenant="other")
    desk.post("/v1/reviews/claim-next", {"reviewer": "m.weber"}, tenant="other")
    source = desk.post(
        "/v1/sources", {"name": "s", "event_type": "com.recoup.claim.filed.v1", "mapping": {"id": "id", "data": "data"}}, tenant="other"
    )
    endpoint = desk.post("/v1/endpoints", {"url": "https://other.example/hook"}, tenant="other")
    key = desk.post("/v1/keys", {"name": "k", "roles": ["operator"]}, tenant="other")
    delivery = desk.delivery(case, endpoint["id"], "dead")
    baseline = desk.post("/v1/baselines", {"automation": "claims", "mean_seconds": "840", "method": "m"}, tenant="other")
    desk.outcome(case, tenant="other")
    ids = {"case_id": case, "review_id": review, "delivery_id": delivery, "letter_id": desk.poison("other")}
    ids |= {"source_id": source["id"], "endpoint_id": endpoint["id"], "key_id": key["id"], "baseline_id": baseline["id"]}
    return {name: str(value) for name, value in ids.items()}


def _everything(desk: Desk) -> dict[str, list[dict[str, Any]]]:
    tables = desk.rows(
        "SELECT table_name AS name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant_id' ORDER BY 1"
    )
    # `last_used_at` of a key is what using it changes.
    return {
        table["name"]: desk.rows(f"SELECT to_jsonb(t) - 'last_used_at' AS r FROM {table['name']} t WHERE tenant_id = 'other' ORDER BY 1")
        for table in tables
    }


def test_what_belongs_to_others_does_not_exist_and_does_not_change(desk: Desk) -> None:
    ids = _belongings_of_other(desk)
    before = _everything(desk)
    for (method, path), operation in _operations(desk).items():
        if "_id}" not in path:
            continue
        answer = desk.call(method, path.format(**ids), _body(desk, operation))
        assert answer.status_code == 404, (method, path, answer.text)
    assert _everything(desk) == before


def test_lists_and_bulk_orders_never_reach_others(desk: Desk) -> None:
    ids = _belongings_of_other(desk)
    desk.case(tenant="other", state="quarantined")
    before = _everything(desk)
    for method, path in _operations(desk):
        if method == "GET" and "{" not in path and path not in {"/v1/automations", "/v1/keys", "/v1/audit"}:
            assert desk.get(path)["items"] == [], path
    assert all(row["name"] != "k" for row in desk.get("/v1/keys"))
    assert all("other" not in row["actor"] for row in desk.get("/v1/audit")["items"])
    assert all(automation["open_cases"] == {} for automation in desk.get("/v1/automations"))
    assert desk.post("/v1/replay", {"automation": "claims"})["count"] == 0
    assert desk.post("/v1/reviews/claim-next", {"reviewer": "ada", "limit": 50}) == []
    span = {"created_from": "2020-01-01T00:00:00Z", "created_until": "2100-01-01T00:00:00Z", "endpoint_id": ids["endpoint_id"]}
    assert desk.post("/v1/deliveries/replay", span)["count"] == 0
    assert _everything(desk) == before


FIGURES = ("savings.recorded", "savings.restated")
HOOK = {"url": "https://erp.example.com/hook"}
CHANGES: list[dict[str, object]] = [{"url": "https://elsewhere.example.com/hook"}, {"events": ["decision.made"]}, {"automations": []}]


def _sent(desk: Desk, endpoint: str, kind: str, state: str) -> str:
    """Id of a delivery of a message about no single case."""
    outbox, delivery = uuid7(), uuid7()
    desk.sql.execute(
        "INSERT INTO outbox (id, tenant_id, subject, automation, kind, body) VALUES (%s, 'acme', %s, 'claims', %s, '{}')",
        (outbox, str(outbox), kind),
    )
    desk.sql.execute(
        "INSERT INTO deliveries (id, tenant_id, outbox_id, endpoint_id, state, attempt, next_attempt_at)"
        " VALUES (%s, 'acme', %s, %s, %s, 7, now())",
        (delivery, outbox, endpoint, state),
    )
    return str(delivery)


@pytest.mark.parametrize("kind", FIGURES)
def test_who_may_not_read_figures_does_not_have_them_sent_either(desk: Desk, kind: str) -> None:
    wanted = HOOK | {"events": ["decision.made", kind]}
    refused = desk.call("POST", "/v1/endpoints", wanted, role=INTEGRATOR)
    assert (refused.status_code, refused.json()["needs"]) == (403, [EXECUTIVE, OPERATOR, ADMIN])
    mine = desk.post("/v1/endpoints", HOOK, role=INTEGRATOR)["id"]
    assert desk.call("PATCH", f"/v1/endpoints/{mine}", {"events": [kind]}, role=INTEGRATOR).status_code == 403
    assert desk.get(f"/v1/endpoints/{mine}")["events"] == ["decision.made", "decision.corrected"]
    assert desk.patch(f"/v1/endpoints/{mine}", {"events": [kind]})["events"] == [kind]


def test_where_figures_go_is_not_for_those_who_may_not_read_them(desk: Desk) -> None:
    """Else another address would get what an admin had sent to a trusted one."""
    finance = desk.post("/v1/endpoints", HOOK | {"events": [*FIGURES]})["id"]
    for change in CHANGES:
        assert desk.call("PATCH", f"/v1/endpoints/{finance}", change, role=INTEGRATOR).status_code == 403
    assert desk.call("POST", f"/v1/endpoints/{finance}/secrets", {}, role=INTEGRATOR).status_code == 403
    assert desk.patch(f"/v1/endpoints/{finance}", {"state": "disabled"}, role=INTEGRATOR)["url"] == HOOK["url"]
    assert len(desk.get(f"/v1/endpoints/{finance}/secrets", role=INTEGRATOR)) == 1
    assert desk.post(f"/v1/endpoints/{finance}/secrets")["secret"]


def test_an_endpoint_that_has_got_figures_stays_with_those_who_may_read_them(desk: Desk) -> None:
    """Its subscription may end; what waits for it or is delivered again would still go to another address."""
    once = desk.post("/v1/endpoints", HOOK | {"events": [FIGURES[0]]})["id"]
    _sent(desk, once, FIGURES[0], "dead")
    desk.patch(f"/v1/endpoints/{once}", {"events": ["decision.made"]})
    for change in CHANGES:
        assert desk.call("PATCH", f"/v1/endpoints/{once}", change, role=INTEGRATOR).status_code == 403
    assert desk.call("POST", f"/v1/endpoints/{once}/secrets", {}, role=INTEGRATOR).status_code == 403
    assert desk.patch(f"/v1/endpoints/{once}", {"state": "enabled"}, role=INTEGRATOR)["url"] == HOOK["url"]
    assert desk.patch(f"/v1/endpoints/{once}", CHANGES[0])["url"] != HOOK["url"]
    never = desk.post("/v1/endpoints", HOOK)["id"]
    _sent(desk, never, "ledger.sealed", "dead")
    assert desk.patch(f"/v1/endpoints/{never}", CHANGES[0], role=INTEGRATOR)["url"] != HOOK["url"]
    assert desk.post(f"/v1/endpoints/{never}/secrets", role=INTEGRATOR)["secret"]


@pytest.mark.parametrize("kind", FIGURES)
def test_figures_are_delivered_again_by_those_only_who_may_read_them(desk: Desk, kind: str) -> None:
    endpoint = desk.post("/v1/endpoints", HOOK)["id"]
    figures, sealed = _sent(desk, endpoint, kind, "dead"), _sent(desk, endpoint, "ledger.sealed", "delivered")
    assert desk.call("POST", f"/v1/deliveries/{figures}/replay", role=INTEGRATOR).status_code == 403
    assert desk.post(f"/v1/deliveries/{sealed}/replay", role=INTEGRATOR)["state"] == "pending"
    span = {"created_from": "2020-01-01T00:00:00Z", "created_until": "2100-01-01T00:00:00Z", "state": "dead"}
    assert desk.post("/v1/deliveries/replay", span, role=INTEGRATOR) == {"count": 0, "more": False}
    assert desk.post("/v1/deliveries/replay", span, role=OPERATOR) == {"count": 1, "more": False}
    assert desk.call("POST", f"/v1/deliveries/{figures}/replay", role=OPERATOR).status_code == 409
    desk.sql.execute("UPDATE deliveries SET state = 'dead' WHERE id = %s", (figures,))
    assert desk.post(f"/v1/deliveries/{figures}/replay", role=ADMIN)["state"] == "pending"


def test_an_endpoint_is_not_moved_while_somebody_subscribes_it_to_figures(desk: Desk) -> None:
    """Each would be right alone: the later one must see what the earlier one did."""
    endpoint = desk.post("/v1/endpoints", HOOK)["id"]
    move = partial(desk.call, "PATCH", f"/v1/endpoints/{endpoint}", CHANGES[0], role=INTEGRATOR)
    desk.token("acme", INTEGRATOR)
    with ThreadPoolExecutor(1) as thread, psycopg.connect(desk.sql.info.dsn, password=desk.sql.info.password) as subscribing:
        subscribing.execute("UPDATE endpoints SET events = %s WHERE id = %s", ([FIGURES[0]], endpoint))
        moving = thread.submit(move)
        eventually(lambda: desk.rows("SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()") != [{"n": 0}])
        subscribing.commit()
        assert moving.result().status_code == 403
    assert desk.get(f"/v1/endpoints/{endpoint}")["url"] == HOOK["url"]


def test_a_key_of_two_roles_has_the_figures_sent(desk: Desk) -> None:
    token = desk.post("/v1/keys", {"name": "finance", "roles": [INTEGRATOR, EXECUTIVE]})["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert desk.client.post("/v1/endpoints", json=HOOK | {"events": [*FIGURES]}, headers=headers).status_code == 201


def test_figures_that_are_being_planned_for_an_endpoint_do_not_follow_it_to_another_address(desk: Desk, database: Database) -> None:
    """Deliveries are planned in a transaction that an unsubscription does not wait for: until it ends nobody sees what was planned."""
    endpoint = desk.post("/v1/endpoints", HOOK | {"events": ["savings.recorded"]})["id"]
    desk.sql.execute(
        "INSERT INTO outbox (id, tenant_id, subject, automation, kind, body) VALUES (%s, 'acme', 's', 'claims', 'savings.recorded', '{}')",
        (uuid7(),),
    )
    with line_engine(database) as engine, ThreadPoolExecutor(1) as pool:
        with unit_of_work(engine) as planner:
            assert plan(planner, limit=10, publishes=False) == 1
            desk.patch(f"/v1/endpoints/{endpoint}", {"events": ["decision.made"]})
            change = pool.submit(desk.call, "PATCH", f"/v1/endpoints/{endpoint}", CHANGES[0], role=INTEGRATOR)
            # It waits; where it did not, it would be answered by now.
            with suppress(TimeoutError):
                change.result(timeout=1)
        assert change.result(timeout=30).status_code == 403
    assert desk.get(f"/v1/endpoints/{endpoint}")["url"] == HOOK["url"]
