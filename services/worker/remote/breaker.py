"""Whether to call a model that has failed lately: pure state, so that it can be tested without waiting.

Closed until ``failures`` calls in a row have failed; then open for ``rest`` seconds; then one call at a time is let through, and its
result closes or opens it again. The pattern: M. Nygard, "Release It!", 2007.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Breaker:
    """Times are seconds of one monotonic clock. Each call that was permitted ends in exactly one of `succeeded`, `failed` and `left`."""

    failures: int = 5
    rest: float = 30.0
    _in_a_row: int = 0
    _open_until: float | None = None
    _probing: bool = False

    def permits(self, now: float) -> bool:
        """Whether a call may begin; where it is a probe, no other may until that has ended."""
        if self._open_until is None:
            return True
        if self._probing or now < self._open_until:
            return False
        self._probing = True
        return True

    @property
    def is_open(self) -> bool:
        return self._open_until is not None

    def succeeded(self) -> None:
        self._in_a_row, self._open_until, self._probing = 0, None, False

    def failed(self, now: float) -> None:
        self._in_a_row += 1
        self._probing = False
        if self._open_until is not None or self._in_a_row >= self.failures:
            self._open_until = now + self.rest

    def left(self) -> None:
        """The call was given up by us, which says nothing about the model."""
        self._probing = False
