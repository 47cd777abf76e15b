"""The exact cache: what the models said about the same input before. Keys and values hold digests, labels and figures, never a text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

import orjson

from services.worker.tiers import ABSTAINED, BUDGET, NOTHING, UNLIMITED, Budget, CaseInput, TierResult, Usage, isolated, metered
from shared.errors import InvariantBroken
from shared.telemetry import metrics

if TYPE_CHECKING:
    from services.worker.cascade import CascadeResult
    from shared.automations.contract import Automation, Features

_DIGEST_BYTES: Final = 32


class Store(Protocol):
    """Where entries are kept. May forget anything at any time; never raises and never waits long."""

    def get(self, keys: Sequence[str]) -> Sequence[bytes | None] | None:
        """In the order of the keys; None: it does not answer."""
        ...

    def put(self, entries: Mapping[str, bytes]) -> None: ...


@dataclass(frozen=True, slots=True)
class Models:
    """Whose answers are kept.

    Attributes:
        tiers: their names; what others say, such as a model elsewhere that may be exchanged unseen, is not kept.
        digest: of everything that their answers depend on beside the input; asked at first use, because it depends on the processor.
    """

    tiers: frozenset[str]
    digest: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an input's answer is kept.

    Attributes:
        key: one of a bounded number for each tenant and automation, so that memory is bounded whatever comes in.
        digest: of tenant, models, error level and input, all of it; inputs that share a key overwrite each other.
    """

    key: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """What the models concluded.

    Attributes:
        tier, model: which of them.
        probabilities: of the likeliest labels.
        cpu_ns: what it took without the cache.
    """

    digest: bytes
    tier: str
    model: str | None
    label: str
    score: float
    probabilities: Mapping[str, float]
    cpu_ns: int

    def encoded(self) -> bytes:
        said = [self.tier, self.model, self.label, self.score, list(self.probabilities.items()), self.cpu_ns]
        return self.digest + orjson.dumps(said)

    @classmethod
    def decoded(cls, content: bytes) -> Entry | None:
        """None where these bytes are no entry: whatever somebody else may have written there is a miss."""
        try:
            tier, model, label, score, probabilities, cpu_ns = orjson.loads(content[_DIGEST_BYTES:])
            return cls(content[:_DIGEST_BYTES], tier, model, label, float(score), dict(probabilities), int(cpu_ns))
        except (ValueError, TypeError):
            return None


def canonical(features: Features) -> bytes:
    """Equal for equal features only: fields sorted, everything quoted."""
    return orjson.dumps([features.text, dict(features.fields)], option=orjson.OPT_SORT_KEYS)


class CacheTier:
    """Answers for the models after it where they have been asked the same before, by the same tenant, under the same thresholds.

    Only conclusions are kept. What a label means for a case is computed anew, because that may depend on more than the models see.
    """

    name = "cache"

    def __init__(self, automation: Automation, models: Models, store: Store, entries: int) -> None:
        """Args: entries: how many are kept for each tenant."""
        if entries < 1:
            raise InvariantBroken("a cache needs room for an entry", automation=automation.name)
        self._automation, self._known, self._store, self._entries = automation, models, store, entries
        # Of the batch that was decided last, because features cost more than a lookup.
        self._missed: dict[UUID, Place] = {}

    @cached_property
    def _models(self) -> bytes:
        """At first use, because it depends on the processor."""
        return self._known.digest().encode()

    @property
    def needs(self) -> Usage:
        """Nothing that a budget would notice: a store that does not answer is given up soon, and not asked again for a while."""
        return NOTHING

    def decide(self, batch: Sequence[CaseInput], budget: Budget = UNLIMITED) -> Sequence[TierResult]:  # noqa: ARG002 - see needs
        if not batch:
            return []
        found = [replace(result, usage=usage) for result, usage in metered(lambda: self._decide(batch), len(batch))]
        saved = sum(max(0, result.saved_cpu_ns - result.usage.cpu_ns) for result in found)
        metrics.cache_saved_cpu_seconds.labels(self._automation.name).inc(saved / 1e9)
        return found

    def remember(self, results: Sequence[CascadeResult]) -> None:
        """Keep what models have concluded about cases that this tier knew nothing of when it was asked last."""
        entries: dict[str, bytes] = {}
        for result in results:
            place = self._missed.get(result.case.case_id)
            entry = None if place is None else self._entry(place, result)
            if place is not None and entry is not None:
                entries[place.key] = entry.encoded()
        if entries:
            self._store.put(entries)

    def place(self, case: CaseInput) -> Place | None:
        """None where models do not apply, or cannot say what they see."""
        features = self._automation.features(case.data)
        if features is None:
            return None
        parts = (case.tenant_id.encode(), self._models, repr(case.terms.error_level).encode(), canonical(features))
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        value = digest.digest()
        slot = int.from_bytes(value[:8], "big") % self._entries
        return Place(f"recoup:cache:{case.tenant_id}:{self._automation.name}:{slot}", value)

    def _decide(self, batch: Sequence[CaseInput]) -> Sequence[TierResult]:
        places = [_or_none(self.place, case) for case in batch]
        known = [place for place in places if place is not None]
        self._missed = {case.case_id: place for case, place in zip(batch, places, strict=True) if place is not None}
        answers = self._store.get([place.key for place in known]) if known else []
        if answers is None:
            self._count("unavailable", len(known))
            return [TierResult(ABSTAINED)] * len(batch)
        entries = iter([_fitting(place, content) for place, content in zip(known, answers, strict=True)])
        entry_of = [None if place is None else next(entries) for place in places]
        hits = sum(entry is not None for entry in entry_of)
        self._count("hit", hits)
        self._count("miss", len(known) - hits)
        return [self._result(case, entry) for case, entry in zip(batch, entry_of, strict=True)]

    def _count(self, result: str, count: int) -> None:
        if count:
            metrics.cache_lookups.labels(self._automation.name, result).inc(count)

    def _result(self, case: CaseInput, entry: Entry | None) -> TierResult:
        if entry is None:
            return TierResult(ABSTAINED)
        return isolated([case], lambda one: [self._concluded(one[0], entry)])[0]

    def _concluded(self, case: CaseInput, entry: Entry) -> TierResult:
        verdict = self._automation.conclude(case.data, entry.label, entry.score)
        return TierResult(verdict, entry.probabilities, entry.score, model=entry.model, saved_cpu_ns=entry.cpu_ns)

    def _entry(self, place: Place, result: CascadeResult) -> Entry | None:
        """None where none of the models concluded, or a tier that would have been asked was passed over."""
        asked = [step.tier for step in result.steps]
        later = result.steps[asked.index(self.name) + 1 :] if self.name in asked else ()
        if not later or later[-1].tier not in self._known.tiers or any(BUDGET in step.result.verdict.reasons for step in later):
            return None
        said = later[-1].result
        if said.error is not None or said.verdict.outcome is None or said.verdict.label is None or said.score is None:
            return None
        cpu_ns = sum(step.result.usage.cpu_ns for step in later)
        return Entry(place.digest, later[-1].tier, said.model, said.verdict.label, said.score, said.probabilities, cpu_ns)


def _or_none(place: Callable[[CaseInput], Place | None], case: CaseInput) -> Place | None:
    """A case whose features raise is none of the cache's business: the model after it reports the error."""
    try:
        return place(case)
    except Exception:  # noqa: BLE001 - features of any automation run here
        return None


def _fitting(place: Place, content: bytes | None) -> Entry | None:
    entry = None if content is None else Entry.decoded(content)
    return entry if entry is not None and entry.digest == place.digest else None
