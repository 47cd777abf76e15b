"""The dashboard for operators: it can be read, shows each process, and asks for nothing that nobody exports."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest

from services.supervisor.plan import SERVICES
from tests.contract.test_alarms import ROOT, exported, labels, named

DASHBOARD: dict[str, Any] = json.loads((ROOT / "k8s" / "grafana-dashboard.json").read_text(encoding="utf-8"))
ROWS = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]
each_query = pytest.mark.parametrize("target", [target for _, target in QUERIES], ids=[title for title, _ in QUERIES])


@each_query
def test_every_metric_is_exported_and_has_the_labels_that_it_is_asked_for(target: dict[str, Any]) -> None:
    expression = target["expr"]
    assert named(expression) <= exported()
    assert named(expression) or "ALERTS{" in expression
    for name, matchers in re.findall(r"(recoup_\w+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) <= labels(name)
    kept = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", expression))))
    for name in named(expression):
        assert kept <= labels(name)
    assert set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", ""))) == kept - {"le", *_lost(expression)}


def _lost(expression: str) -> set[str]:
    """Labels of an inner sum that the outer one adds up."""
    return set(re.findall(r"\w+", " ".join(re.findall(r"sum\(max by \(([^)]*)\)", expression))))


@each_query
def test_counters_are_asked_for_their_rise_and_brackets_are_closed(target: dict[str, Any]) -> None:
    expression = target["expr"]
    for name in named(expression):
        if re.search(r"_(total|bucket|count|sum)$", name):
            assert re.search(rf"(rate|increase)\({name}(\{{[^}}]*\}})?\[", expression), name
    for opening, closing in ("()", "{}", "[]"):
        assert expression.count(opening) == expression.count(closing)


def test_each_process_has_a_row_and_what_is_to_be_watched_is_shown() -> None:
    titles = " ".join(row["title"] for row in ROWS)
    assert [service.name for service in SERVICES if not re.search(rf"\b{service.name}\b", titles)] == []
    section = (ROOT / "docs" / "production.md").read_text(encoding="utf-8").split("## What to watch")[1].partition("\n## ")[0]
    watched = set(re.findall(r"^\| `(recoup_\w+)`", section, re.MULTILINE))
    assert watched <= {name for _, target in QUERIES for name in named(target["expr"])}


def test_panels_have_places_of_their_own_and_ask_the_data_source_that_was_chosen() -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    assert all(panel["datasource"] == {"type": "prometheus", "uid": f"${{{variable['name']}}}"} for panel in PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in PANELS:
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert not [pair for pair in combinations(places, 2) if _overlap(*pair)]


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size] for start, size in (("x", "w"), ("y", "h"))
    )
