"""What a model that runs elsewhere costs: the price of the day, budgets, and caps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from services.worker.cascade import Cascade
from services.worker.tiers import Budget, CaseInput, Terms
from tests.intake_data import rows
from tests.model_servers import Manner, ModelServer
from tests.remote_world import CALLS, MORTGAGE, NOTES, PRICES, Make, Note, cases

if TYPE_CHECKING:
    from tests.conftest import Database


@pytest.mark.parametrize(("protocol", "tokens"), [("openai", True), ("kserve", False)])
def test_a_call_costs_what_the_model_counted_at_the_price_of_the_day(
    make: Make, database: Database, protocol: str, *, tokens: bool
) -> None:
    (result,) = make(protocol).decide(cases(MORTGAGE))
    assert result.usage.money is not None
    if tokens:
        assert result.usage.money.amount == (Decimal(result.usage.tokens - 17) + Decimal(170)) / 1_000_000
    else:
        assert (result.usage.tokens, result.usage.money.amount) == (0, Decimal("0.0001"))
    assert rows(database, CALLS) == [("settled", result.usage.tokens, result.usage.money.amount, True)]
    assert rows(database, "SELECT tenant_id, committed, currency FROM remote_spend") == [("acme", result.usage.money.amount, "EUR")]


def test_a_tenant_that_has_a_price_of_its_own_pays_that_and_nobody_else_does(make: Make, database: Database) -> None:
    for name, value, since in (
        ("input", "7", "2020-01-01"),
        ("input", "3", "2026-01-01"),
        ("input", "9", "2099-01-01"),
        ("output", "30", "2026-01-01"),
    ):
        rows(
            database,
            "INSERT INTO rates (id, tenant_id, name, value, currency, valid_from, source)"
            " VALUES (gen_random_uuid(), 'other', 'tokens:openai/priced-1:' || %s, %s, 'EUR', %s, 'contract') RETURNING 1",
            (name, value, since),
        )
    usages = [
        make(model="priced-1").decide([CaseInput(case.case_id, case.data, tenant_id=tenant)])[0].usage
        for tenant, case in zip(("acme", "other"), cases(MORTGAGE, MORTGAGE), strict=True)
    ]
    usual, own = (usage.money.amount if usage.money else Decimal(0) for usage in usages)
    assert own == 3 * usual > 0


@pytest.mark.parametrize(
    ("model", "text"), [("dear-1", MORTGAGE), ("small-1", "\u62b5\u62bc" * 500)], ids=["own price", "three bytes a character"]
)
def test_no_case_is_called_about_for_more_than_its_own_budget(
    make: Make, database: Database, server: ModelServer, model: str, text: str
) -> None:
    """What the tier says that it needs is of plain text at the general price."""
    tier = make(model=model, max_characters=1_000)
    assert tier.needs.money is not None
    for name, value in (("input", "10"), ("output", "100")):
        rows(
            database,
            "INSERT INTO rates (id, tenant_id, name, value, currency, valid_from, source)"
            " VALUES (gen_random_uuid(), 'acme', 'tokens:openai/dear-1:' || %s, %s, 'EUR', '2026-01-01', 'contract') RETURNING 1",
            (name, value),
        )
    budget = Budget(money=tier.needs.money * Decimal("1.2"))
    asked = [replace(case, terms=Terms(budget=budget)) for case in cases(text)]
    (poor,) = Cascade(NOTES, [tier]).decide(asked)
    assert (poor.reasons, len(server.asked), rows(database, CALLS)) == (("budget",), 0, [])
    assert budget.money is not None
    (rich,) = Cascade(NOTES, [tier]).decide([replace(case, terms=Terms(budget=Budget(money=budget.money * 20))) for case in asked])
    assert (rich.reasons, len(server.asked)) == (("uncertified",), 1)


def test_a_model_that_does_not_count_is_booked_at_the_most_that_it_can_have_used(
    make: Make, server: ModelServer, database: Database
) -> None:
    server.behave = lambda _asked, _count: Manner(drop=("usage",))
    (result,) = make().decide(cases(MORTGAGE))
    ((_, tokens, amount, counted),) = rows(database, CALLS)
    assert (result.verdict.label, counted) == ("mortgage", False)
    assert isinstance(tokens, int)
    assert tokens > 1_000
    assert amount == (Decimal(tokens - 64) + 640) / 1_000_000


def test_a_price_that_is_not_valid_yet_means_no_call(make: Make, server: ModelServer) -> None:
    (result,) = make(prices=[PRICES["openai"].model_copy(update={"since": date(2099, 1, 1)})]).decide(cases(MORTGAGE))
    assert (result.verdict.reasons, server.asked) == (("remote_no_price",), [])


def test_a_days_cap_holds_over_restarts_and_for_each_tenant(make: Make, database: Database, server: ModelServer) -> None:
    cap = {"protocol": "kserve", "daily_cap": Decimal("0.0003")}
    first = make(**cap).decide(cases(MORTGAGE, MORTGAGE))
    # Another process, later: it knows nothing but what is stored.
    second = make(**cap).decide(cases(*[MORTGAGE] * 3, first=10))
    assert [result.verdict.reasons[0] for result in (*first, *second)] == ["uncertified"] * 3 + ["remote_spend_cap"] * 2
    others = [CaseInput(case.case_id, case.data, tenant_id="other") for case in cases(MORTGAGE, first=20)]
    assert make(**cap).decide(others)[0].verdict.label == "mortgage"
    assert len(server.asked) == 4
    assert rows(database, "SELECT tenant_id, committed FROM remote_spend ORDER BY 1") == [
        ("acme", Decimal("0.0003000000")),
        ("other", Decimal("0.0001000000")),
    ]


def test_workers_that_spend_at_the_same_moment_do_not_pass_the_cap_together(make: Make, database: Database, server: ModelServer) -> None:
    server.behave = lambda _asked, _count: Manner(delay=0.02)
    tiers = [make("kserve", daily_cap=Decimal("0.0010")) for _ in range(4)]
    with ThreadPoolExecutor(4) as workers:
        futures = [workers.submit(tier.decide, cases(*[MORTGAGE] * 5, first=100 * n)) for n, tier in enumerate(tiers)]
        results = [result for future in futures for result in future.result()]
    assert sum(result.verdict.label == "mortgage" for result in results) == len(server.asked) == 10
    assert rows(database, "SELECT committed FROM remote_spend") == [(Decimal("0.0010000000"),)]


def test_the_same_case_run_again_at_once_is_not_paid_for_twice(make: Make, server: ModelServer) -> None:
    tier = make()
    first, second = (tier.decide(cases(MORTGAGE))[0] for _ in range(2))
    assert (first.verdict, first.usage.money) == (second.verdict, second.usage.money)
    changed = CaseInput(cases("x")[0].case_id, Note(text="another mortgage text"), tenant_id="acme")
    tier.decide([changed])
    assert len(server.asked) == 2
