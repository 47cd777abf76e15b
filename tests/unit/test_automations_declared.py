"""What a pack's declaration makes of its columns and labels, and how the registry finds it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.automations import registry
from shared.automations.contract import Automation, Features, Outcome
from shared.automations.declared import automation_of, declared
from shared.automations.pack import MANIFEST, Artefact, Declaration, Pack, TierModel, render
from shared.errors import InvariantBroken
from shared.settings import PackSettings, load

TREES = TierModel(
    name="trees",
    kind="trees",
    artefacts=(Artefact(file="t.onnx", sha256="0", bytes=1),),
    columns={"amount claimed": (), "schema": ("a", "b")},
)
SAYS = Declaration(event_type="com.example.claim.v1", text="from", fields=("amount claimed", "schema", "_odd"), rare=("other",))
PACK = Pack(
    name="x", version="1.0", task="x", labels=("no", "yes"), level="0.02", tiers=(TREES,), person=("no",), bins={"_odd": (1.0,)},
    declares=SAYS,
)  # fmt: skip
GOOD: Mapping[str, Any] = {"from": "a text", "amount claimed": 12.5, "schema": "a", "_odd": None}


def _read(automation: Automation, data: Mapping[str, Any]) -> Features | None:
    return automation.features(automation.data_model.model_validate(data))


def test_columns_of_any_name_become_an_events_data() -> None:
    automation = automation_of([PACK])
    assert _read(automation, {**GOOD, "customer": "ignored"}) == Features("a text", {"amount claimed": "12.5", "schema": "a", "_odd": ""})
    assert set(automation.data_model.model_json_schema()["properties"]) == {"from", "amount claimed", "schema", "_odd"}
    wordless = automation_of([replace(PACK, declares=replace(SAYS, text=""))])
    given = {"amount claimed": 1, "schema": True, "_odd": "7"}
    assert _read(wordless, given) == Features("", {"amount claimed": "1", "schema": "True", "_odd": "7"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"from": None},
        {"from": "x" * 20_001},
        {"amount claimed": "many"},
        {"amount claimed": float("nan")},
        {"_odd": "many"},
        {"schema": []},
    ],
    ids=str,
)
def test_what_the_table_never_held_is_refused(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        automation_of([PACK]).data_model.model_validate({**GOOD, **wrong})


@pytest.mark.parametrize("name", GOOD)
def test_a_column_that_is_missing_is_refused_and_not_taken_for_one_that_is_unknown(name: str) -> None:
    with pytest.raises(ValidationError):
        automation_of([PACK]).data_model.model_validate({key: value for key, value in GOOD.items() if key != name})


@given(st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.text(max_size=50))
def test_a_category_reaches_the_models_as_it_is_written(value: object) -> None:
    found = _read(automation_of([PACK]), {**GOOD, "schema": value})
    assert found is not None
    assert found.fields["schema"] == ("" if value is None else str(value))


def test_labels_are_outcomes_those_for_people_adverse_and_rare_ones_left_to_people() -> None:
    newer = replace(PACK, version="1.1", labels=("no", "other", "yes"), person=(), declares=replace(SAYS, rare=("never",)))
    assert automation_of([PACK]).outcomes == {"no": Outcome(adverse=True), "yes": Outcome(), "other": Outcome(automatic=False)}
    assert automation_of([PACK, newer]).outcomes == {
        "no": Outcome(adverse=True), "yes": Outcome(), "other": Outcome(), "never": Outcome(automatic=False),
    }  # fmt: skip
    with pytest.raises(InvariantBroken):
        automation_of([replace(PACK, declares=None)])


def _folder(path: Path, *packs: Pack) -> Path:
    path.mkdir(exist_ok=True)
    (path / MANIFEST).write_text(render(packs), encoding="utf-8")
    return path


def test_only_packs_that_declare_one_are_automations(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "packs", PACK, replace(PACK, name="y", task="y", declares=None))
    assert list(declared(folder)) == ["x"]
    with pytest.raises(InvariantBroken):
        declared(tmp_path)


def _registry(packs: Path | None) -> subprocess.CompletedProcess[str]:
    code = "import json; from shared.automations.registry import *; print(json.dumps({n: a.event_type for n, a in automations().items()}))"
    environment = {"PATH": ""} if packs is None else {"PATH": "", "RECOUP_PACKS": str(packs)}
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environment)


def test_every_process_finds_them_and_an_installed_automation_goes_before(tmp_path: Path) -> None:
    own_claims = replace(PACK, name="claims", task="claims", declares=replace(SAYS, event_type="com.example.other.v1"))
    found, plain = json.loads(_registry(_folder(tmp_path / "packs", PACK, own_claims)).stdout), json.loads(_registry(None).stdout)
    assert found == {**plain, "x": "com.example.claim.v1"}
    clash = replace(PACK, declares=replace(SAYS, event_type=plain["claims"]))
    assert "two automations claim one name or event type" in _registry(_folder(tmp_path / "clash", clash)).stderr


def test_what_packs_declare_is_read_anew_where_models_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOUP_PACKS", str(tmp_path / "packs"))
    _folder(tmp_path / "packs", PACK)
    try:
        registry.read_anew()
        first = registry.for_event_type(SAYS.event_type)
        _folder(tmp_path / "packs", replace(PACK, labels=("no", "perhaps", "yes")))
        assert registry.automation("x") is first
        registry.read_anew()
        assert set(registry.automation("x").outcomes) == set(first.outcomes) | {"perhaps"}
        assert registry.for_event_type(SAYS.event_type) is registry.automation("x")
    finally:
        monkeypatch.undo()
        registry.read_anew()


def test_a_folder_without_a_manifest_ends_a_process_at_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOUP_PACKS", str(tmp_path))
    with pytest.raises(SystemExit):
        load(PackSettings)
