"""What an automation is: the values and functions that a process needs to know about one event type.

Everything here is pure: values in, values out, no clock, no network, no database. An automation is one `Automation` value, published
under the entry-point group ``recoup.automations``; `shared.automations.registry` finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel

from shared.errors import InvariantBroken
from shared.money import Money

Attributes = Mapping[str, str]
# Of a covariate, either way: sums of its squares over millions of cases stay exact enough.
LARGEST_COVARIATE: Final = 1e6
# Decimals of a covariate that count, so that sums of it are the same wherever they are made.
_DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way a case can end.

    Attributes:
        adverse: hurts the person concerned (reject, deny, investigate); always decided by a person.
        automatic: a tier may make it final. False where the outcome only means "a person must look".
        choosable: a person may submit it. False where it is only a reason to ask a person.
    """

    adverse: bool = False
    automatic: bool = True
    choosable: bool = True

    @property
    def final_without_person(self) -> bool:
        return self.automatic and not self.adverse


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one tier says about one case.

    Attributes:
        outcome: one of the automation's outcomes, or None: the tier abstains and the next one is asked.
        confidence: probability that the outcome is right, 0..1; hard rules say 1.
        reasons: machine-readable codes, most important first.
        attributes: what the receiver needs besides the outcome (route, urgency, booking account, …).
        label: the model's raw label where it differs from the outcome.
    """

    outcome: str | None
    confidence: float = 1.0
    reasons: tuple[str, ...] = ()
    attributes: Attributes = field(default_factory=lambda: MappingProxyType({}))
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Features:
    """What a model tier sees of a case: free text and categorical fields (numbers are binned by the automation)."""

    text: str = ""
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def as_document(self) -> str:
        """What a model that reads text sees: the fields in the automation's order, then the text."""
        return " ".join((*(f"{name}={value}" for name, value in self.fields.items()), self.text))


@dataclass(frozen=True, slots=True)
class Context:
    """What the rules may know beyond the event itself.

    Attributes:
        duplicate_of: id of the earlier case of this tenant with the same fingerprint, or None.
    """

    duplicate_of: str | None = None


def _no_rules(_data: BaseModel, _context: Context) -> Verdict | None:
    return None


def _no_features(_data: BaseModel) -> Features | None:
    return None


def _one_stratum(_data: BaseModel) -> str:
    return "all"


def _no_covariate(_data: BaseModel) -> float | None:
    return None


def _label_is_outcome(_data: BaseModel, label: str, confidence: float) -> Verdict:
    return Verdict(outcome=label, confidence=confidence, reasons=(f"model:{label}",), label=label)


def _never_a_duplicate(_data: BaseModel) -> str | None:
    return None


def _no_cash(_data: BaseModel, _outcome: str, _reasons: tuple[str, ...]) -> Money | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Automation:
    """A named process for one event type.

    Only the first four attributes are needed; the defaults send every case to a person.

    Attributes:
        name: lower-case identifier, used in URLs, tables and metrics.
        event_type: the CloudEvents ``type`` it handles, e.g. ``com.example.claim.filed.v1``.
        data_model: pydantic model of the event's ``data``; the gateway refuses what it refuses.
        outcomes: every way a case can end, by name.
        title: for people.
        tiers: the cascade, cheapest first; one without a trained model is passed over, and ``human`` is implied at the end.
        rules: hard business rules. A verdict with an outcome ends the cascade; None lets the models speak.
        features: what model tiers see, or None where no model applies to this case.
        conclude: turns a model's label into a verdict (outcome, reasons, attributes).
        stratum: cases whose manual handling times are comparable; computed from pre-decision facts only.
        covariate: a number that goes with manual handling time within a stratum, computed from pre-decision facts only; None for none.
        fingerprint: equal for two events that describe the same business document, or None.
        cash: money that the final outcome saved in cash, or None.

    The callables receive the validated ``data_model`` instance.
    """

    name: str
    event_type: str
    data_model: type[BaseModel]
    outcomes: Mapping[str, Outcome]
    title: str = ""
    tiers: tuple[str, ...] = ("rules", "cache", "nano", "trees", "mini", "large")
    rules: Callable[..., Verdict | None] = _no_rules
    features: Callable[..., Features | None] = _no_features
    conclude: Callable[..., Verdict] = _label_is_outcome
    stratum: Callable[..., str] = _one_stratum
    covariate: Callable[..., float | None] = _no_covariate
    fingerprint: Callable[..., str | None] = _never_a_duplicate
    cash: Callable[..., Money | None] = _no_cash

    def requires_person(self, outcome: str) -> bool:
        """True where no tier may make this outcome final."""
        return not self.outcomes[outcome].final_without_person

    def covariate_of(self, data: BaseModel) -> float | None:
        """The covariate of a case, as it is kept.

        Raises:
            InvariantBroken: it is not a number between -1e6 and 1e6.
        """
        value = self.covariate(data)
        if value is None:
            return None
        # Not a number compares as false.
        if not -LARGEST_COVARIATE <= value <= LARGEST_COVARIATE:
            raise InvariantBroken("a covariate is out of range", automation=self.name)
        return round(float(value), _DECIMALS)
