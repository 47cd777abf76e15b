"""The cascade asks its tiers in order."""

from __future__ import annotations

import dataclasses
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from services.lab.synth import TASKS, generate
from services.worker.cascade import Cascade
from services.worker.rules import RulesTier
from services.worker.runtime.build import SHIPPED, Kit, build_cascade, build_cascades, gathered_fleets
from services.worker.runtime.model import ModelTier
from services.worker.runtime.pack import load
from services.worker.tiers import NOTHING, CaseInput, Terms, shares
from shared.automations.contract import Automation, Context, Features, Outcome, Verdict
from shared.automations.pack import MANIFEST, NEVER, render
from shared.errors import InvariantBroken
from shared.inference.explanation import explain
from shared.inference.models import Models
from shared.inference.scorers import Probabilities
from tests.tiny_models import tiny_pack, tiny_trees

CASCADES = build_cascades()
EVENTS = {task: [event.data for event in generate(task, 120, 11)] for task in TASKS}


def _cases(automation: Automation, count: int = 120) -> list[CaseInput]:
    return [
        CaseInput(uuid.UUID(int=i), automation.data_model.model_validate(data)) for i, data in enumerate(EVENTS[automation.name][:count])
    ]


@settings(deadline=None)
@given(st.integers(0, 10**12), st.integers(1, 500))
def test_shares_add_up(total: int, count: int) -> None:
    assert sum(shares(total, count)) == total


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=80), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_probabilities_are_bit_identical_alone_in_any_order_and_in_any_chunk(texts: list[str], random: Any) -> None:
    tier = CASCADES["complaints"].tiers[1]
    assert isinstance(tier, ModelTier)
    documents = [Features(text) for text in texts]
    alone = [tier.probabilities([document]).tobytes() for document in documents]
    order = list(range(len(documents)))
    random.shuffle(order)
    together = tier.probabilities([documents[index] for index in order])
    assert [row.tobytes() for row in together] == [alone[index] for index in order]
    cut = random.randrange(len(documents) + 1)
    chunks = [chunk for chunk in (documents[:cut], documents[cut:]) if chunk]
    assert [row.tobytes() for chunk in chunks for row in tier.probabilities(chunk)] == alone


class Note(BaseModel):
    text: str


def _touchy(note: Note) -> Features:
    if note.text == "bad":
        raise RuntimeError("customer data")
    return Features(note.text)


def _strict(note: Note, _context: Context) -> Verdict | None:
    if note.text == "broken rule":
        raise ZeroDivisionError
    return None


def _notes(**changes: Any) -> Automation:
    outcomes = {**CASCADES["complaints"].automation.outcomes, "refused": Outcome(adverse=True)}
    given: dict[str, Any] = {"name": "notes", "event_type": "com.example.note.v1", "data_model": Note, "outcomes": outcomes}
    return Automation(**(given | changes))


def _note_cases(*texts: str) -> list[CaseInput]:
    return [CaseInput(uuid.UUID(int=i), Note(text=text)) for i, text in enumerate(texts)]


def _pack_cascade(automation: Automation) -> Cascade:
    pack = load(SHIPPED)["complaints"]
    return Cascade(automation, [RulesTier(automation), ModelTier(automation, pack, "nano", Models(SHIPPED))])


LONG = "my mortgage servicer lost the escrow payment and started foreclosure on my home loan modification"


def test_a_case_that_raises_does_not_fail_its_batch_mates() -> None:
    cascade = _pack_cascade(_notes(features=_touchy, rules=_strict))
    good, bad, broken, after = cascade.decide(_note_cases(LONG, "bad", "broken rule", LONG))
    assert good.verdict == after.verdict is not None
    assert (bad.error, bad.reasons, bad.needs_person) == ("RuntimeError", ("tier_error",), True)
    assert (broken.error, [step.tier for step in broken.steps]) == ("ZeroDivisionError", ["rules"])
    assert good.error is None


