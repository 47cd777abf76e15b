"""Baselines from logs, studies and declarations: `recoup import baseline` and `recoup baselines` against the real operations API."""

from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from services.cli import baselines, importing
from tests.ops_desk import Desk, open_desk
from tests.servers import free_port
from tests.web_server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result

    from tests.conftest import Database

HEADER = "case_id,activity,start_time,end_time,kind"
NAMESPACE = 'xmlns="http://www.xes-standard.org/"'


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        yield desk


@pytest.fixture
def ops(desk: Desk) -> Iterator[str]:
    with serving(desk.app) as url:
        yield url


def _run(command: Any, desk: Desk, *arguments: str) -> Result:
    return CliRunner().invoke(command.app, list(arguments), env={"RECOUP_API_KEY": desk.token("acme", "admin"), "COLUMNS": "220"})


def _import(desk: Desk, url: str, path: Path, *options: str) -> Result:
    return _run(importing, desk, "baseline", str(path), "--automation", "claims", "--url", url, *options)


def _csv(folder: Path, *lines: str, name: str = "log.csv") -> Path:
    path = folder / name
    text = "\n".join((HEADER, *lines)).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


def _plain(cases: int = 40, kind: str = "motor") -> list[str]:
    """Cases of 60 and 120 seconds by turns, each in two pieces."""
    lines = []
    for case in range(cases):
        lines.append(f"{kind}{case},read,2026-01-05T08:00:00Z,2026-01-05T08:00:30Z,{kind}")
        lines.append(f"{kind}{case},decide,2026-02-05T09:00:00+01:00,2026-02-05T09:0{(case % 2)}:30+01:00,{kind}")
    return lines


def _xes(folder: Path, *traces: str, attributes: str = NAMESPACE, name: str = "log.xes") -> Path:
    path = folder / name
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<log xes.version="1.0" {attributes}>\n' + "\n".join(traces) + "\n</log>"
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def _trace(case: int, *moments: tuple[str, str, int]) -> str:
    events = "".join(
        f'<event><string key="concept:name" value="{work}"/><string key="lifecycle:transition" value="{what}"/>'
        f'<date key="time:timestamp" value="2026-01-05T08:{at // 60:02d}:{at % 60:02d}.000+00:00"/></event>\n'
        for work, what, at in moments
    )
    return f'<trace><string key="concept:name" value="{case}"/><string key="kind" value="motor"/>\n{events}</trace>'


WORK = (("a", "schedule", 0), ("a", "start", 5), ("a", "suspend", 25), ("a", "resume", 60), ("a", "complete", 100))


def test_a_csv_log_becomes_a_baseline_of_grade_b_for_all_and_for_each_stratum(desk: Desk, ops: str, tmp_path: Path) -> None:
    done = _import(desk, ops, _csv(tmp_path, *_plain(), *_plain(30, "home"), name="log.csv.gz"), "--stratum", "kind")
    assert done.exit_code == 0, done.output
    found = {row["stratum"]: row for row in desk.get("/v1/baselines?automation=claims")["items"]}
    assert set(found) == {"*", "motor", "home"}
    motor = found["motor"]
    assert (motor["grade"], motor["n"], float(motor["mean_seconds"]), motor["origin"], motor["expired"]) == ("B", 40, 90.0, "log", False)
    assert float(motor["variance_seconds2"]) == pytest.approx(30**2 * 40 / 39, abs=1e-5)
    assert (motor["period_start"], motor["period_end"]) == ("2026-01-05T08:00:00Z", "2026-02-05T08:01:30Z")
    assert re.search(r"Log log.csv.gz \(csv, sha256 [0-9a-f]{64}\), 2026-01-05 to 2026-02-05, 140 work segments", motor["method"])
    lasts = desk.rows("SELECT DISTINCT extract(epoch FROM expires_at - valid_from)::int / 86400 AS days FROM baselines")
    assert lasts == [{"days": 90}]


def test_the_same_file_again_stores_nothing_and_another_reading_of_it_does(desk: Desk, ops: str, tmp_path: Path) -> None:
    path = _csv(tmp_path, *_plain())
    assert _import(desk, ops, path).exit_code == 0
    again = _import(desk, ops, path)
    assert (again.exit_code, "nothing was stored again" in again.output) == (0, True)
    assert desk.rows("SELECT count(*) AS n FROM baselines")[0]["n"] == 1
    assert _import(desk, ops, path, "--longest-hours", "1").exit_code == 0
    assert desk.rows("SELECT count(*) AS n FROM baselines")[0]["n"] == 2


@pytest.mark.parametrize("name", ["log.xes", "log.xes.gz"])
def test_an_xes_log_is_paired_over_interruptions(desk: Desk, ops: str, tmp_path: Path, name: str) -> None:
    done = _import(desk, ops, _xes(tmp_path, *(_trace(case, *WORK) for case in range(35)), name=name), "--stratum", "kind")
    assert done.exit_code == 0, done.output
    found = desk.get("/v1/baselines")["items"]
    assert {(row["stratum"], row["n"], float(row["mean_seconds"])) for row in found} == {("*", 35, 60.0), ("motor", 35, 60.0)}


