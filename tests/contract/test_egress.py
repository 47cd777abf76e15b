"""What a pod may reach is what its process is told of, and a courier's internet is the one that it allows itself."""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import kubernetes_validate
import pytest

from services.courier.settings import CourierSettings
from shared.security import guard
from shared.settings import DatabaseSettings, KafkaSettings, RedisSettings
from tests.contract.test_deployment import KUBERNETES, PROCESSES, ROOT, rendered

SERVERS = {"egress-postgres": DatabaseSettings, "egress-redis": RedisSettings, "egress-kafka": KafkaSettings}
NAME = {"app.kubernetes.io/name": "recoup"}


@pytest.fixture(params=["production", "edge"])
def documents(request: pytest.FixtureRequest, tmp_path: Path) -> list[dict[str, Any]]:
    """An overlay with both components, made as a customer makes one."""
    up = os.path.relpath(ROOT / "k8s", tmp_path)
    (tmp_path / "kustomization.yaml").write_text(
        f"resources: [{up}/overlays/{request.param}]\ncomponents: [{up}/components/egress, {up}/components/egress-models]\n"
        "patches:\n- target: {kind: NetworkPolicy, name: egress-postgres}\n  patch: |-\n" + _patch_of_the_guide(),
        encoding="utf-8",
    )
    return rendered(os.path.relpath(tmp_path, ROOT / "k8s"))


def _patch_of_the_guide() -> str:
    guide = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")
    lines = re.findall(r"^ +- \{op: replace, path: /spec/egress.*\}$", guide, re.MULTILINE)
    assert len(lines) == 2
    return "".join(f"    {line.strip()}\n" for line in lines)


def _egress(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = [d for d in documents if d["kind"] == "NetworkPolicy" and d["spec"]["policyTypes"] == ["Egress"]]
    return {d["metadata"]["name"]: d["spec"] for d in found}


def _from(policy: dict[str, Any]) -> set[str]:
    """Components that it lets out; none named: all."""
    expressions = policy["podSelector"].get("matchExpressions", [])
    return {value for expression in expressions for value in expression["values"]}


def _told_of(process: str, kind: type) -> bool:
    module = import_module(f"services.{process}.{'process' if process == 'worker' else 'main'}")
    (configuration,) = (vars(module)[name] for name in ("Settings", "Configuration") if name in vars(module))
    return kind in get_type_hints(configuration).values()


def test_the_policies_are_valid_and_hold_for_the_pods_of_this_product(documents: list[dict[str, Any]]) -> None:
    for document in documents:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    policies = _egress(documents)
    assert policies["default-deny-egress"] == {"podSelector": {"matchLabels": NAME}, "policyTypes": ["Egress"]}
    assert all(policy["podSelector"]["matchLabels"] == NAME for policy in policies.values())
    pods = [d["spec"]["template"] for d in documents if d["kind"] in {"Deployment", "Job"}]
    assert all(NAME.items() <= pod["metadata"]["labels"].items() for pod in pods)
    assert not _from(policies["egress-dns"])


def test_a_process_reaches_the_servers_that_it_is_told_of_and_no_others(documents: list[dict[str, Any]]) -> None:
    policies = _egress(documents)
    assert set(policies) == {*SERVERS, "default-deny-egress", "egress-dns", "egress-callbacks", "egress-models"}
    for name, kind in SERVERS.items():
        # The migration makes tables and topics, and gives no orders.
        also = {"migrate"} if name != "egress-redis" else set()
        assert _from(policies[name]) == {process for process in PROCESSES if _told_of(process, kind)} | also, name
    assert (_from(policies["egress-callbacks"]), _from(policies["egress-models"])) == ({"courier"}, {"worker"})


@pytest.mark.parametrize("name", ["egress-callbacks", "egress-models"])
def test_the_internet_is_what_requests_of_ours_may_go_to(documents: list[dict[str, Any]], name: str) -> None:
    ((rule,),) = [_egress(documents)[name]["egress"]]
    four, six = (block["ipBlock"] for block in rule["to"])
    assert (four["cidr"], set(four["except"])) == ("0.0.0.0/0", {str(network) for network in guard._DENIED_V4})
    assert (six["cidr"], set(six["except"])) == (str(guard._GLOBAL_V6), {str(network) for network in guard._DENIED_V6})
    ports = CourierSettings().allowed_ports if name == "egress-callbacks" else guard.Policy().ports
    assert [port["port"] for port in rule["ports"]] == list(ports)


def test_the_patch_of_the_guide_names_one_server(documents: list[dict[str, Any]]) -> None:
    (rule,) = _egress(documents)["egress-postgres"]["egress"]
    assert rule == {"to": [{"ipBlock": {"cidr": "10.20.0.7/32"}}], "ports": [{"protocol": "TCP", "port": 6432}]}
