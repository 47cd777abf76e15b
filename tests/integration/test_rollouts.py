"""A new version of a model: tried in the shadow, on a share of cases, promoted on evidence or taken back by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest
from pydantic import BaseModel

from services.steward import trials
from services.steward.repository import trials as stored
from services.worker.cascade import Cascade
from services.worker.repository import Installed, announce_versions
from services.worker.rollout import Fleet
from services.worker.service import Decider, Limits
from services.worker.tiers import NOTHING, UNLIMITED, Budget, CaseInput, TierResult, Usage
from shared.automations.contract import Automation, Outcome, Verdict
from shared.casework.rollouts import evidence
from shared.clock import SystemClock
from shared.db import unit_of_work
from shared.ids import uuid7
from tests.intake_data import engine_of, rows
from tests.ops_desk import Desk, open_desk
from tests.worker_data import decider, record, waiting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import LiteralString

    from sqlalchemy import Engine

    from tests.conftest import Database

OLDEST, OLD, NEW = "0.9.0", "1.0.0", "1.1.0"


class Letter(BaseModel):
    """Attributes: old, new: what each version says; `raise` and `unsure` are what they seem."""

    old: str
    new: str


# The name of an installed automation, because the API knows those only.
TASK = Automation(name="claims", event_type="test.letter", data_model=Letter, outcomes={name: Outcome() for name in ("pay", "refer")})


class Says:
    """A model of one version, which says what the letter tells it to."""

    name = "nano"

    def __init__(self, version: str) -> None:
        self.version = version
        self.asked = 0

    @property
    def needs(self) -> Usage:
        return NOTHING

    def decide(self, batch: Sequence[CaseInput], budget: Budget = UNLIMITED) -> Sequence[TierResult]:
        del budget
        self.asked += len(batch)
        return [self._result(str(getattr(case.data, "old" if self.version == OLD else "new"))) for case in batch]

    def _result(self, word: str) -> TierResult:
        if word == "raise":
            raise RuntimeError(word)
        if word == "unsure":
            return TierResult(Verdict(None, 0.1, ("uncertain",), label="pay"), {"pay": 0.1}, 0.1, model=f"says@{self.version}")
        return TierResult(Verdict(word, 0.9, (), label=word), {word: 0.9}, 0.9, model=f"says@{self.version}")


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        yield desk


@pytest.fixture
def engine(desk: Desk, database: Database) -> Iterator[Engine]:
    engine = engine_of(database)
    with unit_of_work(engine) as connection:
        announce_versions(connection, {"claims": Installed(OLD, {OLD: [], NEW: []})})
    for tenant in ("acme", "other"):
        desk.sql.execute(
            "INSERT INTO automation_settings (tenant_id, automation, control_share, audit_share) VALUES (%s, 'claims', 0, 1)", (tenant,)
        )
    yield engine
    engine.dispose()


def _worker(engine: Engine) -> tuple[Decider, dict[str, Says]]:
    models = {version: Says(version) for version in (OLD, NEW)}
    fleet = Fleet(OLD, {version: Cascade(TASK, [model]) for version, model in models.items()})
    limits: Limits = decider(engine)._limits
    return Decider(engine, {"claims": fleet.cascades[OLD]}, SystemClock(), limits, {"claims": fleet}), models


def _run(engine: Engine, letters: Sequence[tuple[str, str]], tenant: str = "acme") -> list[UUID]:
    ids = waiting(engine, [record(str(uuid7()), {"old": old, "new": new}, TASK, tenant=tenant) for old, new in letters])
    _worker(engine)[0].decide("claims", ids)
    return ids


def _roll(desk: Desk, state: str, version: str = NEW, **more: Any) -> Any:
    return desk.call("PUT", f"/v1/models/claims/{version}", {"state": state, **more}, role="operator")


def _execute(database: Database, statement: LiteralString, *values: object) -> None:
    with psycopg.connect(database.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement, values)


def _audit(database: Database, truth: str) -> None:
    """Close every audit that is open: a person says ``truth``, and another one agrees."""
    _execute(
        database,
        "INSERT INTO audit_findings (case_id, round, tenant_id, automation, review_id, outcome, wrong, reviewer)"
        " SELECT case_id, CASE WHEN outcome = %s THEN 0 ELSE 1 END, tenant_id, automation, gen_random_uuid(), %s, outcome <> %s, 'p'"
        " FROM audits ON CONFLICT DO NOTHING",
        truth,
        truth,
        truth,
    )


VERSIONS = "SELECT model_version, count(*) FROM decisions GROUP BY 1 ORDER BY 1"


def test_without_a_rollout_the_default_decides_alone(engine: Engine, database: Database) -> None:
    _run(engine, [("pay", "refer")] * 5)
    assert rows(database, VERSIONS) == [("says@1.0.0", 5)]
    assert rows(database, "SELECT count(*) FROM model_pairs") == [(0,)]


def test_a_shadow_is_asked_and_nobody_acts_on_it(engine: Engine, database: Database, desk: Desk) -> None:
    assert _roll(desk, "shadow").status_code == 200
    _run(engine, [("pay", "refer"), ("unsure", "refer"), ("pay", "unsure")])
    assert rows(database, "SELECT model_version, outcome, count(*) FROM decisions GROUP BY 1, 2") == [("says@1.0.0", "pay", 2)]
    assert rows(database, "SELECT reasons, proposal->>'outcome' FROM reviews WHERE kind = 'exception'") == [(["uncertain"], "pay")]
    pairs = "SELECT present, present_outcome, candidate_outcome, candidate_acted, seen FROM model_pairs ORDER BY 2, 3"
    assert rows(database, pairs) == [
        (OLD, "pay", "refer", False, Decimal(1)),
        (OLD, "pay", None, False, Decimal(1)),
        (OLD, None, "refer", False, Decimal(0)),
    ]
    assert rows(database, "SELECT DISTINCT model_version FROM inferences") == [("says@1.0.0",)]
    _run(engine, [("pay", "refer")], tenant="other")
    assert rows(database, "SELECT count(*) FROM model_pairs WHERE tenant_id = 'other'") == [(0,)]


def test_a_shadow_that_fails_fails_alone(engine: Engine, database: Database, desk: Desk) -> None:
    _roll(desk, "shadow")
    _run(engine, [("pay", "raise"), ("pay", "pay")])
    assert rows(database, VERSIONS) == [("says@1.0.0", 2)]
    assert rows(database, "SELECT count(*) FROM model_pairs") == [(0,)]


def test_a_canary_decides_its_share_of_cases_the_same_ones_every_time(engine: Engine, database: Database, desk: Desk) -> None:
    _roll(desk, "shadow")
    assert _roll(desk, "canary", canary_share="0.3").status_code == 200
    ids = _run(engine, [("pay", "refer")] * 300)
    ((_, old), (_, new)) = rows(database, VERSIONS)
    assert isinstance(new, int)
    assert 60 < new < 120
    assert old == 300 - new
    assert rows(
        database,
        "SELECT count(*) FROM model_pairs p JOIN decisions d USING (case_id)"
        " WHERE (d.model_version = 'says@1.1.0') <> p.candidate_acted OR p.candidate_outcome <> 'refer' OR p.present_outcome <> 'pay'",
    ) == [(0,)]
    # A worker that runs them again, because the one before it died, gives each case to the same version.
    before = rows(database, "SELECT case_id, model_version FROM decisions ORDER BY case_id")
    for table in ("decisions", "model_pairs", "audits", "reviews", "inferences", "ledger_lines", "outbox"):
        _execute(database, f"ALTER TABLE {table} DISABLE TRIGGER USER")
        _execute(database, f"DELETE FROM {table}")
    _execute(database, "UPDATE cases SET state = 'pending', attempt = 0")
    _worker(engine)[0].decide("claims", ids)
    assert rows(database, "SELECT case_id, model_version FROM decisions ORDER BY case_id") == before


def test_the_control_arm_is_asked_nothing_that_counts_and_tells_the_truth(engine: Engine, database: Database, desk: Desk) -> None:
    _execute(database, "UPDATE automation_settings SET control_share = 1, audit_share = 0")
    _roll(desk, "shadow")
    _run(engine, [("pay", "refer")])
    assert rows(database, "SELECT kind, reasons, proposal FROM reviews") == [("control", [], None)]
    for table in ("decisions", "inferences", "ledger_lines"):
        assert rows(database, f"SELECT count(*) FROM {table}") == [(0,)]
    assert rows(database, "SELECT candidate_acted, seen FROM model_pairs") == [(None, Decimal(1))]
    clock = SystemClock()
    trials.judge(engine, clock)
    assert desk.get("/v1/models")["items"][1]["evidence"]["cases"] == 0
    _execute(
        database,
        "INSERT INTO decisions (case_id, tenant_id, automation, arm, stratum, source, outcome, adverse, reasons, attributes, tier,"
        " decided_by, received_at, decided_at) SELECT id, tenant_id, automation, arm, 'all', source, 'refer', false, '[]', '{}', 'human',"
        " 'p', received_at, now() FROM cases",
    )
    trials.judge(engine, clock)
    evidence = desk.get("/v1/models")["items"][1]["evidence"]
    assert (evidence["cases"], evidence["observed"], evidence["difference"]) == (1, 1, -1.0)


def test_a_version_that_is_wrong_more_often_is_taken_back_once_and_decides_nothing_more(
    engine: Engine, database: Database, desk: Desk
) -> None:
    _roll(desk, "shadow")
    _roll(desk, "canary", canary_share="0.5")
    _run(engine, [("pay", "pay")] * 60 + [("pay", "refer")] * 20)
    clock = SystemClock()
    assert trials.judge(engine, clock) == 0
    assert next(item for item in desk.get("/v1/models")["items"] if item["version"] == NEW)["state"] == "canary"
    _audit(database, "pay")
    assert [trials.judge(engine, clock), trials.judge(engine, clock)] == [1, 0]
    taken = next(item for item in desk.get("/v1/models")["items"] if item["version"] == NEW)
    assert (taken["state"], taken["changed_by"], taken["evidence"]["low"] > 0) == ("retired", "steward", True)
    log = desk.rows("SELECT actor, action, object_id FROM audit_log ORDER BY created_at DESC, id DESC LIMIT 1")
    assert log == [{"actor": "steward", "action": "model.taken_back", "object_id": f"claims/{NEW}"}]
    _run(engine, [("pay", "refer")] * 40)
    assert rows(
        database, "SELECT count(*) FROM decisions WHERE outcome = 'refer' AND decided_at > (SELECT changed_at FROM model_rollouts)"
    ) == [(0,)]


def test_what_the_steward_takes_back_stays_so_whoever_changes_the_share_meanwhile(engine: Engine, database: Database, desk: Desk) -> None:
    _roll(desk, "shadow")
    _roll(desk, "canary", canary_share="0.1")
    (trial,) = _running(engine)
    with ThreadPoolExecutor(1) as other:
        with unit_of_work(engine) as connection:
            assert stored.take_back(connection, trial, evidence(connection, *trial).as_dict(SystemClock().now()))
            change = other.submit(_roll, desk, "canary", canary_share="0.5")
            _await_waiting(database)
        refused = change.result()
    assert (refused.status_code, desk.get("/v1/models")["items"][1]["state"]) == (409, "retired")


def _running(engine: Engine) -> list[stored.Trial]:
    with unit_of_work(engine) as connection:
        return stored.running(connection)


def _await_waiting(database: Database) -> None:
    """Until somebody waits for a lock."""
    deadline = time.monotonic() + 30
    while rows(database, "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT granted") == [(0,)]:
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.02)


def test_a_version_is_promoted_on_evidence_and_not_before(engine: Engine, database: Database, desk: Desk) -> None:
    _roll(desk, "shadow")
    refused = _roll(desk, "active")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    _run(engine, [("pay", "pay")] * 250)
    _run(engine, [("pay", "pay")] * 250)
    assert "not proven" in _roll(desk, "active").json()["detail"] or _roll(desk, "active").status_code == 409
    _audit(database, "pay")
    _run(engine, [("pay", "pay")] * 250)
    _audit(database, "pay")
    promoted = _roll(desk, "active")
    assert (promoted.status_code, promoted.json()["state"]) == (200, "active")
    _run(engine, [("pay", "refer")] * 3)
    assert rows(database, "SELECT count(*) FROM decisions WHERE model_version = 'says@1.1.0'") == [(3,)]
    # Back again, for a reason.
    assert _roll(desk, "active", OLD).status_code == 409
    assert _roll(desk, "active", OLD, force=True, reason="The new one is slow.").json()["state"] == "active"
    states = {item["version"]: item["state"] for item in desk.get("/v1/models")["items"]}
    assert states == {OLD: "active", NEW: "retired"}
    actions = [row["action"] for row in desk.rows("SELECT action FROM audit_log ORDER BY created_at, id")]
    assert actions == ["model.rolled_out"] * 3


def test_a_version_that_leaves_more_to_people_or_whose_truth_is_never_seen_is_not_promoted(
    engine: Engine, database: Database, desk: Desk
) -> None:
    _roll(desk, "shadow")
    _run(engine, [("pay", "pay")] * 850 + [("pay", "unsure")] * 30)
    _audit(database, "pay")
    assert "more cases to people" in _roll(desk, "active").json()["detail"]
    _run(engine, [("unsure", "pay")])
    assert "never seen" in _roll(desk, "active").json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/models/claims/9.9.9", {"state": "shadow"}, 404),
        ("/v1/models/nonsense/1.1.0", {"state": "shadow"}, 404),
        ("/v1/models/claims/1.0.0", {"state": "shadow"}, 409),
        ("/v1/models/claims/1.1.0", {"state": "canary", "canary_share": "0.1"}, 409),
        ("/v1/models/claims/1.1.0", {"state": "active"}, 409),
        ("/v1/models/claims/1.1.0", {"state": "canary"}, 422),
        ("/v1/models/claims/1.1.0", {"state": "shadow", "canary_share": "0.1"}, 422),
        ("/v1/models/claims/1.1.0", {"state": "active", "force": True}, 422),
    ],
)
def test_a_step_that_is_none_is_refused(engine: Engine, desk: Desk, path: str, body: dict[str, Any], status: int) -> None:
    del engine
    assert desk.call("PUT", path, body).status_code == status
    assert desk.rows("SELECT * FROM model_rollouts") == []


def test_another_version_waits_until_the_one_on_trial_is_done(engine: Engine, desk: Desk) -> None:
    with unit_of_work(engine) as connection:
        announce_versions(connection, {"claims": Installed(OLD, {OLD: [], NEW: [], "1.2.0": []})})
    _roll(desk, "shadow")
    assert _roll(desk, "shadow", "1.2.0").status_code == 409
    _roll(desk, "retired")
    assert _roll(desk, "shadow", "1.2.0").status_code == 200


def _three(engine: Engine) -> Decider:
    """A worker with the oldest, the present and the next version of one automation's models."""
    fleet = Fleet(OLDEST, {version: Cascade(TASK, [Says(version)]) for version in (OLDEST, OLD, NEW)})
    with unit_of_work(engine) as connection:
        announce_versions(connection, {"claims": Installed(OLDEST, {version: [] for version in fleet.cascades})})
    return Decider(engine, {"claims": fleet.cascades[OLDEST]}, SystemClock(), decider(engine)._limits, {"claims": fleet})


