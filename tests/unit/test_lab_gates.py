"""Gates on groups, explanations and pairs: each passes a sound pack and is failed by one with that fault."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from fairlearn.metrics import MetricFrame, count, selection_rate
from pydantic import BaseModel
from sklearn.metrics import zero_one_loss

from services.lab import behaviour, bias, gates, pairs, rulebook
from services.lab.answers import Answers, answers
from services.lab.examples import Example, parts, synthetic
from services.worker.runtime.build import SHIPPED
from services.worker.runtime.pack import load
from shared.automations.claims import decisions as claim_decisions
from shared.automations.contract import Automation, Context, Features, Verdict
from shared.automations.invoices import checks, reader
from shared.automations.pack import Artefact, Certificate, Pack, TierModel
from shared.automations.registry import automation
from shared.inference.explanation import explain
from shared.inference.models import Models

Floats = npt.NDArray[np.float32]


def _pack(labels: Sequence[str], threshold: float = 0.5) -> Pack:
    nano = TierModel(name="nano", kind="linear", artefacts=(Artefact(file="n", sha256="0", bytes=1),), buckets=2, hashing=1)
    certificate = Certificate(
        level="0.02", alpha=0.02, delta=0.05, thresholds={"nano": threshold}, n=9, accepted=5, errors=0, upper=0.01, coverage=0.5
    )
    return Pack(name="x", version="1", task="x", labels=tuple(labels), level="0.02", tiers=(nano,), certificates=(certificate,))


def _answers(truth: npt.NDArray[np.int64], said: npt.NDArray[np.int64], confidence: Floats, segments: Sequence[str]) -> Answers:
    rows = np.column_stack((np.where(said == 0, confidence, 1 - confidence), np.where(said == 1, confidence, 1 - confidence)))
    found = rows.astype(np.float32)
    return Answers(_pack(("a", "b"), 0.8), truth, {"nano": found}, {"nano": found}, tuple(segments))


@pytest.fixture
def groups() -> Answers:
    """Phone is wrong somewhat more often, and less sure."""
    draws = np.random.default_rng(3)
    segments = draws.choice(["phone", "web", "letter"], 3_000, p=(0.3, 0.65, 0.05))
    truth = draws.integers(0, 2, 3_000)
    said = np.where(draws.random(3_000) < np.where(segments == "phone", 0.12, 0.08), 1 - truth, truth)
    confidence = np.where(draws.random(3_000) < np.where(segments == "phone", 0.7, 0.9), 0.9, 0.6).astype(np.float32)
    return _answers(truth, said, confidence, segments.tolist())


def test_rates_of_groups_and_their_intervals_are_what_fairlearn_finds(groups: Answers) -> None:
    found = bias.treatments(groups, "any")
    said, automatic = groups.last.argmax(axis=1), bias.automated(groups, "any")
    features = np.array(groups.segments)
    wrong = MetricFrame(
        metrics={"error": zero_one_loss, "n": count}, y_true=groups.truth, y_pred=said, sensitive_features=features,
        n_boot=80, ci_quantiles=[0.025, 0.975], random_state=1,
    )  # fmt: skip
    accepted = MetricFrame(metrics=selection_rate, y_true=groups.truth, y_pred=automatic.astype(int), sensitive_features=features)
    assert list(found) == ["letter", "phone", "web"]
    for name, seen in found.items():
        assert seen.n == wrong.by_group["n"][name]
        assert seen.error.value == pytest.approx(wrong.by_group["error"][name], abs=1e-4)
        assert seen.automation.value == pytest.approx(accepted.by_group[name], abs=1e-4)
        # Theirs draws from all cases, so that a group's size varies too; and 80 draws are coarse, but a second's work each.
        width = seen.error.high - seen.error.low
        for place, end in ((0, seen.error.low), (1, seen.error.high)):
            assert end == pytest.approx(wrong.by_group_ci[place]["error"][name], abs=0.3 * width)


def _failed(found: Sequence[gates.Gate]) -> set[str]:
    return {gate.name for gate in found if not gate.passed}


def test_a_group_that_waits_for_people_fails_the_pack_and_a_small_difference_does_not(groups: Answers) -> None:
    assert _failed(gates._fair(groups, "any")) == set()
    unsure = np.where(np.array(groups.segments)[:, None] == "phone", np.float32(0.5), groups.last).astype(np.float32)
    left = replace(groups, tiers={"nano": unsure}, segments=groups.segments)
    assert "automation in segment phone, times the whole's" in _failed(gates._fair(left, "any"))
    few = replace(groups, segments=tuple(f"group {index // 40}" for index in range(3_000)))
    assert gates._fair(few, "any") == []


@pytest.fixture(scope="module")
def claims() -> list[Example]:
    found, _ = synthetic(automation("claims"), 1_500, 5, lambda: None)
    return parts(found)["certify"]


def test_words_that_are_cited_move_the_score_and_words_that_are_not_do_not_pass_for_reasons(claims: Sequence[Example]) -> None:
    pack = load(SHIPPED)["claims"]
    scorer = Models(SHIPPED).scorer(pack, pack.tiers[0])
    documents = [example.features for example in claims]
    sound = behaviour.faithfulness(scorer, documents, lambda document, label: explain(scorer, label, document), 0)
    assert (sound.n, sound.fell) == (100, 1.0)
    assert sound.cited > sound.others + 0.2
    assert _failed(gates._explained(pack, scorer, claims, 0)) == set()

    def against(document: Features, label: int) -> Sequence[str]:
        """What speaks for another label."""
        return explain(scorer, (label + 1) % len(pack.labels), document)

    wrong = behaviour.faithfulness(scorer, documents, against, 0)
    assert wrong.fell < gates._FAITHFUL
    silent = behaviour.faithfulness(scorer, documents, lambda _document, _label: (), 0)
    assert silent.n == 0


class Forgetful:
    """Surer of a word that stands alone than of any longer document: it cites what it does not use."""

    def probabilities(self, documents: Sequence[Features]) -> Floats:
        words = np.array([len(document.text.split()) + len(document.fields) for document in documents])
        sure = np.select([words == 0, words <= 2], [0.5, 0.9], 0.7).astype(np.float32)
        return np.column_stack((sure, 1 - sure)).astype(np.float32)


class Certain:
    """So sure that its probability is 1 in 32 bits, of whatever it reads; each word that tells makes it surer still."""

    def probabilities(self, documents: Sequence[Features]) -> Floats:
        odds = np.array([20.0 + 4.0 * document.text.split().count("lost") for document in documents])
        return np.column_stack((1 / (1 + np.exp(-odds)), 1 / (1 + np.exp(odds)))).astype(np.float32)


def test_words_that_move_a_score_close_to_certainty_are_seen_to_move_it() -> None:
    documents = [Features(f"{index} my card is lost since yesterday") for index in range(50)]
    assert set(Certain().probabilities(documents)[:, 0]) == {np.float32(1.0)}
    found = behaviour.faithfulness(Certain(), documents, lambda _document, _label: ("lost",), 0)
    assert (found.n, found.fell, found.others) == (50, 1.0, 0.0)
    assert found.cited == pytest.approx(4.0, abs=1e-3)
    idle = behaviour.faithfulness(Certain(), documents, lambda _document, _label: ("card",), 0)
    assert idle.fell < gates._FAITHFUL
    never = behaviour.faithfulness(Impossible(), documents, lambda _document, _label: ("lost",), 0)
    assert (never.fell, never.cited) == (0.0, 0.0)


class Impossible:
    """Gives all other labels nothing at all."""

    def probabilities(self, documents: Sequence[Features]) -> Floats:
        return np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (len(documents), 1))


def test_a_model_that_does_not_use_what_it_cites_fails(claims: Sequence[Example]) -> None:
    assert "explanations that hold" in _failed(gates._explained(_pack(("a", "b")), Forgetful(), claims, 0))
    trees = replace(_pack(("a", "b")), tiers=(replace(_pack(("a", "b")).tiers[0], kind="trees", columns={"a": ()}),))
    assert gates._explained(trees, Forgetful(), claims, 0) == []


def test_the_shipped_encoders_say_in_int8_what_they_say_in_32_bits() -> None:
    judged = {}
    for pack in load(SHIPPED).values():
        for tier in pack.tiers:
            if tier.kind == "transformer":
                assert {artefact.variant for artefact in tier.artefacts} == tier.quantised.keys()
                judged[pack.name, tier.name] = min(found["judged"] for found in tier.quantised.values())
        assert _failed(gates._quantised(pack)) == set()
    intents = [(f"intents-{name}", "large") for name in ("banking77", "clinc150", "insurance")]
    assert judged.keys() == {("complaints", "large"), ("intents-clinc150", "mini"), ("intents-insurance", "mini"), *intents}
    assert min(judged.values()) >= 680


@pytest.mark.parametrize("task", pairs.PAIRS)
def test_the_shipped_packs_know_what_is_grave_and_what_means_nothing(task: str) -> None:
    pack = load(SHIPPED)[task]
    nano = replace(pack, tiers=pack.tiers[:1])
    found = gates.directed(automation(task), pack.labels, lambda asked: answers(nano, SHIPPED, asked), 7)
    assert len(found) == len(pairs.PAIRS[task])
    assert _failed(found) == set()


@pytest.mark.parametrize("task", pairs.PAIRS)
def test_every_pair_differs_in_what_a_model_sees(task: str) -> None:
    for pair in pairs.PAIRS[task]:
        drawn = pairs.drawn(automation(task), pair, 7)
        assert len(drawn) >= 30, pair.name
        assert sum(before != after for before, after in drawn) >= 0.2 * len(drawn), pair.name


def _asked(says: Callable[[Features], int], labels: Sequence[str]) -> Callable[[Sequence[Example]], Answers]:
    def ask(examples: Sequence[Example]) -> Answers:
        rows = np.eye(len(labels), dtype=np.float32)[[says(example.features) for example in examples]].reshape(-1, len(labels))
        return Answers(_pack(labels), np.zeros(len(examples), np.int64), {"nano": rows}, {"nano": rows}, ("",) * len(examples))

    return ask


FAULTS: Mapping[str, tuple[str, Callable[[Features], int]]] = {
    "cases that became milder by a higher amount": ("claims", lambda seen: int(seen.fields["band"] == "small")),
    "cases that became milder by a later report": ("claims", lambda seen: 2 * int(seen.fields["delay"] in {"<=1", "<=3", "<=7"})),
    "cases that became milder by no police report": ("claims", lambda seen: int(seen.fields["police"] == "True")),
    "cases that became milder by more claims before": ("claims", lambda seen: int(seen.fields["prior"] == "<=0")),
    "answers turned by other names and places": ("claims", lambda seen: sum(map(ord, seen.text)) % 2),
    "cases that became milder by an unknown seller": ("invoices", lambda seen: int(seen.fields["seller_known"] == "True")),
    "cases that became milder by an order that does not match": ("invoices", lambda seen: int(seen.fields["order_matched"] == "True")),
    "answers turned by another relative": ("complaints", lambda seen: int("mother" in seen.text)),
    "answers turned by other amounts and dates": ("complaints", lambda seen: sum(map(ord, seen.text)) % 2),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_model_that_has_learnt_what_is_not_so_fails(name: str) -> None:
    task, says = FAULTS[name]
    labels = pairs.SEVERITY[task] or ("card", "mortgage")
    assert name in _failed(gates.directed(automation(task), labels, _asked(says, labels), 7))


CODES = {
    "claims": {code for code, _ in (*claim_decisions._ADJUSTER, *claim_decisions._INVESTIGATE)},
    "invoices": {"duplicate", *re.findall(r'"([a-z]+(?:_[a-z]+)+)"', inspect.getsource(checks) + inspect.getsource(reader))},
    "complaints": {"text_too_short"},
}


@pytest.mark.parametrize("task", CODES)
def test_every_hard_rule_has_cases_to_which_it_applies(task: str) -> None:
    made, found = automation(task), rulebook.cases(automation(task), 7)
    assert {case.rule.reason for case in found} == CODES[task]
    assert min(Counter(case.rule.reason for case in found).values()) >= 20
    for case in found:
        verdict = made.rules(case.data, case.context)
        assert verdict is not None
        assert case.rule.reason in verdict.reasons
        assert case.rule.may >= ({verdict.outcome} if verdict.outcome and not made.requires_person(verdict.outcome) else set())


@pytest.mark.parametrize("task", CODES)
def test_no_shipped_pack_decides_against_a_hard_rule(task: str) -> None:
    pack = load(SHIPPED)[task]
    found = gates.ruled(automation(task), pack, lambda asked: answers(pack, SHIPPED, asked), 7)
    assert [(gate.value, gate.passed) for gate in found] == [(0, True)]


def _without(task: str, reason: str) -> Automation:
    """The automation after one of its rules was lost."""
    whole = automation(task)

    def rules(data: BaseModel, context: Context) -> Verdict | None:
        verdict = whole.rules(data, context)
        return None if verdict is not None and verdict.reasons == (reason,) else verdict

    return replace(whole, rules=rules)


@pytest.mark.parametrize(("task", "reason"), [("claims", "injury"), ("claims", "many_prior_claims"), ("invoices", "duplicate")])
def test_a_rule_that_was_lost_fails_the_pack_and_its_cases_are_named(task: str, reason: str) -> None:
    pack = load(SHIPPED)[task]
    (gate,) = gates.ruled(_without(task, reason), pack, lambda asked: answers(pack, SHIPPED, asked), 7)
    assert not gate.passed
    assert 1 <= gate.value <= 40
    assert f" under {reason} would be " in gate.why
    (event,) = {case.event for case in rulebook.cases(automation(task), 7) if gate.why.startswith(f"{case.event} ")}
    assert event


@pytest.mark.parametrize("tiers", [("nano",), ("nano", "rules")])
def test_models_that_are_asked_before_the_rules_fail_the_pack(tiers: tuple[str, ...]) -> None:
    pack = load(SHIPPED)["claims"]
    (gate,) = gates.ruled(replace(automation("claims"), tiers=tiers), pack, lambda asked: answers(pack, SHIPPED, asked), 7)
    assert gate.value > 200


def test_an_automation_whose_rules_are_not_told_is_not_judged_by_them() -> None:
    pack = load(SHIPPED)["claims"]
    assert gates.ruled(replace(automation("claims"), name="other"), pack, lambda asked: answers(pack, SHIPPED, asked), 7) == []


def _quantised(**counts: int) -> set[str]:
    mini = replace(_pack(("a", "b")).tiers[0], name="mini", quantised={"vnni": {"judged": 1_000, "better": 0, "worse": 0, **counts}})
    return {name.partition(" in ")[0] for name in _failed(gates._quantised(replace(_pack(("a", "b")), tiers=(mini,))))}


def test_a_copy_in_int8_that_says_something_else_fails() -> None:
    changes, loses = "labels that int8 changes", "accuracy that int8 loses"
    assert _quantised(flips=0) == _quantised(flips=5, worse=2, better=3) == _quantised(flips=7, worse=4) == set()
    assert _quantised(flips=20, worse=9, better=9) == {changes}
    assert _quantised(flips=20, worse=20) == {changes, loses}
    assert gates._quantised(_pack(("a", "b"))) == []
