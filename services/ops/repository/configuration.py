"""Settings of automations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from services.ops.repository.rows import rows
from services.ops.schemas.configuration import AutomationChange

if TYPE_CHECKING:
    from sqlalchemy import Connection


_SETTINGS = """
SELECT automation, paused, control_share, platform_monthly, audit_share, audit_strata, error_limit,
       error_level, budget_seconds, budget_money
FROM automation_settings WHERE tenant_id = current_setting('app.tenant')
"""

_OPEN = """
SELECT automation, state, count(*) AS n FROM cases
WHERE tenant_id = current_setting('app.tenant') AND state <> 'decided' GROUP BY automation, state
"""

_SET = """
INSERT INTO automation_settings AS s
    (tenant_id, automation, paused, control_share, platform_monthly, audit_share, audit_strata, error_limit,
     error_level, budget_seconds, budget_money)
VALUES (current_setting('app.tenant'), %(automation)s, coalesce(%(paused)s, false), coalesce(%(control_share)s, 0.05),
        coalesce(%(platform_monthly)s, 0), coalesce(%(audit_share)s, 0.02), coalesce(%(audit_strata)s::jsonb, '{}'),
        coalesce(%(error_limit)s, 0.05), %(error_level)s, %(budget_seconds)s, %(budget_money)s)
ON CONFLICT (tenant_id, automation) DO UPDATE SET
    paused = coalesce(%(paused)s, s.paused),
    control_share = coalesce(%(control_share)s, s.control_share),
    platform_monthly = coalesce(%(platform_monthly)s, s.platform_monthly),
    audit_share = coalesce(%(audit_share)s, s.audit_share),
    audit_strata = coalesce(%(audit_strata)s::jsonb, s.audit_strata),
    error_limit = coalesce(%(error_limit)s, s.error_limit),
    error_level = CASE WHEN 'error_level' = ANY(%(named)s::text[]) THEN %(error_level)s ELSE s.error_level END,
    budget_seconds = CASE WHEN 'budget_seconds' = ANY(%(named)s::text[]) THEN %(budget_seconds)s ELSE s.budget_seconds END,
    budget_money = CASE WHEN 'budget_money' = ANY(%(named)s::text[]) THEN %(budget_money)s ELSE s.budget_money END,
    priced_at = CASE WHEN %(platform_monthly)s <> s.platform_monthly THEN now() ELSE s.priced_at END,
    updated_at = now()
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """How one automation is set; the defaults hold where nobody has set anything."""

    paused: bool = False
    control_share: Decimal = Decimal("0.05")
    platform_monthly: Decimal = Decimal(0)
    audit_share: Decimal = Decimal("0.02")
    audit_strata: Mapping[str, Decimal] = field(default_factory=dict)
    error_limit: Decimal = Decimal("0.05")
    error_level: Decimal | None = None
    budget_seconds: Decimal | None = None
    budget_money: Decimal | None = None


def settings(connection: Connection) -> dict[str, Setting]:
    found = rows(connection, _SETTINGS, {})
    return {row["automation"]: _setting(dict(row)) for row in found}


def _setting(row: dict[str, Any]) -> Setting:
    del row["automation"]
    strata = {stratum: Decimal(share) for stratum, share in row.pop("audit_strata").items()}
    return Setting(**row, audit_strata=strata)


def open_cases(connection: Connection) -> dict[str, dict[str, int]]:
    """By automation and state."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows(connection, _OPEN, {}):
        counts[row["automation"]][row["state"]] = row["n"]
    return counts


def change(connection: Connection, automation: str, wanted: AutomationChange) -> None:
    values: dict[str, Any] = wanted.model_dump()
    strata = values.pop("audit_strata")
    # As text: a share is a decimal, and a JSON number is not.
    stored = None if strata is None else Jsonb({stratum: str(share) for stratum, share in strata.items()})
    named = sorted(wanted.model_fields_set)
    connection.exec_driver_sql(_SET, {"automation": automation, "audit_strata": stored, "named": named, **values})
