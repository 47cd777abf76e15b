"""How a tenant is set, and who set it so."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from shared.security import apikeys
from tests.ops_desk import CLAIM, Desk, open_desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database

SOURCE = {
    "name": "portal",
    "event_type": "com.recoup.claim.filed.v1",
    "mapping": {"id": "claim.number", "data": "claim.fields", "time": "sent_at"},
}


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        yield desk


def _actions(desk: Desk) -> list[str]:
    return [row["action"] for row in desk.rows("SELECT action FROM audit_log ORDER BY created_at, id")]


def test_automations_show_their_settings_outcomes_and_open_cases(desk: Desk) -> None:
    desk.case(state="review")
    desk.case(state="decided")
    claims = next(a for a in desk.get("/v1/automations") if a["name"] == "claims")
    assert (claims["paused"], claims["control_share"], claims["open_cases"]) == (False, "0.05", {"review": 1})
    assert claims["outcomes"]["special_investigation"] == {"adverse": True, "automatic": True, "choosable": True}
    assert claims["data_schema"] == desk.get("/v1/automations/claims/schema")
    assert desk.call("GET", "/v1/automations/nonsense/schema").status_code == 404


def test_prices_whose_share_no_ledger_line_can_hold_are_refused(desk: Desk) -> None:
    """The steward books such costs of all tenants together: one that cannot be booked would hold up everybody's."""
    most = {"platform_monthly": "999999999999.9999"}
    assert desk.call("PATCH", "/v1/automations/claims", {"platform_monthly": "1000000000000"}).status_code == 422
    assert Decimal(desk.patch("/v1/automations/claims", most)["platform_monthly"]) == Decimal(most["platform_monthly"])
    hour = LABOUR | {"name": "cpu_hour", "value": "1000000"}
    assert desk.call("POST", "/v1/rates", hour).status_code == 422
    assert desk.post("/v1/rates", hour | {"value": "999999"})["name"] == "cpu_hour"


def test_a_change_of_an_automation_keeps_what_it_does_not_name_and_is_audited(desk: Desk) -> None:
    desk.patch("/v1/automations/claims", {"control_share": "0.1", "platform_monthly": "250"})
    changed = desk.patch("/v1/automations/claims", {"paused": True}, role="operator")
    assert (changed["paused"], Decimal(changed["control_share"]), Decimal(changed["platform_monthly"])) == (
        True,
        Decimal("0.1"),
        Decimal(250),
    )
    log = desk.get("/v1/audit")["items"]
    assert [(row["action"], row["object_id"], row["detail"]) for row in log[:1]] == [("automation.changed", "claims", {"paused": True})]
    assert log[0]["actor"].startswith("operator of acme (rk_")
    assert desk.call("PATCH", "/v1/automations/claims", {"control_share": "1.5"}).status_code == 422
    assert desk.call("PATCH", "/v1/automations/claims", {"pausd": True}).status_code == 422


def test_error_level_and_budgets_are_set_and_taken_back_by_null(desk: Desk) -> None:
    desk.patch("/v1/automations/claims", {"error_level": "0.01", "budget_seconds": "2.5", "budget_money": "0.002"})
    kept = desk.patch("/v1/automations/claims", {"paused": True}, role="operator")
    assert (kept["error_level"], kept["budget_seconds"], kept["budget_money"]) == ("0.0100", "2.500", "0.00200000")
    changed = desk.patch("/v1/automations/claims", {"error_level": None, "budget_money": None})
    assert (changed["error_level"], changed["budget_seconds"], changed["budget_money"]) == (None, "2.500", None)
    assert desk.get("/v1/audit")["items"][0]["detail"] == {"error_level": None, "budget_money": None}
    for wrong in ({"error_level": "0"}, {"error_level": "1"}, {"budget_seconds": "-1"}, {"budget_money": "-0.01"}):
        assert desk.call("PATCH", "/v1/automations/claims", wrong).status_code == 422


def test_a_declared_baseline_has_grade_d_and_expires_after_90_days(desk: Desk) -> None:
    made = desk.post("/v1/baselines", {"automation": "claims", "mean_seconds": "840", "method": "Three team leads"})
    assert (made["grade"], made["variance_seconds2"], made["n"]) == ("D", None, 0)
    assert datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["valid_from"]) == timedelta(days=90)
    assert [b["id"] for b in desk.get("/v1/baselines?automation=claims", role="executive")["items"]] == [made["id"]]
    backwards = {"valid_from": "2026-02-01T00:00:00Z", "expires_at": "2026-01-01T00:00:00Z"}
    refused = desk.call("POST", "/v1/baselines", {"automation": "claims", "mean_seconds": "1", "method": "x", **backwards})
    assert refused.status_code == 422