def test_what_was_seen_beside_another_version_proves_nothing_about_the_present_one(engine: Engine, database: Database, desk: Desk) -> None:
    worker, clock = _three(engine), SystemClock()
    _roll(desk, "active", OLD, force=True, reason="The oldest one is blind to new forms.")
    _roll(desk, "shadow")

    def decide(count: int, old: str, new: str) -> None:
        worker.decide("claims", waiting(engine, [record(str(uuid7()), {"old": old, "new": new}, TASK) for _ in range(count)]))
        _audit(database, "pay")

    # The present version is wrong each time, the one on trial as often as the oldest.
    decide(450, "refer", "refer")
    decide(450, "refer", "pay")
    assert next(item for item in desk.get("/v1/models")["items"] if item["version"] == NEW)["state"] == "shadow"
    _roll(desk, "active", OLDEST, force=True, reason="Back to the oldest one.")
    trials.judge(engine, clock)
    evidence = next(item for item in desk.get("/v1/models")["items"] if item["version"] == NEW)["evidence"]
    assert (evidence["cases"], evidence["observed"]) == (0, 0)
    assert _roll(desk, "active").status_code == 409
    # Now only what is seen beside the oldest one counts.
    decide(20, "refer", "pay")
    trials.judge(engine, clock)
    evidence = next(item for item in desk.get("/v1/models")["items"] if item["version"] == NEW)["evidence"]
    assert (evidence["cases"], evidence["difference"]) == (20, 0.0)


