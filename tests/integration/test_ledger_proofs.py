"""Proofs over HTTP, checked where Recoup is not: by a script that has nothing but Python's standard library."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

from services.roi.main import build
from services.roi.service import Roi
from services.steward import ledger, service
from shared.clock import SystemClock
from shared.db import unit_of_work
from tests.database_sessions import connected
from tests.integration.facts import add_key, engine_of, two_tenants
from tests.ledger_world import add_baseline, add_rate, book, book_and_seal, newest
from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.conftest import Database


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    with two_tenants(database) as engine:
        service.seal_ledger(engine)
        add_rate(engine)
        add_baseline(engine)
        book_and_seal(engine, 200, times=2)
        book_and_seal(engine, 3, tenant="other")
        book_and_seal(engine, 7, times=3)
        yield engine


@pytest.fixture
def client(database: Database, engine: Engine) -> Iterator[TestClient]:
    token = add_key(engine, "acme", "executive")
    with engine_of(database, "recoup_api") as api:
        application = build(Roi(api, SystemClock()), api, SystemClock(), threads=4)
        with TestClient(application, headers={"Authorization": f"Bearer {token}"}) as client:
            yield client


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script alone, far from the repository."""
    return Path(shutil.copy(ROOT / "services" / "roi" / "verify_proof.py", tmp_path))


def get(client: TestClient, path: str, **parameters: Any) -> Any:
    answer = client.get(f"/v1/roi/ledger/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def check(script: Path, command: str, proof: object, **kept: object) -> tuple[int, str]:
    """Exit status, and what it said."""
    arguments = [command, "proof.json"]
    for name, content in {"proof": proof, **kept}.items():
        (script.parent / f"{name}.json").write_text(json.dumps(content))
    for name in kept:
        arguments += [f"--{name}", f"{name}.json"]
    done = subprocess.run(
        [sys.executable, "-I", "-S", script.name, *arguments], cwd=script.parent, capture_output=True, text=True, check=False, env={}
    )
    return done.returncode, done.stdout + done.stderr


def entries(engine: Engine, tenant: str = "acme") -> list[UUID]:
    with unit_of_work(engine) as connection:
        rows = connection.exec_driver_sql("SELECT entry_id FROM ledger_leaves WHERE tenant_id = %(t)s ORDER BY leaf_index", {"t": tenant})
        return list(rows.scalars())


def test_every_kind_of_entry_is_proven_offline_against_a_seal_that_was_kept(client: TestClient, engine: Engine, script: Path) -> None:
    sealed = entries(engine)
    kept = get(client, f"seals/{newest(engine).n}")
    for place in (0, 1, 2, 255, 256, len(sealed) - 1):
        proof = get(client, f"lines/{sealed[place]}/proof")
        status, said = check(script, "inclusion", proof, seal=kept)
        assert (status, said[:7]) == (0, "PROVEN:"), said
        assert json.loads(proof["content"])["id"] == str(sealed[place])
    assert {get(client, f"lines/{sealed[place]}/proof")["entry"] for place in range(3)} == {"rate", "baseline", "line"}


def test_an_entry_is_proven_for_every_seal_since_it_came(client: TestClient, engine: Engine, script: Path) -> None:
    first = entries(engine)[5]
    for n in range(2, newest(engine).n + 1):
        assert check(script, "inclusion", get(client, f"lines/{first}/proof", seal=n), seal=get(client, f"seals/{n}"))[0] == 0


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda p: p | {"content": p["content"].replace('"grade":"A"', '"grade":"B"')}, "leaf hash"),
        (lambda p: p | {"leaf_index": p["leaf_index"] + 1}, "root"),
        (lambda p: p | {"path": p["path"][1:]}, "path is too short"),
        (lambda p: p | {"path": [*p["path"], p["path"][0]]}, "path"),
        (lambda p: p | {"path": ["00" * 32, *p["path"][1:]]}, "root"),
        (lambda p: p | {"path": ["00"]}, "32 bytes"),
        (lambda p: p | {"seal": p["seal"] | {"size": p["seal"]["size"] + 1}}, "hash that it states"),
        (lambda p: p | {"leaf_index": 10**9}, "no such leaf"),
        (lambda _: {}, "cannot be read: no proof of inclusion with its seals, as the API answers them: there is no 'seal'"),
        (lambda _: [], "cannot be read"),
    ],
)
def test_a_changed_proof_proves_nothing(client: TestClient, engine: Engine, script: Path, change: Any, complaint: str) -> None:
    proof = get(client, f"lines/{entries(engine)[9]}/proof")
    status, said = check(script, "inclusion", change(proof))
    assert status in {1, 2}
    assert complaint in said
    assert "Traceback" not in said


def test_an_error_of_the_api_is_told_as_such(client: TestClient, script: Path) -> None:
    problem = client.get(f"/v1/roi/ledger/lines/{UUID(int=7)}/proof").json()
    status, said = check(script, "inclusion", problem)
    assert (status, f"no proof but an error of the API: 404 {problem['code']}: {problem['detail']}" in said) == (2, True), said


def test_a_proof_by_another_seal_than_the_one_kept_proves_nothing(client: TestClient, engine: Engine, script: Path) -> None:
    proof = get(client, f"lines/{entries(engine)[9]}/proof")
    status, said = check(script, "inclusion", proof, seal=get(client, "seals/2"))
    assert (status, "not the one that you kept" in said) == (1, True)


