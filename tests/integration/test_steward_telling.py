"""Each day that is over is told once to whoever wants to hear it: its figures, and the seal to keep."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from services.steward import telling
from shared.clock import SystemClock
from shared.db import unit_of_work
from shared.ids import uuid7
from shared.ledger.seals import Seal
from tests.horizon import roll_up
from tests.integration.facts import CPU_HOUR, decide, receive, two_tenants
from tests.ledger_world import found, seal
from tests.roi_world import open_board

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.conftest import Database

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TODAY = SystemClock().now().replace(hour=0, minute=0, second=0, microsecond=0)
YESTERDAY = TODAY - DAY


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    with two_tenants(database, "deaf") as engine:
        yield engine


def _subscribe(engine: Engine, *kinds: str) -> None:
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO endpoints (id, tenant_id, url, events) VALUES (%(id)s, 'acme', 'https://x.example', %(kinds)s)",
            {"id": uuid7(), "kinds": list(kinds)},
        )


def receive_and_decide(engine: Engine, n: int, at: datetime) -> int:
    """How many of them were control cases."""
    with unit_of_work(engine) as connection:
        cases = receive(connection, n, at=at)
        decide(connection, cases, at=at)
    return sum(case.arm == "control" for case in cases)


def _told(engine: Engine) -> list[tuple[str, str, dict[str, Any]]]:
    with unit_of_work(engine) as connection:
        rows = connection.exec_driver_sql("SELECT kind, subject, body FROM outbox WHERE case_id IS NULL ORDER BY subject").all()
    return [(kind, subject, orjson.loads(bytes(body))["data"]) for kind, subject, body in rows]


def test_the_figures_of_yesterday_are_told_once_when_they_are_summed_up(engine: Engine) -> None:
    _subscribe(engine, "savings.recorded")
    with unit_of_work(engine) as connection:
        for tenant in ("acme", "deaf"):
            cases = receive(connection, 60, tenant=tenant, at=YESTERDAY)
            decide(connection, cases, seconds="90", at=YESTERDAY + timedelta(hours=10))
    with unit_of_work(engine) as connection:
        (control,) = connection.exec_driver_sql("SELECT count(*) FROM cases WHERE tenant_id = 'acme' AND arm = 'control'").one()
        connection.exec_driver_sql("UPDATE rollup_horizons SET rolled_at = %(at)s", {"at": TODAY})
    assert telling.tell_savings(engine, TODAY + timedelta(hours=1)) == 0
    roll_up(engine)
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("UPDATE rollup_horizons SET rolled_at = %(at)s", {"at": TODAY + timedelta(hours=1)})
    assert [telling.tell_savings(engine, TODAY + timedelta(hours=2)) for _ in range(2)] == [1, 0]
    ((kind, subject, data),) = _told(engine)
    assert (kind, subject) == ("savings.recorded", f"claims:{YESTERDAY:%Y-%m-%d}")
    assert data["cases"] == {"automated": 60 - control, "human": 0, "control": control}
    assert Decimal(data["manual_seconds"]) == 90 * control
    (money,) = data["money"]
    # A millisecond of CPU each.
    assert (money["kind"], money["currency"]) == ("compute", "EUR")
    assert Decimal(money["amount"]) == (60 - control) * (CPU_HOUR.amount / 3600 / 1000).quantize(Decimal("1e-10"))
    assert (datetime.fromisoformat(data["from"]), datetime.fromisoformat(data["to"])) == (YESTERDAY, TODAY)


def test_the_message_claims_no_more_than_the_always_valid_figure_of_its_day(database: Database) -> None:
    with open_board(database) as board:
        _subscribe(board.line, "savings.recorded")
        rng = random.Random(4)
        for hour in range(12):
            times = [str(round(rng.lognormvariate(5, 0.7), 3)) for _ in range(30)]
            with unit_of_work(board.line) as connection:
                for stratum, some in (("s", times[:20]), ("t", times[20:])):
                    cases = receive(connection, len(some), at=YESTERDAY + hour * HOUR)
                    for case, seconds in zip(cases, some, strict=True):
                        decide(connection, [case], seconds=seconds, at=YESTERDAY + hour * HOUR, stratum=stratum)
            roll_up(board.line)
        few = receive_and_decide(board.line, 20, YESTERDAY - DAY)
        roll_up(board.line)
        board.execute("UPDATE rollup_horizons SET rolled_at = %(at)s", {"at": TODAY + HOUR})
        assert telling.tell_savings(board.line, TODAY + 2 * HOUR) == 2
        told = {subject: data for _, subject, data in _told(board.line)}
        period = {"from": YESTERDAY.isoformat(), "to": TODAY.isoformat()}
        shown = board.client.get("/v1/roi/summary", params=period).json()["automations"][0]["saved"]["always_valid"]
    saved = told[f"claims:{YESTERDAY:%Y-%m-%d}"]["saved_seconds"]
    assert float(saved["low"]) / 3600 == pytest.approx(float(shown["low"]), abs=0.001)
    assert Decimal(saved["low"]) < Decimal(saved["point"])
    assert told[f"claims:{YESTERDAY - DAY:%Y-%m-%d}"]["saved_seconds"]["low"] is None, f"{few} control cases are too few"


def test_the_last_seal_of_a_day_is_told_once_in_the_form_that_verify_takes(engine: Engine) -> None:
    _subscribe(engine, "ledger.sealed")
    with unit_of_work(engine) as connection:
        decide(connection, receive(connection, 5))
    seal(engine)
    # By the database's clock: the tests may have begun the day before.
    today = SystemClock().now().replace(hour=0, minute=0, second=0, microsecond=0)
    assert telling.tell_seals(engine, today) == 0
    assert [telling.tell_seals(engine, today + DAY) for _ in range(2)] == [1, 0]
    ((kind, subject, data),) = _told(engine)
    assert (kind, subject) == ("ledger.sealed", f"{today:%Y-%m-%d}")
    kept = Seal(
        tenant_id=data["tenant_id"], n=data["n"], size=data["size"], root=bytes.fromhex(data["root"]), previous=None,
        horizon=data["horizon"], sealed_at=datetime.fromisoformat(data["sealed_at"]).astimezone(UTC),
    )  # fmt: skip
    assert kept.hash().hex() == data["hash"]
    assert json.loads(json.dumps(data)) == data
    assert found(engine, kept=[kept]) == set()


def test_nobody_is_told_who_does_not_want_to_hear_it(engine: Engine) -> None:
    _subscribe(engine, "decision.made")
    with unit_of_work(engine) as connection:
        decide(connection, receive(connection, 5, at=YESTERDAY), at=YESTERDAY)
    roll_up(engine)
    seal(engine)
    assert (telling.tell_savings(engine, TODAY + DAY), telling.tell_seals(engine, TODAY + DAY)) == (0, 0)
