"""Calls a model about several documents: money held back first, some at once, none longer than there is time, and each paid for once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

import structlog

from services.worker.remote.breaker import Breaker
from services.worker.remote.configuration import LONGEST, RemoteModel
from services.worker.remote.model import Model, Said, Unavailable, Unusable
from services.worker.remote.pricing import Price, Tokens
from services.worker.remote.spending import Planned, Settled, Spending
from services.worker.tiers import BUDGET, Budget
from shared.automations.contract import Features
from shared.errors import RecoupError
from shared.ids import uuid7
from shared.money import Money
from shared.telemetry import metrics

if TYPE_CHECKING:
    from shared.clock import Clock

log = structlog.get_logger()

SPEND_CAP: Final = "remote_spend_cap"
NO_TIME: Final = "remote_no_time"
NO_PRICE: Final = "remote_no_price"
RESTING: Final = "remote_resting"
INVALID: Final = "remote_invalid"
BLOCKED: Final = "remote_blocked"
# Kept in case the same cases run again at once because writing one of them down failed: their answers are paid for already.
_REMEMBERED: Final = 1_000
# With less time than this left no answer comes back.
_LEAST_SECONDS: Final = 0.05


# An answer or a reason, and the tokens that are charged; None: nothing was.
Came = tuple[Said | None, str | None, Tokens | None]


@dataclass(frozen=True, slots=True)
class Document:
    """Attributes: money: no call about it may take more; None: no limit."""

    case_id: UUID
    tenant_id: str
    features: Features
    money: Money | None = None

    def affords(self, most: Money) -> bool:
        return self.money is None or not most.amount or (most.currency == self.money.currency and most.amount <= self.money.amount)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, or the reason why there is none; and what it cost."""

    said: Said | None = None
    reason: str | None = None
    tokens: int = 0
    money: Money | None = None


class Until(NamedTuple):
    """When all calls must be over, by the monotonic clock, and what is said about those that could not begin."""

    moment: float
    reason: str