def test_an_uncertain_model_abstains_and_still_proposes() -> None:
    cascade = _pack_cascade(_notes(features=lambda note: Features(note.text)))
    (result,) = cascade.decide(_note_cases("hello there good people"))
    assert result.needs_person
    assert result.reasons == ("uncertain",)
    assert result.proposed is not None
    assert result.proposed.outcome in cascade.automation.outcomes
    assert result.model == "complaints@2.0.0"


def test_an_adverse_outcome_is_only_proposed() -> None:
    automation = _notes(rules=lambda _note, _context: Verdict("refused", reasons=("because",)))
    (result,) = Cascade(automation, [RulesTier(automation)]).decide(_note_cases("x"))
    assert (result.verdict, result.reasons) == (None, ("adverse", "because"))
    assert result.proposed is not None
    assert result.proposed.outcome == "refused"


def test_an_outcome_that_is_not_automatic_goes_to_a_person_with_its_reasons() -> None:
    (result,) = CASCADES["invoices"].decide(
        [CaseInput(uuid.UUID(int=1), CASCADES["invoices"].automation.data_model.model_validate({"document": "<"}))]
    )
    assert (result.needs_person, result.reasons, result.tier) == (True, ("unreadable_document",), "rules")
    assert len(result.steps) == 1


def test_every_tier_that_was_asked_is_recorded_with_its_cost() -> None:
    results = CASCADES["claims"].decide(_cases(CASCADES["claims"].automation))
    assert {tuple(step.tier for step in result.steps) for result in results} == {("rules",), ("rules", "nano")}
    assert all(result.usage.cpu_ns == sum(step.result.usage.cpu_ns for step in result.steps) for result in results)


def test_an_automation_without_a_model_or_with_none_at_all_leaves_everything_to_people() -> None:
    (untrained,) = build_cascade(_notes(), Kit.read(SHIPPED)).decide(_note_cases(LONG))
    (empty,) = Cascade(_notes(), []).decide(_note_cases(LONG))
    assert untrained.reasons == empty.reasons == ("uncertain",)
    assert untrained.proposed is None
    assert empty.steps == ()


def test_an_unknown_tier_stops_the_start() -> None:
    with pytest.raises(InvariantBroken):
        build_cascade(_notes(tiers=("rules", "crystal_ball")), Kit({}, Models(SHIPPED)))


def test_an_explanation_names_words_that_move_the_score() -> None:
    pack = load(SHIPPED)["complaints"]
    scorer, label = Models(SHIPPED).scorer(pack, pack.tiers[0]), pack.labels.index("mortgage")
    assert any("mortgage" in token or "escrow" in token for token in explain(scorer, label, Features(LONG)))
    assert explain(scorer, label, Features()) == ()


def test_what_speaks_for_a_label_is_found_beside_what_rules_it_out() -> None:
    """A model that is so sure gives other labels no probability at all, in 32 bits."""

    class Sure:
        def probabilities(self, documents: Sequence[Features]) -> Probabilities:
            return np.array([[1, 0] if document.text == "bill" else [0, 1] for document in documents], dtype=np.float32)

    assert explain(Sure(), 0, Features("stolen bill")) == ("bill",)
    assert explain(Sure(), 1, Features("stolen bill")) == ()


def test_trees_see_numbers_as_they_are_beside_models_that_see_bins(tmp_path: Path) -> None:
    automation = _notes(features=lambda note: Features("a claim", {"amount": note.text}))
    pack = tiny_pack(tmp_path, "complaints")
    trees = tiny_trees(tmp_path, {"amount": ()}, len(pack.labels))
    pack = dataclasses.replace(pack, bins={"amount": (100.0, 500.0)}, tiers=(pack.tiers[0], trees))
    tier = ModelTier(automation, pack, "trees", Models(tmp_path))
    scores = [result.score for result in tier.decide(_note_cases("101", "300", "499", "no number"))]
    assert len(set(scores[:3])) == 3
    assert tier.needs == NOTHING


