"""What was known at an earlier moment: every figure, exactly as it was answered then."""

from __future__ import annotations

import random
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from services.roi import figures
from services.roi.main import build
from services.roi.period import Bucket
from services.roi.repository.snapshots import snapshot
from services.roi.service import Question, Roi
from shared.db import unit_of_work
from shared.ledger import posting
from shared.ledger import repository as ledger
from shared.ledger.sums import BUCKET_MEASURES, CASE_MEASURES, LINE_MEASURES
from shared.measure.baselines import Grade
from shared.measure.sequence import Progress
from shared.money import Money, currency
from tests.horizon import roll_up
from tests.integration.facts import Case, Subject, add_key, add_tenant, add_work, decide, engine_of, receive
from tests.integration.recomputation import Facts, stored
from tests.integration.time_travel import SetClock, set_database_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from services.roi.figures import Account
    from tests.conftest import Database

BEGIN = datetime(2026, 2, 24, 21, 17, 3, tzinfo=UTC)
PERIOD = {"from": "2026-02-20T05:00:00Z", "to": "2026-04-02T07:00:00Z"}
QUESTIONS: tuple[tuple[str, dict[str, str]], ...] = (
    ("summary", PERIOD),
    ("summary", {"min_grade": "B"}),
    ("summary", {"from": "2026-02-24T03:00:00Z"}),
    ("timeseries", PERIOD | {"bucket": "day"}),
    ("timeseries", PERIOD | {"bucket": "week"}),
    ("timeseries", {"from": "2026-02-27T22:00:00Z", "to": "2026-03-02T03:00:00Z", "bucket": "hour"}),
    ("breakdown", PERIOD | {"by": "stratum"}),
    ("breakdown", PERIOD | {"by": "source"}),
    ("breakdown", PERIOD | {"by": "grade"}),
    ("payback", PERIOD | {"investment": "100"}),
    ("conservation", PERIOD),
    ("ledger", PERIOD | {"limit": "200"}),
)
# What rests on the forecast of a day, which is stored when the day is first summed up.
FORECAST = frozenset({"at_least_hours", "always_valid", "labour_value", "capacity_at_least"})
# What is no figure: the moment of the answer, and how far the line was.
ASIDE = frozenset({"as_of", "computed_through", "pending", "processing", "review", "quarantined", "in_flight", "dead_letter"})


