"""Settings of automations."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from services.ops.repository.rows import rows
from services.ops.schemas.configuration import AutomationChange

if TYPE_CHECKING:
    from sqlalchemy import Connection


_SETTINGS = """
SELECT automation, paused, control_share, platform_monthly FROM automation_settings WHERE tenant_id = current_setting('app.tenant')
"""

_OPEN = """
SELECT automation, state, count(*) AS n FROM cases
WHERE tenant_id = current_setting('app.tenant') AND state <> 'decided' GROUP BY automation, state
"""

_SET = """
INSERT INTO automation_settings AS s (tenant_id, automation, paused, control_share, platform_monthly)
VALUES (current_setting('app.tenant'), %(automation)s, coalesce(%(paused)s, false), coalesce(%(control_share)s, 0.05),
        coalesce(%(platform_monthly)s, 0))
ON CONFLICT (tenant_id, automation) DO UPDATE SET
    paused = coalesce(%(paused)s, s.paused),
    control_share = coalesce(%(control_share)s, s.control_share),
    platform_monthly = coalesce(%(platform_monthly)s, s.platform_monthly),
    updated_at = now()
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """How one automation is set; the defaults hold where nobody has set anything."""

    paused: bool = False
    control_share: Decimal = Decimal("0.05")
    platform_monthly: Decimal = Decimal(0)


def settings(connection: Connection) -> dict[str, Setting]:
    found = rows(connection, _SETTINGS, {})
    return {row["automation"]: Setting(row["paused"], row["control_share"], row["platform_monthly"]) for row in found}


def open_cases(connection: Connection) -> dict[str, dict[str, int]]:
    """By automation and state."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows(connection, _OPEN, {}):
        counts[row["automation"]][row["state"]] = row["n"]
    return counts


def change(connection: Connection, automation: str, wanted: AutomationChange) -> None:
    connection.exec_driver_sql(_SET, {"automation": automation, **wanted.model_dump()})
