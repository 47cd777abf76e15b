"""How a new version of a model comes to decide: it is tried in the shadow, then on a share of cases, then promoted on evidence."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from services.ops.repository import audit, models
from services.ops.repository.models import Wanted
from services.ops.schemas.models import ModelChange, ModelVersion, State
from shared.automations import registry
from shared.casework import rollouts
from shared.errors import Conflict, NotFound

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from services.ops.repository.audit import Author
    from shared.casework.rollouts import Evidence

# A version may be promoted when it is proven to be wrong at most so much more often, and leaves at most so many more cases to people.
ERROR_MARGIN: Final = 0.01
SHARE_MARGIN: Final = 0.02

# Where a version may come from without force; None: never rolled out.
_FROM: Final[dict[State, set[State | None]]] = {
    "shadow": {None, "shadow", "canary", "retired"},
    "canary": {"shadow", "canary"},
    "active": {"canary", "shadow"},
    "retired": {"shadow", "canary", "active"},
}


def roll_out(connection: Connection, author: Author, name: str, version: str, wanted: ModelChange, now: datetime) -> ModelVersion:
    """Bring a version into a state.

    Raises:
        UnknownAutomation: none is installed under that name.
        NotFound: no worker has this version.
        Conflict: it cannot come there from where it is, another one is tried, or the evidence does not allow it.
    """
    registry.automation(name)
    models.lock(connection, name)
    current = models.version(connection, name, version)
    if current is None or not (current.installed or wanted.state == "retired"):
        raise NotFound("No worker has this version.")
    _check_step(current, wanted)
    _check_others(connection, author.tenant, name, version, wanted)
    evidence = _evidence(connection, author, current, wanted)
    if wanted.state == "active" and not wanted.force:
        _check_evidence(evidence)
    anew = wanted.state == "shadow" and current.state != "shadow"
    share = wanted.canary_share or Decimal(0)
    said = None if evidence is None else evidence.as_dict(now)
    models.store(connection, author, Wanted(name, version, wanted.state, share, wanted.reason, anew, said))
    audit.record(connection, author, "model.rolled_out", f"{name}/{version}", _detail(current, wanted, said))
    found = models.version(connection, name, version)
    assert found is not None
    return found


def _check_step(current: ModelVersion, wanted: ModelChange) -> None:
    if current.state not in _FROM[wanted.state] and not (wanted.state == "active" and wanted.force):
        raise Conflict(f"A version that is {current.state or 'not rolled out'} does not become {wanted.state} in one step.")


def _check_others(connection: Connection, tenant: str, name: str, version: str, wanted: ModelChange) -> None:
    if wanted.state not in {"shadow", "canary"}:
        return
    if rollouts.present(connection, tenant, name) == version:
        raise Conflict("This is the present version: there is nothing to try it against.")
    tried = models.tried(connection, name)
    if tried not in {None, version}:
        raise Conflict(f"Version {tried} is being tried; retire or promote it first.")


def _evidence(connection: Connection, author: Author, current: ModelVersion, wanted: ModelChange) -> Evidence | None:
    """As of now; None where no trial has begun, or it is over: a version that decides is compared with no other."""
    if wanted.state == "shadow" or current.state == "active" or current.since is None:
        return None
    return rollouts.evidence(connection, author.tenant, current.automation, current.version, current.since)


def _check_evidence(evidence: Evidence | None) -> None:
    if evidence is None or not evidence.difference.cases:
        raise Conflict("There is no case yet that both versions have said something about and whose truth may be seen.")
    if evidence.blind:
        raise Conflict("The truth about some of the cases is never seen: without a control arm nothing can be proven about them.")
    if not evidence.difference.is_at_most(ERROR_MARGIN):
        raise Conflict(f"It is not proven yet that this version is wrong at most {ERROR_MARGIN:.0%} more often than the present one.")
    if evidence.candidate_share < evidence.present_share - SHARE_MARGIN:
        raise Conflict(f"This version leaves more than {SHARE_MARGIN:.0%} more cases to people than the present one.")


def _detail(current: ModelVersion, wanted: ModelChange, evidence: dict[str, object] | None) -> dict[str, object]:
    return {"from": current.state, **wanted.model_dump(mode="json", exclude_none=True), "evidence": evidence}
