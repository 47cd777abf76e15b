"""Whether anybody listens at a bootstrap server, before a client is built that would leave threads behind."""

from __future__ import annotations

import socket
from contextlib import suppress

TOUCH_SECONDS = 1.0


def some_broker_listens(bootstrap_servers: str) -> bool:
    """Blocks for `TOUCH_SECONDS` per server at most, plus the time that resolving its name takes.

    Args:
        bootstrap_servers: comma separated host:port.
    """
    for server in bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        with suppress(OSError, ValueError), socket.create_connection((host, int(port)), timeout=TOUCH_SECONDS):
            return True
    return False
