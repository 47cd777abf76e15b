"""The text that Prometheus scrapes, summed over a process's children where it forks."""

from __future__ import annotations

import os

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector


def exposition() -> tuple[bytes, str]:
    """``(body, content type)``."""
    registry = REGISTRY
    # prometheus-client itself switches on this variable; the worker's main sets it before it forks.
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # noqa: TID251  # see above
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
