"""`recoup ops`, `recoup keys` and `recoup replay` as processes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from services.supervisor.ports import free_port
from shared.security.vault import new_vault_key
from tests.ops_desk import Desk, open_desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        yield desk


def _environment(url: str, **more: str) -> dict[str, str]:
    return {"RECOUP_DATABASE_URL": url, "PATH": "/usr/bin:/bin", **more}


def _run(module: str, *arguments: str, url: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, env=_environment(url, **more), capture_output=True, text=True, timeout=60, check=False)


def _keys(database: Database, *arguments: str) -> str:
    done = _run("services.ops.keys", *arguments, url=database.app_url)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_tenant_is_created_once_with_declared_rates(database: Database, desk: Desk) -> None:
    first = _keys(database, "tenant", "create", "lab", "--name", "Lab", "--currency", "CHF", "--simulated", "--time-scale", "60")
    again = _keys(database, "tenant", "create", "lab", "--currency", "EUR")
    row = desk.rows("SELECT * FROM tenants WHERE id = 'lab'")[0]
    rates = desk.rows("SELECT name, value, currency, source FROM rates WHERE tenant_id = 'lab' ORDER BY name")
    assert "created" in first
    assert "nothing changed" in again
    assert (row["name"], row["simulated"], row["time_scale"], row["currency"], len(row["arm_salt"])) == ("Lab", True, 60, "CHF", 32)
    assert [(r["name"], float(r["value"]), r["currency"]) for r in rates] == [("cpu_hour", 0.05, "CHF"), ("labour_hour", 45, "CHF")]
    assert {r["source"] for r in rates} == {"declared default, change it"}
    assert "lab" in [t["id"] for t in json.loads(_keys(database, "tenant", "list", "--json"))]


@pytest.mark.parametrize(
    "arguments",
    [
        *(["Acme"], ["x", "--currency", "euro"], ["x", "--time-scale", "2"]),
        *(["x", "--name", "x" * 201], ["x", "--name", "a\x1b[31mb"]),
    ],
    ids=["id", "currency", "scaled", "long", "colour"],
)
def test_a_tenant_that_cannot_be_is_refused_with_a_reason(database: Database, desk: Desk, arguments: list[str]) -> None:
    done = _run("services.ops.keys", "tenant", "create", *arguments, url=database.app_url)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert desk.rows("SELECT * FROM tenants WHERE id IN ('x', 'Acme')") == []


def test_a_key_from_the_command_line_works_until_it_is_revoked(database: Database, desk: Desk) -> None:
    made = json.loads(_keys(database, "create", "--tenant", "acme", "--role", "operator", "--name", "Console", "--json"))
    token = _keys(database, "create", "--tenant", "acme", "--role", "integrator", "--role", "executive", "--name", "ERP").strip()
    _keys(database, "revoke", made["id"], "--tenant", "acme")
    shown = _keys(database, "list", "--tenant", "acme").splitlines()
    listed = {key["name"]: key for key in json.loads(_keys(database, "list", "--tenant", "acme", "--json"))}

    def status(key: str) -> int:
        return desk.client.get("/v1/cases", headers={"Authorization": f"Bearer {key}"}).status_code

    assert (status(token), status(made["token"])) == (200, 401)
    assert listed["ERP"]["roles"] == ["executive", "integrator"]
    assert listed["Console"]["revoked_at"]
    # Nothing is cut off at the right of eighty columns, where it stands whether a key was revoked.
    assert {line[-1] for line in shown} == set("┓┃┩│┘")
    assert {row["actor"] for row in desk.rows("SELECT actor FROM audit_log")} == {"recoup keys"}


def test_a_key_is_refused_from_the_moment_on_that_it_was_made_for(database: Database, desk: Desk) -> None:
    made = ["create", "--tenant", "acme", "--role", "executive", "--name", "Auditor", "--json"]
    key = json.loads(_keys(database, *made, "--expires", "2199-03-31"))
    headers = {"Authorization": f"Bearer {key['token']}"}
    assert key["expires_at"] == "2199-03-31T00:00:00Z"
    assert "2199-03-31 00:00" in _keys(database, "list", "--tenant", "acme")
    assert desk.client.get("/v1/baselines", headers=headers).status_code == 200
    late = json.loads(_keys(database, *made, "--expires", "2199-03-31T00:00:00"))
    desk.sql.execute("UPDATE api_keys SET expires_at = now() WHERE id = %s", [late["id"]])
    refused = desk.client.get("/v1/baselines", headers={"Authorization": f"Bearer {late['token']}"})
    assert (refused.status_code, refused.json()["detail"]) == (401, "This API key has expired.")


@pytest.mark.parametrize("moment", ["2020-01-01", "2300-01-01", "soon"])
def test_a_key_that_could_never_be_used_is_not_made(database: Database, desk: Desk, moment: str) -> None:
    done = _run("services.ops.keys", *_NEVER, "--expires", moment, url=database.app_url)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert desk.rows("SELECT * FROM api_keys WHERE name = 'never'") == []


_NEVER = ("create", "--tenant", "acme", "--role", "executive", "--name", "never")


def test_names_are_listed_as_they_are_whatever_they_look_like(database: Database) -> None:
    _keys(database, "tenant", "create", "odd", "--name", "[/b] Söhne")
    _keys(database, "create", "--tenant", "odd", "--role", "executive", "--role", "operator", "--name", "[/x] [red]株式会社")
    assert "[/b] Söhne" in _keys(database, "tenant", "list")
    (row,) = (line for line in _keys(database, "list", "--tenant", "odd").splitlines() if "rk_" in line)
    # As wide as what is in it, so that a search by lines finds a key with all that it has.
    assert "[/x] [red]株式会社" in row
    assert "executive, operator" in row


@pytest.mark.parametrize("arguments", [["keys", "list"], ["replay", "--automation", "claims"]], ids=["keys", "replay"])
def test_a_misspelt_tenant_is_not_shown_as_one_without_anything(database: Database, arguments: list[str]) -> None:
    done = _run(f"services.ops.{arguments[0]}", *arguments[1:], "--tenant", "acmee", url=database.app_url)
    assert (done.returncode, "there is no tenant 'acmee'" in done.stderr) == (2, True)


def test_a_key_needs_a_tenant_that_exists(database: Database) -> None:
    done = _run("services.ops.keys", "create", "--tenant", "nobody", "--role", "admin", "--name", "x", url=database.app_url)
    assert (done.returncode, "there is no tenant" in done.stderr) == (2, True)


def test_the_vault_key_that_is_printed_opens_a_vault(database: Database) -> None:
    secret = _keys(database, "secret").strip()
    done = _run("services.ops.main", "--check", url=database.app_url, RECOUP_SECRET_KEY=secret)
    assert done.returncode == 0, done.stderr


def test_settings_that_are_wrong_are_named(database: Database) -> None:
    missing = _run("services.ops.main", "--check", url=database.app_url)
    wrong = _run("services.ops.main", "--check", url=database.app_url, RECOUP_SECRET_KEY="no key", RECOUP_OPS_PORT="0")
    assert (missing.returncode, "RECOUP_SECRET_KEY" in missing.stderr) == (2, True)
    assert (wrong.returncode, "RECOUP_OPS_PORT" in wrong.stderr) == (2, True)


def test_the_api_does_not_start_as_a_role_that_sees_every_tenant(database: Database) -> None:
    done = _run("services.ops.main", url=database.admin_url, RECOUP_SECRET_KEY=new_vault_key(), RECOUP_OPS_PORT=str(free_port()))
    assert done.returncode == 1
    assert "superuser" in done.stderr
    assert "connect as recoup_app" in done.stderr


def test_the_api_starts_and_is_ready_and_ends_on_sigterm(database: Database) -> None:
    port = free_port()
    environment = _environment(database.app_url, RECOUP_SECRET_KEY=new_vault_key(), RECOUP_OPS_PORT=str(port))
    with subprocess.Popen([sys.executable, "-m", "services.ops.main"], env=environment) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=60)) as client:
                ready = _eventually_ready(client)
        finally:
            process.terminate()
        assert process.wait(timeout=15) in {0, -15}
    assert ready == {"database": True}


def _eventually_ready(client: httpx.Client) -> object:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert client.get("/v1/cases").status_code == 401
    return answer.json()


def test_replay_counts_first_then_sends_again(database: Database, desk: Desk) -> None:
    cases = [desk.case(state="quarantined") for _ in range(3)]
    foreign = desk.case(state="quarantined", tenant="other")
    order = ["--tenant", "acme", "--automation", "claims"]
    dry = _run("services.ops.replay", *order, "--dry-run", url=database.app_url)
    assert "3 quarantined" in dry.stdout
    assert len(desk.rows("SELECT * FROM cases WHERE state = 'quarantined'")) == 4
    done = _run("services.ops.replay", *order, "--limit", "2", url=database.app_url)
    assert "2 cases sent again" in done.stdout, done.stderr
    assert {row["id"] for row in desk.rows("SELECT id FROM cases WHERE state = 'quarantined'")} == {cases[2], foreign}
    misspelt = _run("services.ops.replay", "--tenant", "acme", "--automation", "nonsense", url=database.app_url)
    assert (misspelt.returncode, "'nonsense' is installed" in misspelt.stderr) == (2, True), misspelt.stderr
