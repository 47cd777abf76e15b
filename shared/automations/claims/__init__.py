"""First notice of loss: pay small clear claims at once, give the rest to an adjuster, show the suspicious ones to a person."""

from shared.automations.claims.decisions import conclude, covariate, features, rules, stratum
from shared.automations.claims.schema import ClaimFiled
from shared.automations.contract import Automation, Outcome

__all__ = ["AUTOMATION"]

AUTOMATION = Automation(
    name="claims",
    title="Claims: first notice of loss",
    event_type="com.recoup.claim.filed.v1",
    data_model=ClaimFiled,
    outcomes={
        "fast_track_pay": Outcome(),
        "adjuster": Outcome(),
        "special_investigation": Outcome(adverse=True),
    },
    rules=rules,
    features=features,
    conclude=conclude,
    stratum=stratum,
    covariate=covariate,
)
