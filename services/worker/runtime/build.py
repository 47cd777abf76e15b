"""Builds the cascade of every installed automation from the packs in one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

from services.worker.cache import CacheTier, Store
from services.worker.cache import Models as CachedModels
from services.worker.cascade import Cascade
from services.worker.rollout import Fleet
from services.worker.rules import RulesTier
from services.worker.runtime.model import ModelTier
from services.worker.runtime.pack import load, versions
from services.worker.tiers import Tier
from shared.automations.contract import Automation
from shared.automations.pack import Pack
from shared.automations.registry import automations
from shared.errors import InvariantBroken
from shared.inference.models import Models

SHIPPED: Final = Path(__file__).parents[1] / "models"
Packs = Mapping[str, Pack]
NOTHING_REMOTE: Final[Mapping[str, Tier]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Room:
    """Where the exact cache keeps its entries, and how many for each tenant and automation."""

    store: Store
    entries: int


@dataclass(frozen=True, slots=True)
class Kit:
    """What tiers are made from.

    Attributes:
        packs: by task.
        room: None: without a cache.
    """

    packs: Packs
    models: Models
    room: Room | None = None

    @classmethod
    def read(cls, folder: Path, room: Room | None = None) -> Kit:
        """Reads the manifest; model files are read at first use, in the process that uses them.

        Raises:
            InvariantBroken: the manifest is broken.
        """
        return cls(load(folder), Models(folder), room)


def _rules(automation: Automation, _kit: Kit) -> Tier | None:
    return RulesTier(automation)


def _cache(automation: Automation, kit: Kit) -> Tier | None:
    """None where there is nothing whose answers could be kept."""
    pack = kit.packs.get(automation.name)
    if pack is None or kit.room is None:
        return None
    kept = CachedModels(frozenset(tier.name for tier in pack.tiers), partial(kit.models.digest, pack))
    return CacheTier(automation, kept, kit.room.store, kit.room.entries)


def _model(name: str, automation: Automation, kit: Kit) -> Tier | None:
    """None where nobody has trained such a model: the cases then go on, at last to people."""
    pack = kit.packs.get(automation.name)
    return ModelTier(automation, pack, name, kit.models) if pack and pack.tier(name) else None


# A new kind of tier is one more entry here.
_BUILDERS: Final[Mapping[str, Callable[[Automation, Kit], Tier | None]]] = {
    "rules": _rules,
    "cache": _cache,
    **{name: partial(_model, name) for name in ("nano", "trees", "mini", "large")},
}


def build_cascade(automation: Automation, kit: Kit, remote: Tier | None = None) -> Cascade:
    """Args: remote: a model that runs elsewhere, asked after all others; None: nothing leaves this process."""
    unknown = set(automation.tiers) - set(_BUILDERS)
    if unknown:
        raise InvariantBroken("an automation asks for tiers that do not exist", automation=automation.name, tiers=sorted(unknown))
    built = (*(_BUILDERS[name](automation, kit) for name in automation.tiers), remote)
    tiers = [tier for tier in built if tier is not None]
    return Cascade(automation, tiers, [tier.remember for tier in tiers if isinstance(tier, CacheTier)])


def build_cascades(models_dir: Path = SHIPPED, remote: Mapping[str, Tier] = NOTHING_REMOTE, room: Room | None = None) -> dict[str, Cascade]:
    """The cascade of each automation by its name.

    Args:
        remote: models that run elsewhere, by automation.
        room: for the exact cache; None: without one.

    Raises:
        InvariantBroken: a broken manifest, or an automation that asks for an unknown tier.
    """
    kit = Kit.read(models_dir, room)
    return {name: build_cascade(automation, kit, remote.get(name)) for name, automation in automations().items()}


def build_fleets(models_dir: Path = SHIPPED, remote: Mapping[str, Tier] = NOTHING_REMOTE, room: Room | None = None) -> Mapping[str, Fleet]:
    """Every installed version of each automation's models, by automation; as `build_cascades` otherwise."""
    known, models = automations(), Models(models_dir)
    return {
        task: Fleet(
            packs[0].version,
            {pack.version: build_cascade(known[task], Kit({task: pack}, models, room), remote.get(task)) for pack in packs},
        )
        for task, packs in versions(models_dir).items()
        if task in known
    }


def certified_scores(cascade: Cascade) -> list[dict[str, object]]:
    """What the scores of its models were when they were certified, as `announce_versions` takes them."""
    return [found for tier in cascade.tiers if isinstance(tier, ModelTier) for found in tier.certified_scores]


def gathered_fleets(folders: Iterable[Path], remote: Mapping[str, Tier] = NOTHING_REMOTE, room: Room | None = None) -> Mapping[str, Fleet]:
    """Of several folders: a later one's models take the place of all earlier ones of the same automation. As `build_fleets` otherwise."""
    found: dict[str, Fleet] = {}
    for folder in folders:
        found.update(build_fleets(folder, remote, room))
    return found
