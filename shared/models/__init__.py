"""Every table, as SQLAlchemy Core: nothing here talks to a database."""

from shared.models import cases, decisions, ledger, outbox, rollups, tenancy
from shared.models.base import metadata

__all__ = ["cases", "decisions", "ledger", "metadata", "outbox", "rollups", "tenancy"]
