"""Messages about no single decision go, signed, to the endpoints that want them, and to no others."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook

from shared.casework.notices import EVERY, Notice, NoticeKind, tell
from shared.db import unit_of_work
from shared.security.vault import new_webhook_secret
from tests.courier_sink import Sink
from tests.courier_world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    world = World(database)
    yield world
    world.engine.dispose()


def _notice(world: World, kind: NoticeKind, automation: str = "claims", subject: str = "s-1") -> Notice:
    return Notice(
        tenant_id=world.tenant, kind=kind, automation=automation, subject=subject, at=AT, data={"cash": Decimal("10.50"), "since": AT}
    )


def _tell(world: World, *notices: Notice) -> int:
    with unit_of_work(world.engine) as connection:
        return tell(connection, notices)


def test_each_endpoint_gets_the_kinds_that_it_subscribed_to_signed_as_every_message(world: World) -> None:
    secret = new_webhook_secret()
    with Sink() as sink:
        world.endpoint(sink.url("/finance"), events=["savings.restated", "ledger.sealed"], secrets=[secret])
        world.endpoint(sink.url("/erp"))
        world.endpoint(sink.url("/invoices"), events=["savings.restated", "ledger.sealed"], automations=["invoices"], secrets=[secret])
        decisions = world.decide(2)
        restated, sealed = _notice(world, NoticeKind.SAVINGS_RESTATED), _notice(world, NoticeKind.LEDGER_SEALED, EVERY)
        _tell(world, restated, sealed, _notice(world, NoticeKind.AUTOMATION_BRAKED))
        with world.courier():
            world.settled()
        got = {path: [one for one in sink.received if one.path == path] for path in ("/finance", "/erp", "/invoices")}
    assert sorted(one.body for one in got["/erp"]) == sorted(decisions)
    assert sorted(one.body for one in got["/finance"]) == sorted([restated.body(simulated=False), sealed.body(simulated=False)])
    # What is about every automation goes to whoever wants some of them, too.
    assert [one.body for one in got["/invoices"]] == [sealed.body(simulated=False)]
    for one in got["/finance"]:
        assert Webhook(secret).verify(one.body, one.headers) == json.loads(one.body)


def test_a_message_is_told_once_per_kind_and_subject(world: World) -> None:
    assert _tell(world, _notice(world, NoticeKind.SAVINGS_RESTATED), _notice(world, NoticeKind.LEDGER_SEALED)) == 2
    assert _tell(world, _notice(world, NoticeKind.SAVINGS_RESTATED), _notice(world, NoticeKind.SAVINGS_RESTATED, subject="s-2")) == 1


def test_figures_of_simulated_people_say_so_and_other_messages_need_not(world: World) -> None:
    with unit_of_work(world.engine) as connection:
        connection.exec_driver_sql("UPDATE tenants SET simulated = true WHERE id = %(id)s", {"id": world.tenant})
    _tell(world, *(_notice(world, kind) for kind in NoticeKind))
    with unit_of_work(world.engine) as connection:
        rows = connection.exec_driver_sql("SELECT kind, body FROM outbox WHERE subject = 's-1'").all()
    told = {kind: json.loads(bytes(body))["data"].get("simulated") for kind, body in rows}
    assert told == {"savings.recorded": True, "savings.restated": True, "automation.braked": None, "ledger.sealed": None}


def test_a_message_is_a_cloud_event_whose_money_is_text(world: World) -> None:
    notice = _notice(world, NoticeKind.SAVINGS_RESTATED)
    assert json.loads(notice.body(simulated=False)) == {
        "specversion": "1.0",
        "id": str(notice.id),
        "source": "/recoup/claims",
        "type": "com.recoup.savings.restated.v1",
        "time": "2026-11-23T12:00:00Z",
        "subject": "s-1",
        "datacontenttype": "application/json",
        "data": {"cash": "10.50", "since": "2026-11-23T12:00:00Z", "simulated": False},
    }
    assert json.loads(_notice(world, NoticeKind.LEDGER_SEALED, EVERY).body(simulated=False))["source"] == "/recoup"
