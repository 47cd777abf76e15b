"""What a worker leaves behind for each kind of case."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from pydantic import BaseModel

from services.lab.synth import generate
from shared.automations.contract import Automation, Context, Outcome, Verdict
from shared.automations.registry import automation
from shared.errors import UnknownAutomation
from shared.money import Money, currency
from tests.intake_data import add_tenant, engine_of, rows
from tests.worker_data import INJURY, PLAIN, SUSPICIOUS, claim_cases, decider, record, rules_only, synthetic_cases, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import LiteralString

    from sqlalchemy import Engine

    from tests.conftest import Database


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    add_tenant(database, control_shares={"claims": "0", "invoices": "0", "complaints": "0", "brittle": "0"})
    add_tenant(database, "held-out", control_shares={"claims": "1", "invoices": "1"})
    engine = engine_of(database)
    yield engine
    engine.dispose()


def _execute(database: Database, statement: LiteralString, *values: object) -> None:
    with psycopg.connect(database.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement, values)


class Brittle(BaseModel):
    word: str


def _brittle_rules(data: Brittle, _context: Context) -> Verdict | None:
    if data.word == "raise":
        raise ValueError(data.word)
    return Verdict("fine", reasons=("nul\0",) if data.word == "unwritable" else ("ok",))


BRITTLE = Automation(
    name="brittle", event_type="test.brittle", data_model=Brittle, outcomes={"fine": Outcome()}, rules=_brittle_rules, tiers=("rules",)
)


def test_a_case_that_rules_settle_is_decided_with_one_callback_and_one_compute_line(engine: Engine, database: Database) -> None:
    (case_id,) = claim_cases(engine, INJURY)
    decider(engine).decide("claims", [case_id])
    assert rows(database, "SELECT state, attempt, stratum, lease_until, last_error FROM cases") == [("decided", 1, "injury", None, None)]
    decision = "SELECT case_id, outcome, adverse, confidence, reasons, attributes, tier, model_version, decided_by, arm FROM decisions"
    assert rows(database, decision) == [
        (case_id, "adjuster", False, 1.0, ["injury"], {"desk": "motor"}, "rules", None, "model", "automated")
    ]
    assert rows(database, "SELECT kind, arm, stratum, unit, quantity > 0, amount, grade FROM ledger_lines") == [
        ("compute", "automated", "injury", "cpu_s", True, None, "A")
    ]
    assert rows(database, "SELECT case_id, attempt, position, tier, outcome, cpu_ns > 0 FROM inferences") == [
        (case_id, 1, 0, "rules", "adjuster", True)
    ]
    assert rows(database, "SELECT count(*) FROM reviews") == [(0,)]


def test_the_callback_says_what_was_decided_and_carries_the_trace(engine: Engine, database: Database) -> None:
    (case_id,) = claim_cases(engine, INJURY)
    decider(engine).decide("claims", [case_id])
    ((kind, body, trace),) = rows(database, "SELECT kind, body, traceparent FROM outbox")
    assert isinstance(body, bytes)
    event = json.loads(body)
    assert (kind, trace) == ("decision.made", f"00-{'1' * 32}-{'2' * 16}-01")
    assert (event["type"], event["id"]) == ("com.recoup.decision.made.v1", str(case_id))
    assert (event["data"]["outcome"], event["data"]["decided_by"]) == ("adjuster", "model")
    assert "parked car" not in json.dumps(event)


def test_an_adverse_verdict_is_never_decided_automatically(engine: Engine, database: Database) -> None:
    (case_id,) = claim_cases(engine, SUSPICIOUS)
    decider(engine).decide("claims", [case_id])
    assert rows(database, "SELECT state FROM cases") == [("review",)]
    assert rows(database, "SELECT count(*) FROM decisions") == [(0,)]
    assert rows(database, "SELECT case_id, kind, round, state, reasons, proposal FROM reviews") == [
        (
            case_id,
            "exception",
            0,
            "open",
            ["adverse", "many_prior_claims"],
            {"outcome": "special_investigation", "confidence": 1.0, "attributes": {}},
        )
    ]
    assert rows(database, "SELECT kind, arm FROM ledger_lines") == [("compute", "automated")]


def test_a_case_that_no_tier_settles_goes_to_a_person_without_a_proposal(engine: Engine, database: Database) -> None:
    decider(engine).decide("claims", claim_cases(engine, PLAIN))
    assert rows(database, "SELECT kind, reasons, proposal FROM reviews") == [("exception", ["uncertain"], None)]


def test_the_control_arm_meets_no_tier_and_costs_nothing(engine: Engine, database: Database) -> None:
    ids = waiting(engine, [record("1", INJURY, automation("claims"), tenant="held-out")])
    decider(engine).decide("claims", ids)
    assert rows(database, "SELECT state, stratum FROM cases") == [("review", "injury")]
    assert rows(database, "SELECT kind, reasons, proposal FROM reviews") == [("control", [], None)]
    for table in ("decisions", "inferences", "ledger_lines", "outbox"):
        assert rows(database, f"SELECT count(*) FROM {table}") == [(0,)]


def test_compute_is_priced_by_the_newest_valid_rate_without_rounding_to_cents(engine: Engine, database: Database) -> None:
    for value, start in (("9.0", "2020-01-01"), ("0.05", "2026-01-01"), ("77", "2099-01-01")):
        _execute(
            database,
            "INSERT INTO rates (id, tenant_id, name, value, currency, valid_from, source)"
            " VALUES (%s, 'acme', 'cpu_hour', %s, 'EUR', %s, 'test')",
            uuid4(),
            value,
            start,
        )
    decider(engine).decide("claims", claim_cases(engine, INJURY))
    ((quantity, amount, currency),) = rows(database, "SELECT quantity, amount, currency FROM ledger_lines")
    assert isinstance(quantity, Decimal)
    assert (amount, currency) == ((quantity * Decimal("0.05") / 3600).quantize(Decimal("1e-10")), "EUR")
    assert 0 < quantity < 1


def test_cash_that_a_decision_saved_without_a_person_is_booked_once(engine: Engine, database: Database) -> None:
    saving = replace(BRITTLE, cash=lambda _data, _outcome, _reasons: Money(Decimal("1.50"), currency("EUR")))
    ids = waiting(engine, [record(str(n), {"word": "w"}, BRITTLE) for n in range(2)])
    for _ in range(2):
        decider(engine, rules_only([saving])).decide("brittle", ids)
    lines = "SELECT case_id IS NOT NULL, arm, sequence, amount::numeric(4, 2), currency FROM ledger_lines WHERE kind = 'cash'"
    assert rows(database, lines) == [(True, "automated", 0, Decimal("1.50"), "EUR")] * 2


def test_a_second_order_for_the_same_cases_changes_nothing(engine: Engine, database: Database) -> None:
    ids = synthetic_cases(engine, "claims", 60)
    worker = decider(engine)
    worker.decide("claims", ids)
    everything = "SELECT id, state, attempt, xmin::text FROM cases ORDER BY id"
    before = rows(database, everything)
    worker.decide("claims", ids)
    assert rows(database, everything) == before
    assert rows(database, "SELECT count(DISTINCT case_id) = count(*), count(*) FROM ledger_lines") == [(True, 60)]


def test_every_synthetic_case_is_settled_with_exactly_the_lines_of_its_path(engine: Engine, database: Database) -> None:
    worker = decider(engine)
    for task in ("claims", "invoices", "complaints"):
        worker.decide(task, synthetic_cases(engine, task, 80))
    assert rows(database, "SELECT count(*) FROM cases WHERE state NOT IN ('decided', 'review') OR stratum IS NULL") == [(0,)]
    assert rows(
        database,
        "SELECT count(*) FROM cases c WHERE (SELECT count(*) FROM ledger_lines l WHERE l.case_id = c.id AND l.kind = 'compute') <> 1"
        " OR (c.state = 'decided') <> EXISTS (SELECT FROM decisions d WHERE d.case_id = c.id)"
        " OR (c.state = 'decided') <> EXISTS (SELECT FROM outbox o WHERE o.case_id = c.id)"
        " OR (c.state = 'review') <> EXISTS (SELECT FROM reviews r WHERE r.case_id = c.id)",
    ) == [(0,)]
    assert rows(database, "SELECT sum(difference)::int FROM conservation") == [(0,)]


def test_a_raising_case_is_given_back_and_its_neighbours_are_decided(engine: Engine, database: Database) -> None:
    words = ["a", "b", "raise", "c", "d"]
    ids = waiting(engine, [record(word, {"word": word}, BRITTLE) for word in words])
    decider(engine, rules_only([BRITTLE])).decide("brittle", ids)
    assert rows(database, "SELECT event_id, state, attempt, last_error FROM cases ORDER BY event_id") == [
        *[(word, "decided", 1, None) for word in "abcd"],
        ("raise", "pending", 1, "ValueError"),
    ]
    assert rows(database, "SELECT next_dispatch_at > now() FROM cases WHERE event_id = 'raise'") == [(True,)]


def test_unreadable_data_and_unwritable_effects_stop_only_their_own_case(engine: Engine, database: Database) -> None:
    odd = [record("x", {"no": "word"}, BRITTLE), record("y", {"word": "unwritable"}, BRITTLE)]
    fine = [record(f"fine {n}", {"word": "w"}, BRITTLE) for n in range(9)]
    decider(engine, rules_only([BRITTLE])).decide("brittle", waiting(engine, fine[:4] + odd + fine[4:]))
    assert rows(database, "SELECT count(*) FROM decisions") == [(9,)]
    assert rows(database, "SELECT event_id, state, last_error FROM cases WHERE state <> 'decided' ORDER BY 1") == [
        ("x", "pending", "ValidationError"),
        ("y", "pending", "DataError"),
    ]


def test_a_covariate_that_fails_or_is_no_number_stops_only_its_own_case(engine: Engine, database: Database) -> None:
    values = {"fine": 2.5, "nan": math.nan, "huge": 1e7}
    odd = replace(BRITTLE, covariate=lambda data: values[data.word])
    ids = waiting(engine, [record(word, {"word": word}, BRITTLE) for word in ("fine", "nan", "huge", "unknown")])
    decider(engine, rules_only([odd])).decide("brittle", ids)
    assert rows(database, "SELECT event_id, state, covariate, last_error FROM cases ORDER BY event_id") == [
        ("fine", "decided", 2.5, None),
        ("huge", "pending", None, "InvariantBroken"),
        ("nan", "pending", None, "InvariantBroken"),
        ("unknown", "pending", None, "KeyError"),
    ]
    assert rows(database, "SELECT covariate FROM decisions") == [(2.5,)]


def test_a_case_that_fails_at_the_attempt_cap_is_quarantined_and_given_to_a_person(engine: Engine, database: Database) -> None:
    ids = waiting(engine, [record("1", {"word": "raise"}, BRITTLE)])
    worker = decider(engine, rules_only([BRITTLE]), attempt_cap=2)
    worker.decide("brittle", ids)
    worker.decide("brittle", ids)
    worker.decide("brittle", ids)
    assert rows(database, "SELECT state, attempt, stratum, last_error FROM cases") == [("quarantined", 2, "unknown", "ValueError")]
    assert rows(database, "SELECT kind, reasons FROM reviews") == [("exception", ["quarantined"])]


def test_a_case_whose_worker_was_killed_at_the_attempt_cap_is_not_sent_round_for_ever(engine: Engine, database: Database) -> None:
    """The steward, whose cap is its own, may have taken it back and sent it again."""
    waits, leased, mine = claim_cases(engine, INJURY, INJURY, INJURY)
    _execute(database, "UPDATE cases SET attempt = 2")
    _execute(database, "UPDATE cases SET state = 'processing', lease_until = now() + interval '1 minute' WHERE id = %s", leased)
    _execute(database, "UPDATE cases SET attempt = 1 WHERE id = %s", mine)
    decider(engine, attempt_cap=2).decide("claims", [waits, leased, mine])
    found = {row[0]: row[1:] for row in rows(database, "SELECT id, state, attempt, last_error FROM cases")}
    assert found == {waits: ("quarantined", 2, "lease expired"), leased: ("processing", 2, None), mine: ("decided", 2, None)}
    assert rows(database, "SELECT case_id, reasons FROM reviews") == [(waits, ["quarantined"])]


def test_the_second_sending_of_an_invoice_is_proposed_for_rejection(engine: Engine, database: Database) -> None:
    invoice = next(event for event in generate("invoices", 50) if automation("invoices").fingerprint(_invoice(event.data)))
    task = automation("invoices")
    first, second = waiting(engine, [record("1", invoice.data, task), record("2", invoice.data, task, minutes=1)])
    decider(engine).decide("invoices", [second, first])
    assert rows(database, "SELECT case_id, proposal->'attributes'->>'duplicate_of' FROM reviews WHERE proposal->>'outcome' = 'reject'") == [
        (second, str(first))
    ]
    assert rows(database, "SELECT case_id FROM case_fingerprints") == [(first,)]


def _invoice(data: object) -> BaseModel:
    return automation("invoices").data_model.model_validate_json(json.dumps(data))


def test_a_paused_automation_is_not_claimed(engine: Engine, database: Database) -> None:
    ids = claim_cases(engine, INJURY)
    _execute(database, "UPDATE automation_settings SET paused = true WHERE tenant_id = 'acme' AND automation = 'claims'")
    decider(engine).decide("claims", ids)
    assert rows(database, "SELECT state, attempt FROM cases") == [("pending", 0)]


def test_an_order_for_another_automation_or_an_unknown_id_touches_nothing(engine: Engine, database: Database) -> None:
    ids = claim_cases(engine, INJURY)
    decider(engine).decide("invoices", [*ids, uuid4()])
    assert rows(database, "SELECT state, attempt FROM cases") == [("pending", 0)]
    with pytest.raises(UnknownAutomation):
        decider(engine).decide("unheard-of", ids)


def test_decisions_refuse_to_be_changed(engine: Engine, database: Database) -> None:
    decider(engine).decide("claims", claim_cases(engine, INJURY))
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"):
        _execute(database, "UPDATE decisions SET outcome = 'fast_track_pay'")
