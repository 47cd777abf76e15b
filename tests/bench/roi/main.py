"""Loads ledgers into databases of its own and times every answer of the ROI process; writes a report.

Each endpoint is asked at 20 requests a second through the real process. ``p99_ms`` is that of the slowest question over the large ledger,
``growth_ratio`` the largest ratio between a question's p99 over the large and over the small ledger.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
from tests.bench.roi.asking import Question, ask, percentile
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
    few, downloads = measure(small, requests, days, report, "small")
    many, _ = measure(lines, requests, days, report, "large")
    conclude(report, few, many, downloads)
    if not report.finish(console):
        raise typer.Exit(1)


def measure(lines: int, requests: int, days: int, report: Report, name: str) -> tuple[Timings, set[str]]:
    """Load, check, ask everything; returns the times of each question and which of them are downloads."""
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
            asked = questions(httpx.get(f"{url}/openapi.json", timeout=30).json(), clock.now(), entry=entry)
            token = _key(line)
            times = {question.name: asyncio.run(ask(url, token, question, requests=requests)) for question in _shown(asked)}
    return times, {question.name for question in asked if question.download}


def conclude(report: Report, few: Mapping[str, list[float]], many: Mapping[str, list[float]], downloads: set[str]) -> None:
    """Every question's p99, and the two figures that have targets."""
    p99 = {name: percentile(times, 0.99) * 1000 for name, times in many.items()}
    before = {_shape(name): percentile(times, 0.99) * 1000 for name, times in few.items()}
    growth = {name: max(value, FLOOR_MS) / max(before[_shape(name)], FLOOR_MS) for name, value in p99.items() if _shape(name) in before}
    for name, value in sorted(p99.items()):
        report.add(f"p99_ms {name}", round(value, 2), "ms")
        report.add(f"p50_ms {name}", round(percentile(many[name], 0.5) * 1000, 2), "ms")
        report.add(f"growth {name}", round(growth.get(name, 0.0), 2))
    held = [name for name in p99 if name not in downloads]
    report.add("p99_ms", round(max(p99[name] for name in held), 2), "ms", max=P99_MS)
    report.add("growth_ratio", round(max(growth[name] for name in held if name in growth), 2), max=GROWTH)


def _shape(name: str) -> str:
    """A question without the id and the moments in it, which differ from one ledger to the other."""
    return "/".join("…" if len(part) == 36 else part for part in name.split("/"))


def _shown(asked: list[Question]) -> Iterator[Question]:
    for question in asked:
        console.print(f"asking {question.name}")
        yield question


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
