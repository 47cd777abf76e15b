"""Invoices, as e-invoice XML or as fields: check them by arithmetic, post the good ones, show the rest to a person."""

from shared.automations.contract import Automation, Outcome
from shared.automations.invoices.decisions import cash, conclude, covariate, features, fingerprint, rules, stratum
from shared.automations.invoices.schema import InvoiceReceived

__all__ = ["AUTOMATION"]

AUTOMATION = Automation(
    name="invoices",
    title="Invoices: check and post",
    event_type="com.recoup.invoice.received.v1",
    data_model=InvoiceReceived,
    outcomes={
        "post": Outcome(),
        "exception": Outcome(automatic=False, choosable=False),
        "reject": Outcome(adverse=True),
    },
    rules=rules,
    features=features,
    conclude=conclude,
    stratum=stratum,
    covariate=covariate,
    fingerprint=fingerprint,
    cash=cash,
)
