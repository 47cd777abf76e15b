"""What the simulation knows of every event: pure bookkeeping, so that losses and doubles are counted independently of the product."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from services.lab.synth import SyntheticEvent

Arm = Literal["automated", "control"]


@dataclass(slots=True)
class Story:
    """One event from sending to callback.

    Attributes:
        sent_at, called_back_at: monotonic seconds; None until it happened.
        bodies: how often each distinct callback body came, by its webhook-id.
        human_seconds: what simulated people really spent on it, at the simulated scale.
    """

    event: SyntheticEvent
    automation: str
    sent_at: float | None = None
    called_back_at: float | None = None
    bodies: dict[str, set[bytes]] = field(default_factory=dict)
    arm: Arm | None = None
    tier: str | None = None
    outcome: str | None = None
    human_seconds: float = 0.0


@dataclass(slots=True)
class Tally:
    """Every story by event id."""

    stories: dict[str, Story]

    def called_back(self, event_id: str, webhook_id: str, body: bytes, at: float) -> None:
        story = self.stories[event_id]
        story.called_back_at = story.called_back_at or at
        story.bodies.setdefault(webhook_id, set()).add(body)

    @property
    def waiting(self) -> int:
        return sum(story.called_back_at is None for story in self.stories.values())

    def lost(self) -> int:
        """Accepted, and no decision ever came back."""
        return sum(story.sent_at is not None and story.called_back_at is None for story in self.stories.values())

    def doubled(self) -> int:
        """More than one callback id, or two bodies under one id."""
        return sum(len(story.bodies) > 1 or any(len(bodies) > 1 for bodies in story.bodies.values()) for story in self.stories.values())

    def latencies_ms(self) -> list[float]:
        """Sending to callback, of what no person touched; sorted."""
        return sorted(
            (story.called_back_at - story.sent_at) * 1000
            for story in self.stories.values()
            if story.tier not in {None, "human"} and story.sent_at is not None and story.called_back_at is not None
        )

    def by_tier(self) -> Counter[tuple[str, str]]:
        """Decisions by (automation, tier)."""
        return Counter((story.automation, story.tier) for story in self.stories.values() if story.tier is not None)

    def saved_seconds(self, automation: str | None = None) -> float:
        """The truth: manual time that the automated arm did not need, less what people spent on it all the same."""
        return sum(
            story.event.manual_seconds - story.human_seconds
            for story in self.stories.values()
            if story.arm == "automated" and automation in {None, story.automation}
        )

    def right(self, automation: str) -> tuple[int, int]:
        """``(right, all)`` of the decisions that no person touched."""
        alone = [s for s in self.stories.values() if s.automation == automation and s.tier not in {None, "human"}]
        return sum(s.outcome in s.event.truth for s in alone), len(alone)


def percentile(ordered: list[float], share: float) -> float | None:
    """Nearest rank of a sorted list; None of an empty one."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
