"""The worker asks the tiers that the lab counted, and decides the cases that it certified."""

from __future__ import annotations

import csv
import json
import os
import random
import uuid
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from services.lab import rulebook
from services.lab.answers import answers
from services.lab.certify import Sample, reached
from services.lab.deciding import finals
from services.lab.examples import Example
from services.lab.synth import generate
from services.lab.thresholds import decide
from services.worker.runtime.build import SHIPPED, Kit, build_cascade
from services.worker.runtime.pack import load
from services.worker.tiers import CaseInput
from shared.automations.contract import Automation, Context, Features, Outcome
from shared.automations.declared import declared
from shared.automations.registry import automation
from shared.inference.models import Models
from shared.measure.drift import by_tenth
from tests.lab_world import lab

DATA = Path(os.environ.get("RECOUP_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))  # noqa: TID251 - where public data are is the machine's
TASK = "intents-clinc150"


class Utterance(BaseModel):
    text: str


def _examples() -> list[Example]:
    found = json.loads((DATA / "clinc150/train_val.json").read_text(encoding="utf-8"))
    rows = [row for name, step in (("val", 15), ("oos_val", 5)) for row in found[name][::step]]
    return [Example(Features(text), label, text) for text, label in rows]


def test_the_shipped_cascade_of_three_tiers_ends_every_case_where_the_lab_says() -> None:
    pack, examples = load(SHIPPED)[TASK], _examples()
    automation = Automation(
        name=TASK,
        event_type="com.example.utterance.v1",
        data_model=Utterance,
        outcomes={label: Outcome(automatic=label not in pack.person) for label in pack.labels},
        features=lambda data: Features(data.text),
        tiers=("nano", "mini", "large"),
    )
    certificate = pack.certificate(None, Models(SHIPPED).variant(pack))
    assert certificate is not None
    scores = answers(pack, SHIPPED, examples).scores()
    expected = decide(scores, tuple(certificate.thresholds.values()), certificate.floor)
    cases = [CaseInput(uuid.UUID(int=index), Utterance(text=example.features.text)) for index, example in enumerate(examples)]
    results = build_cascade(automation, Kit.read(SHIPPED)).decide(cases)
    assert [not result.needs_person for result in results] == expected.accepted.tolist()
    asked = [sum(step.result.usage.cpu_ns > 0 for step in result.steps) - 1 for result in results]
    assert asked == expected.tier.tolist()
    said = {name: np.array([step.result.score for result in results for step in result.steps if step.tier == name and step.result.score])
            for name in automation.tiers}  # fmt: skip
    sample = Sample(names=automation.tiers, scores=scores)
    assert {name: by_tenth(found) for name, found in said.items()} == reached(expected, sample)
    # Some end with each tier, and some with people without the last being asked.
    assert set(asked) == {0, 1, 2}
    assert any(result.needs_person and len(result.steps) == 3 and tier == 1 for result, tier in zip(results, asked, strict=True))


@pytest.mark.parametrize("task", rulebook.RULES)
def test_the_worker_makes_final_what_the_lab_says_of_cases_under_hard_rules_and_of_others(task: str) -> None:
    made, pack = automation(task), load(SHIPPED)[task]
    ruled = [(case.data, case.context) for case in rulebook.cases(made, 3)]
    plain = [(made.data_model.model_validate(event.data), Context()) for event in generate(task, 300, 3)]
    certificate = pack.certificate()
    assert certificate is not None
    (expected,) = finals(made, pack, lambda asked: answers(pack, SHIPPED, asked), [*ruled, *plain], [certificate])
    cases = [CaseInput(uuid.UUID(int=index), data, context) for index, (data, context) in enumerate([*ruled, *plain])]
    results = build_cascade(made, Kit.read(SHIPPED)).decide(cases)
    assert [None if result.verdict is None else result.verdict.outcome for result in results] == expected
    assert sum(outcome is not None for outcome in expected) > 100


def test_a_row_as_an_event_is_to_models_what_it_was_in_the_table(tmp_path: Path) -> None:
    """A code that became a number on its way, 007 or a postcode, would be another code, and was decided as that one."""
    draws, labels = random.Random(4), {"001": "red", "010": "blue", "100": "green", "1": "grey"}
    rows = []
    for number in range(2_400):
        code = draws.choice(list(labels))
        row = {"code": code, "post": f"0{draws.randrange(40)}2", "items": draws.randrange(4), "amount": draws.randrange(900)}
        rows.append({"words": f"{number} of mine", **row, "vip": draws.choice(("true", "false")), "team": labels[code]})
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    named = ("--text", "words", "--fields", "code,post,items,amount,vip", "--label", "team")
    trained = lab("train", "--task", "codes", "--data", tmp_path / "rows.csv", *named, "--no-mini", "--out", tmp_path / "pack")
    assert trained.exit_code == 0, trained.output
    made = declared(tmp_path / "pack")["codes"]
    pack = load(tmp_path / "pack")["codes"]
    assert [name for name in ("code", "post", "items", "amount") if pack.is_number(name)] == ["items", "amount"]
    events = [made.data_model.model_validate_json(json.dumps({**row, "vip": row["vip"] == "true"})) for row in rows[:200]]
    seen = [made.features(event) for event in events]
    assert [found.fields if found else None for found in seen] == [
        {name: str(row[name]) for name in ("code", "post", "items", "amount", "vip")} for row in rows[:200]
    ]
    cases = [CaseInput(uuid.UUID(int=index), event) for index, event in enumerate(events)]
    results = build_cascade(made, Kit.read(tmp_path / "pack")).decide(cases)
    assert [result.verdict and result.verdict.outcome for result in results] == [row["team"] for row in rows[:200]]
