"""The second tier: hashed words and fields in one linear model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.worker.runtime.session import Session
from services.worker.tiers import ABSTAINED, NOTHING, UNLIMITED, Budget, CaseInput, TierResult, Usage, isolated, metered
from shared.automations import hashing
from shared.automations.contract import Automation, Features, Verdict
from shared.automations.pack import Pack
from shared.errors import InvariantBroken

Probabilities = npt.NDArray[np.float32]
_TOP: Final = 3


class NanoTier:
    """Decides where the likeliest label reaches its minimum, abstains with ``uncertain`` below, and without a reason where no features are.

    Raises:
        InvariantBroken: a label of the pack is no outcome of the automation, or the pack has no nano.
    """

    name = "nano"

    def __init__(self, automation: Automation, pack: Pack, folder: Path) -> None:
        unknown, model = set(pack.labels) - set(automation.outcomes), pack.tier(self.name)
        if unknown or model is None:
            raise InvariantBroken("a pack does not fit its automation", pack=pack.name, labels=sorted(unknown), has_nano=model is not None)
        artefact = model.artefact("any")
        self._automation, self._pack, self._buckets, self._output = automation, pack, model.buckets, model.output
        self._minimum = {label: pack.minimum(self.name, label) for label in pack.labels}
        self._session = Session(folder / artefact.file, artefact.sha256)
        self._model = f"{pack.name}@{pack.version}"

    def probabilities(self, documents: Sequence[Features]) -> Probabilities:
        """``(documents, labels)``, in the pack's order of labels; a row depends on its document alone, bit for bit."""
        return self._run(hashing.encode(documents, self._buckets))

    @property
    def needs(self) -> Usage:
        """Nothing that a budget would notice."""
        return NOTHING

    def decide(self, batch: Sequence[CaseInput], budget: Budget = UNLIMITED) -> Sequence[TierResult]:  # noqa: ARG002 - microseconds
        if not batch:
            return []
        return [replace(result, usage=usage) for result, usage in metered(lambda: isolated(batch, self._decide), len(batch))]

    def explain(self, document: Features, label: str, top: int = 5) -> tuple[str, ...]:
        """Words, word pairs and fields of the document that speak most for ``label``, strongest first. Not for the hot path."""
        names = _names(document)
        alone = [self._alone(name) for name in names]
        base = self._run(hashing.encode([Features()], self._buckets))
        gain = np.log(self.probabilities(alone) / base)[:, self._pack.labels.index(label)] if alone else np.zeros(0)
        order = np.argsort(-gain, kind="stable")[:top]
        return tuple(names[index] for index in order if gain[index] > 0)

    @staticmethod
    def _alone(name: str) -> Features:
        field, equals, value = name.partition("=")
        return Features(fields={field: value}) if equals else Features(text=name)

    def _run(self, sparse: hashing.Sparse) -> Probabilities:
        inputs: dict[str, npt.NDArray[Any]] = {
            "ids": sparse.ids,
            "values": sparse.values,
            "rows": sparse.rows,
            "batch": np.array([sparse.batch], dtype=np.int64),
        }
        return self._session.run(inputs, self._output)

    def _decide(self, batch: Sequence[CaseInput]) -> Sequence[TierResult]:
        features = [self._automation.features(case.data) for case in batch]
        documents = [document for document in features if document is not None]
        rows: Iterator[Probabilities] = iter(self.probabilities(documents)) if documents else iter(())
        return [
            TierResult(ABSTAINED, model=self._model) if document is None else self._result(case, next(rows))
            for case, document in zip(batch, features, strict=True)
        ]

    def _result(self, case: CaseInput, row: Probabilities) -> TierResult:
        labels = self._pack.labels
        # Plain Python: for a handful of classes numpy's call overhead costs more than the sort (9 µs a case).
        probabilities = row.tolist()
        order = sorted(range(len(labels)), key=probabilities.__getitem__, reverse=True)[:_TOP]
        top = {labels[index]: probabilities[index] for index in order}
        label = labels[order[0]]
        score = min(top[label], 1.0)
        return TierResult(self._verdict(case, label, score), top, score, model=self._model)

    def _verdict(self, case: CaseInput, label: str, score: float) -> Verdict:
        if score < self._minimum[label]:
            return Verdict(None, score, ("uncertain",), label=label)
        return self._automation.conclude(case.data, label, score)


def _names(document: Features) -> list[str]:
    words = document.text[: hashing.MAX_CHARACTERS].split()[:500]
    pairs = [f"{first} {second}" for first, second in pairwise(words)]
    return list(dict.fromkeys([*(word for word in words + pairs if "=" not in word), *(f"{k}={v}" for k, v in document.fields.items())]))
