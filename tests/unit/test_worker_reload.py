"""A process that carries out orders makes its decider once, and anew where models are gone; but not for every order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from services.worker import tasks
from services.worker.tasks import PerProcess
from shared.errors import InvariantBroken

if TYPE_CHECKING:
    import pytest


class _Builder:
    """Counts what it makes; raises where ``broken``."""

    def __init__(self) -> None:
        self.made = 0
        self.broken = False

    def __call__(self) -> Any:
        self.made += 1
        if self.broken:
            raise InvariantBroken("a model file cannot be read")
        return SimpleNamespace(is_outdated=False)


def test_a_file_that_stays_away_has_everything_read_again_only_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    build = _Builder()
    deciders = PerProcess(build)
    first = deciders.get()
    assert deciders.get() is first
    for _ in range(5):
        deciders.get().is_outdated = True
    assert build.made == 2, "made anew at once, and then not for each order"
    monkeypatch.setattr(tasks, "RELOAD_SECONDS", 0.0)
    assert deciders.get().is_outdated is False
    assert build.made == 3


def test_where_the_present_models_are_broken_the_outdated_ones_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    build = _Builder()
    deciders = PerProcess(build)
    first = deciders.get()
    first.is_outdated = build.broken = True
    assert deciders.get() is deciders.get() is first
    assert build.made == 2
    build.broken = False
    monkeypatch.setattr(tasks, "RELOAD_SECONDS", 0.0)
    assert deciders.get() is not first
