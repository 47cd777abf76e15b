"""What the worker reads from the environment beside the shared settings."""

from __future__ import annotations

import os
from datetime import timedelta

from pydantic import DirectoryPath, Field
from pydantic_settings import BaseSettings

from services.worker.remote.configuration import RemoteModel
from shared.settings import RedisUrl, prefixed


class WorkerSettings(BaseSettings):
    model_config = prefixed("RECOUP_WORKER_")

    # Health and metrics.
    port: int = Field(default=9102, ge=0, le=65535)
    # Child processes; one per core, because each runs its models in one thread.
    processes: int = Field(default_factory=lambda: len(os.sched_getaffinity(0)), ge=1, le=256)
    # Longer than the task queue's hard time limit (30 s): a case is taken over only after its run has been ended.
    lease: timedelta = Field(default=timedelta(seconds=40), ge=timedelta(seconds=1))
    # Runs of one case that may fail before a person must look; the same as the steward's.
    attempt_cap: int = Field(default=5, ge=1, le=100)
    # Waiting time after a failed run: base * 2^(attempt - 1), at most the cap, half of it at random.
    backoff_base: timedelta = timedelta(seconds=2)
    backoff_cap: timedelta = timedelta(minutes=5)
    # How often the processes' CPU time is written down; what a killed worker spent since then is not booked.
    cpu_period: timedelta = Field(default=timedelta(seconds=10), ge=timedelta(seconds=1))
    # Answers of models that are kept for each tenant and automation, about 300 bytes each; 0: none.
    cache_entries: int = Field(default=16_384, ge=0, le=1 << 24)
    # An answer is forgotten after this, whether it was asked for again or not.
    cache_duration: timedelta = Field(default=timedelta(days=1), ge=timedelta(seconds=1))
    # A Redis of its own for the cache; unset: the one of the queue.
    cache_url: RedisUrl | None = None
    # Folder with models.toml; unset: the models that are shipped.
    models: DirectoryPath | None = None


class RemoteSettings(BaseSettings):
    """Models that run elsewhere. They hold keys, so only workers need them."""

    model_config = prefixed("RECOUP_REMOTE_")

    # By automation, as JSON; none: nothing is ever called.
    models: dict[str, RemoteModel] = {}
