"""How a tenant has set an automation, as far as a batch of its cases must know: what is audited, and whether the brake is on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final
from uuid import UUID

from services.worker.tiers import NO_TERMS, Terms
from shared.measure.draw import selected

# Where a tenant has set no share for the automation; the column's default too.
DEFAULT_AUDIT_SHARE: Final = Decimal("0.02")


@dataclass(frozen=True, slots=True)
class Rollout:
    """Versions of the models.

    Attributes:
        active: None: whatever is installed as the default.
        candidate: is tried beside it; None: nothing is.
        share: of the cases that the candidate decides; 0: none, it only says what it would.
    """

    active: str | None = None
    candidate: str | None = None
    share: Decimal = Decimal(0)


NO_ROLLOUT: Final = Rollout()


@dataclass(frozen=True, slots=True)
class Policy:
    """One tenant's settings of one automation.

    Attributes:
        salt: the tenant's secret that keys every draw; empty where the tenant is not known, and then nothing is drawn.
        audit_share: of automatic decisions that a person decides again.
        strata: shares of strata where more is at stake; a lower one than ``audit_share`` has no effect.
        braked: people decide everything.
        rollout: which versions of the models decide, and which is tried.
        terms: what its cases may take in tiers, and which thresholds hold; without the price of CPU time.
    """

    salt: bytes = field(default=b"", repr=False)
    audit_share: Decimal = DEFAULT_AUDIT_SHARE
    strata: Mapping[str, Decimal] = field(default_factory=dict)
    braked: bool = False
    rollout: Rollout = NO_ROLLOUT
    terms: Terms = NO_TERMS

    def probability(self, stratum: str) -> Decimal:
        """That a decision of this stratum is audited."""
        return max(self.audit_share, self.strata.get(stratum, Decimal(0)))

    @property
    def least(self) -> Decimal | None:
        """The least probability that a decision which may be drawn can have; None where nothing is drawn."""
        return min((share for share in (self.audit_share, *map(self.probability, self.strata)) if share > 0), default=None)

    def draws(self, automation: str, case_id: UUID, stratum: str) -> bool:
        if not self.salt:
            return False
        return selected(self.salt, automation=automation, case=str(case_id), probability=self.probability(stratum))


UNSET: Final = Policy()
