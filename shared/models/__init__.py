"""Every table, as SQLAlchemy Core: nothing here talks to a database."""

from shared.models import audits, cases, decisions, ledger, metering, outbox, outcomes, remote, rollouts, rollups, tenancy
from shared.models.base import metadata

__all__ = [
    "audits",
    "cases",
    "decisions",
    "ledger",
    "metadata",
    "metering",
    "outbox",
    "outcomes",
    "remote",
    "rollouts",
    "rollups",
    "tenancy",
]
