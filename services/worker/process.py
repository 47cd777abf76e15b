"""Puts the worker together and runs it: Celery's main process, which forks, and what each child makes for itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from threading import Event
from typing import TYPE_CHECKING

import redis
import structlog
from billiard.util import get_logger
from celery import signals

from services.worker import redis_store, tasks
from services.worker.backoff import delay
from services.worker.cost import ProcessMeter
from services.worker.redis_store import RedisStore
from services.worker.remote.build import build_tiers
from services.worker.remote.repository import StoredSpending
from services.worker.repository import Installed, announce_versions, is_reachable
from services.worker.runtime.build import SHIPPED, Room, build_cascades, certified_scores, gathered_fleets
from services.worker.service import Decider, Limits
from services.worker.settings import RemoteSettings, WorkerSettings
from services.worker.spending import Reporter
from shared.automations import registry
from shared.clock import SystemClock
from shared.db import await_database, engine_for, unit_of_work
from shared.inference.processor import processor
from shared.settings import DatabaseSettings, ProcessSettings, RedisSettings, load_all
from shared.taskqueue.app import QUEUE, celery_app
from shared.telemetry import logs
from shared.telemetry.errors import report_errors
from shared.web import health

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from services.worker.cascade import Cascade
    from services.worker.rollout import Fleet
    from services.worker.tiers import Tier

log = structlog.get_logger()

SERVICE = "worker"


@dataclass(frozen=True, slots=True)
class Settings:
    process: ProcessSettings
    database: DatabaseSettings
    redis: RedisSettings
    worker: WorkerSettings
    remote: RemoteSettings


def load_settings() -> Settings:
    """Ends the process with status 2 where a variable is missing or wrong."""
    return load_all(Settings)


def serve(settings: Settings) -> None:
    """Until SIGTERM; running orders end first."""
    logs.configure(SERVICE, settings.process.log_level)
    report_errors(settings.process, SERVICE)
    engine = engine_for(settings.database.model_copy(update={"pool_size": 2}), role="recoup_line", application="worker-main")
    # Before work comes in: broken packs and an unsafe database end the process at once.
    _models(settings, _remote(settings, engine))
    began = Event()
    server = health.serve(settings.process.host, settings.worker.port, _readiness(engine, settings.redis, began))
    reporter = Reporter(engine, settings.worker.cpu_period)
    try:
        await_database(engine)
        began.set()
        reporter.start()
        _work(settings)
    finally:
        if began.is_set():
            reporter.stop()
        server.close()
        engine.dispose()


def _work(settings: Settings) -> None:
    app = celery_app(settings.redis)
    app.conf.worker_redirect_stdouts = False
    tasks.register(app, partial(_decider, settings, cache(partial(_parts, settings))))
    # Otherwise Celery would bring a format of its own.
    signals.setup_logging.connect(keep_logging, weak=False)
    app.worker_main(
        [
            "--quiet",
            "worker",
            "--pool=prefork",
            f"--concurrency={settings.worker.processes}",
            f"--queues={QUEUE}",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
    )


def keep_logging(**_: object) -> None:
    """Ours is configured already. By now Celery has had the pool keep its words from it: a child's death was a line that is no JSON."""
    get_logger().propagate = True


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a child makes once. Attributes: remote: models that run elsewhere, which may be processes; cpu: what it took since it began."""

    engine: Engine
    remote: Mapping[str, Tier]
    cpu: ProcessMeter


def _parts(settings: Settings) -> _Parts:
    engine = engine_for(settings.database.model_copy(update={"pool_size": 2}), role="recoup_line", application=SERVICE)
    return _Parts(engine, _remote(settings, engine), ProcessMeter())


def _decider(settings: Settings, parts: Callable[[], _Parts]) -> Decider:
    """In the child, at its first order, and after a model file was found to be gone. Raises Retryable where the database is away."""
    made = parts()
    registry.read_anew()
    cascades, fleets = _models(settings, made.remote)
    with unit_of_work(made.engine) as connection:
        announce_versions(connection, {name: _installed(fleet) for name, fleet in fleets.items()})
    found = processor()
    log.info("decider_built", artefacts=found.variant, probe_seconds=round(found.seconds, 4))
    return Decider(made.engine, cascades, SystemClock(), limits(settings.worker), fleets, made.cpu)


def _installed(fleet: Fleet) -> Installed:
    return Installed(fleet.default, {version: certified_scores(cascade) for version, cascade in fleet.cascades.items()})


def _remote(settings: Settings, engine: Engine) -> Mapping[str, Tier]:
    return build_tiers(settings.remote.models, StoredSpending(engine), SystemClock())


def _models(settings: Settings, remote: Mapping[str, Tier]) -> tuple[Mapping[str, Cascade], Mapping[str, Fleet]]:
    """Raises InvariantBroken or Blocked where packs or remote models are not what they must be."""
    folder, room = settings.worker.models or SHIPPED, _room(settings)
    fleets = gathered_fleets([folder, *filter(None, [settings.process.packs])], remote, room)
    return build_cascades(folder, remote, room) | {name: fleet.cascades[fleet.default] for name, fleet in fleets.items()}, fleets


def _room(settings: Settings) -> Room | None:
    """Connects at first use."""
    if not settings.worker.cache_entries:
        return None
    url = (settings.worker.cache_url or settings.redis.url).get_secret_value()
    return Room(RedisStore(redis_store.client(url), SystemClock(), settings.worker.cache_duration), settings.worker.cache_entries)


def limits(settings: WorkerSettings) -> Limits:
    draw = random.SystemRandom().random
    return Limits(
        lease=settings.lease,
        attempt_cap=settings.attempt_cap,
        rest=lambda attempt: delay(attempt, settings.backoff_base, settings.backoff_cap, draw()),
    )


def _readiness(engine: Engine, settings: RedisSettings, began: Event) -> Callable[[], Mapping[str, bool]]:
    """``began``: set once the database has been found to be one that may be worked on."""
    client = redis.Redis.from_url(settings.url.get_secret_value(), socket_timeout=2, socket_connect_timeout=2)
    return lambda: {"database": began.is_set() and is_reachable(engine), "redis": _answers(client)}


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
