"""The courier's loops: plan, deliver, look after, publish. Each goes on after any failure; none waits for another."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from services.courier import repository, schedule, signature
from services.courier.traffic import Traffic
from services.courier.values import Outcome, Reply
from shared.db import unit_of_work
from shared.errors import Retryable
from shared.telemetry import metrics, trace

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from sqlalchemy import Connection, Engine

    from services.courier.keyring import Keyring
    from services.courier.lane import Lane
    from services.courier.publisher import Publisher
    from services.courier.settings import CourierSettings
    from services.courier.transport import Sender
    from services.courier.values import Claimed, Demand, Result
    from shared.clock import Clock

log = structlog.get_logger()

_PLAN_BATCH = 500
_UPKEEP_BATCH = 1000
_UPKEEP_SECONDS = 2.0
_BACK_OFF_SECONDS = 1.0
# Attempts that end within this time are written down together.
_GATHER_SECONDS = 0.005
# Waits for attempts in flight when the process is told to end; what is not done by then is sent again after its lease.
_FAREWELL_SECONDS = 8.0
_SPREAD = random.SystemRandom()


class Courier:
    def __init__(
        self, *, engine: Engine, sender: Sender, keyring: Keyring, publisher: Publisher | None, settings: CourierSettings, clock: Clock
    ) -> None:
        self._engine = engine
        self._sender = sender
        self._keyring = keyring
        self._publisher = publisher
        self._settings = settings
        self._clock = clock
        self._traffic = Traffic(concurrency=settings.concurrency, endpoint_concurrency=settings.endpoint_concurrency)
        self._results: list[Result] = []
        self._attempts: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._healthy: dict[str, bool] = {}

    def readiness(self) -> dict[str, bool]:
        """By loop: whether its last run went well. Empty until every loop has run once."""
        return dict(self._healthy) or {"started": False}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then finish or give back what was claimed."""
        idle = self._settings.poll_interval.total_seconds()
        loops = [
            self._forever(stop, "plan", self._plan, idle),
            self._forever(stop, "deliver", self._deliver, idle),
            self._forever(stop, "upkeep", self._upkeep, _UPKEEP_SECONDS),
        ]
        if self._publisher is not None:
            loops.append(self._forever(stop, "publish", self._publish, idle))
        await asyncio.gather(*loops)
        await self._farewell()

    async def _forever(self, stop: asyncio.Event, name: str, step: Callable[[], Coroutine[None, None, bool]], idle: float) -> None:
        """Repeat ``step`` until ``stop``; it says whether there is more to do at once."""
        while not stop.is_set():
            seconds = idle
            try:
                if await step():
                    seconds = 0.0
                self._healthy[name] = True
            except Retryable as error:
                self._healthy[name] = False
                log.warning("courier_waits", loop=name, code=error.code)
                seconds = _BACK_OFF_SECONDS
            except Exception:
                self._healthy[name] = False
                log.exception("courier_failed", loop=name)
                seconds = _BACK_OFF_SECONDS
            await _set_or_elapsed(stop, seconds)

    async def _plan(self) -> bool:
        def plan() -> int:
            with unit_of_work(self._engine) as connection:
                return repository.plan(connection, limit=_PLAN_BATCH, publishes=self._publisher is not None)

        planned = await asyncio.to_thread(plan)
        if planned:
            self._wake.set()
        return planned == _PLAN_BATCH

    async def _deliver(self) -> bool:
        """Write down what has ended, claim what there is room for, start it; then wait until something ends or is planned."""
        now = self._clock.monotonic()
        results = [*self._results, *(self._put_back(delivery, now) for delivery in self._traffic.stale(now))]
        self._results = []
        try:
            claimed = await asyncio.to_thread(self._exchange, results, self._traffic.demand(now), now)
        except BaseException:
            self._results = [*results, *self._results]
            raise
        self._traffic.admit(claimed)
        self._start()
        if await _set_or_elapsed(self._wake, self._settings.poll_interval.total_seconds()):
            await asyncio.sleep(_GATHER_SECONDS)
        self._wake.clear()
        return True

    def _exchange(self, results: Sequence[Result], demand: Demand | None, now: float) -> list[Claimed]:
        """One transaction, in a thread: settle, claim (unless ``demand`` is None), read the secrets that this needs."""
        with unit_of_work(self._engine) as connection:
            disabled = repository.settle(connection, results, disable_after=self._settings.disable_after) if results else []
            claimed = self._claim(connection, demand, now) if demand is not None and demand.total else []
            unread = self._keyring.missing(delivery.endpoint_id for delivery in claimed)
            if unread:
                self._keyring.learn(unread, repository.secrets_of(connection, unread))
        for endpoint in disabled:
            log.warning("endpoint_disabled", endpoint_id=str(endpoint))
        return claimed

    def _claim(self, connection: Connection, demand: Demand, now: float) -> list[Claimed]:
        # Measured from before the lease begins, and with room for a whole attempt: two couriers never send at the same time.
        start_before = now + (self._settings.lease - 1.2 * self._settings.timeout).total_seconds()
        return repository.claim(connection, demand, lease=self._settings.lease, start_before=start_before)

    def _put_back(self, delivery: Claimed, now: float) -> Result:
        return schedule.release(delivery, timedelta(seconds=max(0.0, self._traffic.lane(delivery.endpoint_id).closed_until - now)))

    def _start(self) -> None:
        for delivery in self._traffic.start(self._clock.monotonic()):
            task = asyncio.create_task(self._attempt(delivery))
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)

    async def _attempt(self, delivery: Claimed) -> None:
        # Every attempt is a task with a context of its own.
        trace.current.set(trace.continued(delivery.traceparent))
        try:
            reply = await self._post(delivery)
        except Exception:
            # Ours, not the receiver's; it must still be settled, or its slot would be lost.
            log.exception("attempt_failed", delivery_id=str(delivery.id))
            reply = Reply(status=None, error="internal_error")
        result = schedule.settle(delivery, reply, chance=_SPREAD.random(), now=self._clock.now())
        self._results.append(result)
        self._traffic.finish(delivery.endpoint_id, self._judge(delivery, reply))
        _count(result, reply)
        log.info(
            "delivery_attempted",
            delivery_id=str(delivery.id),
            endpoint_id=str(delivery.endpoint_id),
            attempt=delivery.attempt,
            outcome=str(result.outcome),
            status=reply.status,
            error=reply.error,
        )
        self._start()
        self._wake.set()

    async def _post(self, delivery: Claimed) -> Reply:
        signers = self._keyring.of(delivery.endpoint_id)
        if not signers:
            return Reply(status=None, error="no_usable_secret")
        headers = [
            (b"content-type", b"application/cloudevents+json; charset=utf-8"),
            (b"user-agent", b"recoup-courier"),
            (b"accept", b"*/*"),
            (b"traceparent", (trace.current.get() or trace.new()).encode()),
            *signature.headers(delivery.id, delivery.body, signers, self._clock.now()),
        ]
        return await self._sender.post(delivery.url, headers, delivery.body)

    def _judge(self, delivery: Claimed, reply: Reply) -> Lane:
        lane, now = self._traffic.lane(delivery.endpoint_id), self._clock.monotonic()
        if reply.success:
            return lane.succeeded(reply.seconds)
        pause = schedule.pause(reply, self._clock.now())
        failed = lane.failed(now)
        return failed if pause is None else failed.paused(now + pause.total_seconds())

    async def _upkeep(self) -> bool:
        def upkeep() -> int:
            with unit_of_work(self._engine) as connection:
                return max(repository.reclaim(connection, limit=_UPKEEP_BATCH), repository.bury(connection, limit=_UPKEEP_BATCH))

        self._traffic.forget_idle(self._clock.monotonic())
        self._sender.close_idle()
        return await asyncio.to_thread(upkeep) == _UPKEEP_BATCH

    async def _publish(self) -> bool:
        assert self._publisher is not None
        return await asyncio.to_thread(self._publisher.step) > 0

    async def _farewell(self) -> None:
        """Let attempts end, give the rest back, write it all down."""
        self._results += [schedule.release(delivery) for delivery in self._traffic.drain()]
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=_FAREWELL_SECONDS)
        try:
            await asyncio.to_thread(self._exchange, self._results, None, self._clock.monotonic())
        except Retryable:
            log.warning("results_not_stored", count=len(self._results))


def _count(result: Result, reply: Reply) -> None:
    # Given up is given up, whatever the reason: that is what the alarm is about.
    metrics.delivered.labels("blocked" if reply.blocked and result.outcome is not Outcome.DEAD else str(result.outcome)).inc()
    metrics.delivery_seconds.observe(reply.seconds)


async def _set_or_elapsed(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
