"""What the figures rest on, for whoever doubts them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from services.roi.schemas import Amount, Asked, Hours, Interval, Output, Soundness
from shared.measure.baselines import Grade
from shared.measure.integrity import Verdict
from shared.web.decimals import Plain

Share = Annotated[Plain, Field(examples=["0.0500"])]


class Draw(Output):
    """Cases that were drawn with one control share, since the first of them."""

    control_share: Share = Field(description="Planned. 0 or 1: these cases were in no experiment.")
    control: int = Field(examples=[612])
    automated: int = Field(examples=[11430])
    expected_control: Plain = Field(examples=["602.10"])


class Finding(Output):
    """One test of the experiment."""

    name: Literal["split", "split_now", "strata", "crossovers", "clocks_control", "clocks_automated", "undecided"] = Field(
        description="`split`: whether the arms were drawn as planned, at every look at once; `split_now`: the same by chi-square at this"
        " look; `strata`: whether strata are split alike (chi-square, decided cases); `crossovers`: cases handled as if in the other arm;"
        " `clocks_…`: cases that people worked on without a measured time; `undecided`: control cases older than 14 days that wait."
    )
    value: Plain | None = Field(
        description="`split`: wealth of a bet against it (1,000 breaks it); `split_now`, `strata`: probability of chance; else a share."
        " Null where nothing is known.",
        examples=["0.4127"],
    )
    verdict: Verdict
    observed: int | None = Field(description="Control cases, where the finding is about the split.", examples=[612])
    expected: Plain | None = Field(examples=["602.10"])


class BaselineInUse(Output):
    """What manual handling costs, as the figures of this period take it."""

    stratum: str = Field(description="`*`: strata without one of their own, or too small for it.", examples=["damage/small"])
    grade: Grade
    n: int = Field(description="Cases behind it.", examples=[210])
    mean_seconds: Plain = Field(examples=["412.500"])
    method: str = Field(examples=["concurrent randomised control"])
    measured_from: datetime | None = Field(description="When the work was done that was measured; null where nobody measured.")
    measured_to: datetime | None
    expires_at: datetime | None = Field(description="Null for concurrent controls, which renew themselves.")
    expired: bool


class Clocks(Output):
    """How far the reviewers' clocks and the server's disagree, on reviews that decided a case. Booked is the smaller one."""

    reviews: int = Field(examples=[902])
    apart: int = Field(description="Reviews whose clocks differ by more than the idle cut of 60 s.", examples=[31])
    active_hours: Hours
    span_hours: Hours
    difference_share: Share | None = Field(description="Sum of absolute differences over the sum of spans; null without a review.")
    beyond_span_hours: Hours = Field(description="By how much reviewers' clocks ran ahead, which no honest clock does; never booked.")


class Errors(Output):
    """What second looks found about automatic decisions, since the first one that could be drawn; bounds hold at every look."""

    decisions: int = Field(description="Automatic decisions that could be drawn.", examples=[10020])
    drawn: int = Field(examples=[203])
    judged: int = Field(description="Of those, found right or wrong for good.", examples=[198])
    disputed: int = Field(description="Two answers differ; a third decides.", examples=[1])
    wrong: int = Field(examples=[2])
    rate_low: Share | None = Field(
        description="As if those that wait or are disputed were right. Null before one could be drawn, and while none drawn is judged."
    )
    rate: Share | None = Field(
        description="Weighted by 1/probability of being drawn, among the decisions that the judged ones stand for: of all, the share that"
        " they are of the drawn ones, weighted so as well."
    )
    rate_high: Share | None = Field(description="As if disputed ones were wrong.")
    limit: Share = Field(description="Error rate that the automation is certified for; evidence of a higher one brakes it.")
    braked: bool
    loss_per_error: Amount | None = Field(description="Dated rate; null where nobody has stated it: then nobody knows what errors cost.")
    expected_loss: Amount | None = Field(description="Of all these decisions, at that loss.")
    conservative_loss: Amount | None = Field(description="By the upper bound: what a careful figure charges.")


class Adjustment(Output):
    """Seconds saved in the period, without and with the covariate that the automation declares. One look at a moment chosen beforehand."""

    unadjusted: Interval = Field(description="As in `/v1/roi/summary`.")
    adjusted: Interval = Field(
        description="Augmented inverse-probability weighting with the control shares that applied. Beside the figure, never in its place."
    )
    width_ratio: Plain | None = Field(
        description="Width of the adjusted interval by that of the other; null where that has none.", examples=["0.7312"]
    )
    slope: Plain = Field(description="Seconds of manual handling per unit of the covariate, within strata.", examples=["41.250"])
    explained: Share = Field(description="Share of the variance of manual times within strata that the covariate explains.")
    undrawn_cases: int = Field(
        description="Cases of the automated arm from times without a control group: in the first interval only.", examples=[0]
    )


class AutomationEvidence(Output):
    automation: str = Field(examples=["claims"])
    soundness: Soundness
    findings: list[Finding]
    draws: list[Draw]
    opted_out: int = Field(description="Cases drawn with a control share of 0 or 1: in no experiment.", examples=[0])
    crossovers: int = Field(description="Automated-arm cases that a person decided without any tier having been asked.", examples=[12])
    undecided_control: int = Field(description="Control cases that are drawn and not decided yet.", examples=[9])
    undecided_share: Share | None = Field(description="Of all control cases that were drawn; null without one.")
    undecided_old: int = Field(
        description="Those drawn in an experiment over 14 days ago: doubtful from five on, if over 2 % of all drawn by then.",
        examples=[0],
    )
    baselines: list[BaselineInUse]
    adjustment: Adjustment | None = Field(description="Null below 50 control cases in the period, and where cases have no covariate.")
    clocks: Clocks
    errors: Errors | None = Field(
        description="Null where the automation was never set up. With `as_of` as known then, but for `limit`, which is today's."
    )


class Evidence(Asked):
    """Draws, clocks and audits are all since they began, up to `as_of` where it is given; baselines are those of the period."""

    soundness: Soundness = Field(description="The worst of all automations.")
    undecided_since: datetime | None = Field(
        description="When the oldest undecided control case was received. Null where none waits; with `as_of` always, because it is of now."
    )
    automations: list[AutomationEvidence]
