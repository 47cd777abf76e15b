"""Whoever watches: names of metrics that are written down are names that Prometheus finds, and no alarm fires while all is well."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from services.steward.main import Settings, jobs
from services.steward.settings import StewardSettings
from shared.db import engine_for
from shared.settings import DatabaseSettings, ProcessSettings, RedisSettings
from shared.telemetry import metrics

ROOT = Path(__file__).parents[2]
RULES = ROOT / "k8s" / "prometheus-rules.yaml"
ROLES = {"recoup_app", "recoup_api", "recoup_line", "recoup_owner"}
# What Prometheus and its targets' scrapes add, besides which a label of ours would be renamed.
RESERVED = {"job", "instance", "namespace", "pod", "le", "quantile"}


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


def test_what_is_to_be_watched_has_rules() -> None:
    section = (ROOT / "docs" / "production.md").read_text(encoding="utf-8").split("## What to watch")[1].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(recoup_\w+)`", section, re.MULTILINE)) == {name for rule in rules() for name in named(rule["expr"])}
    assert len({rule["alert"] for rule in rules()}) == len(rules())


def test_no_label_of_ours_is_one_that_prometheus_takes_for_itself() -> None:
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Histogram | Gauge):
            assert not RESERVED & set(metric._labelnames), metric


def test_jobs_that_run_seldom_have_an_alarm_of_their_own() -> None:
    database = DatabaseSettings.model_validate({"url": "postgresql+psycopg://recoup_app:x@127.0.0.1/recoup"})
    redis = RedisSettings.model_validate({"url": "redis://127.0.0.1/0"})
    settings = Settings(process=ProcessSettings(), database=database, redis=redis, steward=StewardSettings())
    seldom = {
        job.name for job in jobs(settings, engine_for(database, role="recoup_line", application="t")) if job.period > timedelta(minutes=1)
    }
    by_name = {rule["alert"]: re.search(r'name[!=]~"([^"]+)"', rule["expr"]) for rule in rules()}
    for alert in ("RecoupJobLate", "RecoupRareJobLate"):
        found = by_name[alert]
        assert found is not None
        assert set(found[1].split("|")) == seldom
