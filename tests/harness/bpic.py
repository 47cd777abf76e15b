"""A public log of real handling (BPI Challenge 2017, work items), replayed as events through a running line, with the real touch times.

What the automation takes over is known to the second: applications whose files are complete are decided without people, and of the others
it does the validation. What people then still do is the rest of their real work. The line draws the arms and knows none of these times.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from shared.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.line import ReadyLine

TENANT = "bank"
CHANNELS = ("online", "leads", "offers")
# A shift; what lasts longer is a clock that nobody stopped (0.06 % of the pieces of work).
LONGEST_SECONDS = 8 * 3600
# Simulated seconds in a real one: a day of work fits into a few seconds, and a millisecond, the finest that is booked, is ten seconds.
SCALE = 10_000
CLERKS = 4
_CHANNEL = {"W_Handle leads": "leads", "W_Call after offers": "offers"}
_AUTOMATED = "W_Validate application"
_FILES = {"W_Call incomplete files", "W_Assess potential fraud"}


@dataclass(slots=True)
class Application:
    """Attributes: work: seconds by activity, of people without help."""

    number: str
    channel: str
    work: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def complete(self) -> bool:
        return not _FILES & self.work.keys()

    @property
    def by_hand(self) -> float:
        return sum(self.work.values())

    @property
    def with_help(self) -> float:
        return 0.0 if self.complete else self.by_hand - self.work.get(_AUTOMATED, 0.0)

    @property
    def removed(self) -> float:
        return self.by_hand - self.with_help


def read(log: Path) -> list[Application]:
    """Every application with work, in the order in which their work began."""
    found: dict[str, Application] = {}
    with gzip.open(log, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            seconds = (datetime.fromisoformat(row["end_time"]) - datetime.fromisoformat(row["start_time"])).total_seconds()
            # Known at intake: by which door it came in.
            case = found.setdefault(row["case_id"], Application(row["case_id"], _CHANNEL.get(row["activity"], "online")))
            if seconds <= LONGEST_SECONDS:
                case.work[row["activity"]] += seconds
    return list(found.values())


def sample(applications: Iterable[Application], sizes: Mapping[str, int], seed: int) -> list[Application]:
    """So many of each channel, or all where there are fewer."""
    channels: dict[str, list[Application]] = defaultdict(list)
    for application in applications:
        channels[application.channel].append(application)
    drawn = random.Random(seed)
    chosen = [one for channel, size in sizes.items() for one in drawn.sample(channels[channel], min(size, len(channels[channel])))]
    drawn.shuffle(chosen)
    return chosen


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    point: float
    high: float
    truth: float

    @property
    def holds(self) -> bool:
        return self.low <= self.truth <= self.high

    @property
    def half_width(self) -> float:
        """As a share of the point."""
        return (self.high - self.low) / 2 / self.point


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the ROI API said beside what is true.

    Attributes:
        strata: by channel; ``*`` is the total.
        share: of the work of the automated arm that was removed.
        differences: hours in which conservation did not hold.
    """

    strata: Mapping[str, Interval]
    always_valid: Interval | None
    control: int
    decided_by_rules: int
    share: float
    differences: int
    grade: str


