"""`recoup truth`: the same seed gives the same figures, and the plot is one that a browser can draw."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lxml import etree
from typer.testing import CliRunner

from services.lab.truth.main import app
from services.lab.truth.plot import one_deployment

METRICS = {
    "coverage_all_looks": ("min", 0.95),
    "false_saving_rate": ("max", 0.05),
    "width_ratio": ("max", 1.65),
    "risk_coverage": ("min", 0.95),
    "brake_detection_3x": ("min", 0.90),
    "brake_detection_2x": ("min", 0.90),
    "false_brake_rate": ("max", 0.01),
}


def _figures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, float]]:
    folder.mkdir()
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, ["--deployments", "20", "--long", "500", "--plot", "truth.svg"])
    report = json.loads(Path(".recoup/reports/truth.json").read_text(encoding="utf-8"))
    rows = {row["metric"]: row for row in report["rows"]}
    assert done.exit_code == (0 if all(row["met"] is not False for row in rows.values()) else 1)
    assert Path("truth.svg").is_file()
    return rows


def test_the_report_names_every_target_and_a_second_run_agrees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = _figures(tmp_path / "one", monkeypatch), _figures(tmp_path / "two", monkeypatch)
    assert one == two
    for name, (bound, target) in METRICS.items():
        assert one[name]["target"] == target
        met = one[name]["value"] >= target if bound == "min" else one[name]["value"] <= target
        assert one[name]["met"] is met


def test_the_plot_is_well_formed_and_stays_inside_its_frame() -> None:
    root = etree.fromstring(one_deployment(3).encode())
    _, _, width, height = (float(part) for part in root.attrib["viewBox"].split())
    for shape in root.iterfind(".//{*}polygon"):
        for pair in str(shape.attrib["points"]).split():
            x, y = (float(part) for part in pair.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height
