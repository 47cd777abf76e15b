"""What the workers' CPU time took in energy and carbon: estimates, with what they assume beside them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from services.roi.facts import Wanted
from services.roi.period import Period, moment
from services.roi.repository import sums
from services.roi.repository.snapshots import snapshot
from services.roi.schemas import Output
from shared.measure.footprint import Assumptions, footprint
from shared.web.decimals import Plain

if TYPE_CHECKING:
    from services.roi.service import Question, Roi

SOURCES = (
    "Power per busy core and power usage effectiveness: Cloud Carbon Footprint methodology, Appendix I (largest of AWS, Azure, GCP)",
    "Intensity of the grid: Ember, world average of 2023",
)
_ENERGY, _MASS, _SECONDS = Decimal("1e-9"), Decimal("1e-6"), Decimal("1e-3")


class AutomationFootprint(Output):
    automation: str | None = Field(description="Null: all of them.", examples=["claims"])
    cpu_seconds: Plain = Field(description="Measured: on cases and beside them, start-up and idling included.", examples=["5184.211"])
    energy_kwh: Plain = Field(description="Estimated.", examples=["0.006962000"])
    carbon_grams: Plain = Field(description="Estimated, CO2 equivalents.", examples=["3.348722"])


class Assumed(Output):
    """Settings `RECOUP_ROI_WATTS_PER_CORE`, `RECOUP_ROI_POWER_OVERHEAD` and `RECOUP_ROI_GRAMS_PER_KWH`."""

    watts_per_core: Plain = Field(examples=["4.26"])
    power_overhead: Plain = Field(examples=["1.135"])
    grams_per_kwh: Plain = Field(examples=["481"])
    sources: list[str] = Field(description="Of the defaults.")


class FootprintAnswer(Output):
    """Energy and carbon of the CPU time in the ledger. Memory, disks, network, hardware and remote models are left out."""

    nature: Literal["estimate"] = "estimate"
    total: AutomationFootprint
    automations: list[AutomationFootprint]
    assumed: Assumed


def answer(roi: Roi, tenant: str, question: Question) -> FootprintAnswer:
    now = moment(question.as_of, roi.clock.now())
    period = Period.of(question.start, question.end, now=now)
    wanted = Wanted(tenant, period, min(now, period.last), question.as_of, question.automation, None, frozenset())
    with snapshot(roi.engine, tenant) as connection:
        spent = sums.quantities(connection, wanted, "compute")
    return FootprintAnswer(
        total=_shown(None, sum(spent.values(), Decimal(0)), roi.assumed),
        automations=[_shown(automation, seconds, roi.assumed) for automation, seconds in sorted(spent.items())],
        assumed=Assumed(
            watts_per_core=roi.assumed.watts,
            power_overhead=roi.assumed.overhead,
            grams_per_kwh=roi.assumed.grams_per_kwh,
            sources=list(SOURCES),
        ),
    )


def _shown(automation: str | None, cpu_seconds: Decimal, assumed: Assumptions) -> AutomationFootprint:
    found = footprint(cpu_seconds, assumed)
    return AutomationFootprint(
        automation=automation,
        cpu_seconds=cpu_seconds.quantize(_SECONDS),
        energy_kwh=found.kwh.quantize(_ENERGY),
        carbon_grams=found.grams.quantize(_MASS),
    )
