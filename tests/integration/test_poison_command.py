"""`recoup poison`: what nobody's list shows is counted, shown, read again or discarded on the machine."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from services.dispatcher.records import Raw
from services.dispatcher.service import Intake
from services.steward.repository import watch
from shared.clock import SystemClock
from shared.db import unit_of_work
from shared.settings import TIME_AHEAD
from tests.dispatcher_world import ACME, claim, count
from tests.intake_data import add_tenant, engine_of, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.conftest import Database
    from tests.dispatcher_world import Headers

TYPED_WRONG: Headers = [("tenant", b"acmee")]


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    add_tenant(database)
    engine = engine_of(database)
    yield engine
    engine.dispose()


def _bury(engine: Engine, *records: tuple[bytes, Headers]) -> None:
    """As the dispatcher does: at offsets from 0, one after the other."""
    intake, now = Intake(engine, SystemClock(), TIME_AHEAD), int(SystemClock().now().timestamp() * 1000)
    intake.put_away([Raw("events", 0, offset, now + offset, value, headers) for offset, (value, headers) in enumerate(records)])


def _run(database: Database, *arguments: str, status: int = 0) -> str:
    command = [sys.executable, "-m", "services.dispatcher.poison", *arguments]
    environment = {"RECOUP_DATABASE_URL": database.app_url, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout


def _listed(database: Database, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_run(database, "list", "--json", *arguments))
    return found


def test_what_is_nobodys_is_counted_listed_and_shown(engine: Engine, database: Database) -> None:
    _bury(engine, (claim("1"), []), (claim("2"), TYPED_WRONG), (claim("3"), TYPED_WRONG), (b"junk", ACME), (claim("4"), ACME))
    groups = json.loads(_run(database, "summary", "--json"))
    assert [(group["tenant"], group["records"], group["error"].partition(":")[0]) for group in groups] == [
        (None, 2, "unknown_tenant"),
        (None, 1, "no_tenant"),
        ("acme", 1, "malformed"),
    ]
    nobodys = _listed(database)
    assert [one["place"] for one in nobodys] == ["events/0@0", "events/0@1", "events/0@2"]
    assert nobodys[1]["error"] == "unknown_tenant: There is no tenant acmee."
    assert [one["place"] for one in _listed(database, "--tenant", "acme")] == ["events/0@3"]
    assert _run(database, "show", nobodys[0]["id"]).encode() == claim("1")
    assert "(nobody)" in _run(database, "summary")
    assert "events/0@0" in _run(database, "list").replace("\n", "")
    with unit_of_work(engine) as connection:
        assert watch.poison(connection) == {"tenant": 1, "nobody": 3}


def test_records_that_came_before_their_tenant_become_its_cases_once_it_exists(engine: Engine, database: Database) -> None:
    late: Headers = [("tenant", b"late")]
    _bury(engine, (claim("1"), late), (claim("2"), late), (claim("3"), TYPED_WRONG), (claim("4"), []))
    _run(database, "replay", "--tenant", "late", status=2)
    _run(database, "list", "--tenant", "late", status=2)
    _run(database, "discard", "--tenant", "late", "--error", "unknown_tenant", "--note", "", status=2)
    add_tenant(database, "late")
    assert _run(database, "replay", "--tenant", "late") == "2 accepted\n2 records read again\n"
    assert rows(database, "SELECT tenant_id, event_id, state FROM cases ORDER BY 2") == [("late", "1", "pending"), ("late", "2", "pending")]
    # Those that named somebody else, or nobody, are not taken along.
    assert len(_listed(database)) == 2
    assert _run(database, "replay", "--tenant", "late") == "0 records read again\n"
    audited = rows(database, "SELECT tenant_id, actor, action, detail->>'receipt' FROM audit_log")
    assert audited == 2 * [("late", "recoup poison", "dead_letter.replayed", "accepted")]


def test_records_of_nobody_are_given_to_a_tenant_by_id_or_error_and_never_doubled(engine: Engine, database: Database) -> None:
    _bury(engine, (claim("1"), []), (claim("1"), TYPED_WRONG), (claim("2"), TYPED_WRONG), (claim("2"), ACME))
    first = _listed(database)[0]["id"]
    assert _run(database, "replay", first, "--tenant", "acme") == "1 accepted\n1 records read again\n"
    said = _run(database, "replay", "--tenant", "acme", "--error", "unknown_tenant: There is no tenant acmee.")
    assert said == "2 duplicate\n2 records read again\n"
    assert count(database, "cases") == 2
    assert _listed(database) == []


def test_an_error_that_many_share_gives_no_tenant_what_named_another(engine: Engine, database: Database) -> None:
    late: Headers = [("tenant", b"late")]
    _bury(engine, (claim("1"), late), (claim("2"), TYPED_WRONG), (claim("3"), []))
    add_tenant(database, "late")
    assert _run(database, "replay", "--tenant", "late", "--error", "unknown_tenant") == "1 accepted\n1 records read again\n"
    assert rows(database, "SELECT event_id FROM cases") == [("1",)]
    assert len(_listed(database, "--error", "unknown_tenant")) == 1


def test_the_headers_of_a_record_are_shown_and_one_of_before_they_were_kept_has_none(engine: Engine, database: Database) -> None:
    _bury(engine, (b"junk", [*ACME, ("more", b""), ("more", b"\xff")]))
    (one,) = _listed(database, "--tenant", "acme")
    assert json.loads(_run(database, "show", one["id"], "--headers")) == [
        {"name": "tenant", "value_base64": "YWNtZQ=="},
        {"name": "more", "value_base64": ""},
        {"name": "more", "value_base64": "/w=="},
    ]
    with psycopg.connect(database.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("UPDATE poison_records SET headers = DEFAULT")
    assert _run(database, "show", one["id"], "--headers") == "[]\n"
    assert _run(database, "replay", one["id"], "--tenant", "acme", status=1).endswith("1 records read again\n")


def test_what_a_record_says_of_its_sender_holds_when_it_is_read_again_but_not_when_it_came(engine: Engine, database: Database) -> None:
    sent = hashlib.sha256(b"what the sender signed").digest()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    told: Headers = [("body_sha256", sent.hex().encode()), ("traceparent", trace.encode()), ("received_at", b"2026-11-01T00:00:00Z")]
    _bury(engine, (claim("1"), [*TYPED_WRONG, *told]))
    assert _run(database, "replay", _listed(database)[0]["id"], "--tenant", "acme").startswith("1 accepted")
    ((digest, traceparent, received),) = rows(database, "SELECT body_sha256, traceparent, received_at FROM cases")
    assert (digest, traceparent) == (sent, trace)
    assert isinstance(received, datetime)
    assert SystemClock().now() - received < timedelta(minutes=5)


def test_what_still_cannot_be_read_stays(engine: Engine, database: Database) -> None:
    later = (SystemClock().now() + TIME_AHEAD + timedelta(hours=1)).isoformat()
    _bury(engine, (b"junk", ACME), (claim("1", time=later), ACME))
    said = _run(database, "replay", "--tenant", "acme", status=1)
    assert "malformed" in said
    assert "time_ahead" in said
    assert len(_listed(database, "--tenant", "acme")) == 2


def test_discarded_records_keep_their_bytes_and_the_note(engine: Engine, database: Database) -> None:
    _bury(engine, (claim("1"), []), (b"junk", ACME))
    _run(database, "discard", "--note", "A test of the sender.", status=2)
    assert _run(database, "discard", "--error", "no_tenant", "--note", "A test of the sender.") == "1 records discarded\n"
    (own,) = _listed(database, "--tenant", "acme")
    _run(database, "discard", own["id"], "--tenant", "acme", "--note", "Junk.")
    assert rows(database, "SELECT count(*), count(resolved_at), min(length(raw)) FROM poison_records") == [(2, 2, 4)]
    assert rows(database, "SELECT action, detail->>'note' FROM audit_log") == [("dead_letter.resolved", "Junk.")]