@pytest.mark.parametrize("name", ["nano", "mini"])
def test_numbers_reach_the_models_as_the_bins_they_were_trained_on(tmp_path: Path, name: str) -> None:
    automation = _notes(features=lambda note: Features("a claim", {"amount": note.text}))
    pack = dataclasses.replace(tiny_pack(tmp_path, "complaints"), bins={"amount": (100.0, 500.0)})
    tier = ModelTier(automation, pack, name, Models(tmp_path))
    small, medium, as_medium = (result.score for result in tier.decide(_note_cases("99.5", "100", "499")))
    assert medium == as_medium != small


@pytest.mark.parametrize("name", ["nano", "mini"])
def test_a_number_of_few_values_reaches_the_models_in_one_writing_where_their_pack_says_so(tmp_path: Path, name: str) -> None:
    automation = _notes(features=lambda note: Features("a claim", {"doors": note.text}))
    before = tiny_pack(tmp_path, "complaints")
    raw, served = (
        ModelTier(automation, pack, name, Models(tmp_path)).decide(_note_cases("3", "3.0", "3e0", "5"))
        for pack in (before, dataclasses.replace(before, numbers=("doors",)))
    )
    assert raw[0].score == served[0].score == served[1].score == served[2].score != served[3].score
    assert len({result.score for result in raw}) == 4


def test_the_last_tier_does_no_work_for_a_case_that_the_one_before_found_too_hard_and_leaves_the_proposal_to_it(tmp_path: Path) -> None:
    pack = tiny_pack(tmp_path, "complaints")
    thresholds = {"nano": NEVER, "mini": NEVER, "large": 0.0}
    floors = {"0.02": 0.0, "0.1": NEVER}
    pack = dataclasses.replace(
        pack, certificates=tuple(dataclasses.replace(each, thresholds=thresholds, floor=floors[each.level]) for each in pack.certificates)
    )
    automation = _notes(features=lambda note: Features(note.text))
    tiers = [ModelTier(automation, pack, tier.name, Models(tmp_path)) for tier in pack.tiers]
    cases = [dataclasses.replace(case, terms=Terms(error_level=level)) for case in _note_cases("qu!x my car") for level in (0.1, 0.02, 0.1)]
    hard, asked, _ = Cascade(automation, tiers).decide(cases)
    assert [(step.tier, step.result.usage.cpu_ns > 0) for step in hard.steps] == [("nano", True), ("mini", True), ("large", False)]
    assert (hard.needs_person, hard.tier, hard.reasons) == (True, "mini", ("uncertain",))
    assert hard.proposed is not None
    assert [step.tier for step in asked.steps if step.result.usage.cpu_ns] == ["nano", "mini", "large"]
    assert asked.verdict is not None
    # Where the tier before was not asked, nobody knows how hard the case is.
    (alone,) = Cascade(automation, tiers[2:]).decide(cases[:1])
    assert alone.verdict is not None


def test_packs_of_a_later_folder_take_the_place_of_those_of_an_earlier_one(tmp_path: Path) -> None:
    pack = dataclasses.replace(load(SHIPPED)["claims"], version="9.0")
    shutil.copy(SHIPPED / pack.tiers[0].artefacts[0].file, tmp_path)
    (tmp_path / MANIFEST).write_text(render([pack]), encoding="utf-8")
    shipped, found = gathered_fleets([SHIPPED]), gathered_fleets([SHIPPED, tmp_path])
    assert (found["claims"].default, set(found["claims"].cascades)) == ("9.0", {"9.0"})
    assert {name: fleet.default for name, fleet in found.items() if name != "claims"} == {
        name: fleet.default for name, fleet in shipped.items() if name != "claims"
    }
    (case,) = found["claims"].cascades["9.0"].decide(_cases(CASCADES["claims"].automation, 1))
    assert {step.result.model for step in case.steps} == {None, "claims@9.0"}