def test_a_csv_log_of_moments_gives_what_the_same_log_in_xes_gives(desk: Desk, ops: str, tmp_path: Path) -> None:
    lines = [f"{case},{work},2026-01-05T08:{at // 60:02d}:{at % 60:02d},{what},motor" for case in range(35) for work, what, at in WORK]
    options = ("--lifecycle-column", "end_time", "--stratum", "kind", "--timezone", "Europe/Berlin")
    assert _import(desk, ops, _csv(tmp_path, *lines), *options).exit_code == 0
    row = desk.get("/v1/baselines")["items"][0]
    assert (float(row["mean_seconds"]), row["period_start"]) == (60.0, "2026-01-05T07:00:05Z")


def test_a_dry_run_shows_what_would_be_stored_and_needs_no_server(desk: Desk, tmp_path: Path) -> None:
    done = _import(desk, f"http://127.0.0.1:{free_port()}", _csv(tmp_path, *_plain()), "--dry-run")
    assert (done.exit_code, "90.0" in done.output, "dry run: nothing was stored" in done.output) == (0, True, True)
    assert desk.rows("SELECT count(*) AS n FROM baselines")[0]["n"] == 0


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["c,a,2026-01-05T08:00:00Z,yesterday,k"], "line 2: end_time is 'yesterday', not a date"),
        (["c,a,2026-01-05T08:00:00Z,2026-01-05T07:00:00Z,k"], "line 2: the work ends"),
        (["c,a,2026-01-05T08:00:00Z"], "line 2: not as many fields"),
        ([",a,2026-01-05T08:00:00Z,2026-01-05T08:00:01Z,k"], "line 2: case_id is empty"),
        ([*_plain(2)[:3], "motor1,a,2026-01-05T08:00:00Z,2026-01-05T08:00:01Z,home"], "line 5: case 'motor1' was in stratum 'motor'"),
        (_plain(29), "29 cases are too few; 30 are needed"),
        ([], "no work with a start and an end"),
        (_plain(30) + [f"x{n},a,2026-01-05T08:00:00Z,2026-01-09T08:00:00Z,k" for n in range(8)], "12% of it would be left out"),
    ],
)
def test_a_log_that_is_no_measure_is_refused_with_the_line(desk: Desk, ops: str, tmp_path: Path, lines: list[str], says: str) -> None:
    done = _import(desk, ops, _csv(tmp_path, *lines), "--stratum", "kind")
    assert done.exit_code == 2
    assert says in " ".join(done.output.replace("│", " ").split()), done.output


def test_a_missing_column_is_named_with_those_that_are_there(desk: Desk, tmp_path: Path) -> None:
    done = _import(desk, "http://unused", _csv(tmp_path, *_plain(1)), "--case-column", "claim", "--dry-run")
    assert "no column claim; there are: case_id, activity, start_time, end_time, kind. Options such as --case-column name them" in " ".join(
        done.output.replace("│", " ").split()
    )


@pytest.mark.parametrize(
    ("trace", "attributes", "says"),
    [
        ("<trace><string key='concept:name'", NAMESPACE, "line 4: this is no XML"),
        ("<trace><string key='x' value='1'/></trace>", NAMESPACE, "line 3: this trace has no concept:name"),
        (_trace(1, ("a", "start", 0)).replace("2026-01-05", "soon"), "", "line 4: time:timestamp is 'soon"),
    ],
)
def test_an_xes_log_that_cannot_be_read_is_refused_with_the_line(
    desk: Desk, tmp_path: Path, trace: str, attributes: str, says: str
) -> None:
    done = _import(desk, "http://unused", _xes(tmp_path, trace, attributes=attributes), "--dry-run")
    assert done.exit_code == 2
    assert says in " ".join(done.output.replace("│", " ").split()), done.output


def _with_entities(log: Path, declared: str, used: str) -> None:
    text = log.read_text().replace("<log", f"<!DOCTYPE log [{declared}]><log", 1)
    log.write_text(text.replace("</log>", f'<string key="x" value="y">{used}</string></log>'))


