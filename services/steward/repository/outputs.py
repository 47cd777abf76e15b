"""What models said on one day, and the windows that are kept of it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg.types.json import Jsonb

from shared.measure.drift import Finding, Outputs

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Key(NamedTuple):
    """One model of one tenant."""

    tenant_id: str
    automation: str
    tier: str
    model_version: str


class Window(NamedTuple):
    """What a model said of the cases of one day.

    Attributes:
        is_reference: later ones are held against it.
        finding: None where it was held against nothing.
        certified: its scores were held against those of the certification labels.
    """

    day: date
    outputs: Outputs
    is_reference: bool = False
    finding: Finding | None = None
    certified: bool = False


# By receipt, not by decision: what people decide later would move a day's scores, because it is what models were not sure of. The newest
# attempt of each case, which is the one that counted; the control arm has none.
_SAID: Final = """
SELECT c.automation, n.tier, n.model_version, coalesce(n.label, n.outcome, '-') AS label,
       greatest(least(floor(n.score * 10), 9), 0)::int AS tenth, count(*)
FROM cases c JOIN inferences n ON n.case_id = c.id AND n.attempt = c.attempt
WHERE c.tenant_id = %(tenant)s AND c.received_at >= %(day)s::date AT TIME ZONE 'UTC'
  AND c.received_at < (%(day)s::date + 1) AT TIME ZONE 'UTC' AND n.score IS NOT NULL AND n.model_version IS NOT NULL
GROUP BY 1, 2, 3, 4, 5
"""
# Under the level that the tenant has chosen, as `Pack.level_within` has it: what reaches a later tier depends on that. Not for a day on
# which it may have been another.
_CERTIFIED: Final = """
SELECT said -> 'scores'
FROM model_versions v CROSS JOIN LATERAL jsonb_array_elements(v.certified_scores) AS said
LEFT JOIN automation_settings s ON s.tenant_id = %(tenant)s AND s.automation = v.automation
WHERE v.automation = %(automation)s AND said ->> 'model' = %(model)s AND said ->> 'tier' = %(tier)s
  AND (s.updated_at IS NULL OR s.updated_at < %(day)s::date AT TIME ZONE 'UTC')
  AND CASE WHEN s.error_level IS NULL THEN (said ->> 'is_default')::bool ELSE (said ->> 'alpha')::numeric <= s.error_level END
ORDER BY (said ->> 'alpha')::numeric DESC LIMIT 1
"""
_THIS: Final = "tenant_id = %(tenant)s AND automation = %(automation)s AND tier = %(tier)s AND model_version = %(model)s"


def open_days(connection: Connection, settle: timedelta, back: int) -> list[tuple[str, date]]:
    """Tenants and days of receipt that have ended and have no window yet, oldest first; not further back than so many days."""
    rows = connection.exec_driver_sql(
        "SELECT t.id, d.day::date FROM tenants t CROSS JOIN LATERAL generate_series((now() - %(settle)s::interval) AT TIME ZONE 'UTC'"
        " - make_interval(days => %(back)s), (now() - %(settle)s::interval) AT TIME ZONE 'UTC' - interval '1 day', '1 day') AS d (day)"
        " WHERE NOT EXISTS (SELECT FROM model_windows w WHERE w.tenant_id = t.id AND w.day = d.day::date)"
        " AND EXISTS (SELECT FROM cases c WHERE c.tenant_id = t.id AND c.received_at >= d.day::date AT TIME ZONE 'UTC'"
        " AND c.received_at < (d.day::date + 1) AT TIME ZONE 'UTC') ORDER BY 2, 1",
        {"settle": settle, "back": back},
    )
    return [(tenant, day) for tenant, day in rows]


def said(connection: Connection, tenant: str, day: date) -> dict[Key, Outputs]:
    scores: dict[Key, list[int]] = {}
    labels: dict[Key, dict[str, int]] = {}
    for automation, tier, model, label, tenth, count in connection.exec_driver_sql(_SAID, {"tenant": tenant, "day": day}):
        key = Key(tenant, automation, tier, model)
        scores.setdefault(key, [0] * 10)[tenth] += count
        found = labels.setdefault(key, {})
        found[label] = found.get(label, 0) + count
    return {key: Outputs(counts, labels[key]) for key, counts in scores.items()}


def certified(connection: Connection, key: Key, day: date) -> tuple[int, ...] | None:
    """Its scores of the certification labels, by tenth; None where its pack does not say."""
    found = connection.exec_driver_sql(_CERTIFIED, {**_named(key), "day": day}).scalar()
    return None if found is None else tuple(found)


def reference(connection: Connection, key: Key) -> tuple[Outputs | None, int]:
    """Its first day that is a reference, if there is one, and how many windows were held against something."""
    row = connection.exec_driver_sql(
        "SELECT (SELECT outputs FROM model_windows WHERE " + _THIS + " AND is_reference),"  # noqa: S608  # constants
        " (SELECT count(*) FROM model_windows WHERE " + _THIS + " AND finding IS NOT NULL)",
        _named(key),
    ).one()
    return (None if row[0] is None else Outputs(row[0]["scores"], row[0]["labels"])), int(row[1])


def keep(connection: Connection, key: Key, window: Window) -> bool:
    """False where another steward has kept that day already."""
    kept = connection.exec_driver_sql(
        "INSERT INTO model_windows (tenant_id, automation, tier, model_version, day, outputs, cases, is_reference, finding, drifted)"
        " VALUES (%(tenant)s, %(automation)s, %(tier)s, %(model)s, %(day)s, %(outputs)s, %(cases)s, %(first)s, %(finding)s, %(drifted)s)"
        " ON CONFLICT DO NOTHING",
        {
            **_named(key),
            "day": window.day,
            "outputs": Jsonb({"scores": list(window.outputs.scores), "labels": dict(window.outputs.labels)}),
            "cases": window.outputs.cases,
            "first": window.is_reference,
            "finding": None if window.finding is None else Jsonb({**asdict(window.finding), "certified": window.certified}),
            "drifted": window.finding is not None and window.finding.drifted,
        },
    )
    return kept.rowcount == 1


def drifted_now(connection: Connection) -> dict[str, int]:
    """Models whose newest window says so, by automation."""
    rows = connection.exec_driver_sql(
        "SELECT automation, count(*) FROM (SELECT DISTINCT ON (tenant_id, automation, tier, model_version) automation, drifted"
        " FROM model_windows WHERE day > now() - interval '8 days'"
        " ORDER BY tenant_id, automation, tier, model_version, day DESC) newest WHERE drifted GROUP BY automation"
    )
    return {automation: count for automation, count in rows.tuples()}  # noqa: C416  # dict() would take the result for a mapping


def _named(key: Key) -> dict[str, str]:
    return {"tenant": key.tenant_id, "automation": key.automation, "tier": key.tier, "model": key.model_version}
