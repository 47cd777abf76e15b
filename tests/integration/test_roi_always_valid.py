"""The headline: an interval from sums, the same as from the cases themselves, however the control share was changed meanwhile."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from services.roi.main import build
from services.roi.service import Roi
from shared.db import unit_of_work
from shared.measure.sequence import PLANNED, Days, saved
from tests.horizon import roll_up
from tests.integration.facts import add_key, add_tenant, decide, engine_of, receive
from tests.integration.time_travel import SetClock, set_database_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.conftest import Database

BEGIN = datetime(2026, 1, 20, 9, 30, tzinfo=UTC)
STRATA = {"short": 4.0, "long": 6.0}
ARMS = ("automated", "control")
Cell = tuple[int, str, str]


@dataclass(slots=True)
class Work:
    """Cases of a tenant whose every handling time is remembered."""

    database: Database
    line: Engine
    client: TestClient
    clock: SetClock
    randomness: random.Random
    times: dict[Cell, list[float]]
    shares: list[float]

    def day(self, cases: int, share: float) -> None:
        """A day of work with this control share, rolled up at its end."""
        self.clock.moment = BEGIN + timedelta(days=len(self.shares))
        set_database_clock(self.database, self.clock.moment)
        self.shares.append(share)
        with unit_of_work(self.line) as connection:
            connection.exec_driver_sql("UPDATE automation_settings SET control_share = %(share)s", {"share": share})
        for stratum, centre in STRATA.items():
            with unit_of_work(self.line) as connection:
                for case in receive(connection, cases, at=self.clock.moment):
                    seconds = round(self.randomness.lognormvariate(centre, 0.7), 3)
                    by_person = case.arm == "control" or self.randomness.random() < 0.25
                    decide(
                        connection,
                        [case],
                        seconds=str(seconds),
                        tier="human" if by_person else "nano",
                        stratum=stratum,
                        at=self.clock.moment,
                    )
                    self.times[len(self.shares) - 1, stratum, case.arm].append(seconds if by_person else 0.0)
        roll_up(self.line)

    def expected(self, days: int) -> Days:
        """Of the first days, straight from the times."""

        def cells(arm: str, power: int) -> Any:
            return np.array(
                [[sum(x**power for x in self.times[day, stratum, arm]) for stratum in STRATA] for day in range(days)], dtype=float
            )

        share = np.tile(np.array(self.shares[:days])[:, np.newaxis], (1, len(STRATA)))
        return Days(cells("automated", 0), cells("automated", 1), cells("control", 0), cells("control", 1), cells("control", 2), share)

    def answer(self, **parameters: str) -> Any:
        asked = {"from": BEGIN.isoformat(), "to": (BEGIN + timedelta(days=60)).isoformat()} | parameters
        answer = self.client.get("/v1/roi/summary", params=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def summary(self, **parameters: str) -> Any:
        return self.answer(**parameters)["total"]["saved"]


@pytest.fixture
def work(database: Database) -> Iterator[Work]:
    clock = SetClock(BEGIN)
    with engine_of(database) as line, engine_of(database, "recoup_api") as api:
        with unit_of_work(line) as connection:
            add_tenant(connection)
        token = add_key(line, "acme", "executive")
        with TestClient(build(Roi(api, clock), api, clock, threads=4), headers={"Authorization": f"Bearer {token}"}) as client:
            yield Work(database, line, client, clock, random.Random(11), defaultdict(list), [])


def test_the_interval_of_sums_is_that_of_the_cases_at_every_look_also_after_the_control_share_was_changed(work: Work) -> None:
    looks = []
    for day in range(14):
        work.day(14, 0.4 if day < 7 else 0.2)
        looks.append((work.clock.moment.isoformat(), work.summary()))
    found = saved(work.expected(14), planned=PLANNED)
    shown = [look["always_valid"] for _, look in looks]
    assert [one is None for one in shown] == list(np.isnan(found.low))
    assert sum(one is not None for one in shown) > 5
    for day, one in enumerate(shown):
        if one is not None:
            hours = [float(one[name]) for name in ("low", "point", "high")]
            assert hours == pytest.approx([values[day] / 3600 for values in (found.low, found.point, found.high)], abs=0.001)
            assert looks[day][1]["at_least_hours"] == one["low"]
    # What was shown stays shown.
    for moment, look in looks:
        assert work.summary(as_of=moment) == look


def test_what_people_spend_while_there_is_no_control_group_is_taken_off_the_headline(work: Work) -> None:
    for _ in range(4):
        work.day(40, 0.4)
    with_control = work.summary()
    assert float(with_control["at_least_hours"]) > 0
    for _ in range(3):
        work.day(60, 0)
    spent = sum(sum(times) for (day, _, arm), times in work.times.items() if day >= 4 and arm == "automated")
    answer = work.answer()
    for figures in (answer["total"], *answer["automations"]):
        shown = figures["saved"]
        assert shown["always_valid"] == with_control["always_valid"], "it knows nothing of cases without a control group"
        assert float(shown["at_least_hours"]) == pytest.approx(float(with_control["at_least_hours"]) - spent / 3600, abs=0.002)


def test_before_fifty_control_cases_the_headline_claims_nothing(work: Work) -> None:
    work.day(40, 0.5)
    shown = work.summary()
    assert (shown["grade"], shown["always_valid"], shown["at_least_hours"]) == ("A", None, "0.000")
    assert float(shown["hours"]["low"]) > 0
    with unit_of_work(work.line) as connection:
        connection.exec_driver_sql(
            "INSERT INTO rates (id, tenant_id, name, automation, value, currency, valid_from, source)"
            " VALUES (gen_random_uuid(), 'acme', 'labour_hour', '*', 40, 'EUR', %(start)s, 't')",
            {"start": BEGIN - timedelta(days=1)},
        )
    answer = work.answer()
    for figures in (answer["total"], *answer["automations"]):
        value = figures["money"]["labour_value"]
        assert value["low"] == "0.000000", "the headline at the labour rate"
        assert float(value["point"]) == pytest.approx(40 * float(shown["hours"]["point"]), abs=0.1)
        assert float(value["high"]) == pytest.approx(40 * float(shown["hours"]["high"]), abs=0.1)


def test_control_cases_of_a_time_when_nothing_was_automated_are_no_control_group(work: Work) -> None:
    work.day(40, 1)
    work.day(40, 0)
    shown = work.summary()
    assert (shown["grade"], shown["hours"]["point"], shown["always_valid"], shown["at_least_hours"]) == (None, None, None, "0.000")
    assert shown["note"] == "no baseline: 0 of 30 control cases and none stored"