def test_a_fixed_cost_holds_from_when_it_was_set_whatever_is_set_later(desk: Desk) -> None:
    moments = []
    for change in (
        {"platform_monthly": "250"},
        {"control_share": "0.1", "paused": True},
        {"platform_monthly": "250"},
        {"platform_monthly": "300"},
    ):
        desk.patch("/v1/automations/claims", change)
        moments.append(desk.rows("SELECT priced_at, updated_at FROM automation_settings WHERE automation = 'claims'")[0])
    priced = [row["priced_at"] for row in moments]
    assert priced[0] == priced[1] == priced[2] < priced[3]
    assert len({row["updated_at"] for row in moments}) == 4


LABOUR = {"name": "labour_hour", "value": "52.40", "currency": "EUR", "source": "HR 2026", "valid_from": "2026-01-01T00:00:00Z"}


def test_a_rate_has_a_date_and_a_source_and_its_history_is_not_rewritten(desk: Desk) -> None:
    assert desk.post("/v1/rates", LABOUR)["value"] == "52.40000000"
    assert desk.call("POST", "/v1/rates", LABOUR | {"value": "99"}).status_code == 409
    assert desk.call("POST", "/v1/rates", LABOUR | {"name": "cpu_hour", "automation": "claims"}).status_code == 422
    assert [Decimal(r["value"]) for r in desk.get("/v1/rates?name=labour_hour")["items"]] == [Decimal("52.4")]
    assert _actions(desk) == ["rate.set"]


def test_a_wrong_rate_is_corrected_by_one_more_row_and_both_stay_to_be_seen(desk: Desk) -> None:
    assert desk.call("POST", "/v1/rates", LABOUR | {"correction": True}).status_code == 409
    desk.post("/v1/rates", LABOUR)
    desk.post("/v1/rates", LABOUR | {"value": "48", "source": "HR 2026, second edition", "correction": True})
    assert [Decimal(r["value"]) for r in desk.get("/v1/rates?name=labour_hour")["items"]] == [Decimal(48), Decimal("52.4")]
    assert _actions(desk) == ["rate.set", "rate.corrected"]


@pytest.mark.parametrize(
    "rate",
    [
        {"name": "loss_per_error", "automation": "claims", "value": "180", "currency": "EUR"},
        {"name": "tokens:openai/gpt-x:input", "value": "0.075", "currency": "USD"},
        {"name": "fx:USD:EUR", "value": "0.92"},
    ],
)
def test_errors_tokens_and_exchange_have_dated_rates_too(desk: Desk, rate: dict[str, str]) -> None:
    made = desk.post("/v1/rates", rate | {"source": "a contract"})
    assert desk.get(f"/v1/rates?name={rate['name']}", role="executive")["items"] == [made]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "fx:EUR:EUR", "currency": None},
        {"name": "fx:EUR:USD"},
        {"name": "fx:EUR:USD", "currency": None, "value": "0"},
        {"name": "labour_hour", "currency": None},
        {"name": "tokens:openai/gpt-x:input", "automation": "claims"},
        {"name": "tokens:openai/gpt-x"},
        {"name": "mood"},
    ],
)
def test_a_rate_that_means_nothing_is_refused(desk: Desk, wrong: dict[str, str | None]) -> None:
    assert desk.call("POST", "/v1/rates", LABOUR | wrong).status_code == 422


def test_a_source_shows_its_secret_once(desk: Desk) -> None:
    made = desk.post("/v1/sources", SOURCE)
    sealed = bytes(desk.rows("SELECT sealed FROM source_secrets")[0]["sealed"])
    assert made["webhook_path"] == f"/v1/webhooks/{made['id']}"
    assert desk.vault.open(sealed) == made["secret"]
    shown = desk.call("GET", f"/v1/sources/{made['id']}").text + desk.call("GET", f"/v1/sources/{made['id']}/secrets").text
    assert made["secret"] not in shown
    assert made["secret"] not in str(desk.rows("SELECT * FROM audit_log"))


def test_a_mapping_that_cannot_be_parsed_or_a_type_nobody_handles_is_refused(desk: Desk) -> None:
    bad = desk.call("POST", "/v1/sources", SOURCE | {"mapping": {"id": "a..b", "data": "@"}})
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (422, "id")
    assert desk.call("POST", "/v1/sources", SOURCE | {"event_type": "nobody.v1"}).status_code == 422
    desk.post("/v1/sources", SOURCE)
    assert desk.call("POST", "/v1/sources", SOURCE).status_code == 409


