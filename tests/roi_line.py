"""Facts for the ROI API to answer about, and its answers."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from shared.db import unit_of_work
from shared.ledger import posting
from shared.ledger import repository as ledger
from shared.money import Money, currency
from tests.horizon import roll_up
from tests.integration.facts import Subject, decide, hours_ago, receive
from tests.roi_world import of_thirty_days

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from starlette.testclient import TestClient


def work(line: Engine, n: int = 300, *, seconds: str = "100", hours: float = 1, tenant: str = "acme") -> None:
    """``n`` cases with half a minute of scatter in their manual time, three of four by a tier."""
    with unit_of_work(line) as connection:
        cases = receive(connection, n, at=hours_ago(hours), tenant=tenant)
        for number in range(4):
            tier = "human" if number == 3 else "nano"
            decide(connection, cases[number::4], seconds=str(Decimal(seconds) + 10 * number - 15), tier=tier, at=hours_ago(hours))


def book(line: Engine, kind: str, amount: str, code: str) -> None:
    with unit_of_work(line) as connection:
        case = next(c for c in receive(connection, 50) if c.arm == "automated")
        subject = Subject(case.id, case.tenant, case.automation, case.arm, "s")
        assert kind == "cash"
        ledger.post(connection, [posting.for_cash(subject, Money(Decimal(amount), currency(code)), at=hours_ago(0))])


def rate(line: Engine, name: str, value: str, code: str | None) -> None:
    with unit_of_work(line) as connection:
        connection.exec_driver_sql(
            "INSERT INTO rates (id, tenant_id, name, value, currency, valid_from, source)"
            " VALUES (gen_random_uuid(), 'acme', %(name)s, %(value)s, %(code)s, now() - interval '1 day', 'test')",
            {"name": name, "value": value, "code": code},
        )


def baseline(line: Engine, grade: str, *, expires: str) -> None:
    with unit_of_work(line) as connection:
        connection.exec_driver_sql(
            "INSERT INTO baselines (id, tenant_id, automation, grade, mean_seconds, variance_seconds2, n, method, valid_from, expires_at)"
            " VALUES (gen_random_uuid(), 'acme', 'claims', %(grade)s, 100, 400, 50, 'test', now() - interval '90 days',"
            " now() + %(expires)s::interval)",
            {"grade": grade, "expires": expires},
        )


def figures(client: TestClient, line: Engine, path: str, **parameters: Any) -> Any:
    """An answer about everything that is committed now."""
    roll_up(line)
    answer = client.get(f"/v1/roi/{path}", params=of_thirty_days(path, parameters))
    assert answer.status_code == 200, answer.text
    return answer.json()
