"""Runs an application under uvicorn until SIGTERM."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from shared.web.connection import Connection

if TYPE_CHECKING:
    from fastapi import FastAPI

# Of `uvicorn.Config`, for each of our APIs.
OPTIONS: Final[dict[str, Any]] = {
    "http": Connection,
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "timeout_graceful_shutdown": 10,
    "timeout_keep_alive": 75,
    # Behind a proxy its addresses are of no use to us, and trusting its headers would be.
    "proxy_headers": False,
}


def run(app: FastAPI, host: str, port: int) -> None:
    """Our logging stays in charge; requests in flight get ten seconds to end."""
    # What was built lives until the end: to look through it for garbage again and again took a tenth of a second of some answers.
    gc.collect()
    gc.freeze()
    # At each of its statements a thread waits this long for another that computes. At Python's 5 ms, answers that overlapped took a third
    # longer (median of two years of series at 20 a second).
    sys.setswitchinterval(0.0005)
    uvicorn.run(app, host=host, port=port, **OPTIONS)
