"""Every committed entry becomes one leaf, in whatever order transactions end, however many stewards seal and whoever is killed when."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from services.steward import service
from shared.db import unit_of_work
from shared.ledger import canonical, entries, merkle, sealing, tree
from shared.ledger.canonical import FIELDS, Entry
from shared.ledger.tree import LedgerDamaged
from shared.models import ledger as tables
from tests.database_sessions import connected
from tests.horizon import settle
from tests.integration.facts import two_tenants
from tests.ledger_world import add_baseline, add_rate, book, book_and_seal, newest, seal, verdict
from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from tests.conftest import Database


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    with two_tenants(database) as engine:
        yield engine


def _count(engine: Engine, table: str) -> int:
    with unit_of_work(engine) as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def _assert_sealed(engine: Engine) -> None:
    """Each entry is one leaf, and both tenants' ledgers verify."""
    assert _count(engine, "ledger_leaves") == sum(_count(engine, table) for table in ("ledger_lines", "rates", "baselines"))
    for tenant in ("acme", "other"):
        outcome = verdict(engine, tenant=tenant)
        assert (outcome.findings, outcome.waiting) == ([], 0)
        assert outcome.newest is not None
        assert outcome.newest.size == outcome.leaves


def test_the_canonical_form_covers_every_column_but_the_transaction() -> None:
    for entry, table in {Entry.LINE: tables.ledger_lines, Entry.RATE: tables.rates, Entry.BASELINE: tables.baselines}.items():
        assert list(FIELDS[entry]) == sorted(set(table.c.keys()) - {"xid"})


def test_lines_rates_and_baselines_become_leaves_and_verify(engine: Engine) -> None:
    add_rate(engine)
    add_baseline(engine)
    book_and_seal(engine, 40, times=3)
    book_and_seal(engine, 5, tenant="other")
    _assert_sealed(engine)
    assert newest(engine).size >= 122
    assert newest(engine, tenant="other").size >= 5


def test_a_second_run_seals_nothing_new(engine: Engine) -> None:
    book_and_seal(engine)
    before = newest(engine)
    assert service.seal_ledger(engine) == 0
    assert newest(engine) == before


def test_seals_follow_from_each_other_and_trees_grow_over_tiles(engine: Engine) -> None:
    book_and_seal(engine, 300, times=3)
    _assert_sealed(engine)
    with unit_of_work(engine) as connection:
        seals = tree.seals_from(connection, "acme", first=0, limit=10)
        assert [one.n for one in seals] == [1, 2, 3]
        assert [one.previous for one in seals] == [None, seals[0].hash(), seals[1].hash()]
        for older, newer in pairwise(seals):
            path = tree.span_hashes(connection, "acme", merkle.consistency_spans(older.size, newer.size))
            assert merkle.verify_consistency((older.size, older.root), (newer.size, newer.root), path)
    assert _count(engine, "ledger_nodes") == newest(engine).size // 256


def test_a_line_committed_late_by_an_older_transaction_is_not_skipped(engine: Engine) -> None:
    with engine.connect() as slow:
        with slow.begin():
            slow.exec_driver_sql(
                "INSERT INTO ledger_lines (id, tenant_id, automation, kind, amount, currency, grade, occurred_at)"
                " VALUES (gen_random_uuid(), 'acme', 'claims', 'platform', 1, 'EUR', 'A', now())"
            )
            book(engine)
            service.seal_ledger(engine)
            assert _count(engine, "ledger_leaves") == 0
        seal(engine)
    assert newest(engine).size >= 11
    _assert_sealed(engine)


def test_an_outage_is_caught_up_in_portions_and_sealed_at_its_end(engine: Engine) -> None:
    for _ in range(6):
        book(engine, 20)
    settle(engine)
    progress: list[sealing.Progress] = []
    while not progress or not progress[-1].complete:
        with unit_of_work(engine) as connection:
            step = sealing.seal(connection, lines=30)
        assert step is not None
        progress.append(step)
    assert len(progress) > 3
    assert [step.seals for step in progress] == [0] * (len(progress) - 1) + [2]
    _assert_sealed(engine)


def test_an_idle_tenant_is_sealed_once_an_hour(engine: Engine) -> None:
    service.seal_ledger(engine)
    first = newest(engine)
    assert (first.n, first.size, first.root) == (1, 0, merkle.EMPTY_ROOT)
    with unit_of_work(engine) as connection:
        sealing.seal(connection, quiet=timedelta(0))
    second = newest(engine)
    assert (second.n, second.size, second.root, second.previous) == (2, 0, merkle.EMPTY_ROOT, first.hash())
    book_and_seal(engine)
    with unit_of_work(engine) as connection:
        sealing.seal(connection, quiet=timedelta(0))
    _assert_sealed(engine)


def test_stewards_at_once_seal_every_line_once(engine: Engine) -> None:
    def seal_often() -> None:
        for _ in range(15):
            service.seal_ledger(engine)

    def book_often(tenant: str) -> None:
        for _ in range(10):
            book(engine, 3, tenant=tenant)

    with ThreadPoolExecutor(6) as pool:
        writers = [pool.submit(book_often, tenant) for tenant in ("acme", "other", "acme")]
        stewards = [pool.submit(seal_often) for _ in range(3)]
        for job in (*writers, *stewards):
            job.result()
    seal(engine)
    _assert_sealed(engine)


