"""Several versions of an automation's models side by side: which one decides a case, and what another would have said about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from services.worker.cascade import Cascade, CascadeResult
from services.worker.policy import UNSET, Policy
from services.worker.remote.tier import REMOTE
from shared.casework.rollouts import Pair
from shared.measure.canary import takes_part

if TYPE_CHECKING:
    from services.worker.case import Case

log = structlog.get_logger()


class Fleet:
    """Every installed version of one automation's models."""

    def __init__(self, default: str, cascades: Mapping[str, Cascade]) -> None:
        """Args: default: holds for tenants that have promoted nothing else, and where a version is not installed (any more)."""
        self.default = default
        self.cascades = dict(cascades)

    def installed(self, version: str | None) -> str:
        return version if version in self.cascades else self.default

    @cached_property
    def silent(self) -> Mapping[str, Cascade]:
        """As `cascades`, for trials: without what is paid for by the call."""
        return {
            version: Cascade(cascade.automation, [tier for tier in cascade.tiers if tier.name != REMOTE])
            for version, cascade in self.cascades.items()
        }


@dataclass(frozen=True, slots=True)
class Answers:
    """Attributes: results: by case, of the automated arm; pairs: of cases on which a version is tried, both arms."""

    results: Mapping[UUID, CascadeResult]
    pairs: Mapping[UUID, Pair]


def decide(fleet: Fleet, cases: Sequence[Case], policies: Mapping[str, Policy]) -> Answers:
    """Every case by the version that is its own; and the other one's answer beside it, which nobody acts on.

    A version that fails in a trial fails alone: there is no pair, and nothing else changes.
    """
    acting: dict[UUID, str] = {case.case_id: _acting(fleet, case, policies.get(case.tenant_id, UNSET)) for case in cases}
    results = _by_version(fleet.cascades, [(case, acting[case.case_id]) for case in cases if not case.is_control])
    tried = [case for case in cases if _candidate(fleet, policies.get(case.tenant_id, UNSET)) is not None]
    return Answers(results, _pairs(fleet, tried, results, acting, policies) if tried else {})


def _candidate(fleet: Fleet, policy: Policy) -> str | None:
    """The version that is tried, where it is installed and another than the present one."""
    candidate = policy.rollout.candidate
    return candidate if candidate in fleet.cascades and candidate != fleet.installed(policy.rollout.active) else None


def _acting(fleet: Fleet, case: Case, policy: Policy) -> str:
    candidate, share = _candidate(fleet, policy), policy.rollout.share
    if candidate is None or not share or not policy.salt:
        return fleet.installed(policy.rollout.active)
    takes = takes_part(policy.salt, automation=case.automation, version=candidate, case=str(case.case_id), share=share)
    return candidate if takes else fleet.installed(policy.rollout.active)


def _by_version(cascades: Mapping[str, Cascade], wanted: Sequence[tuple[Case, str]]) -> dict[UUID, CascadeResult]:
    groups: dict[str, list[Case]] = defaultdict(list)
    for case, version in wanted:
        groups[version].append(case)
    results: dict[UUID, CascadeResult] = {}
    for version, cases in groups.items():
        found = cascades[version].decide([case.as_input() for case in cases])
        results |= {case.case_id: result for case, result in zip(cases, found, strict=True)}
    return results


def _pairs(
    fleet: Fleet, cases: Sequence[Case], results: Mapping[UUID, CascadeResult], acting: Mapping[UUID, str], policies: Mapping[str, Policy]
) -> dict[UUID, Pair]:
    """What acted counts as it was; only the rest is asked for the sake of the trial."""
    versions = {case.case_id: _versions(fleet, policies.get(case.tenant_id, UNSET)) for case in cases}
    wanted = [(case, version) for case in cases for version in versions[case.case_id] if case.is_control or version != acting[case.case_id]]
    try:
        said = _said(fleet, wanted)
    except Exception as error:
        # Whatever a version on trial does, the line goes on without it.
        log.exception("trial_failed", automation=cases[0].automation, error=type(error).__name__)
        return {}
    said |= {(case.case_id, acting[case.case_id]): results[case.case_id] for case in cases if not case.is_control}
    pairs = (_pair(case, versions[case.case_id], said, acting, policies.get(case.tenant_id, UNSET)) for case in cases)
    return {pair.case_id: pair for pair in pairs if pair is not None}


def _versions(fleet: Fleet, policy: Policy) -> tuple[str, str]:
    """The present one and the candidate."""
    return fleet.installed(policy.rollout.active), str(policy.rollout.candidate)


def _said(fleet: Fleet, wanted: Sequence[tuple[Case, str]]) -> dict[tuple[UUID, str], CascadeResult]:
    said: dict[tuple[UUID, str], CascadeResult] = {}
    for version in {version for _, version in wanted}:
        found = _by_version(fleet.silent, [(case, version) for case, asked in wanted if asked == version])
        said |= {(case_id, version): result for case_id, result in found.items()}
    return said


def _pair(
    case: Case,
    versions: tuple[str, str],
    said: Mapping[tuple[UUID, str], CascadeResult],
    acting: Mapping[UUID, str],
    policy: Policy,
) -> Pair | None:
    results = [said[case.case_id, version] for version in versions]
    if any(result.error is not None for result in results):
        return None
    present, candidate = (_outcome(result) for result in results)
    candidate_acts = acting[case.case_id] == versions[1]
    return Pair(
        case_id=case.case_id,
        tenant_id=case.tenant_id,
        automation=case.automation,
        present=versions[0],
        candidate=versions[1],
        present_outcome=present,
        candidate_outcome=candidate,
        candidate_acted=None if case.is_control else candidate_acts,
        seen=_seen(case, candidate if candidate_acts else present, policy),
    )


def _outcome(result: CascadeResult) -> str | None:
    """What the models would decide by themselves; what a remote one decides is no work of the version that is tried."""
    return None if result.verdict is None or result.tier == REMOTE else result.verdict.outcome


def _seen(case: Case, outcome: str | None, policy: Policy) -> Decimal:
    """In the control arm, or as an audit of what is decided without a person."""
    control = case.claim.control_probability
    audited = policy.probability(case.stratum) if outcome is not None and not policy.braked and policy.salt else Decimal(0)
    return (control + (1 - control) * audited).quantize(Decimal("1e-8"))
