"""Graphs and programs of the user's: what they may see, and what becomes of those that misbehave."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from services.worker.remote.build import build_tier
from services.worker.remote.repository import StoredSpending
from services.worker.remote.tier import RemoteTier
from shared.clock import SystemClock
from tests.intake_data import add_tenant, engine_of, rows
from tests.remote_world import NOTES, cases, forget_calls, loaded, program

if TYPE_CHECKING:
    from tests.conftest import Database


@pytest.fixture(scope="module")
def tier(module_database: Database) -> Iterator[RemoteTier]:
    add_tenant(module_database)
    engine = engine_of(module_database)
    tier = build_tier(NOTES, program("langgraph", timeout="PT3S"), StoredSpending(engine), SystemClock())
    loaded(tier)
    yield tier
    tier.close()
    engine.dispose()


@pytest.fixture(autouse=True)
def _empty(tier: RemoteTier, module_database: Database) -> None:
    del tier
    forget_calls(module_database)


CALLS = "SELECT state, tokens, amount, counted FROM remote_calls ORDER BY id"


def test_a_program_proposes_and_its_tokens_are_counted(tier: RemoteTier, module_database: Database) -> None:
    (result,) = tier.decide(cases("My mortgage.", first=1))
    assert (result.verdict.label, result.verdict.reasons, result.usage.tokens) == ("mortgage", ("uncertified",), 42)
    assert rows(module_database, CALLS) == [("settled", 42, Decimal("0.00006"), True)]


def test_a_program_sees_none_of_the_workers_secrets_and_what_it_prints_disturbs_nothing(
    tier: RemoteTier, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECOUP_DATABASE_URL", "postgresql+psycopg://canary")
    printed, secrets = tier.decide(cases("print", "secrets", first=10))
    assert printed.verdict.label is not None
    assert secrets.score == pytest.approx(0.11)
    assert capfd.readouterr() == ("", "")


def test_an_answer_outside_the_labels_or_an_exception_is_no_answer(tier: RemoteTier) -> None:
    results = tier.decide(cases("odd", "raise", "card", first=20))
    assert [result.verdict.reasons for result in results] == [("remote_invalid",), ("remote_failed",), ("uncertified",)]


@pytest.mark.parametrize(("text", "reason"), [("hang", "remote_timeout"), ("die", "remote_failed")])
def test_a_program_that_hangs_or_dies_is_started_again(tier: RemoteTier, module_database: Database, text: str, reason: str) -> None:
    (result,) = tier.decide(cases(text, first=30))
    assert result.verdict.reasons == (reason,)
    # Nobody knows what it had used by then.
    assert rows(module_database, CALLS) == [("settled", 2000, Decimal("0.011"), False)]
    loaded(tier)
    assert tier.decide(cases("card", first=40))[0].verdict.label == "card"


def test_a_target_that_does_not_exist_leaves_its_cases_to_people(module_database: Database) -> None:
    engine = engine_of(module_database)
    missing = build_tier(NOTES, program("langgraph", target="nowhere:graph"), StoredSpending(engine), SystemClock())
    (result,) = missing.decide(cases("card", first=50))
    assert result.verdict.reasons in {("remote_failed",), ("remote_starting",)}
    missing.close()
    engine.dispose()