def test_an_entity_of_a_log_opens_no_file(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("<canary>")
    log = _xes(tmp_path, *(_trace(case, *WORK) for case in range(35)))
    _with_entities(log, f'<!ENTITY f SYSTEM "file://{tmp_path}/secret">', "&f;")
    done = _import(desk, "http://unused", log, "--dry-run")
    # Were it opened, its content would be an element that is never closed.
    assert (done.exit_code, "60.0" in done.output) == (0, True), done.output


def test_entities_that_explode_are_refused(desk: Desk, tmp_path: Path) -> None:
    bombs = "".join(f'<!ENTITY b{n} "{f"&b{n - 1};" * 10}">' for n in range(1, 12))
    log = _xes(tmp_path, _trace(1, *WORK).replace('value="motor"', 'value="&b11;"'))
    _with_entities(log, f'<!ENTITY b0 "boom">{bombs}', "")
    done = _import(desk, "http://unused", log, "--dry-run")
    assert (done.exit_code, "this is no XML" in done.output) == (2, True), done.output


def test_a_log_of_single_moments_is_no_measure(desk: Desk, tmp_path: Path, public_data: Path) -> None:
    """The receipt phase of a municipality says only when something was completed."""
    done = _import(desk, "http://unused", public_data / "eventlogs" / "xes" / "receipt_wabo.xes.gz", "--dry-run")
    assert (done.exit_code, "no work with a start and an end" in done.output) == (2, True), done.output


def test_a_truncated_file_is_said_to_be_one(desk: Desk, tmp_path: Path) -> None:
    path = _csv(tmp_path, *_plain(200), name="log.csv.gz")
    path.write_bytes(path.read_bytes()[:-200])
    done = _import(desk, "http://unused", path, "--dry-run")
    assert (done.exit_code, "cut off or damaged" in done.output) == (2, True), done.output


def test_what_cannot_be_stored_is_said_before_a_long_file_is_read(desk: Desk, ops: str, tmp_path: Path) -> None:
    path = _csv(tmp_path, *_plain())
    done = _run(importing, desk, "baseline", str(path), "--automation", "nobody", "--url", ops)
    assert (done.exit_code, "reading" in done.output) == (2, False), done.output
    assert "no automation nobody is installed; there are: claims, complaints, invoices" in " ".join(done.output.replace("│", " ").split())
    options = ["baseline", str(path), "--automation", "claims", "--url", ops]
    for environment, says in (({}, "RECOUP_API_KEY: Field required"), ({"RECOUP_API_KEY": "rk_nobody_x"}, "refuses (401)")):
        done = CliRunner().invoke(importing.app, options, env={"RECOUP_API_KEY": None, "COLUMNS": "220"} | environment)
        assert (done.exit_code, says in done.output, "reading" in done.output) == (2, True, False), done.output


def test_what_the_api_refuses_is_told_in_a_line(desk: Desk, ops: str, tmp_path: Path) -> None:
    options = ["baseline", str(_csv(tmp_path, *_plain())), "--automation", "claims", "--url", ops]
    done = CliRunner().invoke(importing.app, options, env={"RECOUP_API_KEY": desk.token("acme", "operator"), "COLUMNS": "220"})
    assert (done.exit_code, "refuses (403)" in done.output) == (2, True), done.output


def test_a_study_has_grade_c_keeps_its_protocol_and_times_and_is_stored_once(desk: Desk, ops: str, tmp_path: Path) -> None:
    times = tmp_path / "times.csv"
    times.write_text("seconds\n" + "\n".join(str(100 + n) for n in range(31)))
    arguments = ("study", str(times), "--automation", "claims", "--protocol", "Every fifth claim.", "--observer", "jo", "--url", ops)
    period = ("--observed-from", "2026-11-02", "--observed-until", "2026-11-13")
    first, second = (_run(baselines, desk, *arguments, *period) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    (row,) = desk.get("/v1/baselines")["items"]
    assert (row["grade"], row["n"], float(row["mean_seconds"]), row["origin"]) == ("C", 31, 115.0, "study")
    assert (row["evidence"]["protocol"], len(row["evidence"]["seconds"])) == ("Every fifth claim.", 31)
    times.write_text("seconds\n" + "\n".join("60" for _ in range(29)))
    assert "refuses (422)" in _run(baselines, desk, *arguments, *period).output


def test_what_holds_can_be_renewed_and_what_was_replaced_cannot(desk: Desk, ops: str) -> None:
    declared = _run(baselines, desk, "declare", "claims", "840", "--method", "Three team leads", "--url", ops)
    old = declared.output.strip()
    desk.sql.execute("ALTER TABLE baselines DISABLE TRIGGER USER")
    desk.sql.execute("UPDATE baselines SET valid_from = now() - interval '100 days', expires_at = now() - interval '10 days'")
    assert "D (expired: D)" in _run(baselines, desk, "list", "--url", ops).output
    (listed,) = json.loads(_run(baselines, desk, "list", "--json", "--url", ops).output)
    assert (listed["id"], listed["expired"]) == (old, True)
    new = _run(baselines, desk, "renew", old, "--reason", "Nothing has changed.", "--url", ops).output.strip()
    row = next(row for row in desk.get("/v1/baselines")["items"] if row["id"] == new)
    assert (row["grade"], float(row["mean_seconds"]), row["renews"], row["expired"]) == ("D", 840.0, old, False)
    assert "Nothing has changed." in row["method"]
    assert "refuses (409)" in _run(baselines, desk, "renew", old, "--reason", "Again.", "--url", ops).output
    assert {entry["action"] for entry in desk.get("/v1/audit")["items"]} >= {"baseline.declared", "baseline.renewed"}
