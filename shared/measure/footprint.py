"""Energy and carbon of CPU time: estimates by stated assumptions, never measurements.

Energy is busy core time x power of a busy core x what a data centre draws for each watt of its computers; carbon is energy x intensity of
the grid. The method and the first two defaults are those of the Cloud Carbon Footprint methodology (Thoughtworks, Appendix I: power per
virtual core at full load, AWS 3.5 W, Azure 3.76 W, GCP 4.26 W, of which the largest is taken; power usage effectiveness 1.1 to 1.135). The
third is the world's average in 2023 by Ember (481 g CO2e/kWh). A tenant's own data centre knows better. Left out: memory, disks, network,
the making of the machines, and models that run elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

_JOULES_PER_KWH = Decimal(3_600_000)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Attributes: watts: of one busy core; overhead: power usage effectiveness, at least 1; grams_per_kwh: CO2e of the grid."""

    watts: Decimal = Decimal("4.26")
    overhead: Decimal = Decimal("1.135")
    grams_per_kwh: Decimal = Decimal(481)


@dataclass(frozen=True, slots=True)
class Footprint:
    """Attributes: kwh: energy; grams: CO2 equivalents."""

    kwh: Decimal
    grams: Decimal


def footprint(cpu_seconds: Decimal, assumed: Assumptions) -> Footprint:
    kwh = cpu_seconds * assumed.watts * assumed.overhead / _JOULES_PER_KWH
    return Footprint(kwh, kwh * assumed.grams_per_kwh)
