"""What the figures rest on, and that a broken experiment shows in the headline."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from services.roi.grains import Grain, bookings
from services.roi.period import Bucket
from services.roi.repository import evidence as repository
from services.roi.repository import scores
from services.roi.repository.rows import given
from services.roi.repository.snapshots import _PLAN_ONCE
from services.steward.braking import judge_audits
from shared.casework import audits as second_looks
from shared.casework.audits import Drawn
from shared.casework.values import ReviewKind
from shared.clock import SystemClock
from shared.db import unit_of_work
from shared.ledger import posting
from shared.ledger import repository as ledger
from shared.measure.audit import Looks, bounds
from shared.money import Money, currency
from tests.horizon import settle
from tests.integration.facts import Case, decide, hours_ago, receive
from tests.integration.test_steward_evidence import audited_decisions, found, review
from tests.integration.time_travel import set_database_clock
from tests.roi_world import Board, manual_times

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tests.conftest import Database


TIMES = [str(50 + number % 37) for number in range(300)]


def findings(answer: Any) -> dict[str, Any]:
    return {finding["name"]: finding for finding in answer["automations"][0]["findings"]}


def test_the_split_is_compared_with_the_plan(board: Board) -> None:
    cases = board.work(TIMES)
    answer = board.ask("evidence")
    (one,) = answer["automations"]
    arms = Counter(case.arm for case in cases)
    assert one["draws"] == [
        {"control_share": "0.3000", "control": arms["control"], "automated": arms["automated"], "expected_control": "90.00"}
    ]
    chance = stats.chisquare([arms["control"], arms["automated"]], [90, 210]).pvalue
    assert float(findings(answer)["split_now"]["value"]) == pytest.approx(chance, rel=0.001)
    assert answer["soundness"] == one["soundness"] == {"integrity": "sound", "reasons": []}
    assert (one["opted_out"], one["crossovers"], one["undecided_control"]) == (0, 0, 0)
    assert one["adjustment"] is None, "these cases have no covariate"
    headline = board.ask("summary")["headline"]
    assert headline.startswith("At least ")
    assert headline.endswith("; evidence A; experiment sound.")


def test_what_only_costs_is_in_the_summary_and_no_part_of_the_evidence(board: Board) -> None:
    board.work(TIMES)
    with unit_of_work(board.line) as connection:
        ledger.post(connection, [posting.for_platform("acme", "archive", Money(Decimal(3), currency("EUR")), hour=hours_ago(3))])
    assert [one["automation"] for one in board.ask("summary")["automations"]] == ["archive", "claims"]
    for path in ("evidence", "capacity"):
        assert [one["automation"] for one in board.ask(path)["automations"]] == ["claims"]


def test_cases_that_cross_break_the_experiment_and_the_headline_says_so(board: Board) -> None:
    cases = board.work(TIMES)
    with unit_of_work(board.line) as connection:
        decide(connection, [case for case in receive(connection, 90) if case.arm == "automated"], tier="human")
    answer = board.ask("evidence")
    crossed, drawn = answer["automations"][0]["crossovers"], len(cases) + 90
    assert 50 < crossed < 75
    assert float(findings(answer)["crossovers"]["value"]) == pytest.approx(crossed / drawn, abs=0.0001)
    summary = board.ask("summary")
    assert summary["soundness"]["integrity"] == answer["soundness"]["integrity"] == "broken"
    assert summary["headline"].startswith("The experiment is broken, so no saving is shown: claims: ")
    assert f"{crossed / drawn * 100:.2g} % of all cases were handled as if they were in the other arm" in summary["headline"]


def test_arms_that_were_not_drawn_as_planned_break_it(board: Board) -> None:
    board.work(TIMES)
    assert board.ask("evidence")["soundness"]["integrity"] == "sound"
    # As if somebody had taken three of four control cases out at intake.
    board.execute(
        "UPDATE experiment_months SET drawn_automated = drawn_automated + drawn_control * 3 / 4, drawn_control = drawn_control / 4"
    )
    answer = board.ask("evidence")
    assert findings(answer)["split"]["verdict"] == "broken"
    assert "are not split as planned" in answer["soundness"]["reasons"][0]


def test_control_cases_that_wait_do_not_look_like_a_broken_split(board: Board) -> None:
    with unit_of_work(board.line) as connection:
        cases = receive(connection, 300)
        decide(connection, [case for case in cases if case.arm == "automated"])
    answer = board.ask("evidence")
    assert answer["soundness"]["integrity"] == "sound"
    assert answer["automations"][0]["undecided_control"] == sum(case.arm == "control" for case in cases)


def test_control_cases_left_lying_are_doubtful_once_they_are_old(board: Board, database: Database) -> None:
    now = SystemClock().now()
    left: list[Case] = []
    for days in (40, 13):
        set_database_clock(database, now - timedelta(days=days))
        with unit_of_work(board.line) as connection:
            cases = receive(connection, 100, at=now - timedelta(days=days))
            decide(connection, [case for case in cases if case.arm == "automated"])
        left += [case for case in cases if case.arm == "control"]
        # Whoever is younger than two weeks is accused of nothing.
        young = board.ask("evidence", as_of=(now - timedelta(days=days - 1)).isoformat())
        assert findings(young)["undecided"]["verdict"] == ("sound" if days == 40 else "doubtful")
    set_database_clock(database, now)
    old = sum(case.received_at < now - timedelta(days=14) for case in left)
    answer = board.ask("evidence")
    (one,) = answer["automations"]
    assert (one["undecided_control"], one["undecided_old"]) == (len(left), old)
    assert (one["undecided_share"], datetime.fromisoformat(answer["undecided_since"])) == ("1.000000", left[0].received_at)
    assert findings(answer)["undecided"]["value"] == "1"
    assert answer["soundness"]["reasons"][0].startswith("claims: 100 % of the control cases older than 14 days are not decided")
    with unit_of_work(board.line) as connection:
        # All of the old ones, and half of the others.
        decide(connection, left[: old + (len(left) - old) // 2])
    answer = board.ask("evidence")
    assert (answer["automations"][0]["undecided_old"], answer["soundness"]["integrity"]) == (0, "sound")
    assert datetime.fromisoformat(answer["undecided_since"]) > now - timedelta(days=14)


def test_strata_that_reach_a_decision_by_their_arm_are_doubtful(board: Board) -> None:
    with unit_of_work(board.line) as connection:
        cases = receive(connection, 400)
        for arm, easy in (("control", 0.9), ("automated", 0.5)):
            mine = [case for case in cases if case.arm == arm]
            cut = int(len(mine) * easy)
            decide(connection, mine[:cut], stratum="easy")
            decide(connection, mine[cut:], stratum="hard")
    finding = findings(board.ask("evidence"))["strata"]
    assert finding["verdict"] == "doubtful"
    assert float(finding["value"]) < 0.001


def test_cases_outside_any_experiment_are_counted_and_not_judged(board: Board) -> None:
    board.execute("UPDATE automation_settings SET control_share = 0")
    board.work(TIMES[:40])
    answer = board.ask("evidence")
    assert answer["automations"][0]["opted_out"] == 40
    assert findings(answer)["split"]["verdict"] == "sound"
    assert board.ask("summary")["headline"].startswith("No saving is measured: no baseline")


def test_baselines_in_use_say_what_they_are_and_how_long(board: Board) -> None:
    cases = board.work(TIMES)
    board.execute(
        "INSERT INTO baselines (id, tenant_id, automation, stratum, grade, mean_seconds, variance_seconds2, n, method, valid_from,"
        " expires_at) SELECT gen_random_uuid(), 'acme', 'claims', stratum, grade, 100, 400, 50, 'log of 2025', now() - interval '90 days',"
        " now() + days * interval '1 day' FROM (VALUES ('s', 'B', 30), ('t', 'C', -1)) AS given (stratum, grade, days)"
    )
    concurrent, log, study = board.ask("evidence")["automations"][0]["baselines"]
    manual = manual_times(cases, TIMES)
    assert (concurrent["stratum"], concurrent["grade"], concurrent["n"]) == ("s", "A", len(manual))
    assert float(concurrent["mean_seconds"]) == pytest.approx(sum(manual) / len(manual), abs=0.001)
    assert (log["grade"], log["method"], log["expired"]) == ("B", "log of 2025", False)
    assert (study["stratum"], study["grade"], study["expired"]) == ("t", "D", True)


def test_what_begins_or_expires_when_a_period_ends_is_not_of_the_period(board: Board) -> None:
    start = Bucket.DAY.start(hours_ago(72))
    end = start + timedelta(days=1)

    def hold(baseline: str, rate: str, since: datetime, until: datetime) -> None:
        values = {"seconds": baseline, "rate": rate, "since": since, "until": until}
        board.execute(
            "INSERT INTO baselines (id, tenant_id, automation, stratum, grade, mean_seconds, variance_seconds2, n, method, valid_from,"
            " expires_at) VALUES (gen_random_uuid(), 'acme', 'claims', '*', 'B', %(seconds)s, 400, 50, 'log', %(since)s, %(until)s)",
            values,
        )
        board.execute(
            "INSERT INTO rates (id, tenant_id, name, automation, value, currency, valid_from, source)"
            " VALUES (gen_random_uuid(), 'acme', 'labour_hour', '*', %(rate)s, 'EUR', %(since)s, 'test')",
            values,
        )

    def answers() -> list[Any]:
        period = {"from": start.isoformat(), "to": end.isoformat()}
        asked: list[tuple[str, dict[str, str]]] = [
            ("summary", {}),
            ("timeseries", {"bucket": "day"}),
            ("evidence", {}),
            ("whatif", {"automation": "claims"}),
            ("bridge", {"earlier": end.isoformat()}),
        ]
        return [board.ask(path, **period, **more) | {"computed_through": None, "later": None} for path, more in asked]

    hold("100", "40", start, end)
    with unit_of_work(board.line) as connection:
        at = start + timedelta(hours=12)
        arm = [case for case in receive(connection, 60, at=at) if case.arm == "automated"]
        decide(connection, arm, tier="human", seconds="50", at=at)
    before = answers()
    summary, _, evidence, whatif, _ = before
    assert (summary["total"]["saved"]["grade"], summary["total"]["rates"][0]["value"]) == ("B", "40.00000000")
    assert [(one["grade"], one["expired"]) for one in evidence["automations"][0]["baselines"]] == [("B", False)]
    assert whatif["as_it_was"]["saved_hours"]["low"] is not None
    hold("300", "80", end, end + timedelta(days=90))
    assert answers() == before


def test_clocks_that_disagree_are_published(board: Board) -> None:
    with unit_of_work(board.line) as connection:
        control = [case for case in receive(connection, 60) if case.arm == "control"][:2]
        review(connection, control[0], ReviewKind.CONTROL, active="300", span="1200")
        review(connection, control[1], ReviewKind.CONTROL, active="630", span="600")
        decide(connection, control)
    clocks = board.ask("evidence")["automations"][0]["clocks"]
    assert (clocks["reviews"], clocks["apart"]) == (2, 1)
    assert Decimal(clocks["active_hours"]) == Decimal("0.258")
    assert Decimal(clocks["difference_share"]) == Decimal("0.5167")
    assert Decimal(clocks["beyond_span_hours"]) == Decimal("0.008")


def test_evidence_of_an_earlier_moment_is_what_was_answered_then(board: Board) -> None:
    answers = []
    for portion in (120, 60, 90):
        board.work(TIMES[:portion], hours=30)
        with unit_of_work(board.line) as connection:
            decide(connection, [case for case in receive(connection, 20) if case.arm == "automated"], tier="human")
        answer = board.ask("evidence", to=hours_ago(-1).isoformat())
        answers.append((SystemClock().now(), answer["soundness"], answer["automations"]))
    # Some of it is in the sums only, some of it not yet.
    for moment, soundness, automations in answers:
        again = board.client.get("/v1/roi/evidence", params={"as_of": moment.isoformat(), "to": hours_ago(-1).isoformat()}).json()
        assert (again["soundness"], again["automations"]) == (soundness, automations)


def _planned(connection: Connection, statement: str) -> str:
    """Its plan without values, as it is made once for each connection."""
    now = SystemClock().now()
    values = {"tenant": "acme", "automation": None, "as_of": now, "since": now, "month": now - timedelta(hours=2)}
    values |= {"day": now - timedelta(hours=1), "hour": now - timedelta(minutes=1), **given(bookings(Grain.HOUR.start(now)))}
    numbers = {name: number for number, name in enumerate(values, start=1)}
    kinds = ", ".join("timestamptz" if isinstance(value, datetime) else "text" for value in values.values())
    text = re.sub(r"%\((\w+)\)s", lambda found: f"${numbers[found[1]]}", statement)
    connection.exec_driver_sql(f"PREPARE asked ({kinds}) AS {text}")
    literals = ", ".join("NULL" if value is None else f"'{value}'" for value in values.values())
    plan = connection.exec_driver_sql(f"EXPLAIN EXECUTE asked ({literals})").scalars().all()
    connection.exec_driver_sql("DEALLOCATE asked")
    return "\n".join(plan)


def test_no_answer_about_evidence_scans_cases_or_decisions(board: Board) -> None:
    for hours in range(12):
        with unit_of_work(board.line) as connection:
            decide(connection, receive(connection, 400, at=hours_ago(hours)), at=hours_ago(hours))
    board.ask("evidence")
    with unit_of_work(board.line) as connection:
        connection.exec_driver_sql("ANALYZE")
    with unit_of_work(board.line, settings=_PLAN_ONCE) as connection:
        now_plan, then_plan = (
            "\n".join(_planned(connection, statement) for statement in statements)
            for statements in (
                (repository._NOW, repository._DECIDED_NOW, scores._NOW, repository.YOUNG_NOW),
                (repository._THEN, repository._DECIDED_THEN, scores._THEN, repository.YOUNG_THEN),
            )
        )
    assert "$1" in now_plan, "a plan without values"
    assert "on decisions" not in now_plan
    for table in ("cases", "decisions", "intake_batches", "ledger_lines", "reviews"):
        assert f"Seq Scan on {table}" not in then_plan, then_plan


def test_errors_are_what_audits_found_with_bounds_and_their_loss(board: Board) -> None:
    with unit_of_work(board.line) as connection:
        arm = [case for case in receive(connection, 300) if case.arm == "automated"][:150]
        decided = audited_decisions(connection, arm, Decimal("0.2"))
        second_looks.record_draws(connection, [Drawn(one, Decimal("0.2"), Decimal("0.2")) for one in decided[:30]])
        for case in arm[:3]:
            found(connection, case, wrong=None)
        for number, case in enumerate(arm[:28]):
            found(connection, case, wrong=number < 3)
    board.rate("loss_per_error", "120")
    settle(board.line)
    judge_audits(board.line)
    errors = board.ask("evidence")["automations"][0]["errors"]
    assert (errors["decisions"], errors["drawn"], errors["judged"], errors["wrong"], errors["braked"]) == (150, 30, 28, 3, False)
    # Three that stand for five each, among those that the 28 judged ones stand for.
    assert float(errors["rate"]) == pytest.approx(15 / 140, abs=1e-6)
    looks = bounds(Looks(np.array([140.0]), np.array([15.0]), 0.2))
    assert float(errors["rate_high"]) == pytest.approx(looks.high[0], abs=1e-6)
    assert float(errors["rate_low"]) <= bounds(Looks(np.array([150.0]), np.array([15.0]), 0.2)).low[0] < looks.low[0]
    assert looks.high[0] <= float(errors["rate_high"])
    assert 0 <= float(errors["conservative_loss"]) - 120 * 150 * looks.high[0] <= 0.02
    assert Decimal(errors["limit"]) == Decimal("0.05")
    summary = board.ask("summary")
    # What waits is in no error line yet.
    margin = 120 * 150 * (looks.high[0] - 15 / 150)
    for figures in (summary["total"], *summary["automations"]):
        assert margin <= float(figures["money"]["error_margin"]) <= margin + 0.02
        assert Decimal(figures["money"]["error_cost"]) == 0, "these errors were found without being booked, and no sum has them"
    past = board.ask("summary", **{"from": hours_ago(72).isoformat(), "to": hours_ago(48).isoformat()})
    assert past["automations"] == []
    assert past["total"]["money"]["error_margin"] is None


def test_a_total_without_the_margin_of_a_part_is_not_shown_as_careful(board: Board) -> None:
    with unit_of_work(board.line) as connection:
        arm = [case for case in receive(connection, 60) if case.arm == "automated"]
        audited_decisions(connection, arm, Decimal("0.2"))
        others = [case for case in receive(connection, 20, automation="invoices") if case.arm == "automated"]
        decide(connection, others)
    board.rate("loss_per_error", "120")
    settle(board.line)
    judge_audits(board.line)
    summary = board.ask("summary")
    claims, invoices = summary["automations"]
    assert Decimal(claims["money"]["error_margin"]) > 0
    assert invoices["money"]["error_margin"] is None, "none of its decisions could be drawn"
    assert summary["total"]["money"]["error_margin"] is None
