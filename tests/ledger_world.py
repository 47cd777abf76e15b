"""A ledger with something in it, sealed as the steward seals it, and looked at as an auditor does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.steward import service
from shared.db import unit_of_work
from shared.ledger import tree
from shared.ledger.verification import Verdict, verify
from tests.horizon import settle
from tests.integration.facts import decide, receive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from shared.ledger.seals import Seal


def book(engine: Engine, cases: int = 10, *, tenant: str = "acme") -> None:
    """At least one line a case, in one transaction."""
    with unit_of_work(engine) as connection:
        decide(connection, receive(connection, cases, tenant=tenant))


def seal(engine: Engine) -> None:
    """Seal everything that is committed."""
    settle(engine)
    service.seal_ledger(engine)


def book_and_seal(engine: Engine, cases: int = 10, *, times: int = 1, tenant: str = "acme") -> None:
    for _ in range(times):
        book(engine, cases, tenant=tenant)
        seal(engine)


def add_rate(engine: Engine, *, tenant: str = "acme", value: str = "40", name: str = "labour_hour", days: int = 1) -> None:
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO rates (id, tenant_id, name, value, currency, valid_from, source) VALUES (gen_random_uuid(), %(tenant)s, %(name)s,"
            " %(value)s, 'EUR', now() - make_interval(days => %(days)s), 'payroll \"2026\"')",
            {"tenant": tenant, "name": name, "value": value, "days": days},
        )


def add_baseline(engine: Engine, *, tenant: str = "acme") -> None:
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO baselines (id, tenant_id, automation, grade, mean_seconds, method, valid_from, expires_at)"
            " VALUES (gen_random_uuid(), %(tenant)s, 'claims', 'D', 600, 'declared', now(), now() + interval '90 days')",
            {"tenant": tenant},
        )


def verdict(engine: Engine, *, tenant: str = "acme", kept: Sequence[Seal] = ()) -> Verdict:
    with unit_of_work(engine, snapshot=True) as connection:
        return verify(connection, tenant, kept)


def found(engine: Engine, *, tenant: str = "acme", kept: Sequence[Seal] = ()) -> set[str]:
    """Codes of what a verification finds."""
    return {finding.code for finding in verdict(engine, tenant=tenant, kept=kept).findings}


def newest(engine: Engine, *, tenant: str = "acme") -> Seal:
    with unit_of_work(engine) as connection:
        return tree.seals(connection, tenant, before=None, limit=1)[0]