def test_a_version_that_no_worker_has_any_more_can_only_be_retired(engine: Engine, desk: Desk) -> None:
    _roll(desk, "shadow")
    with unit_of_work(engine) as connection:
        announce_versions(connection, {"claims": Installed(OLD, {OLD: []})})
    states = {item["version"]: (item["installed"], item["state"]) for item in desk.get("/v1/models")["items"]}
    assert states == {OLD: (True, None), NEW: (False, "shadow")}
    for state, more in (("canary", {"canary_share": "0.5"}), ("active", {"force": True, "reason": "It was better."})):
        assert _roll(desk, state, **more).status_code == 404
    assert _roll(desk, "retired").status_code == 200
    assert _roll(desk, "shadow").status_code == 404


def test_where_the_promoted_version_is_gone_a_trial_is_held_against_the_default(engine: Engine, database: Database, desk: Desk) -> None:
    _three(engine)
    _roll(desk, "active", OLD, force=True, reason="The oldest one is blind to new forms.")
    with unit_of_work(engine) as connection:
        announce_versions(connection, {"claims": Installed(OLDEST, {OLDEST: [], NEW: []})})
    assert _roll(desk, "shadow", OLDEST).status_code == 409
    assert _roll(desk, "shadow").status_code == 200
    fleet = Fleet(OLDEST, {version: Cascade(TASK, [Says(version)]) for version in (OLDEST, NEW)})
    worker = Decider(engine, {"claims": fleet.cascades[OLDEST]}, SystemClock(), decider(engine)._limits, {"claims": fleet})
    worker.decide("claims", waiting(engine, [record(str(uuid7()), {"old": "pay", "new": "pay"}, TASK)]))
    _audit(database, "pay")
    trials.judge(engine, SystemClock())
    assert next(item for item in desk.get("/v1/models")["items"] if item["version"] == NEW)["evidence"]["cases"] == 1
