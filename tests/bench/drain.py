"""Drains a backlog of accepted events to decided, booked and callback queued: everything on this machine, embedded and over Kafka.

The clock runs from the first order (embedded) or the start of the dispatcher (Kafka) until no case waits for a tier. A case that
needs a person is through when its review is open. Workers and courier run before; the steward (embedded) or the dispatcher (Kafka) starts
inside the measured time.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import psutil
import typer
from cryptography.fernet import Fernet
from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import Engine, text

from services.lab.synth import TASKS, generate
from services.supervisor import plan
from services.supervisor.embedded.kafka import Kafka
from services.supervisor.embedded.postgres import Postgres
from services.supervisor.embedded.redis import Redis
from services.supervisor.ports import free_port
from services.supervisor.service import Line
from services.supervisor.settings import inherited_environment
from shared.clock import SystemClock
from shared.db import engine_for, unit_of_work
from shared.eventlog.kafka import KafkaLog
from shared.events.envelope import Event
from shared.intake.record import Incoming
from shared.intake.repository import store
from shared.reports import Report
from shared.settings import DatabaseSettings, KafkaSettings, RedisSettings
from shared.taskqueue.app import celery_app
from shared.taskqueue.orders import Order, Orders
from shared.telemetry.logs import configure

ROOT = Path(__file__).parents[2]
TENANT = "bench"
BATCH = 500
# Of two cores: what a reader should compare with.
TARGET_EVENTS_PER_SECOND = 1000
PATIENCE_SECONDS = 600.0

console = Console()
app = typer.Typer(add_completion=False)


@dataclass(slots=True)
class Bench:
    """A fresh line: servers run and are migrated, no process runs yet."""

    line: Line
    connections: plan.Connections
    folder: Path
    engine: Engine

    def start(self, *names: str) -> list[Line]:
        """Start processes of the line; returns what has to be stopped."""
        services = plan.chosen(kafka=bool(self.connections.kafka), only=names)
        ports = {service: free_port() for service in services}
        environment = plan.service_environment(inherited_environment(), self.connections, ports, os.cpu_count() or 1)
        line = Line([], self.folder / "logs", SystemClock(), lambda _message: None, lambda: False)
        line.start_processes(ports, environment)
        return [line]


@contextmanager
def bench(*, kafka: bool) -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="recoup-bench-"))
    folder.chmod(0o755)
    postgres, redis = Postgres(folder, free_port()), Redis(folder, free_port())
    broker = Kafka(folder, free_port(), ROOT / ".recoup" / "kafka") if kafka else None
    line = Line([s for s in (postgres, redis, broker) if s], folder / "logs", SystemClock(), console.print, lambda: False)
    try:
        line.start_servers()
        postgres.ensure_database("recoup")
        connections = plan.Connections(
            database_url=postgres.url_of("recoup_app", "bench", "recoup"),
            admin_url=postgres.admin_url("recoup"),
            app_password="bench",
            redis_url=redis.url,
            kafka=broker.url if broker else "",
            secret_key=Fernet.generate_key().decode(),
        )
        line.migrate(connections, inherited_environment())
        settings = DatabaseSettings(url=SecretStr(connections.database_url))
        engine = engine_for(settings, role="recoup_line", application="bench")
        with unit_of_work(engine) as connection:
            connection.execute(
                text("INSERT INTO tenants (id, name, arm_salt) VALUES (:id, 'Benchmark', :salt)"), {"id": TENANT, "salt": os.urandom(32)}
            )
        yield Bench(line, connections, folder, engine)
        engine.dispose()
    finally:
        line.stop()
        shutil.rmtree(folder, ignore_errors=True)


def incoming(events: int) -> Iterator[Incoming]:
    """A third each of the three automations, interleaved."""
    clock = SystemClock()
    streams = [generate(task, events // len(TASKS) + 1, seed=7) for task in TASKS]
    for number in range(events):
        task = number % len(TASKS)
        event = next(streams[task])
        envelope = Event(id=event.event_id, source=f"/bench/{TASKS[task]}", type=event.event_type, time=event.time, data=dict(event.data))
        body = envelope.canonical()
        yield Incoming(
            tenant=TENANT,
            source=envelope.source,
            event_id=envelope.id,
            event_type=envelope.type,
            automation=TASKS[task],
            occurred_at=event.time,
            received_at=clock.now(),
            body=body,
            body_sha256=hashlib.sha256(body).digest(),
        )


def in_batches(records: Iterator[Incoming], progress: Progress, total: int) -> Iterator[list[Incoming]]:
    task = progress.add_task("accepting the backlog", total=total)
    batch: list[Incoming] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            progress.advance(task, len(batch))
            batch = []
    if batch:
        yield batch
        progress.advance(task, len(batch))


def fill_inbox(engine: Engine, records: Iterator[Incoming], progress: Progress, total: int) -> list[Order]:
    orders: list[Order] = []
    for batch in in_batches(records, progress, total):
        with unit_of_work(engine) as connection:
            stored = store(connection, batch)
        orders.extend(Order(record.automation, known.case_id) for record, known in zip(batch, stored, strict=True))
    return orders


async def fill_log(log: KafkaLog, records: Iterator[Incoming], progress: Progress, total: int) -> None:
    await log.start()
    while not log.ready():  # noqa: ASYNC110  # a port without a "became ready" event
        await asyncio.sleep(0.1)
    for batch in in_batches(records, progress, total):
        await log.append(batch)
    await log.close()


def waiting(engine: Engine, events: int) -> int:
    """Cases that no tier has settled yet, and events that are no case yet."""
    with unit_of_work(engine) as connection:
        through = connection.execute(text("SELECT count(*) FROM cases WHERE state IN ('decided', 'review')")).scalar_one()
    return events - int(through)


def await_drained(engine: Engine, events: int, progress: Progress) -> None:
    task = progress.add_task("draining", total=events)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (left := waiting(engine, events)) > 0:
        progress.update(task, completed=events - left)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left} of {events} events are still waiting")
        time.sleep(0.2)
    progress.update(task, completed=events)


def cpu_seconds(roots: Mapping[str, int]) -> dict[str, float]:
    """CPU time of each process and all its children, dead ones included."""
    used = {}
    for name, pid in roots.items():
        root = psutil.Process(pid)
        own = root.cpu_times()
        total = own.user + own.system + own.children_user + own.children_system
        for child in root.children(recursive=True):
            times = child.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        used[name] = total
    return used


def roots(lines: Sequence[Line], servers: Line) -> dict[str, int]:
    found = {process.service.name: process.pid for line in lines for process in line.processes}
    found |= {server.name: server.pid for server in servers.servers}
    return {name: pid for name, pid in found.items() if pid is not None}


def verify(engine: Engine, events: int) -> int:
    """Raises AssertionError unless every event has exactly one decision or review, its lines and its callback; returns the decisions."""
    with unit_of_work(engine) as connection:
        row = connection.execute(
            text(
                "SELECT (SELECT count(*) FROM cases) AS cases, (SELECT count(*) FROM decisions) AS decisions,"
                " (SELECT count(*) FROM reviews WHERE kind <> 'audit') AS reviews, (SELECT count(*) FROM outbox) AS callbacks,"
                " (SELECT count(*) FROM ledger_lines WHERE kind = 'compute') AS compute,"
                " (SELECT count(*) FROM cases WHERE arm = 'automated') AS automated"
            )
        ).one()
    assert row.cases == events, f"{events} accepted, {row.cases} cases"
    assert row.decisions + row.reviews == events, "a case is decided or waits for a person"
    assert row.callbacks == row.decisions, "every decision has one callback"
    assert row.compute == row.automated, "every automated case has booked its compute"
    return int(row.decisions)


@dataclass(frozen=True, slots=True)
class Result:
    seconds: float
    decisions: int
    cpu: Mapping[str, float]


def drain(events: int, *, kafka: bool) -> Result:
    with bench(kafka=kafka) as line, _progress() as progress:
        if kafka:
            settings = KafkaSettings(bootstrap_servers=line.connections.kafka)
            asyncio.run(fill_log(KafkaLog(settings), incoming(events), progress, events))
            running = line.start("worker", "courier", "steward")
            last, orders = "dispatcher", []
        else:
            orders = fill_inbox(line.engine, incoming(events), progress, events)
            running = line.start("worker", "courier")
            last = "steward"
        try:
            before = cpu_seconds(roots(running, line.line))
            started = time.monotonic()
            Orders(celery_app(RedisSettings(url=SecretStr(line.connections.redis_url)))).send(orders)
            running += line.start(last)
            await_drained(line.engine, events, progress)
            seconds = time.monotonic() - started
            after = cpu_seconds(roots(running, line.line))
            decisions = verify(line.engine, events)
        finally:
            for each in reversed(running):
                each.stop()
    return Result(seconds, decisions, {name: used - before.get(name, 0.0) for name, used in after.items()})


def _progress() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console)


@app.command()
def main(
    *,
    events: Annotated[int, typer.Option(min=1000, help="Size of the backlog.")] = 50_000,
    embedded: Annotated[bool, typer.Option(help="The inbox is the event log.")] = True,
    kafka: Annotated[bool, typer.Option(help="The backlog waits in a real Kafka broker.")] = True,
) -> None:
    # A line for every batch would hide the progress.
    configure("bench", "warning")
    report = Report("bench", SystemClock())
    report.add("events", events)
    rates = []
    for name, wanted in (("embedded", embedded), ("kafka", kafka)):
        if not wanted:
            continue
        result = drain(events, kafka=name == "kafka")
        rates.append(events / result.seconds)
        report.add(f"{name}.events_per_second", round(rates[-1], 1), "1/s", min=TARGET_EVENTS_PER_SECOND)
        report.add(f"{name}.decided", result.decisions)
        report.add(f"{name}.cpu_ms_per_event", round(sum(result.cpu.values()) / events * 1000, 4), "ms")
        for process, seconds in sorted(result.cpu.items()):
            report.add(f"{name}.cpu_ms_per_event.{process}", round(seconds / events * 1000, 4), "ms")
    report.add("events_per_second", round(min(rates), 1), "1/s", min=TARGET_EVENTS_PER_SECOND)
    if not report.finish(console):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
