"""Builds the cascade of every installed automation from the packs in one folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from services.worker.cascade import Cascade
from services.worker.rules import RulesTier
from services.worker.runtime.nano import NanoTier
from services.worker.runtime.pack import load
from services.worker.tiers import Tier
from shared.automations.contract import Automation
from shared.automations.pack import Pack
from shared.automations.registry import automations
from shared.errors import InvariantBroken

SHIPPED: Final = Path(__file__).parents[1] / "models"
Packs = Mapping[str, Pack]
NOTHING_REMOTE: Final[Mapping[str, Tier]] = MappingProxyType({})


def _rules(automation: Automation, _packs: Packs, _folder: Path) -> Tier | None:
    return RulesTier(automation)


def _nano(automation: Automation, packs: Packs, folder: Path) -> Tier | None:
    """None where nobody has trained a model: the cases then go to people."""
    pack = packs.get(automation.name)
    return NanoTier(automation, pack, folder) if pack and pack.tier(NanoTier.name) else None


# A new kind of tier is one more entry here.
_BUILDERS: Final[Mapping[str, Callable[[Automation, Packs, Path], Tier | None]]] = {"rules": _rules, "nano": _nano}


def build_cascade(automation: Automation, packs: Packs, folder: Path, remote: Tier | None = None) -> Cascade:
    """Args: remote: a model that runs elsewhere, asked after all others; None: nothing leaves this process."""
    unknown = set(automation.tiers) - set(_BUILDERS)
    if unknown:
        raise InvariantBroken("an automation asks for tiers that do not exist", automation=automation.name, tiers=sorted(unknown))
    built = (_BUILDERS[name](automation, packs, folder) for name in automation.tiers)
    return Cascade(automation, [tier for tier in (*built, remote) if tier is not None])


def build_cascades(models_dir: Path = SHIPPED, remote: Mapping[str, Tier] = NOTHING_REMOTE) -> Mapping[str, Cascade]:
    """The cascade of each automation by its name. Reads the manifest; model files are read at first use, in the process that uses them.

    Raises:
        InvariantBroken: a broken manifest, or an automation that asks for an unknown tier.
    """
    packs = load(models_dir)
    return {name: build_cascade(automation, packs, models_dir, remote.get(name)) for name, automation in automations().items()}
