"""How far behind each partition of this dispatcher is, as its metric says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.telemetry import metrics


class Lags:
    """The sum over all dispatchers is right only while no two of them speak of one partition."""

    def __init__(self) -> None:
        self._told: set[int] = set()

    def tell(self, assigned: Iterable[int], positions: Mapping[int, tuple[int, int]]) -> None:
        """Say how far behind ``positions`` are, and nothing more of what has gone to another dispatcher.

        Args:
            assigned: this dispatcher's partitions; those without a position now keep what was said last.
            positions: (position, end) by partition.
        """
        gone = self._told - set(assigned)
        for partition in gone:
            metrics.consumer_lag.remove(str(partition))
        for partition, (position, end) in positions.items():
            metrics.consumer_lag.labels(str(partition)).set(end - position)
        self._told = (self._told - gone) | positions.keys()