@dataclass
class Bank:
    """A tenant of the line whose clocks run `SCALE` times as fast."""

    line: ReadyLine
    clients: Mapping[str, httpx.Client]

    def ask(self, service: str, method: str, path: str, **options: Any) -> Any:
        answer = self.clients[service].request(method, path, **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def send(self, applications: Sequence[Application]) -> None:
        """As CloudEvents through the gateway."""
        events = [
            {
                "specversion": "1.0",
                "id": one.number,
                "source": "/loans",
                "type": "com.example.loan.applied.v1",
                "data": {"number": one.number, "channel": one.channel, "files_complete": one.complete},
            }
            for one in applications
        ]
        for first in range(0, len(events), 200):
            body = json.dumps(events[first : first + 200])
            self.ask("gateway", "POST", "/v1/events", content=body, headers={"Content-Type": "application/cloudevents-batch+json"})

    def work(self, applications: Mapping[str, Application], seconds: float) -> set[str]:
        """People take what there is, need the time that it took in the log, and submit; returns the events of the control arm.

        Everybody holds many reviews at once, because their time is simulated: what counts is that each clock has run for as long as booked.
        """
        reviews = self._claimed(seconds)
        time.sleep(max(application.by_hand for application in applications.values()) / SCALE + 0.2)
        with ThreadPoolExecutor(CLERKS) as pool:
            list(pool.map(lambda review: self._submit(review, applications[review["event"]["id"]]), reviews))
        return {review["event"]["id"] for review in reviews if review["kind"] == "control"}

    def _claimed(self, seconds: float) -> list[dict[str, Any]]:
        reviews: list[dict[str, Any]] = []
        order = {"automation": "loans", "reviewer": "simulated", "limit": 50, "claim_seconds": 3600}
        deadline = time.monotonic() + seconds
        while True:
            taken = self.ask("ops", "POST", "/v1/reviews/claim-next", json=order)
            reviews += taken
            if not taken:
                (loans,) = [one for one in self.ask("ops", "GET", "/v1/automations") if one["name"] == "loans"]
                # Second looks are at cases that are decided.
                waiting = sum(review["kind"] != "audit" for review in reviews)
                if loans["open_cases"].get("review", 0) == sum(loans["open_cases"].values()) == waiting:
                    return reviews
                assert time.monotonic() < deadline, f"the line does not get through: {loans['open_cases']}"
                time.sleep(0.2)

    def _submit(self, review: Mapping[str, Any], application: Application) -> None:
        seconds = application.with_help if review["kind"] == "exception" else application.by_hand
        body = {"reviewer": "simulated", "outcome": "proceed", "active_seconds": round(seconds / SCALE, 3)}
        booked = self.ask("ops", "POST", f"/v1/reviews/{review['id']}/submit", json=body)["booked_seconds"]
        assert abs(booked - seconds) <= SCALE / 1000, (booked, seconds)

    def figures(self, cases: int, seconds: float) -> tuple[Any, Any, Any]:
        """Summary, breakdown by stratum and conservation, once the roll-ups have every case."""
        deadline = time.monotonic() + seconds
        asked = f"automation=loans&from={SystemClock().now() - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
        while (summary := self.ask("roi", "GET", f"/v1/roi/summary?{asked}"))["total"]["cases"]["total"] < cases:
            assert time.monotonic() < deadline, summary["total"]["cases"]
            time.sleep(0.2)
        parts = self.ask("roi", "GET", f"/v1/roi/breakdown?{asked}&by=stratum")["parts"]
        return summary["total"], parts, self.ask("roi", "GET", "/v1/roi/conservation")


@contextmanager
def bank(line: ReadyLine, *, control_share: str, salt: bytes) -> Iterator[Bank]:
    """A new tenant, marked as simulated.

    Args:
        salt: what arms are drawn with. A real tenant's is a secret that nobody sees; this one's is known, so that a run can be repeated.
    """
    scaled = ("--simulated", "--time-scale", str(SCALE))
    line.recoup("keys", "tenant", "create", TENANT, "--name", "Bank", "--currency", "EUR", *scaled)
    with line.database() as connection:
        connection.execute("UPDATE tenants SET arm_salt = %s WHERE id = %s", (salt, TENANT))
    token = json.loads(line.recoup("keys", "create", "--tenant", TENANT, "--role", "admin", "--name", "bpic", "--json"))["token"]
    headers = {"Authorization": f"Bearer {token}"}
    clients = {name: httpx.Client(base_url=line.url(name), headers=headers, timeout=60) for name in ("gateway", "ops", "roi")}
    try:
        found = Bank(line, clients)
        found.ask("ops", "PATCH", "/v1/automations/loans", json={"control_share": control_share})
        yield found
    finally:
        for client in clients.values():
            client.close()


def replay(here: Bank, applications: Sequence[Application], *, patience_seconds: float) -> Outcome:
    """Everything from the first event to the figures."""
    here.send(applications)
    control = here.work({application.number: application for application in applications}, patience_seconds)
    total, parts, conservation = here.figures(len(applications), patience_seconds)
    automated = [application for application in applications if application.number not in control]
    truth = {channel: sum(one.removed for one in automated if one.channel == channel) for channel in CHANNELS}
    strata = {part["key"]: _interval(part["interval"], truth[part["key"]]) for part in parts}
    strata["*"] = _interval(total["saved"]["seconds"], sum(truth.values()))
    always = total["saved"]["always_valid"]
    return Outcome(
        strata=strata,
        always_valid=None
        if always is None
        else _interval({name: float(value) * 3600 for name, value in always.items()}, sum(truth.values())),
        control=len(control),
        decided_by_rules=total["cases"]["automated"],
        share=sum(truth.values()) / sum(one.by_hand for one in automated),
        differences=sum(hour["difference"] != 0 for hour in conservation["hours"]),
        grade=total["saved"]["grade"],
    )


def _interval(shown: Mapping[str, Any], truth: float) -> Interval:
    return Interval(float(shown["low"]), float(shown["point"]), float(shown["high"]), truth)
