"""Consumer complaints in free text: which product team, how urgent."""

from shared.automations.complaints.decisions import PRODUCTS, conclude, covariate, features, rules, stratum
from shared.automations.complaints.schema import ComplaintReceived
from shared.automations.contract import Automation, Outcome

__all__ = ["AUTOMATION"]

AUTOMATION = Automation(
    name="complaints",
    title="Complaints: route to the product team",
    event_type="com.recoup.complaint.received.v1",
    data_model=ComplaintReceived,
    outcomes={**{product: Outcome() for product in PRODUCTS}, "other": Outcome(automatic=False)},
    rules=rules,
    features=features,
    conclude=conclude,
    stratum=stratum,
    covariate=covariate,
)