def test_seals_are_proven_to_take_nothing_back(client: TestClient, engine: Engine, script: Path) -> None:
    last = newest(engine).n
    for older in range(1, last + 1):
        for newer in {older, last}:
            proof = get(client, "consistency", **{"from": older, "to": newer})
            kept = {"older": get(client, f"seals/{older}"), "newer": get(client, f"seals/{newer}")}
            assert check(script, "consistency", proof, **kept)[0] == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p | {"path": p["path"][1:]},
        lambda p: p | {"path": [*p["path"], p["path"][0]]},
        lambda p: p | {"path": ["11" * 32, *p["path"][1:]]},
        lambda p: p | {"older": p["newer"], "newer": p["older"]},
        lambda p: p | {"newer": p["older"]},
        lambda p: p | {"older": p["older"] | {"root": "11" * 32}},
    ],
)
def test_a_changed_proof_of_consistency_proves_nothing(client: TestClient, script: Path, change: Any) -> None:
    status, said = check(script, "consistency", change(get(client, "consistency", **{"from": 2, "to": 5})))
    assert (status, said[:10]) == (1, "NOT PROVEN")


def test_seals_come_in_pages_newest_first(client: TestClient, engine: Engine) -> None:
    pages = []
    cursor: dict[str, str] = {}
    while True:
        page = get(client, "seals", limit=2, **cursor)
        pages.append([seal["n"] for seal in page["items"]])
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert [n for page in pages for n in page] == list(range(newest(engine).n, 0, -1))


def test_what_is_not_there_not_sealed_yet_or_not_yours_has_no_proof(client: TestClient, engine: Engine) -> None:
    last = newest(engine).n
    late = entries(engine)[-1]
    book(engine)
    with unit_of_work(engine) as connection:
        waiting = connection.exec_driver_sql("SELECT id FROM ledger_lines ORDER BY booked_at DESC LIMIT 1").scalar_one()
    expected = {
        f"lines/{uuid4()}/proof": 404,
        f"lines/{entries(engine, 'other')[0]}/proof": 404,
        f"lines/{late}/proof?seal=2": 409,
        f"lines/{late}/proof?seal={last + 1}": 404,
        f"lines/{waiting}/proof": 409,
        f"seals/{last + 1}": 404,
        "seals/0": 422,
        f"consistency?from=1&to={last + 1}": 404,
        "consistency?from=2&to=1": 409,
        "consistency?from=1": 422,
        "seals?cursor=x": 422,
    }
    assert {path: client.get(f"/v1/roi/ledger/{path}").status_code for path in expected} == expected


def test_a_line_that_was_sealed_and_is_gone_has_no_proof(client: TestClient, engine: Engine, database: Database) -> None:
    gone = entries(engine)[20]
    with connected(database.admin_url) as connection:
        connection.execute("ALTER TABLE ledger_lines DISABLE TRIGGER ALL")
        connection.execute("DELETE FROM ledger_lines WHERE id = %s", [gone])
    assert client.get(f"/v1/roi/ledger/lines/{gone}/proof").status_code == 500


def _verify(database: Database, *arguments: str) -> Result:
    return CliRunner().invoke(ledger.app, ["verify", "--tenant", "acme", *arguments], env={"RECOUP_DATABASE_URL": database.app_url})


def test_the_command_says_that_all_is_well(engine: Engine, client: TestClient, database: Database, tmp_path: Path) -> None:
    kept = tmp_path / "seal.json"
    kept.write_text(json.dumps(get(client, "seals/3")))
    done = _verify(database, "--seal", str(kept))
    assert done.exit_code == 0, done.output
    assert "everything is as it was sealed" in done.stdout
    report = json.loads(_verify(database, "--json").stdout)
    assert (report["as_sealed"], report["entries"], report["findings"]) == (True, newest(engine).size, [])


def test_the_command_names_what_is_wrong_and_fails(engine: Engine, database: Database) -> None:
    changed = entries(engine)[20]
    with connected(database.admin_url) as connection:
        connection.execute("ALTER TABLE ledger_lines DISABLE TRIGGER ALL")
        connection.execute("UPDATE ledger_lines SET quantity = 9 WHERE id = %s", [changed])
    done = _verify(database)
    assert done.exit_code == 1
    assert f"entry_changed: line {changed} (leaf 20)" in done.stdout
    report = json.loads(_verify(database, "--json").stdout)
    assert (report["as_sealed"], report["counts"]) == (False, {"entry_changed": 1})


def test_the_command_says_so_where_a_table_was_dropped(engine: Engine, database: Database) -> None:
    with connected(database.admin_url) as connection:
        connection.execute("DROP TABLE ledger_lines CASCADE")
    done = _verify(database)
    assert (done.exit_code, "ledger_lines" in done.stderr, "Traceback" in done.output) == (1, True, False)


def test_the_command_refuses_a_kept_seal_that_is_none(client: TestClient, database: Database, tmp_path: Path) -> None:
    kept = tmp_path / "seal.json"
    for content in ("{}", "no JSON", json.dumps(get(client, "seals/3") | {"size": 1})):
        kept.write_text(content)
        assert _verify(database, "--seal", str(kept)).exit_code == 2


def test_a_misspelt_tenant_is_not_said_to_be_as_it_was_sealed(engine: Engine, database: Database) -> None:
    done = _verify(database, "--tenant", "acmee")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "there is no tenant 'acmee'; `recoup keys tenant list` says which there are" in " ".join(done.stderr.replace("│", " ").split())
