"""Engine, unit of work, and the checks that refuse an unsafe database."""

from shared.db.engine import engine_for
from shared.db.safety import refuse_unsafe_database
from shared.db.starting import await_database
from shared.db.unit_of_work import unit_of_work

__all__ = ["await_database", "engine_for", "refuse_unsafe_database", "unit_of_work"]
