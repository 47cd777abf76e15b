"""The worker's SQL: claims, fingerprints, rates, inferences, and giving cases back."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from services.worker.case import Case, Claimed
from services.worker.effects import Effects
from services.worker.policy import DEFAULT_AUDIT_SHARE, Policy, Rollout
from services.worker.tiers import Budget, Terms, TierResult
from shared.casework.repository import as_json
from shared.casework.values import GivenUp
from shared.db import unit_of_work
from shared.errors import Retryable
from shared.money import Money, currency

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from shared.ledger.posting import Line


@dataclass(frozen=True, slots=True)
class Returned:
    """A case whose run failed.

    Attributes:
        error: class of the error, without its message, which may hold a customer's data.
        rest: how long nobody shall try again.
    """

    case_id: UUID
    attempt: int
    error: str
    rest: timedelta


# State and attempts say whether a case may be claimed; the tenant's switch too, because an order may be older than the pause.
_CLAIMABLE = (
    " c.automation = %(automation)s AND c.attempt < %(cap)s"
    " AND (c.state = 'pending' OR (c.state = 'processing' AND c.lease_until < now()))"
    " AND NOT EXISTS (SELECT FROM automation_settings s"
    " WHERE s.tenant_id = c.tenant_id AND s.automation = c.automation AND s.paused)"
)
# In the order of ids and skipping what somebody else holds: two workers with overlapping orders neither wait nor deadlock.
_CLAIM = (
    "WITH free AS (SELECT c.id FROM cases c WHERE c.id = ANY(%(ids)b::uuid[]) AND (c.attempt = 0) = %(fresh)s AND"  # noqa: S608  # constants
    + _CLAIMABLE
    + " ORDER BY c.id FOR UPDATE OF c SKIP LOCKED),"
    " mine AS (UPDATE cases c SET state = 'processing', attempt = c.attempt + 1, lease_until = now() + %(lease)s FROM free"
    " WHERE c.id = free.id RETURNING c.id, c.tenant_id, c.automation, c.arm, c.source, c.event_id, c.event_type, c.occurred_at,"
    " c.received_at, c.traceparent, c.attempt, c.control_probability)"
    " SELECT mine.*, p.body FROM mine LEFT JOIN payloads p ON p.received_at = mine.received_at AND p.case_id = mine.id"
    " ORDER BY mine.received_at, mine.id"
)
_RETRIES = (
    "SELECT c.id FROM cases c WHERE c.id = ANY(%(ids)b::uuid[]) AND c.attempt > 0 AND"  # noqa: S608  # two constants
    + _CLAIMABLE
    + " ORDER BY c.attempt, c.id"
)
_USED_UP = (
    "SELECT c.id, c.attempt, CASE WHEN c.last_error IS NULL THEN 'lease expired' END"
    " FROM cases c WHERE c.id = ANY(%(ids)b::uuid[]) AND c.automation = %(automation)s AND c.attempt >= %(cap)s"
    " AND (c.state = 'pending' OR (c.state = 'processing' AND c.lease_until < now())) ORDER BY c.id FOR UPDATE SKIP LOCKED"
)


@dataclass(frozen=True, slots=True)
class ClaimRules:
    automation: str
    lease: timedelta
    attempt_cap: int


def claim(connection: Connection, ids: Sequence[UUID], rules: ClaimRules, *, fresh: bool) -> list[Claimed]:
    """Take cases for this worker; absent are those that are settled, leased to somebody else, used up or paused.

    Args:
        fresh: only cases that nobody has tried yet, else only those that somebody has.
    """
    rows = connection.exec_driver_sql(
        _CLAIM,
        {"ids": list(ids), "automation": rules.automation, "cap": rules.attempt_cap, "lease": rules.lease, "fresh": fresh},
    )
    return [Claimed(*row) for row in rows]


def retries(connection: Connection, ids: Sequence[UUID], rules: ClaimRules) -> list[UUID]:
    """Of these cases, those that may be tried again: fewest attempts first, so that a case that kills its worker comes last."""
    rows = connection.exec_driver_sql(_RETRIES, {"ids": list(ids), "automation": rules.automation, "cap": rules.attempt_cap})
    return list(rows.scalars())


def lock_used_up(connection: Connection, ids: Sequence[UUID], rules: ClaimRules) -> list[GivenUp]:
    """Of these cases, those that nobody works on and that no worker with these rules would claim, locked until the transaction ends."""
    rows = connection.exec_driver_sql(_USED_UP, {"ids": list(ids), "automation": rules.automation, "cap": rules.attempt_cap})
    return [GivenUp(*row) for row in rows]


def cpu_hour_rates(connection: Connection, tenants: Iterable[str]) -> dict[str, Money]:
    """Price of an hour of one core that is valid now, by tenant; absent where none is known."""
    rows = connection.exec_driver_sql(
        "SELECT DISTINCT ON (tenant_id) tenant_id, value, currency FROM rates WHERE tenant_id = ANY(%(tenants)b::text[])"
        " AND name = 'cpu_hour' AND automation = '*' AND currency IS NOT NULL AND valid_from <= now()"
        " ORDER BY tenant_id, valid_from DESC, created_at DESC",
        {"tenants": list(tenants)},
    )
    return {tenant: Money(value, currency(code)) for tenant, value, code in rows}


def policies(connection: Connection, automation: str, tenants: Iterable[str]) -> dict[str, Policy]:
    """How each tenant has set the automation, at this moment."""
    rows = connection.exec_driver_sql(
        "SELECT t.id, t.arm_salt, t.currency, s.audit_share, s.audit_strata, s.error_level, s.budget_seconds, s.budget_money,"
        " EXISTS (SELECT FROM brakes b WHERE b.tenant_id = t.id AND b.automation = %(automation)s AND b.released_at IS NULL),"
        " active.version, tried.version, coalesce(tried.canary_share, 0)"
        " FROM tenants t LEFT JOIN automation_settings s ON s.tenant_id = t.id AND s.automation = %(automation)s"
        " LEFT JOIN model_rollouts active ON active.tenant_id = t.id AND active.automation = %(automation)s AND active.state = 'active'"
        " LEFT JOIN model_rollouts tried ON tried.tenant_id = t.id AND tried.automation = %(automation)s"
        " AND tried.state IN ('shadow', 'canary')"
        " WHERE t.id = ANY(%(tenants)b::text[])",
        {"automation": automation, "tenants": list(tenants)},
    )
    return {row[0]: _policy(_Settings(*row[1:9]), Rollout(*row[9:])) for row in rows}


class _Settings(NamedTuple):
    """A tenant, and its row of settings where it has one."""

    salt: bytes
    currency: str
    audit_share: Decimal | None
    audit_strata: dict[str, str] | None
    error_level: Decimal | None
    budget_seconds: Decimal | None
    budget_money: Decimal | None
    braked: bool


def _policy(row: _Settings, rollout: Rollout) -> Policy:
    shares = {name: Decimal(value) for name, value in (row.audit_strata or {}).items()}
    share = DEFAULT_AUDIT_SHARE if row.audit_share is None else row.audit_share
    return Policy(bytes(row.salt), share, shares, row.braked, rollout, _terms(row))


def _terms(row: _Settings) -> Terms:
    budget = Budget(
        seconds=None if row.budget_seconds is None else float(row.budget_seconds),
        money=None if row.budget_money is None else Money(row.budget_money, currency(row.currency)),
    )
    return Terms(None if row.error_level is None else float(row.error_level), budget)


@dataclass(frozen=True, slots=True)
class Installed:
    """One automation's models.

    Attributes:
        default: the version that holds where nobody has promoted another.
        scores: by version, what the scores of its models were when they were certified, as ``model_versions`` keeps them.
    """

    default: str
    scores: Mapping[str, Sequence[Mapping[str, object]]]


def announce_versions(connection: Connection, installed: Mapping[str, Installed]) -> None:
    """Say which versions of which automation's models there are."""
    found = [
        (name, version, version == models.default, scores)
        for name, models in sorted(installed.items())
        for version, scores in sorted(models.scores.items())
    ]
    if not found:
        return
    connection.exec_driver_sql(
        "INSERT INTO model_versions (automation, version, is_default, seen_at, certified_scores)"
        " SELECT v.automation, v.version, v.is_default, now(), v.scores::jsonb"
        " FROM unnest(%(automations)b::text[], %(versions)b::text[], %(defaults)b::bool[], %(scores)b::text[])"
        " AS v (automation, version, is_default, scores)"
        " ON CONFLICT (automation, version) DO UPDATE SET is_default = excluded.is_default,"
        # Whoever began earlier may say so later.
        " seen_at = greatest(model_versions.seen_at, excluded.seen_at),"
        " certified_scores = excluded.certified_scores",
        {
            "automations": [name for name, _, _, _ in found],
            "versions": [version for _, version, _, _ in found],
            "defaults": [is_default for _, _, is_default, _ in found],
            "scores": as_json(scores for _, _, _, scores in found),
        },
    )


