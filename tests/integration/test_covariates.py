"""What an automation knows of a case beforehand goes through the whole line, in both arms alike, and makes the interval narrower."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from services.roi.main import build
from services.roi.service import Roi
from shared.automations.registry import automation
from shared.clock import SystemClock
from shared.measure.adjusted import Cell, Products, adjusted
from tests.horizon import roll_up
from tests.intake_data import engine_of
from tests.ops_desk import Desk, open_desk
from tests.worker_data import CLAIM, decider, record, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine

    from tests.conftest import Database

CASES = 360
# Circumstances that rules send to an adjuster, so that no person has to look at cases of the automated arm.
INJURED = {"injured_persons": 2}
STOLEN = {"cause": "theft", "police_report": False}
OTHERS: Sequence[dict[str, Any]] = (
    {"reported_date": "2026-09-01"},
    {"deductible": "950.00"},
    {"sum_insured": "800.00"},
    {"policy_end": "2026-09-15"},
)
TIME = "l.unit = 's' AND l.kind IN ('manual_time', 'review_time')"


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        desk.patch("/v1/automations/claims", {"control_share": "0.4", "audit_share": "0"})
        yield desk


@pytest.fixture
def line(database: Database) -> Iterator[Engine]:
    engine = engine_of(database)
    yield engine
    engine.dispose()


def _claims() -> Iterator[tuple[dict[str, Any], float]]:
    """A claim and the seconds that a person needs for it alone: half of their variance is that of its circumstances."""
    rng = random.Random(20)
    for number in range(CASES):
        claim = {**CLAIM, **(INJURED if number % 2 else STOLEN)}
        for more in OTHERS:
            if rng.random() < 0.5:
                claim |= more
        task = automation("claims")
        known = task.covariate_of(task.data_model.model_validate(claim))
        assert known is not None
        yield claim, max(5.0, 60 + 30 * known + rng.gauss(0, 38))


def _worked(desk: Desk, needed: dict[str, float]) -> None:
    """People decide everything that waits for them, as long as each case takes; the wall clock is moved instead of waited for."""
    while claimed := desk.post("/v1/reviews/claim-next", {"reviewer": "ada", "limit": 50}):
        for clock in ("claimed_at", "claim_expires_at"):
            desk.sql.execute(f"UPDATE reviews SET {clock} = {clock} - interval '280 seconds' WHERE state = 'claimed'".encode())
        for review in claimed:
            seconds = needed[review["event"]["id"]]
            answer = {"outcome": "adjuster", "reasons": [], "active_seconds": round(seconds, 3), "reviewer": "ada"}
            desk.post(f"/v1/reviews/{review['id']}/submit", answer)


def _deployed(desk: Desk, line: Engine) -> dict[str, float]:
    """Seconds that each case takes a person, by event id; all of them are decided."""
    claims = list(_claims())
    records = [record(str(number), claim, automation("claims")) for number, (claim, _) in enumerate(claims)]
    decider(line).decide("claims", waiting(line, records))
    needed = {str(number): seconds for number, (_, seconds) in enumerate(claims)}
    _worked(desk, needed)
    return needed


def _raw(desk: Desk) -> list[dict[str, Any]]:
    return desk.rows(
        "SELECT c.event_id, d.arm, d.stratum, c.control_probability AS share, d.covariate, c.covariate AS of_case,"
        f" coalesce((SELECT sum(l.quantity) FROM ledger_lines l WHERE l.case_id = d.case_id AND {TIME}), 0) AS seconds"
        " FROM decisions d JOIN cases c ON c.id = d.case_id"
    )


def _cells(rows: Sequence[dict[str, Any]]) -> list[Cell]:
    """Another way to the same sums: case by case."""
    found: dict[tuple[str, Decimal], dict[str, Products]] = {}
    for row in rows:
        y, x = float(row["seconds"]), float(row["covariate"])
        cell = found.setdefault((row["stratum"], row["share"]), {})
        cell[row["arm"]] = cell.get(row["arm"], Products()) + Products(1, y, y * y, x, x * x, x * y)
    return [Cell(stratum, float(share), **arms) for (stratum, share), arms in found.items()]


def test_evidence_shows_the_estimate_with_the_covariate_which_holds_the_truth_and_is_narrower(
    desk: Desk, line: Engine, database: Database
) -> None:
    needed = _deployed(desk, line)
    roll_up(line)
    engine, clock = engine_of(database, "recoup_api"), SystemClock()
    executive = {"Authorization": f"Bearer {desk.token('acme', 'executive')}"}
    with TestClient(build(Roi(engine, clock), engine, clock, threads=2), headers=executive) as client:
        answer = client.get("/v1/roi/evidence").json()
        at = client.get("/v1/roi/evidence", params={"as_of": clock.now().isoformat()}).json()
        summary = client.get("/v1/roi/summary").json()
    engine.dispose()
    (one,) = answer["automations"]
    shown, rows = one["adjustment"], _raw(desk)
    assert shown == at["automations"][0]["adjustment"]
    found = adjusted(_cells(rows))
    assert found is not None
    for bound, value in (("low", found.low), ("point", found.point), ("high", found.high)):
        assert float(shown["adjusted"][bound]) == pytest.approx(value, abs=0.002)
    assert float(shown["slope"]) == pytest.approx(found.slope, abs=0.001)
    assert shown["unadjusted"] == summary["automations"][0]["saved"]["seconds"]
    truth = sum(needed[row["event_id"]] - float(row["seconds"]) for row in rows if row["arm"] == "automated")
    assert found.low < truth < found.high
    assert 0.4 < float(shown["explained"]) < 0.65
    assert float(shown["width_ratio"]) < 0.85
    assert shown["undrawn_cases"] == 0


def test_both_arms_keep_what_was_known_before_their_draw(desk: Desk, line: Engine) -> None:
    task = automation("claims")
    claims = [claim for claim, _ in itertools.islice(_claims(), 40)]
    ids = waiting(line, [record(str(number), claim, task) for number, claim in enumerate(claims)])
    decider(line).decide("claims", ids)
    known = {str(number): task.covariate_of(task.data_model.model_validate(claim)) for number, claim in enumerate(claims)}
    cases = desk.rows("SELECT event_id, arm, covariate FROM cases")
    assert {row["event_id"]: row["covariate"] for row in cases} == known
    assert {row["arm"] for row in cases} == {"automated", "control"}
    _worked(desk, dict.fromkeys(known, 5.0))
    decided = _raw(desk)
    assert {row["event_id"]: row["covariate"] for row in decided} == known
    assert all(row["covariate"] == row["of_case"] for row in decided)
