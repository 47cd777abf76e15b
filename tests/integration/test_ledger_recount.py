"""Sums that somebody changed are found by adding them up anew."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine
from typer.testing import CliRunner

from services.steward import ledger
from services.steward.braking import judge_audits
from services.steward.repository.recounting import ALL, Part, Recount, recount
from shared.casework import audits
from shared.casework.audits import Drawn
from shared.db import unit_of_work
from shared.errors import Rejected
from tests.horizon import roll_up
from tests.integration.facts import decide, hours_ago, receive, two_tenants
from tests.integration.test_steward_evidence import Said, audited_decisions, found, infer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Engine

    from tests.conftest import Database

CHANGES = {
    "more time saved": "UPDATE case_sums SET gain = gain + 3600 WHERE tenant_id = 'acme' AND grain = 'month' AND arm = 'automated'",
    "fewer cases in one grain": "UPDATE case_sums SET cases = cases - 1 WHERE tenant_id = 'acme' AND grain = 'hour'",
    "a row that no case has": (
        "INSERT INTO case_sums SELECT tenant_id, grain, period - interval '1 year', booked, automation, arm, stratum, tier, source,"
        " model_version, share, cases, human_seconds, human_seconds2, late_seconds, covariate, covariate2, covariate_seconds, gain,"
        " gain_variance FROM case_sums WHERE tenant_id = 'acme' AND grain = 'week' LIMIT 1"
    ),
    "a row less": "DELETE FROM ledger_sums WHERE tenant_id = 'acme' AND grain = 'day'",
    "a bucket": "UPDATE case_buckets SET seconds = seconds / 2 + 1 WHERE tenant_id = 'acme' AND grain = 'week'",
    "money": "UPDATE money_buckets SET amount = amount + 1 WHERE tenant_id = 'acme'",
    "a line that counts again": (
        "UPDATE ledger_lines SET xid = (SELECT horizon FROM rollup_horizons WHERE name = 'rollups') WHERE kind = 'compute'"
    ),
    "a forecast": "UPDATE forecasts SET intercept = intercept + 60 WHERE tenant_id = 'acme'",
}


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    with two_tenants(database) as engine:
        for hours in (900, 200, 30, 1):
            with unit_of_work(engine) as connection:
                decide(connection, receive(connection, 40, at=hours_ago(hours)), seconds="61.123456789", at=hours_ago(hours))
                decide(connection, receive(connection, 5, tenant="other", at=hours_ago(hours)), at=hours_ago(hours))
            roll_up(engine)
        with unit_of_work(engine) as connection:
            second_looks(connection)
        roll_up(engine)
        judge_audits(engine)
        # Committed, and not added up yet.
        with unit_of_work(engine) as connection:
            decide(connection, receive(connection, 3))
            second_looks(connection)
        yield engine


def second_looks(connection: Connection) -> None:
    """Decisions of a tier with a score, of which some are drawn: right, wrong, disputed and waiting ones."""
    cases = [case for case in receive(connection, 40) if case.arm == "automated"][:12]
    for number, case in enumerate(cases):
        infer(connection, case, Said(0.9 + number / 200, "adjuster"))
    drawn = audited_decisions(connection, cases, Decimal("0.3"))[:5]
    audits.record_draws(connection, [Drawn(one, Decimal("0.3"), Decimal("0.1")) for one in drawn])
    found(connection, cases[0], wrong=False)
    for case in cases[1:3]:
        found(connection, case, wrong=None)
    found(connection, cases[1], wrong=True)


def counted(engine: Engine, tenant: str = "acme") -> Recount:
    with unit_of_work(engine, snapshot=True) as connection:
        return recount(connection, tenant)


def test_sums_that_nobody_touched_are_what_was_booked(engine: Engine) -> None:
    for tenant in ("acme", "other"):
        seen = counted(engine, tenant)
        assert (seen.different, seen.shown) == (0, [])
        assert seen.rows > 20
    with pytest.raises(Rejected, match="there is no tenant 'nobody'"):
        counted(engine, "nobody")


def test_every_changed_sum_is_found_and_none_of_another_tenant(engine: Engine, database: Database) -> None:
    missed = {}
    superuser = create_engine(database.admin_url)
    for name, statement in CHANGES.items():
        with superuser.connect() as connection, connection.begin() as transaction:
            for table in ("ledger_lines", "forecasts"):
                connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            assert connection.exec_driver_sql(statement).rowcount > 0, name
            seen, other = recount(connection, "acme"), recount(connection, "other")
            transaction.rollback()
        if not seen.different or not seen.shown or (other.different and name != "a line that counts again"):
            missed[name] = (seen, other)
    superuser.dispose()
    assert missed == {}


def of_table(table: str, parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if part.sums.table == table]


def test_every_number_of_every_sum_is_compared(engine: Engine, database: Database) -> None:
    missed = []
    superuser = create_engine(database.admin_url)
    for table, names in {sums.table: sums.measures for sums in ALL}.items():
        for name in names:
            with superuser.connect() as connection, connection.begin() as transaction:
                changed = connection.exec_driver_sql(
                    f"UPDATE {table} SET {name} = coalesce({name}, 0) + 1 WHERE ctid ="
                    f" (SELECT ctid FROM {table} WHERE tenant_id = 'acme' LIMIT 1)"
                )
                assert changed.rowcount == 1, table
                seen = recount(connection, "acme", partial(of_table, table))
                transaction.rollback()
            if not seen.different:
                missed.append((table, name))
    superuser.dispose()
    assert missed == []


def test_no_sum_is_left_out(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        tables = connection.exec_driver_sql(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            " AND table_name ~ '(_sums|_buckets|_hours|_days|_months|_hourly)$'"
        ).scalars()
    assert set(tables) == {sums.table for sums in ALL}


def test_the_command_says_which_sums_are_not_what_was_booked(engine: Engine, database: Database) -> None:
    asked = ["recount", "--tenant", "acme"]
    environment = {"RECOUP_DATABASE_URL": database.app_url}
    done = CliRunner().invoke(ledger.app, asked, env=environment)
    assert (done.exit_code, "every sum is what was booked" in done.stdout) == (0, True), done.output
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("UPDATE case_sums SET gain = gain + 3600 WHERE grain = 'month' AND arm = 'automated'")
    done = CliRunner().invoke(ledger.app, asked, env=environment)
    assert (done.exit_code, "case_sums (acme,month," in done.stdout) == (1, True), done.output
    nobody = CliRunner().invoke(ledger.app, ["recount", "--tenant", "acmee"], env=environment)
    assert (nobody.exit_code, "there is no tenant 'acmee'" in nobody.stderr) == (2, True)
    report = json.loads(CliRunner().invoke(ledger.app, [*asked, "--json"], env=environment).stdout)
    assert report["different"] == len(report["shown"]) > 0
