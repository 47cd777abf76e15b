"""Whoever watches: names of metrics that are written down are names that Prometheus finds, and no alarm fires while all is well."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from shared.clock import SystemClock
from shared.telemetry import metrics
from shared.web.observe import Observe

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

ROOT = Path(__file__).parents[2]
RULES = ROOT / "k8s" / "prometheus-rules.yaml"
ROLES = {"recoup_app", "recoup_api", "recoup_line", "recoup_owner"}
# What Prometheus and its targets' scrapes add, besides which a label of ours would be renamed.
RESERVED = {"job", "instance", "namespace", "pod", "le", "quantile"}


LABELS = {metric._name: set(metric._labelnames) for metric in vars(metrics).values() if isinstance(metric, Counter | Gauge | Histogram)}


def exported() -> set[str]:
    """Names of series, with the suffixes that the exposition gives them."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
    return {family.name + suffix for family in REGISTRY.collect() if family.name.startswith("recoup_") for suffix in suffixes[family.type]}


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def named(text: str) -> set[str]:
    return set(re.findall(r"\brecoup_[a-z_]+", text)) - ROLES


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda path: path.name)
def test_every_metric_that_is_documented_is_exported_under_that_name(path: Path) -> None:
    assert named(path.read_text(encoding="utf-8")) <= exported()


def test_every_metric_of_a_rule_or_of_a_scaled_deployment_is_exported() -> None:
    assert named(RULES.read_text(encoding="utf-8")) <= exported()
    assert named((ROOT / "k8s" / "base" / "hpa.yaml").read_text(encoding="utf-8")) <= exported()


def test_every_label_that_a_rule_asks_for_is_one_of_its_metric() -> None:
    for rule in rules():
        asked = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", rule["expr"]))))
        for name in named(rule["expr"]):
            assert asked <= labels(name), (rule["alert"], name)
    for alert, name, label, _ in selected():
        assert label in labels(name) - RESERVED, (alert, name)


def test_every_value_that_a_rule_asks_for_is_one_that_is_exported() -> None:
    asyncio.run(_fail_a_request())
    metrics.remote_calls.labels("any", metrics.ANSWERED)
    assert {name for _, name, _, _ in selected()} >= {"recoup_http_seconds_count", "recoup_remote_calls_total"}
    for alert, name, label, value in selected():
        found = {sample.labels[label] for family in REGISTRY.collect() for sample in family.samples if sample.name == name}
        assert value in found, (alert, name)


def selected() -> list[tuple[str, str, str, str]]:
    """Alert, series, label, value of every condition; a rule that chooses by a pattern would be a list of values in disguise."""
    found = []
    for rule in rules():
        for name, conditions in re.findall(r"(recoup_\w+)\{([^}]*)\}", rule["expr"]):
            for condition in conditions.split(","):
                matched = re.fullmatch(r' *(\w+) *!?= *"([^"]+)" *', condition)
                assert matched is not None, (rule["alert"], condition)
                found.append((rule["alert"], name, *matched.groups()))
    return found


async def _fail_a_request() -> None:
    """As a defect of ours shows: the status is the one that is observed, not the one that a test writes down."""

    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ZeroDivisionError

    scope = {"type": "http", "method": "GET", "headers": []}
    with pytest.raises(ZeroDivisionError):
        await Observe(broken, "test", SystemClock())(scope, _nothing, _nothing)


async def _nothing(*_given: object) -> Any:
    raise AssertionError


def labels(name: str) -> set[str]:
    """Of a series of ours, and those that Prometheus adds."""
    return LABELS[re.sub(r"_(total|bucket|count|sum)$", "", name)] | RESERVED


def test_what_is_to_be_watched_has_rules() -> None:
    section = (ROOT / "docs" / "production.md").read_text(encoding="utf-8").split("## What to watch")[1].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(recoup_\w+)`", section, re.MULTILINE)) == {name for rule in rules() for name in named(rule["expr"])} - {
        "recoup_job_period_seconds"
    }
    assert len({rule["alert"] for rule in rules()}) == len(rules())


def test_a_process_that_nobody_else_speaks_of_is_missed() -> None:
    """The steward's gauges tell of workers and couriers; what lies in Kafka, and that jobs run, only whoever does it tells."""
    told_by_one = {"recoup_consumer_lag", "recoup_job_last_success_timestamp_seconds"}
    missed = [re.findall(r"(?:^absent|unless count)\((recoup_\w+)\)", rule["expr"]) for rule in rules()]
    assert {name for names in missed for name in names} == told_by_one


def test_no_label_of_ours_is_one_that_prometheus_takes_for_itself() -> None:
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Histogram | Gauge):
            assert not RESERVED & set(metric._labelnames), metric


def test_whoever_gets_an_alarm_finds_what_to_do() -> None:
    alarms = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8").partition("## Alarms")[2]
    rows = re.findall(r"^\| (Recoup\w+)(?:: [^|]+)? \| ([^|]+) \| ([^|]+) \|$", alarms, re.MULTILINE)
    assert [name for name, _, _ in rows] == [rule["alert"] for rule in rules()]
    assert {rule["labels"]["severity"] for rule in rules()} == {"page", "ticket"}


def test_what_rises_at_the_first_event_was_zero_before() -> None:
    for rule in rules():
        for name, label, value in re.findall(r"increase\((recoup_\w+)\{(\w+)=\"(\w+)\"\}", rule["expr"]):
            assert REGISTRY.get_sample_value(name, {label: value}) is not None, (rule["alert"], name)
    assert REGISTRY.get_sample_value("recoup_quarantined_total") is not None
