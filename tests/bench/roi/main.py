"""Loads two ledgers into databases of their own and times every answer of their ROI processes side by side; writes a report.

Each endpoint is asked at 20 requests a second through the real process. ``p99_ms`` is that of the slowest question over the large ledger,
``growth_ratio`` the largest ratio between a question's p99 over the large and over the small ledger.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import httpx
import typer
from rich.console import Console

from services.supervisor import plan
from services.supervisor.ports import free_port
from services.supervisor.service import Line
from services.supervisor.settings import inherited_environment
from shared.clock import SystemClock
from shared.db import unit_of_work
from shared.ledger import posting, sealing
from shared.ledger import repository as ledger
from shared.money import Money, currency
from shared.reports import Report
from shared.security import apikeys
from shared.telemetry.logs import configure
from tests.bench.drain import Bench, bench
from tests.bench.roi.asking import Asked, ask, percentile
from tests.bench.roi.checking import check_sample
from tests.bench.roi.loading import TENANTS, Size, load
from tests.bench.roi.questions import questions

TENANT = TENANTS[0]
P99_MS = 50
GROWTH = 1.5
# Below this a ratio of two times says more about the scheduler than about the ledger.
FLOOR_MS = 5.0

console = Console()
app = typer.Typer(add_completion=False)
Timings = dict[str, list[float]]


@app.command()
def main(
    *,
    lines: Annotated[int, typer.Option(min=10_000, help="Ledger lines to load.")] = 10_000_000,
    small: Annotated[int, typer.Option(min=1000, help="Ledger lines to compare with.")] = 10_000,
    requests: Annotated[int, typer.Option(min=20, help="Requests for each question.")] = 400,
    days: Annotated[int, typer.Option(min=1, help="Days of sums that are added up anew.")] = 20,
) -> None:
    configure("bench", "warning")
    report = Report("roi", SystemClock())
    with loaded(small, days, report, "small") as few, loaded(lines, days, report, "large") as many:
        # Of both at the same moment: how much is looked up depends on the minute.
        now = SystemClock().now()
        asked = list(zip(few.asked(now), many.asked(now), strict=True))
        downloads = {large.question.name for _, large in asked if large.question.download}
        conclude(report, *measure(asked, requests), downloads)
    if not report.finish(console):
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A process over a ledger. Attributes: token: of an API key; entry: id of a sealed line."""

    url: str
    token: str
    entry: str

    def asked(self, now: datetime) -> Iterator[Asked]:
        schema = httpx.get(f"{self.url}/openapi.json", timeout=30).json()
        return (Asked(self.url, self.token, question) for question in questions(schema, now, entry=self.entry))


@contextmanager
def loaded(lines: int, days: int, report: Report, name: str) -> Iterator[Loaded]:
    """Load and check a ledger, and start its process."""
    with bench(kafka=False) as line:
        clock = SystemClock()
        started = clock.monotonic()
        admin_url = line.connections.admin_url
        assert admin_url is not None
        report.add(f"{name}.lines", load(admin_url, Size(lines)))
        report.add(f"{name}.load_seconds", round(clock.monotonic() - started, 1), "s")
        report.add(f"{name}.cases_checked", check_sample(admin_url, days=days))
        entry = _seal_something(line)
        with _roi(line) as url:
            yield Loaded(url, _key(line), entry)


def measure(asked: Sequence[tuple[Asked, Asked]], requests: int) -> tuple[Timings, Timings]:
    """Times of each question over either ledger."""
    times: tuple[Timings, Timings] = {}, {}
    for pair in asked:
        console.print(f"asking {pair[1].question.name}")
        for own, one, found in zip(times, pair, asyncio.run(ask(pair, requests=requests)), strict=True):
            own[one.question.name] = found
    return times


def conclude(report: Report, few: Mapping[str, list[float]], many: Mapping[str, list[float]], downloads: set[str]) -> None:
    """Every question's p99, and the two figures that have targets."""
    p99, p50 = (_of_both(few, many, share) for share in (0.99, 0.5))
    for name in sorted(many):
        report.add(f"p99_ms {name}", round(p99[name][1], 2), "ms")
        report.add(f"p50_ms {name}", round(p50[name][1], 2), "ms")
        report.add(f"growth {name}", round(_growth(p99[name]), 2))
        report.add(f"growth_p50 {name}", round(_growth(p50[name]), 2))
    held = [name for name in many if name not in downloads]
    report.add("growth_ratio_p50", round(max(_growth(p50[name]) for name in held), 2))
    report.add("p99_ms", round(max(p99[name][1] for name in held), 2), "ms", max=P99_MS)
    report.add("growth_ratio", round(max(_growth(p99[name]) for name in held), 2), max=GROWTH)


def _of_both(few: Mapping[str, list[float]], many: Mapping[str, list[float]], share: float) -> dict[str, tuple[float, float]]:
    """A percentile of each question over the small and over the large ledger, in milliseconds."""
    small = {_shape(name): percentile(times, share) * 1000 for name, times in few.items()}
    return {name: (small[_shape(name)], percentile(times, share) * 1000) for name, times in many.items()}


def _growth(times: tuple[float, float]) -> float:
    small, large = times
    return max(large, FLOOR_MS) / max(small, FLOOR_MS)


def _shape(name: str) -> str:
    """A question without the id and the moments in it, which differ from one ledger to the other."""
    return "/".join("…" if len(part) == 36 else part for part in name.split("/"))


def _key(line: Bench) -> str:
    key = apikeys.generate()
    with unit_of_work(line.engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO api_keys (id, tenant_id, name, prefix, secret_sha256, roles)"
            " VALUES (gen_random_uuid(), %(tenant)s, 'bench', %(prefix)s, %(digest)s, ARRAY['executive'])",
            {"tenant": TENANT, "prefix": key.prefix, "digest": key.secret_sha256},
        )
    return key.token


def _seal_something(line: Bench) -> str:
    """One more line, booked and sealed as the line does it; returns its id. To seal the loaded ones would take longer than all else."""
    cost = Money(Decimal("1.25"), currency("EUR"))
    hour = SystemClock().now().replace(minute=0, second=0, microsecond=0)
    booked = posting.for_platform(TENANT, "claims", cost, hour=hour)
    with unit_of_work(line.engine) as connection:
        ledger.post(connection, [booked])
    with unit_of_work(line.engine) as connection:
        sealing.seal(connection)
    return str(booked.id)


@contextmanager
def _roi(line: Bench) -> Iterator[str]:
    """The real process; yields its address."""
    services = plan.chosen(kafka=False, only=("roi",))
    ports = {service: free_port() for service in services}
    environment = plan.service_environment(inherited_environment(), line.connections, ports, os.cpu_count() or 1)
    running = Line([], line.folder / "logs", SystemClock(), lambda _message: None, lambda: False)
    running.start_processes(ports, environment)
    try:
        yield f"http://127.0.0.1:{next(iter(ports.values()))}"
    finally:
        running.stop()


if __name__ == "__main__":
    app()