@dataclass(slots=True)
class World:
    """A tenant whose database clock moves."""

    database: Database
    line: Engine
    client: TestClient
    clock: SetClock
    randomness: random.Random
    open_cases: list[Case] = field(default_factory=list)
    decided: list[Case] = field(default_factory=list)

    def pass_time(self, hours: float) -> None:
        self.clock.moment += timedelta(hours=hours)
        set_database_clock(self.database, self.clock.moment)

    def ask(self, path: str, parameters: dict[str, str]) -> Any:
        answer = self.client.get(f"/v1/roi/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return _figures(answer.json())

    def answers(self, **parameters: str) -> list[Any]:
        return [self.ask(path, asked | parameters) for path, asked in QUESTIONS]

    def ago(self, hours: float) -> datetime:
        return self.clock.moment - timedelta(hours=hours)

    def happen(self) -> None:
        """Something that changes figures."""
        act = self.randomness.choice([self.receive, self.decide, self.decide, self.work_again, self.reverse, self.book_cash, self.judge])
        act()

    def receive(self, n: int = 30) -> None:
        with unit_of_work(self.line) as connection:
            late = self.randomness.choice([0, 0, 2, 40])
            self.open_cases += receive(connection, n, at=self.ago(late), repeated=self.randomness.randrange(3))

    def decide(self) -> None:
        if len(self.open_cases) < 20:
            self.receive(60)
        cases, self.open_cases = self.open_cases[:25], self.open_cases[25:]
        with unit_of_work(self.line) as connection:
            # Sometimes what was decided long before reaches us now.
            at = self.ago(self.randomness.choice([0, 0, 0, 1, 30, 300]))
            stratum, tier = self.randomness.choice(["s", "t"]), self.randomness.choice(["nano", "human"])
            decide(connection, cases, seconds=str(self.randomness.randrange(20, 400)), tier=tier, stratum=stratum, at=at)
        self.decided += cases

    def work_again(self) -> None:
        if not self.decided:
            return
        with unit_of_work(self.line) as connection:
            case = self.decided.pop(0)
            add_work(connection, case, str(self.randomness.randrange(5, 90)), sequence=1)

    def reverse(self) -> None:
        with unit_of_work(self.line) as connection:
            found = connection.exec_driver_sql(
                "SELECT id, tenant_id, automation, case_id, arm, stratum, quantity, unit, amount, currency FROM ledger_lines l"
                " WHERE case_id IS NOT NULL AND reverses IS NULL AND NOT EXISTS (SELECT FROM ledger_lines r WHERE r.case_id = l.case_id"
                " AND r.reverses IS NOT NULL) ORDER BY occurred_at, id LIMIT 1"
            ).one_or_none()
            if found is not None:
                ledger.post(connection, [_reversal(found._asdict(), self.clock.moment)])

    def book_cash(self) -> None:
        automated = [case for case in self.decided if case.arm == "automated"]
        if automated:
            case = automated[-1]
            subject = Subject(case.id, case.tenant, case.automation, case.arm, "s")
            line = posting.for_cash(subject, Money(Decimal(self.randomness.randrange(1, 90)), currency("EUR")), at=self.ago(1))
            with unit_of_work(self.line) as connection:
                ledger.post(connection, [line])
            self.decided.remove(case)

    def judge(self) -> None:
        """A new baseline and a new rate, valid for longer than they are known."""
        with unit_of_work(self.line) as connection:
            values = {"seconds": self.randomness.randrange(50, 300), "from": self.ago(200 + self.randomness.random())}
            connection.exec_driver_sql(
                "INSERT INTO baselines (id, tenant_id, automation, grade, mean_seconds, variance_seconds2, n, method, valid_from,"
                " expires_at) VALUES (gen_random_uuid(), 'acme', 'claims', 'B', %(seconds)s, 400, 50, 'test', %(from)s,"
                " %(from)s + interval '90 days')",
                values,
            )
            connection.exec_driver_sql(
                "INSERT INTO rates (id, tenant_id, name, value, currency, valid_from, source)"
                " VALUES (gen_random_uuid(), 'acme', 'labour_hour', %(seconds)s, 'EUR', %(from)s, 'test')",
                values,
            )


def _reversal(line: dict[str, Any], at: datetime) -> posting.Line:
    taken_back = {name: None if line[name] is None else -line[name] for name in ("quantity", "amount")}
    kept = {name: line[name] for name in ("tenant_id", "automation", "case_id", "arm", "stratum", "unit", "currency")}
    fields: dict[str, Any] = {**kept, **taken_back, "kind": "reversal", "grade": "A", "occurred_at": at, "reverses": line["id"]}
    return posting.Line(**fields)


def _figures(answer: Any, aside: AbstractSet[str] = ASIDE) -> Any:
    if isinstance(answer, dict):
        return {name: _figures(value, aside) for name, value in answer.items() if name not in aside}
    return [_figures(value, aside) for value in answer] if isinstance(answer, list) else answer


def _differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Where two answers differ: said instead of two pages of figures."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for name in one:
            yield from _differences(one[name], other[name], f"{path}.{name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from _differences(*pair, f"{path}[{number}]")
    elif one != other:
        yield f"{path}: {one!r} is not {other!r}"


# Its hours and days begin between those of UTC, which sums are by.
INDIA = timezone(timedelta(hours=5, minutes=30))


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    clock = SetClock(BEGIN)
    with engine_of(database) as line, engine_of(database, "recoup_api") as api:
        with unit_of_work(line) as connection:
            add_tenant(connection)
        token = add_key(line, "acme", "executive")
        with TestClient(build(Roi(api, clock), api, clock, threads=4), headers={"Authorization": f"Bearer {token}"}) as client:
            yield World(database, line, client, clock, random.Random(5))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_every_figure_as_of_a_moment_is_the_one_that_was_answered_then(world: World, seed: int) -> None:
    world.randomness = random.Random(seed)
    given: list[tuple[str, list[Any], AbstractSet[str]]] = []
    for _ in range(22):
        # Across hours, days and the end of the month; sometimes twice within one hour.
        world.pass_time(world.randomness.choice([0.01, 0.3, 1, 5, 23, 60]))
        for _ in range(4):
            world.happen()
        world.clock.moment += timedelta(seconds=1)
        moment = world.clock.moment.isoformat()
        if world.randomness.random() < 0.6:
            roll_up(world.line)
            given.append((moment, world.answers(), frozenset()))
        else:
            # What is not summed up yet is known all the same.
            given.append((moment, world.answers(as_of=moment), FORECAST))
    roll_up(world.line)
    for number, (moment, answers, aside) in enumerate(given):
        asked = datetime.fromisoformat(moment).astimezone(INDIA if number % 2 else UTC).isoformat()
        assert list(_differences(_figures(world.answers(as_of=asked), aside), _figures(answers, aside))) == [], asked
    with unit_of_work(world.line, snapshot=True) as connection:
        facts = Facts.of(connection)
        assert stored(connection, "case_sums", CASE_MEASURES) == facts.case_sums()
        assert stored(connection, "ledger_sums", LINE_MEASURES) == facts.ledger_sums()
        assert stored(connection, "case_buckets", BUCKET_MEASURES) == facts.case_buckets()
        assert stored(connection, "money_buckets", ["amount"]) == facts.money_buckets()


@pytest.mark.parametrize("bucket", [None, Bucket.WEEK, Bucket.DAY])
def test_bounds_of_buckets_are_those_of_the_cases(world: World, bucket: Bucket | None) -> None:
    world.randomness = random.Random(3)
    moments: list[datetime | None] = [None]
    for _ in range(14):
        world.pass_time(world.randomness.choice([0.3, 5, 23, 60, 200]))
        for _ in range(6):
            world.happen()
        world.clock.moment += timedelta(seconds=1)
        moments.append(world.clock.moment)
    roll_up(world.line)
    roi, compared = Roi(world.line, world.clock), 0
    with unit_of_work(world.line, snapshot=True) as connection:
        facts = Facts.of(connection)
    for as_of in moments:
        for start in (BEGIN - timedelta(days=40), BEGIN + timedelta(days=3)):
            question = Question(start, None, None, None, Grade.D, as_of)
            if start >= (as_of or world.clock.moment):
                continue
            with snapshot(world.line, "acme") as connection:
                period, tally = roi.tally_in(connection, "acme", question)
                by_bucket = roi.tally_in(connection, "acme", question, bucket, bounds=True)[1]
            cases, buckets = (figures.accounts(found, Grade.D) for found in (tally, by_bucket))
            assert [_estimated(account) for account in buckets] == [pytest.approx(_estimated(account)) for account in cases]
            expected = facts.progress("acme", period.start, as_of)
            for account in buckets:
                done = asdict(expected.get(account.automation, Progress()))
                assert asdict(account.progress) == pytest.approx(done)
                compared += done["control"] > 0 and done["variance"] > 0
    assert compared > 8


def _estimated(account: Account) -> dict[str, float]:
    found = account.estimate
    return {"low": found.low or 0.0, "point": found.point or 0.0, "cases": found.cases}


def test_records_on_their_way_at_an_earlier_moment_were_in_flight_then(world: World) -> None:
    world.pass_time(1)
    world.receive(40)
    world.clock.moment += timedelta(seconds=1)
    then = world.clock.moment.isoformat()
    before = world.client.get("/v1/roi/conservation").json()
    world.pass_time(3)
    world.decide()
    world.receive(10)
    (hour,) = world.client.get("/v1/roi/conservation", params={"as_of": then}).json()["hours"]
    (known,) = before["hours"]
    assert hour["received"] == known["received"]
    assert (hour["in_flight"], hour["difference"], hour["pending"]) == (known["in_flight"], 0, None)


@pytest.mark.parametrize("path", ["summary", "timeseries", "breakdown", "conservation", "ledger"])
def test_a_moment_that_is_still_to_come_is_refused(world: World, path: str) -> None:
    answer = world.client.get(f"/v1/roi/{path}", params={"as_of": (world.clock.moment + timedelta(hours=1)).isoformat()})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_period")


def test_a_bridge_leads_from_one_answer_to_the_other_and_its_parts_add_up(world: World) -> None:
    world.randomness = random.Random(9)
    moments = []
    for _ in range(14):
        world.pass_time(world.randomness.choice([0.01, 0.3, 5, 23, 60]))
        for _ in range(4):
            world.happen()
        world.clock.moment += timedelta(seconds=1)
        moments.append(world.clock.moment.isoformat())
    roll_up(world.line)
    moved: dict[str, int] = {}
    for earlier, later in [*pairwise(moments), (moments[0], moments[-1]), (moments[3], moments[9])]:
        answer = world.client.get("/v1/roi/bridge", params=PERIOD | {"earlier": earlier, "later": later}).json()
        movements = {movement["figure"]: movement for movement in answer["movements"]}
        for side, moment in (("before", earlier), ("after", later)):
            total = world.ask("summary", PERIOD | {"as_of": moment})["total"]
            assert Decimal(movements["seconds_saved"][side]) == Decimal(total["saved"]["seconds"]["point"] or 0)
            assert Decimal(movements["cash"][side]) == Decimal(total["money"]["cash"])
            assert Decimal(movements["total_cost"][side]) == Decimal(total["money"]["total_cost"])
        for movement in answer["movements"]:
            parts = {part["cause"]: Decimal(part["amount"]) for part in movement["parts"]}
            assert sum(parts.values()) == Decimal(movement["difference"]) == Decimal(movement["after"]) - Decimal(movement["before"])
            for cause, amount in parts.items():
                moved[cause] = moved.get(cause, 0) + (amount != 0)
    assert set(moved) == {"new_work", "late_events", "corrections", "baseline", "rates"}
    assert all(times > 0 for times in moved.values())


def _parts(world: World, figure: str, earlier: datetime) -> dict[str, Decimal]:
    """The causes that moved a figure since then."""
    roll_up(world.line)
    answer = world.client.get("/v1/roi/bridge", params=PERIOD | {"earlier": earlier.isoformat()}).json()
    (movement,) = [one for one in answer["movements"] if one["figure"] == figure]
    return {part["cause"]: Decimal(part["amount"]) for part in movement["parts"] if Decimal(part["amount"])}


def test_each_cause_stands_by_itself(world: World) -> None:
    """With one stored baseline, whose mean is known, every part is a product."""
    world.pass_time(1)
    with unit_of_work(world.line) as connection:
        connection.exec_driver_sql("UPDATE automation_settings SET control_share = 0")
    _store_baseline(world, 100)
    world.receive(30)
    world.pass_time(5)
    world.clock.moment += timedelta(seconds=1)
    first = world.clock.moment
    world.pass_time(2)
    decided = _decide(world, 10, at=world.clock.moment)
    assert _parts(world, "seconds_saved", first) == {"new_work": Decimal(1000)}
    world.pass_time(2)
    _decide(world, 5, at=BEGIN)
    assert _parts(world, "seconds_saved", first) == {"new_work": Decimal(1000), "late_events": Decimal(500)}
    world.pass_time(2)
    with unit_of_work(world.line) as connection:
        add_work(connection, decided[0], "7.5", sequence=1)
    known = {"new_work": Decimal(1000), "late_events": Decimal(500), "corrections": Decimal("-7.5")}
    assert _parts(world, "seconds_saved", first) == known
    world.pass_time(2)
    _store_baseline(world, 120)
    assert _parts(world, "seconds_saved", first) == known | {"baseline": Decimal(300)}


def _decide(world: World, n: int, *, at: datetime) -> list[Case]:
    cases, world.open_cases = world.open_cases[:n], world.open_cases[n:]
    with unit_of_work(world.line) as connection:
        decide(connection, cases, at=at)
    return cases


def _store_baseline(world: World, seconds: int) -> None:
    with unit_of_work(world.line) as connection:
        connection.exec_driver_sql(
            "INSERT INTO baselines (id, tenant_id, automation, grade, mean_seconds, variance_seconds2, n, method, valid_from, expires_at)"
            " VALUES (gen_random_uuid(), 'acme', 'claims', 'B', %(seconds)s, 400, 50, 'test', %(from)s, %(from)s + interval '90 days')",
            {"seconds": seconds, "from": world.clock.moment},
        )