def register_fingerprints(connection: Connection, cases: Sequence[Case]) -> dict[UUID, UUID]:
    """Remember which case was the first with each fingerprint; returns that first case's id for every later one.

    Among cases of one call the one received first wins. Sorted, because two workers that insert in different orders would deadlock.
    """
    keyed = sorted(
        ((c.tenant_id, c.fingerprint, c.claim.received_at, c.case_id, c.automation) for c in cases if c.fingerprint is not None),
    )
    values = {
        "tenants": [tenant for tenant, _, _, _, _ in keyed],
        "prints": [fingerprint for _, fingerprint, _, _, _ in keyed],
        "cases": [case_id for _, _, _, case_id, _ in keyed],
        "automations": [automation for _, _, _, _, automation in keyed],
    }
    connection.exec_driver_sql(
        "INSERT INTO case_fingerprints (tenant_id, automation, fingerprint, case_id)"
        " SELECT * FROM unnest(%(tenants)b::text[], %(automations)b::text[], %(prints)b::bytea[], %(cases)b::uuid[])"
        " ON CONFLICT DO NOTHING",
        values,
    )
    rows = connection.exec_driver_sql(
        "SELECT mine.case_id, f.case_id FROM unnest(%(tenants)b::text[], %(automations)b::text[], %(prints)b::bytea[], %(cases)b::uuid[])"
        " AS mine (tenant_id, automation, fingerprint, case_id) JOIN case_fingerprints f USING (tenant_id, automation, fingerprint)"
        " WHERE f.case_id <> mine.case_id",
        values,
    )
    return {row[0]: row[1] for row in rows}