def test_a_mapping_that_no_process_could_carry_out_is_an_answer_and_not_a_crash(desk: Desk) -> None:
    deep = desk.call("POST", "/v1/sources", SOURCE | {"mapping": {"id": "!" * 1500 + "a"}})
    assert (deep.status_code, deep.json()["code"]) == (422, "mapping_failed")
    doubling = desk.post("/v1/sources", SOURCE | {"mapping": {"data": "|".join(["[@,@]"] * 20)}}, role="integrator")
    tried = desk.post(f"/v1/sources/{doubling['id']}/try", {"payload": {"a": "x"}}, role="integrator")
    assert not tried["accepted"]
    assert tried["errors"][0]["problem"].endswith("makes too much of this payload")


def test_a_trial_shows_the_event_or_what_to_fix(desk: Desk) -> None:
    source = desk.post("/v1/sources", SOURCE)["id"]
    good = {"sent_at": "2026-11-23T08:00:00Z", "claim": {"number": "C-1", "fields": CLAIM}}
    result = desk.post(f"/v1/sources/{source}/try", {"payload": good})
    assert (result["accepted"], result["event"]["id"], result["event"]["source"]) == (True, "C-1", "/sources/portal")
    wrong = desk.post(f"/v1/sources/{source}/try", {"payload": {"claim": {"number": "C-1", "fields": CLAIM | {"line": "boat"}}}})
    assert (wrong["accepted"], wrong["errors"][0]["field"], wrong["event"]["data"]["line"]) == (False, "data.line", "boat")
    missing = desk.post(f"/v1/sources/{source}/try", {"payload": {}})
    assert (missing["event"], missing["errors"][0]["field"]) == (None, "id")
    ahead = desk.post(f"/v1/sources/{source}/try", {"payload": {**good, "sent_at": "9999-12-31T23:59:59Z"}})
    assert (ahead["accepted"], ahead["errors"][0]["field"]) == (False, "time")
    assert desk.rows("SELECT * FROM cases") == []


def test_a_source_can_be_changed_disabled_and_deleted(desk: Desk) -> None:
    source = desk.post("/v1/sources", SOURCE)["id"]
    changed = desk.patch(f"/v1/sources/{source}", {"name": "portal", "disabled": True})
    assert (changed["name"], changed["mapping"]["id"], changed["disabled_at"] is None) == ("portal", "claim.number", False)
    again = desk.patch(f"/v1/sources/{source}", {"mapping": None, "disabled": False})
    assert (again["mapping"], again["disabled_at"]) == (None, None)
    assert desk.call("DELETE", f"/v1/sources/{source}").status_code == 204
    assert desk.call("DELETE", f"/v1/sources/{source}").status_code == 404
    assert desk.rows("SELECT * FROM source_secrets") == []
    assert _actions(desk) == ["source.created", "source.changed", "source.changed", "source.deleted"]


def test_a_source_keeps_its_name_because_its_events_would_be_others(desk: Desk) -> None:
    source = desk.post("/v1/sources", SOURCE)["id"]
    refused = desk.call("PATCH", f"/v1/sources/{source}", {"name": "portal 2"})
    assert (refused.status_code, "identity of its events" in refused.json()["detail"]) == (409, True)
    assert desk.get(f"/v1/sources/{source}")["name"] == "portal"


def test_a_mapping_may_leave_the_id_to_the_header_and_the_data_to_the_payload(desk: Desk) -> None:
    for number, mapping in enumerate(({"id": "claim_no"}, {"data": "claim"}, {})):
        source = desk.post("/v1/sources", SOURCE | {"name": f"portal-{number}", "mapping": mapping})["id"]
        tried = desk.post(f"/v1/sources/{source}/try", {"payload": CLAIM | {"claim_no": "C-9", "claim": CLAIM}})
        assert (tried["event"]["id"] == "C-9") == (mapping == {"id": "claim_no"}), tried
        assert tried["event"]["data"]["line"] == CLAIM["line"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("NaN", "NaN"),
        ("1e999", "too large for a double"),
        ("1" * 30, "64 bits"),
        ('"\\ud800"', "half of a surrogate pair"),
        ('{"a": 1, "a": 1}', "same key twice"),
        ('1, "n": 1', "same key twice"),
        ('1}, "payload": {"n": 1', "same key twice"),
        ("[" * 64 + "]" * 64, "nested deeper"),
    ],
)
def test_a_trial_refuses_what_the_gateway_refuses(desk: Desk, text: str, problem: str) -> None:
    source = desk.post("/v1/sources", SOURCE | {"mapping": None})["id"]
    headers = {"Authorization": f"Bearer {desk.token('acme', 'admin')}", "Content-Type": "application/json"}
    answer = desk.client.post(f"/v1/sources/{source}/try", content=f'{{"payload": {{"n": {text}}}}}', headers=headers)
    (error,) = answer.json()["errors"]
    assert (answer.json()["accepted"], problem in error["problem"]) == (False, True), answer.text


