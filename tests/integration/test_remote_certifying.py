"""A certificate that a model elsewhere has earned on labelled events, and that a worker then believes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from services.worker.remote.certificate import Certificate, at_most
from services.worker.remote.certify import app
from services.worker.remote.configuration import RemoteModel
from services.worker.remote.proving import Answer, tried
from tests.model_servers import KEY, LABELS, Asked, Manner, ModelServer

RIGHT = {
    "mortgage": "the escrow of my mortgage is wrong",
    "card": "they charged my credit card twice",
    "bank_account": "the bank closed my account",
}


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _configured(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.begin_anew()
    model = {
        "protocol": "openai", "url": f"{server.url}/v1", "model": "small-1", "key": KEY, "labels": LABELS, "residency": "edge",
        "tenants": ["*"], "currency": "EUR", "prices": [{"since": "2026-01-01", "per_call": "0.0001", "source": "test"}], "daily_cap": "5",
    }  # fmt: skip
    monkeypatch.setenv("RECOUP_REMOTE_MODELS", json.dumps({"complaints": model}))


def _events(path: Path, count: int) -> Path:
    draws = random.Random(1)
    labels = draws.choices(list(RIGHT), k=count)
    rows = [{"data": {"text": f"{RIGHT[label]}, case number {number}"}, "label": label} for number, label in enumerate(labels)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def _certify(path: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["--automation", "complaints", "--data", str(path), *more])


def test_a_good_model_earns_a_certificate_that_its_settings_take(server: ModelServer, tmp_path: Path) -> None:
    result = _certify(_events(tmp_path / "events.jsonl", 420))
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert set(printed["minimum"]) == set(LABELS)
    assert (printed["errors"], printed["error_level"]) == (0, 0.02)
    assert 149 <= printed["accepted"] < 420
    assert len(server.asked) == 420
    given = {
        "protocol": "openai", "url": server.url, "model": "small-1", "residency": "edge", "tenants": ["*"], "currency": "EUR",
        "prices": [{"since": "2026-01-01", "source": "test"}], "daily_cap": 5, "labels": LABELS, "certificates": [printed],
    }  # fmt: skip
    (taken,) = RemoteModel.model_validate(given).certified()
    assert taken.holds
    assert taken.subject.startswith("openai:small-1#")


def test_a_model_that_errs_where_it_is_sure_or_does_not_answer_earns_none(server: ModelServer, tmp_path: Path) -> None:
    events = _events(tmp_path / "events.jsonl", 200)

    def wrong(_asked: Asked, count: int) -> Manner:
        return Manner(label="card", confidence=0.99) if count % 2 else Manner(status=500)

    server.behave = wrong
    result = _certify(events)
    assert result.exit_code == 3, result.output
    assert result.stdout == ""
    assert "not proven" in result.stderr


def test_copies_of_a_case_prove_no_more_than_the_case(tmp_path: Path) -> None:
    """And the level must hold with them too."""
    events = _events(tmp_path / "events.jsonl", 20)
    copies = [json.loads(line) for line in events.read_text(encoding="utf-8").split("\n") for _ in range(30)]
    events.write_text("\n".join(map(json.dumps, copies)), encoding="utf-8")
    result = _certify(events)
    assert (result.exit_code, result.stdout) == (3, ""), result.output
    right = [Answer(str(number), 0.9, is_right=True) for number in range(800)]
    assert tried(right, 0.02, 0.05).certificate("x", ["a"], 0.02, 0.05) is not None
    tested = next(case for case in right if tried([case], 0.02, 0.05).n)
    found = tried([*right, *[Answer(tested.identity, 0.9, is_right=False)] * 100], 0.02, 0.05)
    assert (found.accepted, found.errors, found.all_errors) == (found.n, found.errors, 100)
    assert found.errors <= 1
    assert found.certificate("x", ["a"], 0.02, 0.05) is None


def test_any_end_of_a_line_may_stand_in_a_text_and_no_other_file_is_taken(server: ModelServer, tmp_path: Path) -> None:
    texts = [f"{RIGHT['card']},{mark}case number {number}" for number, mark in enumerate("\u2028\u0085\u2029\x0b" * 3)]
    lines = [json.dumps({"data": {"text": text}, "label": "card"}, ensure_ascii=False) for text in texts]
    (tmp_path / "bom.jsonl").write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8", newline="")
    assert _certify(tmp_path / "bom.jsonl").exit_code == 3
    assert len(server.asked) == len(texts)
    (tmp_path / "other.jsonl").write_bytes(lines[0].encode() + b"\n" + '{"data": {"text": "Gebühr"}, "label": "card"}'.encode("cp1252"))
    refused = _certify(tmp_path / "other.jsonl")
    assert (refused.exit_code, "line 2: UnicodeDecodeError" in refused.output) == (2, True)


def test_what_cannot_be_asked_is_explained_without_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text('{"data": {"text": 5, "secret": "canary"}, "label": "card"}', encoding="utf-8")
    broken = _certify(tmp_path / "broken.jsonl")
    assert broken.exit_code == 2
    assert "line 1" in broken.output
    assert "canary" not in broken.output
    unknown = CliRunner().invoke(app, ["--automation", "claims", "--data", str(tmp_path / "broken.jsonl")])
    assert unknown.exit_code == 2


def _answers(n: int, seed: int, error: float) -> list[Answer]:
    """The surer, the righter; ``error`` is the share of wrong answers among the sure ones."""
    draws = random.Random(seed)
    made = []
    for number in range(n):
        is_sure = draws.random() < 0.6
        made.append(
            Answer(f"{seed}/{number}", round(draws.uniform(0.9, 1), 2) if is_sure else 0.5, draws.random() >= (error if is_sure else 0.4))
        )
    return made


def test_the_promise_is_broken_no_more_often_than_it_may_be() -> None:
    """Where the true error is just above the level, one trial in twenty may say otherwise; 400 trials leave some room for chance."""
    false = sum(tried(_answers(1_000, seed, 0.051), 0.05, 0.05).certificate("x", ["a"], 0.05, 0.05) is not None for seed in range(400))
    assert at_most(400 - false, 400, 0.95) > 0.001 or false <= 20
    proven = sum(tried(_answers(1_000, seed, 0.02), 0.05, 0.05).certificate("x", ["a"], 0.05, 0.05) is not None for seed in range(50))
    assert proven >= 35


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_the_order_of_the_answers_does_not_matter_and_what_is_claimed_is_counted(seed: int, order: random.Random) -> None:
    answers = _answers(300, seed, 0.01)
    trial = tried(answers, 0.05, 0.05)
    shuffled = answers[:]
    order.shuffle(shuffled)
    assert tried(shuffled, 0.05, 0.05) == trial
    made = trial.certificate("x", ["a"], 0.05, 0.05)
    if made is not None:
        assert isinstance(made, Certificate)
        assert trial.accepted <= trial.n < 300
        assert at_most(made.errors, made.accepted, 0.05) <= 0.05


def test_without_answers_nothing_is_proven() -> None:
    assert tried([], 0.02, 0.05).certificate("x", ["a"], 0.02, 0.05) is None
    assert tried([Answer(str(number), 0.0, is_right=False) for number in range(50)], 0.02, 0.05).threshold is None
