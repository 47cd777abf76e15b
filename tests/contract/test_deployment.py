"""The files that put Recoup into production: valid against their schemas, and about this product."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import shutil
import subprocess
import tomllib
from datetime import timedelta
from importlib import import_module
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement
from pydantic import TypeAdapter
from pydantic_settings import BaseSettings

import services
from services.cli.main import COMMANDS
from services.courier.settings import CourierSettings
from services.steward.tasks import STOP_SECONDS
from services.supervisor.plan import SERVICES
from services.supervisor.settings import Ports
from shared.settings import DatabaseSettings, RedisSettings
from shared.taskqueue.app import celery_app

ROOT = Path(__file__).parents[2]
PROCESSES = {"gateway", "dispatcher", "worker", "courier", "steward", "ops", "roi"}
KUBERNETES = "1.32"


def rendered(folder: str) -> list[dict[str, Any]]:
    if shutil.which("kubectl") is None:
        message = "kubectl is not installed: the Kubernetes manifests are NOT checked"
        if os.environ.get("CI") == "true":  # noqa: TID251  # tests are not a process of the product
            pytest.fail(message)
        pytest.skip(message)
    output = subprocess.run(["kubectl", "kustomize", str(ROOT / "k8s" / folder)], check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(output))


@pytest.mark.parametrize("folder", ["base", "overlays/edge", "overlays/production"])
def test_every_manifest_is_valid_against_the_schemas_of_kubernetes(folder: str) -> None:
    documents = rendered(folder)
    assert documents
    for document in documents:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_a_wrong_manifest_would_be_found() -> None:
    document = next(d for d in rendered("base") if d["kind"] == "Deployment")
    document["spec"]["replicsa"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_production_runs_every_process_with_probes_budgets_and_no_privileges() -> None:
    documents = rendered("overlays/production")
    deployments = {d["metadata"]["name"]: d for d in documents if d["kind"] == "Deployment"}
    assert set(deployments) == PROCESSES
    assert {d["metadata"]["name"] for d in documents if d["kind"] == "PodDisruptionBudget"} == PROCESSES
    for deployment in deployments.values():
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["resources"]["limits"]["memory"]


def test_the_edge_has_neither_kafka_nor_dispatcher() -> None:
    documents = rendered("overlays/edge")
    assert {d["metadata"]["name"] for d in documents if d["kind"] == "Deployment"} == PROCESSES - {"dispatcher"}
    (config,) = [d for d in documents if d["kind"] == "ConfigMap"]
    assert config["data"]["RECOUP_KAFKA_BOOTSTRAP_SERVERS"] == ""


@pytest.mark.parametrize("folder", ["base", "overlays/edge", "overlays/production"])
def test_replicas_are_set_by_the_manifest_or_by_an_autoscaler_and_never_by_both(folder: str) -> None:
    documents = rendered(folder)
    scaled = {d["spec"]["scaleTargetRef"]["name"] for d in documents if d["kind"] == "HorizontalPodAutoscaler"}
    fixed = {d["metadata"]["name"] for d in documents if d["kind"] == "Deployment" and "replicas" in d["spec"]}
    assert not scaled & fixed
    assert scaled | fixed == {d["metadata"]["name"] for d in documents if d["kind"] == "Deployment"}


def test_every_container_runs_a_command_that_exists() -> None:
    commands = {command.name for command in COMMANDS}
    for document in rendered("base"):
        if document["kind"] in {"Deployment", "Job"}:
            (container,) = document["spec"]["template"]["spec"]["containers"]
            assert container["args"][0] in commands
    for service in compose()["services"].values():
        if str(service.get("image", "")).startswith("recoup-"):
            assert service["command"][0] in commands


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def test_the_compose_file_is_valid_against_the_compose_specification() -> None:
    schema = json.loads(files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text(encoding="utf-8"))
    jsonschema.validate(compose(), schema)


def test_the_compose_file_has_every_process_and_a_health_check_for_each() -> None:
    services = compose()["services"]
    assert set(services) == PROCESSES | {"postgres", "redis", "kafka", "migrate"}
    assert all("healthcheck" in service for name, service in services.items() if name != "migrate")


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def test_every_process_gets_the_time_that_it_takes_to_end() -> None:
    # A request in flight, an attempt of a callback, a job of the steward; of a worker the task's hard limit.
    needed = dict.fromkeys(PROCESSES, 10.0) | {
        "courier": CourierSettings().timeout.total_seconds(),
        "steward": STOP_SECONDS,
        "worker": celery_app(RedisSettings.model_validate({"url": "redis://127.0.0.1/0"})).conf.task_time_limit,
    }
    for name, service in compose()["services"].items():
        if name in PROCESSES:
            assert seconds(service["stop_grace_period"]) > needed[name] + 5, name
    for document in rendered("base"):
        if document["kind"] == "Deployment":
            name = document["metadata"]["name"]
            assert document["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > needed[name] + 5, name


def test_secrets_reach_only_those_who_need_them() -> None:
    secrets: dict[str, set[str]] = {}
    for document in rendered("overlays/production"):
        if document["kind"] in {"Deployment", "Job"}:
            (container,) = document["spec"]["template"]["spec"]["containers"]
            for source in container["envFrom"]:
                if "secretRef" in source:
                    secrets.setdefault(source["secretRef"]["name"], set()).add(document["metadata"]["name"])
    vault = {"gateway", "courier", "ops"}
    speak_kafka = {"gateway", "dispatcher", "courier", "migrate"}
    assert secrets == {
        "recoup": PROCESSES, "recoup-vault": vault, "recoup-models": {"worker"}, "recoup-kafka": speak_kafka, "recoup-admin": {"migrate"}
    }  # fmt: skip
    services = compose()["services"]
    assert {name for name in services if "RECOUP_SECRET_KEY" in services[name]["environment"]} == vault
    assert {name for name in services if "RECOUP_DATABASE_ADMIN_URL" in services[name]["environment"]} == {"migrate"}


def test_overlays_name_images_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    wanted = {f"registry.example.com/recoup-{target}:{version}" for target in ("api", "line", "worker")}
    for folder in ("overlays/edge", "overlays/production"):
        pods = [d["spec"]["template"]["spec"] for d in rendered(folder) if d["kind"] in {"Deployment", "Job"}]
        assert {container["image"] for pod in pods for container in pod["containers"]} == wanted, folder
    assert f"recoup-$target:{version}" in (ROOT / "docs" / "production.md").read_text(encoding="utf-8")


def test_a_selector_finds_the_migration_alone() -> None:
    labelled = [
        d for d in rendered("overlays/production") if d["metadata"].get("labels", {}).get("app.kubernetes.io/component") == "migrate"
    ]
    assert [d["kind"] for d in labelled] == ["Job"]


def test_the_connections_that_are_documented_are_those_that_the_overlay_can_take() -> None:
    documents = rendered("overlays/production")
    most = {d["spec"]["scaleTargetRef"]["name"]: d["spec"]["maxReplicas"] for d in documents if d["kind"] == "HorizontalPodAutoscaler"}
    pool = DatabaseSettings.model_fields["pool_size"].default
    total = 0
    for document in documents:
        if document["kind"] == "Deployment":
            name, spec = document["metadata"]["name"], document["spec"]
            cores = int(spec["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"].removesuffix("m")) // 1000
            total += most.get(name, spec.get("replicas")) * (2 + 2 * cores if name == "worker" else pool)
    assert f"at most {total} connections" in (ROOT / "docs" / "production.md").read_text(encoding="utf-8")


def test_whoever_answers_requests_still_does_while_others_learn_that_it_ends() -> None:
    documents = rendered("base")
    behind_a_service = {d["spec"]["selector"]["app.kubernetes.io/component"] for d in documents if d["kind"] == "Service"}
    assert behind_a_service == {"gateway", "ops", "roi"}
    for document in documents:
        if document["kind"] == "Deployment" and document["metadata"]["name"] in behind_a_service:
            (container,) = document["spec"]["template"]["spec"]["containers"]
            program, wait = container["lifecycle"]["preStop"]["exec"]["command"]
            assert program == "sleep"
            # What uvicorn gives requests in flight, and what the event log takes to close.
            assert int(wait) + 10 + 5 < document["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]


def test_a_worker_starts_as_many_children_as_it_asks_for_cores() -> None:
    (worker,) = [d for d in rendered("base") if d["kind"] == "Deployment" and d["metadata"]["name"] == "worker"]
    (container,) = worker["spec"]["template"]["spec"]["containers"]
    (variable,) = container["env"]
    assert variable == {"name": "RECOUP_WORKER_PROCESSES", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}}
    assert variable["name"] in known_variables()


def requirements(extras: set[str]) -> set[str]:
    """Names that ``pip install 'recoup[extras]'`` asks for by itself, transitively over installed metadata."""
    found: set[str] = set()
    todo = [("recoup", frozenset(extras))]
    seen = set()
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        found.add(name)
        for line in distribution(name).requires or []:
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in wanted or {""}) or marker.evaluate({"extra": ""}):
                todo.append((re.sub(r"[-_.]+", "-", requirement.name).lower(), frozenset(requirement.extras)))
    return found


def test_only_the_worker_image_carries_onnxruntime() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    extras = {name: set(text.split(",")) for name, text in re.findall(r"AS build-(\w+)\nRUN .*?'\.\[([\w,]+)\]'", dockerfile)}
    assert set(extras) == {"api", "line", "worker"}
    assert "onnxruntime" not in requirements(extras["api"])
    assert "onnxruntime" not in requirements(extras["line"])
    assert "onnxruntime" in requirements(extras["worker"])
    assert "torch" not in requirements(extras["worker"])


def test_images_run_as_an_ordinary_user() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER 10001$", dockerfile, re.MULTILINE)


def test_images_carry_bytecode_for_nothing_may_write_it_at_run_time() -> None:
    stages = re.split(r"^FROM ", (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    named = {re.split(r" AS |\n", stage)[1]: stage for stage in stages}
    assert "UV_COMPILE_BYTECODE=1" in named["build"]
    assert {name for name, stage in named.items() if "uv pip install --python" in stage} == {"build-api", "build-line", "build-worker"}
    assert all(named[name].startswith("build AS ") for name in ("build-api", "build-line", "build-worker"))
    assert "python -m compileall" in named["base"]
    assert all(named[name].startswith("base AS ") for name in ("api", "line", "worker"))


def settings_classes() -> set[type[BaseSettings]]:
    modules = ["shared.settings", "migrations.run", "services.cli.importing", "services.cli.ops_api"]
    modules += [f"services.{found.name}.settings" for found in pkgutil.iter_modules(services.__path__) if found.name not in {"cli", "lab"}]
    return {
        kind for name in modules for kind in vars(import_module(name)).values() if isinstance(kind, type) and issubclass(kind, BaseSettings)
    }


def known_variables() -> set[str]:
    """Every variable that some settings class reads."""
    return {f"{kind.model_config.get('env_prefix', '')}{field}".upper() for kind in settings_classes() for field in kind.model_fields}


def test_every_variable_that_a_container_gets_is_read_by_somebody() -> None:
    known = known_variables()
    for name, service in compose()["services"].items():
        if str(service.get("image", "")).startswith("recoup-"):
            assert set(service["environment"]) <= known, name
    for folder in ("overlays/edge", "overlays/production"):
        for document in rendered(folder):
            if document["kind"] == "ConfigMap":
                assert set(document["data"]) <= known, folder
    set_in_images = re.findall(r"RECOUP_\w+(?==)", (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8"))
    assert set(set_in_images) <= known


def test_every_setting_is_read_by_more_than_its_class() -> None:
    sources = [path.read_text(encoding="utf-8") for root in ("services", "shared", "migrations") for path in (ROOT / root).rglob("*.py")]
    read = {word for source in sources for word in re.findall(r"\.(\w+)", source)}
    # `Ports` are read by the name of their process.
    assert {(kind.__name__, field) for kind in settings_classes() - {Ports} for field in kind.model_fields if field not in read} == set()


def test_every_variable_that_is_read_is_documented() -> None:
    texts = [path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]]
    assert known_variables() - set(re.findall(r"RECOUP_[A-Z0-9_]+", " ".join(texts))) == set()


@pytest.mark.parametrize("name", ["settings.md", "callbacks.md"])
def test_defaults_that_are_documented_are_those_of_the_settings(name: str) -> None:
    defaults: dict[str, set[str]] = {}
    for kind in settings_classes():
        for field, info in kind.model_fields.items():
            shown = (
                TypeAdapter(timedelta).dump_python(info.default, mode="json") if isinstance(info.default, timedelta) else str(info.default)
            )
            defaults.setdefault(f"{kind.model_config.get('env_prefix', '')}{field}".upper(), set()).add(shown)
    rows = re.findall(r"^\| `(RECOUP_\w+)` \| `([^`]+)` \|", (ROOT / "docs" / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 5
    # JSON of lists and booleans has no counterpart in Python's words.
    plain = [(variable, value) for variable, value in rows if value[0] != "[" and value != "true"]
    assert [(variable, value) for variable, value in plain if value not in defaults[variable]] == []


@pytest.mark.parametrize("name", ["production.md", "callbacks.md", "operating.md", "settings.md"])
def test_every_variable_that_is_documented_is_read_by_somebody(name: str) -> None:
    # Not a prefix, as in `RECOUP_<PROCESS>_PORT`.
    named = set(re.findall(r"RECOUP_[A-Z0-9_]*[A-Z0-9]\b(?!_)", (ROOT / "docs" / name).read_text(encoding="utf-8")))
    assert named
    assert named <= known_variables()


def test_ports_of_containers_are_those_that_the_processes_listen_on() -> None:
    ports = {service.name: service.port for service in SERVICES}
    for name, port in ports.items():
        settings = import_module(f"services.{name}.settings")
        (default,) = (
            kind.model_fields["port"].default
            for kind in vars(settings).values()
            if isinstance(kind, type) and issubclass(kind, BaseSettings) and "port" in kind.model_fields
        )
        assert default == port
        assert f"127.0.0.1:{port}/readyz" in str(compose()["services"][name]["healthcheck"])
    for document in rendered("base"):
        if document["kind"] == "Deployment":
            (container,) = document["spec"]["template"]["spec"]["containers"]
            assert [found["containerPort"] for found in container["ports"]] == [ports[document["metadata"]["name"]]]
