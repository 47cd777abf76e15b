"""What every remote model is: features of one document in, probabilities of labels out, within a deadline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from services.worker.remote.pricing import Tokens
from shared.automations.contract import Features
from shared.errors import Rejected, Retryable


class Unavailable(Retryable):
    """The model did not answer.

    Attributes:
        reason: `remote_timeout`, `remote_unreachable`, `remote_refused`, `remote_overloaded`, `remote_starting` or
            `remote_failed`.
        charged: the model may have worked, so it may be paid for.
    """

    code = "remote_unavailable"

    def __init__(self, reason: str, *, charged: bool) -> None:
        super().__init__(reason=reason)
        self.reason = reason
        self.charged = charged


class Unusable(Rejected):
    """The model answered something that was not asked for.

    Attributes:
        tokens: what it said that it had used; None where it did not get so far, so the most that it may have used counts.
    """

    code = "remote_invalid"

    def __init__(self, why: str, tokens: Tokens | None = None) -> None:
        super().__init__(why=why)
        self.why = why
        self.tokens = tokens


@dataclass(frozen=True, slots=True)
class Said:
    """Attributes: probabilities: three labels at most, likeliest first; tokens: upper bounds where the model did not say."""

    probabilities: Mapping[str, float]
    tokens: Tokens


class Model(Protocol):
    """Calls come from one event loop of one process. Nothing that a document holds may be in an error's text."""

    @property
    def digest(self) -> str:
        """Changes with everything that shapes the answer, but for the model's name."""
        ...

    def most(self, features: Features) -> Tokens:
        """No answer about this document is charged for more."""
        ...

    async def ask(self, features: Features, seconds: float) -> Said:
        """One document, one answer.

        Args:
            seconds: for everything, retries included; the caller waits no longer.

        Raises:
            Unavailable: there is no answer; asking later may help.
            Unusable: there is one, and it is none of the labels.
        """
        ...

    async def close(self) -> None:
        """Forget connections and end processes; may be used again afterwards."""
        ...
