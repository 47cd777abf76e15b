"""Why something could not be started."""

from __future__ import annotations

from shared.errors import RecoupError


class StartFailed(RecoupError):
    """A server or a process did not start."""

    code = "start_failed"


class AlreadyRunning(StartFailed):
    """Another process already works in this data directory."""

    code = "already_running"


class MissingTool(StartFailed):
    """A program that has to be installed on this machine is missing."""

    code = "missing_tool"