class Caller:
    """Keeps connections and an event loop, so it belongs to the process and the thread that first use it."""

    def __init__(self, automation: str, subject: str, model: Model, settings: RemoteModel, spending: Spending, clock: Clock) -> None:
        self._automation, self._subject, self._model, self._settings = automation, subject, model, settings
        self._spending, self._clock = spending, clock
        self._breaker = Breaker()
        self._remembered: OrderedDict[UUID, tuple[Features, Reply]] = OrderedDict()
        self._runner: asyncio.Runner | None = None

    def ask(self, documents: Sequence[Document], budget: Budget) -> dict[UUID, Reply]:
        """One reply for each document, by its case.

        Args:
            budget: for all of them together; beside it the longest time that any calls may take, and the tenants' caps.

        Raises:
            Retryable: the database is away, so nothing can be held back and nothing was called.
        """
        own = LONGEST.total_seconds()
        # Who set the limit is named where it is reached.
        seconds, too_late = (own, NO_TIME) if budget.seconds is None or budget.seconds > own else (budget.seconds, BUDGET)
        until = Until(self._clock.monotonic() + seconds, too_late)
        replies = {d.case_id: kept[1] for d in documents if (kept := self._remembered.get(d.case_id)) and kept[0] == d.features}
        new = [document for document in documents if document.case_id not in replies]
        price = self._settings.price(self._clock.now().date())
        if price is None:
            return replies | {document.case_id: Reply(reason=NO_PRICE) for document in new}
        # A tenant's own price, where it has one.
        prices = self._spending.prices(self._settings.rate, price, {document.tenant_id for document in new}) if new else {}
        agreed = {document.case_id: prices.get(document.tenant_id, price) for document in new}
        affordable, refused = self._within(new, agreed, budget.money)
        held = self._spending.hold([planned for _, planned in affordable], self._settings.cap) if affordable else set()
        refused |= {planned.case_id: Reply(reason=SPEND_CAP) for _, planned in affordable if planned.call_id not in held}
        calls = [call for call in affordable if call[1].call_id in held]
        answered = self._paid(calls, agreed, until) if calls else {}
        self._remember(new, answered)
        for reply in (answered | refused).values():
            metrics.remote_calls.labels(self._automation, reply.reason or metrics.ANSWERED).inc()
        return replies | refused | answered

    def close(self) -> None:
        """Connections end; whatever still runs is cancelled."""
        runner, self._runner = self._runner, None
        if runner is not None:
            with runner:
                runner.run(self._model.close())

    def _within(
        self, documents: Sequence[Document], prices: Mapping[UUID, Price], money: Money | None
    ) -> tuple[list[tuple[Document, Planned]], dict[UUID, Reply]]:
        """Calls that fit into the budget, earlier ones first."""
        fitting: list[tuple[Document, Planned]] = []
        refused: dict[UUID, Reply] = {}
        rest = None if money is None else money.amount if money.currency == self._settings.currency else Decimal(0)
        for document in documents:
            planned = self._planned(document, prices[document.case_id])
            if not document.affords(planned.most) or (rest is not None and planned.most.amount > rest):
                refused[document.case_id] = Reply(reason=BUDGET)
                continue
            rest = None if rest is None else rest - planned.most.amount
            fitting.append((document, planned))
        return fitting, refused

    def _planned(self, document: Document, price: Price) -> Planned:
        tokens = self._model.most(document.features)
        return Planned(
            call_id=uuid7(),
            case_id=document.case_id,
            tenant_id=document.tenant_id,
            automation=self._automation,
            model=self._subject,
            tokens=tokens,
            most=price.at_most(tokens),
        )

    def _paid(self, calls: Sequence[tuple[Document, Planned]], prices: Mapping[UUID, Price], until: Until) -> dict[UUID, Reply]:
        settled: list[Settled] = []
        replies: dict[UUID, Reply] = {}
        try:
            for (document, planned), (said, reason, tokens) in zip(calls, self._run(calls, until), strict=True):
                price = prices[document.case_id]
                money = Money(Decimal(0), price.currency) if tokens is None else price.of(tokens)
                settled.append(Settled(planned.call_id, tokens or Tokens(), money, charged=tokens is not None))
                replies[document.case_id] = Reply(said, reason, tokens.total if tokens else 0, money)
        finally:
            # What an interrupted run has not settled stays held back: nobody knows what it took.
            self._spending.settle(settled)
        return replies

    def _run(self, calls: Sequence[tuple[Document, Planned]], until: Until) -> list[Came]:
        if self._runner is None:
            self._runner = asyncio.Runner()
        try:
            return self._runner.run(self._all(calls, until))
        except BaseException:
            # Interrupted in the middle, as by the task's time limit: nothing of it may go on in the next order.
            self.close()
            raise

    async def _all(self, calls: Sequence[tuple[Document, Planned]], until: Until) -> list[Came]:
        free = asyncio.Semaphore(self._settings.concurrency)
        return await asyncio.gather(*(self._one(document, planned, free, until) for document, planned in calls))

    async def _one(self, document: Document, planned: Planned, free: asyncio.Semaphore, until: Until) -> Came:
        async with free:
            seconds = min(self._settings.timeout.total_seconds(), until.moment - self._clock.monotonic())
            if seconds < _LEAST_SECONDS:
                return None, until.reason, None
            if not self._breaker.permits(self._clock.monotonic()):
                return None, RESTING, None
            try:
                said = await self._model.ask(document.features, seconds)
            except Unavailable as away:
                self._failed(away.reason)
                return None, away.reason, planned.tokens if away.charged else None
            except Unusable as answer:
                self._failed(answer.why)
                return None, INVALID, answer.tokens or planned.tokens
            except RecoupError as blocked:
                self._failed(blocked.code)
                return None, BLOCKED, None
            except BaseException:
                self._breaker.left()
                raise
            self._breaker.succeeded()
            return said, None, said.tokens

    def _failed(self, why: str) -> None:
        was_open = self._breaker.is_open
        self._breaker.failed(self._clock.monotonic())
        if self._breaker.is_open and not was_open:
            log.warning("remote_model_rests", automation=self._automation, model=self._subject, reason=why, seconds=self._breaker.rest)

    def _remember(self, documents: Sequence[Document], replies: Mapping[UUID, Reply]) -> None:
        for document in documents:
            reply = replies.get(document.case_id)
            if reply is not None and reply.said is not None:
                self._remembered[document.case_id] = (document.features, reply)
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
