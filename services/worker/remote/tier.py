"""A remote model as a tier of a cascade: asked last, within time and money, and believed only as far as it is certified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

from services.worker.remote.calling import Caller, Document, Reply
from services.worker.remote.certificate import chosen
from services.worker.remote.configuration import RemoteModel
from services.worker.remote.model import Model
from services.worker.remote.spending import Spending
from services.worker.tiers import ABSTAINED, UNLIMITED, Budget, CaseInput, TierResult, Usage, failed, metered
from shared.automations.contract import Automation, Features, Verdict
from shared.errors import InvariantBroken

if TYPE_CHECKING:
    from shared.clock import Clock

REMOTE: Final = "remote"
UNCERTAIN: Final = "uncertain"
# Its scores do not count: it proposes, and a person decides.
UNCERTIFIED: Final = "uncertified"


def labels_of(automation: Automation, settings: RemoteModel) -> tuple[str, ...]:
    """The closed set that the model chooses from.

    Raises:
        InvariantBroken: a label is no outcome of the automation.
    """
    labels = settings.labels or tuple(name for name, outcome in automation.outcomes.items() if outcome.choosable)
    if not labels or not set(labels) <= set(automation.outcomes):
        raise InvariantBroken("a remote model has labels that are no outcomes", automation=automation.name, labels=sorted(labels))
    return labels


def subject_of(settings: RemoteModel, model: Model) -> str:
    """What a certificate must be for, and what decisions and inferences name."""
    return f"{settings.protocol}:{settings.model}#{model.digest}"


class RemoteTier:
    """Calls from one thread of one process; nothing is opened before the first."""

    name = REMOTE

    def __init__(self, automation: Automation, model: Model, settings: RemoteModel, spending: Spending, clock: Clock) -> None:
        self._automation, self._model, self._settings, self._clock = automation, model, settings, clock
        self._certificates = settings.certified()
        self.subject = subject_of(settings, model)
        self._caller = Caller(automation.name, self.subject, model, settings, spending, clock)
        self._longest = model.most(Features("x" * settings.max_characters))

    @property
    def needs(self) -> Usage:
        """The money for every token of the longest plain text at the general price, and the time until a call is given up.

        What a case's own text can take, at its tenant's price, is held against its budget before it is called.
        """
        price = self._settings.price(self._clock.now().date())
        money = None if price is None else price.at_most(self._longest)
        return Usage(wall_ns=int(self._settings.timeout.total_seconds() * 1e9), money=money)

    def decide(self, batch: Sequence[CaseInput], budget: Budget = UNLIMITED) -> Sequence[TierResult]:
        """See `Tier`. No transaction is open while the model is called.

        Raises:
            Retryable: the database is away, so nothing can be held back and nothing was called.
        """
        if not batch:
            return []
        results = metered(lambda: self._decide(batch, budget), len(batch))
        return [replace(result, usage=replace(usage, tokens=result.usage.tokens, money=result.usage.money)) for result, usage in results]

    def close(self) -> None:
        self._caller.close()

    def _decide(self, batch: Sequence[CaseInput], budget: Budget) -> list[TierResult]:
        settled = {case.case_id: self._features(case) for case in batch}
        documents = [
            Document(case.case_id, case.tenant_id, features, case.money)
            for case in batch
            if isinstance(features := settled[case.case_id], Features)
        ]
        replies = self._caller.ask(documents, budget) if documents else {}
        return [self._result(case, settled[case.case_id], replies) for case in batch]

    def _features(self, case: CaseInput) -> Features | TierResult:
        """What the model is to see, or what is to be said without asking it."""
        silent = TierResult(ABSTAINED, model=self.subject)
        if not self._settings.serves(case.tenant_id):
            return silent
        try:
            features: Features | None = self._automation.features(case.data)
        except Exception as error:  # noqa: BLE001 - features of any automation run here, and one bad case must not stop its mates
            return failed(error)
        return silent if features is None else features

    def _result(self, case: CaseInput, settled: Features | TierResult, replies: Mapping[UUID, Reply]) -> TierResult:
        if isinstance(settled, TierResult):
            return settled
        reply = replies[case.case_id]
        usage = Usage(tokens=reply.tokens, money=reply.money)
        if reply.said is None:
            return TierResult(Verdict(None, confidence=0.0, reasons=(str(reply.reason),)), usage=usage, model=self.subject)
        probabilities = reply.said.probabilities
        label, score = next(iter(probabilities.items()))
        try:
            verdict = self._verdict(case, label, score)
        except Exception as error:  # noqa: BLE001 - as above, for what an automation concludes
            return replace(failed(error), usage=usage, model=self.subject)
        return TierResult(verdict, probabilities, score, usage=usage, model=self.subject)

    def _verdict(self, case: CaseInput, label: str, score: float) -> Verdict:
        certificate = chosen(self._certificates, self.subject, case.terms.error_level)
        if certificate is None:
            return Verdict(None, score, (UNCERTIFIED,), label=label)
        if not certificate.lets_pass(label, score):
            return Verdict(None, score, (UNCERTAIN,), label=label)
        return self._automation.conclude(case.data, label, score)