def record_inferences(connection: Connection, effects: Sequence[Effects]) -> None:
    """What each tier said about each case, and what it cost."""
    rows = [
        (effect.case, position, step)
        for effect in effects
        if effect.result is not None
        for position, step in enumerate(effect.result.steps)
    ]
    if not rows:
        return
    results = [step.result for _, _, step in rows]
    connection.exec_driver_sql(
        "INSERT INTO inferences (case_id, attempt, position, tenant_id, tier, model_version, outcome, label, score, detail,"
        " cpu_ns, wall_ns)"
        " SELECT i.case_id, i.attempt, i.position, i.tenant_id, i.tier, i.model_version, i.outcome, i.label, i.score, i.detail::jsonb,"
        " i.cpu_ns, i.wall_ns FROM unnest(%(cases)b::uuid[], %(attempts)b::int[], %(positions)b::int[], %(tenants)b::text[],"
        " %(tiers)b::text[], %(models)b::text[], %(outcomes)b::text[], %(labels)b::text[], %(scores)b::float8[], %(details)b::text[],"
        " %(cpu)b::bigint[], %(wall)b::bigint[]) AS i (case_id, attempt, position, tenant_id, tier, model_version, outcome, label, score,"
        " detail, cpu_ns, wall_ns)",
        {
            "cases": [case.claim.case_id for case, _, _ in rows],
            "attempts": [case.claim.attempt for case, _, _ in rows],
            "positions": [position for _, position, _ in rows],
            "tenants": [case.claim.tenant_id for case, _, _ in rows],
            "tiers": [step.tier for _, _, step in rows],
            "models": [result.model for result in results],
            "outcomes": [result.verdict.outcome for result in results],
            "labels": [result.verdict.label for result in results],
            "scores": [result.score for result in results],
            "details": as_json(_detail(result) for result in results),
            "cpu": [result.usage.cpu_ns for result in results],
            "wall": [result.usage.wall_ns for result in results],
        },
    )


def record_metered(connection: Connection, lines: Sequence[Line]) -> None:
    """How much CPU time these lines book, by tenant: with what the processes spend it says what stands on no case."""
    metered: Counter[tuple[str, str]] = Counter()
    for line in lines:
        metered[line.tenant_id, line.automation] += int((line.quantity or Decimal(0)).scaleb(9))
    if not metered:
        return
    connection.exec_driver_sql(
        "INSERT INTO cpu_meter (tenant_id, automation, process, cpu_ns)"
        " SELECT m.tenant_id, m.automation, %(process)s, m.cpu_ns"
        " FROM unnest(%(tenants)b::text[], %(automations)b::text[], %(cpu)b::bigint[]) AS m (tenant_id, automation, cpu_ns)",
        {
            "process": process_name(),
            "tenants": [tenant for tenant, _ in metered],
            "automations": [automation for _, automation in metered],
            "cpu": list(metered.values()),
        },
    )


def record_spent(connection: Connection, cpu_ns: int) -> None:
    """CPU time of this process and its children since it was last said."""
    connection.exec_driver_sql(
        "INSERT INTO cpu_meter (process, cpu_ns) VALUES (%(process)s, %(cpu)s)", {"process": process_name(), "cpu": cpu_ns}
    )


def process_name() -> str:
    """Host and process id: who spent it."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _detail(result: TierResult) -> dict[str, object]:
    said: dict[str, object] = {"reasons": result.verdict.reasons, "probabilities": dict(result.probabilities)}
    return said | {"saved_cpu_ns": result.saved_cpu_ns} if result.saved_cpu_ns else said


def give_back(connection: Connection, returned: Sequence[Returned]) -> None:
    """Let cases wait for another run; those that somebody has taken over since stay as they are."""
    connection.exec_driver_sql(
        "UPDATE cases c SET state = 'pending', lease_until = NULL, last_error = r.error, next_dispatch_at = now() + r.rest"
        " FROM unnest(%(ids)b::uuid[], %(attempts)b::int[], %(errors)b::text[], %(rests)b::interval[]) AS r (id, attempt, error, rest)"
        " WHERE c.id = r.id AND c.state = 'processing' AND c.attempt = r.attempt",
        {
            "ids": [case.case_id for case in returned],
            "attempts": [case.attempt for case in returned],
            "errors": [case.error for case in returned],
            "rests": [case.rest for case in returned],
        },
    )


def is_reachable(engine: Engine) -> bool:
    try:
        with unit_of_work(engine) as connection:
            connection.exec_driver_sql("SELECT 1")
    except (Retryable, SQLAlchemyError):
        return False
    return True
