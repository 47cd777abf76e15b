"""Sets up the simulated company through the doors that a real one would use: the keys command and the ops API."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from services.lab.demo.line import client_environment
from services.lab.demo.sender import WebhookSource
from shared.automations.registry import automation

if TYPE_CHECKING:
    from services.lab.demo.line import RunningLine

# What the sender's payload looks like, as JMESPath: an integrator writes such a mapping once for each system.
# No time: what is generated begins on a fixed day, which may be ahead of this machine's clock.
MAPPING = {"id": "id", "data": "data"}


@dataclass(frozen=True, slots=True)
class Company:
    tenant: str
    key: str
    sources: dict[str, WebhookSource]
    endpoint_secret: str


def recoup(line: RunningLine, *arguments: str) -> str:
    """Run an administrative command on the running line; returns what it prints."""
    command = [sys.executable, "-m", "services.cli.main", *arguments]
    return subprocess.run(command, env=client_environment(line), check=True, capture_output=True, text=True).stdout  # noqa: S603  # ours


@dataclass(frozen=True, slots=True)
class Plan:
    """Attributes: scale: simulated seconds in one real second. control_share: held out for people without help."""

    tenant: str
    tasks: tuple[str, ...]
    scale: float
    control_share: str


def found_company(line: RunningLine, plan: Plan, sink_url: str) -> Company:
    """A tenant marked as simulated, with a key, a webhook source for each automation, an endpoint and platform costs."""
    simulated = ("--simulated", "--time-scale", f"{plan.scale:g}")
    recoup(line, "keys", "tenant", "create", plan.tenant, "--name", "Simulated company", "--currency", "EUR", *simulated)
    key = json.loads(recoup(line, "keys", "create", "--tenant", plan.tenant, "--role", "admin", "--name", "demo", "--json"))["token"]
    with httpx.Client(base_url=line.urls["ops"], headers={"Authorization": f"Bearer {key}"}, timeout=30) as ops:
        endpoint = _post(ops, "/v1/endpoints", {"url": sink_url})
        sources = {}
        for task in plan.tasks:
            settings = {"control_share": plan.control_share, "platform_monthly": "300.00"}
            ops.patch(f"/v1/automations/{task}", json=settings).raise_for_status()
            body = {"name": task, "event_type": automation(task).event_type, "mapping": MAPPING}
            source = _post(ops, "/v1/sources", body)
            sources[task] = WebhookSource(line.urls["gateway"] + source["webhook_path"], source["secret"])
    return Company(plan.tenant, key, sources, endpoint["secret"])


def _post(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(path, json=body)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found