def test_a_trial_takes_a_payload_as_deep_as_the_gateway_does(desk: Desk) -> None:
    source = desk.post("/v1/sources", SOURCE | {"mapping": {"data": "claim"}})["id"]
    deep: object = 1
    for _ in range(63):
        deep = [deep]
    assert desk.post(f"/v1/sources/{source}/try", {"payload": {"claim": CLAIM, "deep": deep}})["accepted"]


@pytest.mark.parametrize(("path", "body"), [("sources", SOURCE), ("endpoints", {"url": "https://erp.example.com/hook"})])
def test_a_rotated_secret_stays_valid_for_the_overlap(desk: Desk, path: str, body: dict[str, object]) -> None:
    owner = desk.post(f"/v1/{path}", body)["id"]
    new = desk.post(f"/v1/{path}/{owner}/secrets", {})
    secrets = desk.get(f"/v1/{path}/{owner}/secrets")
    assert secrets[0]["id"] == new["id"]
    assert secrets[0]["expires_at"] is None
    left = datetime.fromisoformat(secrets[1]["expires_at"]) - datetime.fromisoformat(new["created_at"])
    assert left == timedelta(hours=24)
    desk.post(f"/v1/{path}/{owner}/secrets", {"overlap_hours": 0})
    expiries = [datetime.fromisoformat(s["expires_at"]) for s in desk.get(f"/v1/{path}/{owner}/secrets")[1:]]
    assert max(expiries) <= datetime.fromisoformat(desk.get(f"/v1/{path}/{owner}/secrets")[0]["created_at"])


def test_a_senders_own_secret_can_be_kept(desk: Desk) -> None:
    secret = "whsec_" + "A" * 32
    assert desk.post("/v1/sources", SOURCE | {"secret": secret})["secret"] == secret
    assert desk.call("POST", "/v1/sources", SOURCE | {"name": "b", "secret": "whsec_short"}).status_code == 422


@pytest.mark.parametrize("url", ["ftp://x.example", "https://", "https://user:pw@x.example", "https://x.example/#a", "https://x:99999/"])
def test_an_address_that_cannot_be_called_is_refused(desk: Desk, url: str) -> None:
    assert desk.call("POST", "/v1/endpoints", {"url": url}).status_code == 422


def test_enabling_an_endpoint_forgets_its_failures(desk: Desk) -> None:
    endpoint = desk.post("/v1/endpoints", {"url": "https://erp.example.com/hook", "automations": ["invoices"]})["id"]
    desk.sql.execute("UPDATE endpoints SET state = 'disabled', disabled_reason = 'gone', failing_since = now()")
    changed = desk.patch(f"/v1/endpoints/{endpoint}", {"state": "enabled"})
    assert (changed["state"], changed["disabled_reason"], changed["failing_since"]) == ("enabled", None, None)
    assert changed["automations"] == ["invoices"]
    assert desk.patch(f"/v1/endpoints/{endpoint}", {"automations": []})["automations"] == []
    assert desk.call("PATCH", f"/v1/endpoints/{endpoint}", {"automations": ["nonsense"]}).status_code == 404


def test_a_key_is_shown_once_stored_as_a_hash_and_can_be_revoked(desk: Desk) -> None:
    made = desk.post("/v1/keys", {"name": "ERP", "roles": ["integrator"]})
    parts = apikeys.split(made["token"])
    assert parts is not None
    row = desk.rows("SELECT * FROM api_keys WHERE id = %s", made["id"])[0]
    assert apikeys.matches(parts[1], row["secret_sha256"])
    assert parts[1] not in desk.call("GET", "/v1/keys").text + str(row) + str(desk.rows("SELECT * FROM audit_log"))
    assert desk.post(f"/v1/keys/{made['id']}/revoke")["revoked_at"]
    refused = desk.client.get("/v1/cases", headers={"Authorization": f"Bearer {made['token']}"})
    assert refused.status_code == 401
    assert _actions(desk) == ["key.created", "key.revoked"]
    assert desk.call("POST", "/v1/keys", {"name": "x", "roles": ["root"]}).status_code == 422


def test_a_refused_change_leaves_no_audit_row(desk: Desk) -> None:
    desk.call("POST", "/v1/sources", SOURCE | {"event_type": "nobody.v1"})
    desk.call("PATCH", "/v1/automations/nonsense", {"paused": True})
    assert _actions(desk) == []
