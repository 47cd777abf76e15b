"""How a tenant is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.ops.repository import audit, audits, configuration
from services.ops.repository.audit import Author
from services.ops.repository.configuration import Setting
from services.ops.schemas.audits import Brake
from services.ops.schemas.configuration import (
    AutomationChange,
    AutomationSummary,
    OutcomeRules,
)
from shared.automations import registry

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.automations.contract import Automation


def automations(connection: Connection) -> list[AutomationSummary]:
    settings, open_cases, brakes = configuration.settings(connection), configuration.open_cases(connection), audits.brakes_on(connection)
    return [
        _summary(automation, settings.get(name, Setting()), open_cases.get(name, {}), brakes.get(name))
        for name, automation in registry.automations().items()
    ]


def _summary(automation: Automation, setting: Setting, open_cases: dict[str, int], brake: Brake | None) -> AutomationSummary:
    outcomes = {
        name: OutcomeRules(adverse=o.adverse, automatic=o.automatic, choosable=o.choosable) for name, o in automation.outcomes.items()
    }
    return AutomationSummary(
        name=automation.name,
        title=automation.title,
        event_type=automation.event_type,
        tiers=[*automation.tiers, "human"],
        outcomes=outcomes,
        paused=setting.paused,
        control_share=setting.control_share,
        platform_monthly=setting.platform_monthly,
        audit_share=setting.audit_share,
        audit_strata=dict(setting.audit_strata),
        error_limit=setting.error_limit,
        error_level=setting.error_level,
        budget_seconds=setting.budget_seconds,
        budget_money=setting.budget_money,
        brake=brake,
        open_cases=open_cases,
        data_schema=schema(automation.name),
    )


def schema(name: str) -> dict[str, Any]:
    """JSON Schema of the event's data; raises UnknownAutomation."""
    return registry.automation(name).data_model.model_json_schema()


def change(connection: Connection, author: Author, name: str, wanted: AutomationChange) -> AutomationSummary:
    """Members that are None stay as they are, but for those that may be taken back; raises UnknownAutomation."""
    registry.automation(name)
    configuration.change(connection, name, wanted)
    changes = wanted.model_dump(mode="json", exclude_none=True) | dict.fromkeys(wanted.taken_back)
    audit.record(connection, author, "automation.changed", name, changes)
    return next(summary for summary in automations(connection) if summary.name == name)