CANONICAL = (
    b'{"amount":"0.0000000000","arm":"automated","automation":"claims","baseline_id":null,"booked_at":"2026-11-23T08:00:01.500000Z",'
    b'"case_id":"018f0000-0000-7000-8000-00000000000b","currency":"EUR","entry":"line","grade":"A",'
    b'"id":"018f0000-0000-7000-8000-00000000000a","kind":"compute","occurred_at":"2026-11-23T08:00:00.000000Z",'
    b'"quantity":"0.001200000","reverses":null,"sequence":0,"stratum":"a|\\"b\\"","tenant_id":"acme","unit":"cpu_s"}'
)
SEAL_FOR_EVER = """
import sys
from pydantic import SecretStr
from services.steward import service
from shared.db import engine_for
from shared.settings import DatabaseSettings
engine = engine_for(DatabaseSettings(url=SecretStr(sys.argv[1]), pool_size=2), role="recoup_line", application="victim")
print("ready", flush=True)
while True:
    service.seal_ledger(engine)
"""


@pytest.mark.chaos
def test_a_steward_killed_at_any_moment_leaves_nothing_out_and_nothing_twice(engine: Engine, database: Database) -> None:
    generator = random.Random(20261123)
    with ExitStack() as processes:
        for _ in range(6):
            victim = subprocess.Popen([sys.executable, "-c", SEAL_FOR_EVER, database.app_url], stdout=subprocess.PIPE, cwd=ROOT)
            processes.callback(victim.wait)
            processes.callback(victim.kill)
            assert victim.stdout is not None
            processes.callback(victim.stdout.close)
            assert victim.stdout.readline() == b"ready\n"
            for _ in range(4):
                book(engine, generator.randint(1, 60), tenant=generator.choice(["acme", "other"]))
            time.sleep(generator.random() * 0.05)
            os.kill(victim.pid, 9)
    seal(engine)
    _assert_sealed(engine)


def test_odd_values_are_sealed_too(engine: Engine, database: Database) -> None:
    """What a table takes must not stop the sealing of everything else."""
    with connected(database.admin_url) as connection:
        for moment in ("infinity", "-infinity", "0044-03-15 12:00:00+00 BC", "25000-01-01 00:00:00+00"):
            connection.execute(
                "INSERT INTO ledger_lines (id, tenant_id, automation, kind, quantity, unit, amount, currency, stratum, grade, occurred_at)"
                " VALUES (gen_random_uuid(), 'acme', %s, 'platform', 'NaN', 's', -0.0000000001, 'EUR', %s, 'A', %s)",
                [f"a {moment}", 'quote " backslash \\ tab \t é 🧾 \x01 \x7f', moment],
            )
    seal(engine)
    assert newest(engine).size == 4
    _assert_sealed(engine)


def test_canonical_bytes_are_what_they_always_were(engine: Engine, database: Database) -> None:
    """Seals outlive this version of the program: whoever changes this form makes every old seal worthless."""
    with connected(database.admin_url) as connection:
        connection.execute(
            "INSERT INTO ledger_lines (id, tenant_id, automation, case_id, kind, sequence, arm, stratum, quantity, unit, amount, currency,"
            " grade, occurred_at, booked_at) VALUES ('018F0000-0000-7000-8000-00000000000A', 'acme', 'claims',"
            " '018f0000-0000-7000-8000-00000000000b', 'compute', 0, 'automated', 'a|\"b\"', 0.0012, 'cpu_s', 0, 'EUR', 'A',"
            " '2026-11-23 10:00:00+02', '2026-11-23 08:00:01.5+00')"
        )
    with unit_of_work(engine) as connection_:
        found = canonical_lines(connection_)
    assert found == [CANONICAL]
    assert canonical.canonical(Entry.RATE, ["*", "t", None, "i", "n", "s", "x", "v", "1.00000000"]) == (
        b'{"automation":"*","created_at":"t","currency":null,"entry":"rate","id":"i","name":"n","source":"s","tenant_id":"x",'
        b'"valid_from":"v","value":"1.00000000"}'
    )


def test_nothing_is_sealed_on_top_of_a_tree_with_a_hole(engine: Engine, database: Database) -> None:
    book_and_seal(engine, times=2)
    with connected(database.admin_url) as connection:
        connection.execute("ALTER TABLE ledger_leaves DISABLE TRIGGER ALL")
        connection.execute("DELETE FROM ledger_leaves WHERE tenant_id = 'acme' AND leaf_index = 3")
    book(engine)
    settle(engine)
    before = _count(engine, "ledger_seals")
    with pytest.raises(LedgerDamaged):
        service.seal_ledger(engine)
    assert _count(engine, "ledger_seals") == before


def canonical_lines(connection: Connection) -> list[bytes]:
    return [content.bytes for content in entries.committed_between(connection, 0, 2**62)]


def test_the_horizon_never_goes_back_to_where_everything_is_sealed(engine: Engine) -> None:
    # As after a restore into a cluster with lower transaction ids: what is below it would be sealed a second time.
    book_and_seal(engine, 5)
    leaves = _count(engine, "ledger_leaves")
    with unit_of_work(engine) as connection:
        ahead = connection.exec_driver_sql(
            "UPDATE rollup_horizons SET horizon = ((pg_current_xact_id()::text)::bigint + 1000000)::text::xid8 WHERE name = 'seals'"
            " RETURNING horizon::text"
        ).scalar_one()
    for _ in range(2):
        book(engine, 3)
        service.seal_ledger(engine)
        with unit_of_work(engine) as connection:
            kept = connection.exec_driver_sql("SELECT horizon::text FROM rollup_horizons WHERE name = 'seals'").scalar_one()
        assert (kept, _count(engine, "ledger_leaves")) == (ahead, leaves)
