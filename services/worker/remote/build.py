"""Builds the remote tiers that are configured, one for each automation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from services.worker.remote.configuration import RemoteModel
from services.worker.remote.exchange import Exchange
from services.worker.remote.framing import Framing
from services.worker.remote.kserve import InferenceModel
from services.worker.remote.model import Model
from services.worker.remote.openai import ChatModel
from services.worker.remote.program import ProgramModel
from services.worker.remote.spending import Spending
from services.worker.remote.tier import RemoteTier, labels_of
from shared.automations.contract import Automation
from shared.automations.registry import automations
from shared.errors import InvariantBroken

if TYPE_CHECKING:
    from shared.clock import Clock


def build_model(settings: RemoteModel, labels: tuple[str, ...], clock: Clock) -> Model:
    """Opens nothing.

    Raises:
        Blocked: the URL is not allowed for the residency that was declared.
    """
    framing = Framing(labels, settings.max_characters)
    match settings.protocol:
        case "openai":
            return ChatModel(_exchange(settings, clock), framing, model=settings.model, max_tokens=settings.max_tokens)
        case "kserve":
            return InferenceModel(_exchange(settings, clock), framing, model=settings.model)
        case "langgraph" | "dspy":
            environment = {name: value.get_secret_value() for name, value in settings.environment.items()}
            return ProgramModel(settings.protocol, str(settings.target), framing, environment, settings.max_tokens)


def _exchange(settings: RemoteModel, clock: Clock) -> Exchange:
    key = None if settings.key is None else settings.key.get_secret_value()
    return Exchange(str(settings.url), settings.policy, clock, key=key, connections=settings.concurrency)


def build_tier(automation: Automation, settings: RemoteModel, spending: Spending, clock: Clock) -> RemoteTier:
    return RemoteTier(automation, build_model(settings, labels_of(automation, settings), clock), settings, spending, clock)


def build_tiers(configured: Mapping[str, RemoteModel], spending: Spending, clock: Clock) -> dict[str, RemoteTier]:
    """By automation.

    Raises:
        InvariantBroken: an automation is not installed, or labels are no outcomes.
        Blocked: a URL is not allowed.
    """
    unknown = set(configured) - set(automations())
    if unknown:
        raise InvariantBroken("a remote model is set for an automation that is not installed", automations=sorted(unknown))
    return {name: build_tier(automations()[name], settings, spending, clock) for name, settings in configured.items()}
