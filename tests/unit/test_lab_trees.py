"""Trees over fields: what they learn, what their graph computes, and that a row depends on its document alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.lab import trees
from services.lab.examples import Example
from shared.automations.contract import Features
from shared.automations.tabular import Table
from shared.inference.scorers import TreesScorer
from shared.inference.session import Session

KINDS = ("glass", "theft", "hail")
COLUMNS = {"amount": (), "kind": tuple(sorted(KINDS)), "days": ()}
fields = st.fixed_dictionaries(
    {},
    optional={
        "amount": st.floats().map(str) | st.text(max_size=4),
        "kind": st.sampled_from([*KINDS, "", "unheard of"]),
        "days": st.integers(-(10**40), 10**40).map(str),
        "more": st.just("x"),
    },
)


def _rows(count: int) -> list[Example]:
    draws = np.random.default_rng(0)
    made = []
    for index in range(count):
        amount, kind, days = draws.uniform(0, 1_000), KINDS[draws.integers(0, 3)], int(draws.integers(0, 60))
        label = "ask" if amount > 700 or (kind == "theft" and days > 30) else "pay"
        given = {"amount": f"{amount:.2f}", "kind": kind, "days": "" if index % 17 == 0 else str(days)}
        made.append(Example(Features(fields=given), label, str(index)))
    return made


def _targets(rows: Sequence[Example], labels: Sequence[str]) -> npt.NDArray[np.int64]:
    return np.array([labels.index(row.label) for row in rows], dtype=np.int64)


@pytest.fixture(scope="module")
def rows() -> list[Example]:
    return _rows(1_200)


@pytest.fixture(scope="module")
def grown(rows: list[Example]) -> lightgbm.Booster:
    return trees.fit(rows, _targets(rows, ("ask", "pay")), trees.columns(rows), 2, 0, lambda: None)


def _scorer(folder: Path, model: lightgbm.Booster) -> TreesScorer:
    content = trees.to_onnx(model, "x")
    (folder / "x.onnx").write_bytes(content)
    return TreesScorer(Session(folder / "x.onnx", hashlib.sha256(content).hexdigest()), "probabilities", COLUMNS)


@pytest.fixture(scope="module")
def scorer(grown: lightgbm.Booster, tmp_path_factory: pytest.TempPathFactory) -> TreesScorer:
    return _scorer(tmp_path_factory.mktemp("trees"), grown)


def test_numbers_are_numbers_and_categories_have_the_place_of_their_name(rows: list[Example]) -> None:
    assert trees.columns(rows) == COLUMNS
    assert trees.columns(rows[::-1]) == COLUMNS
    mixed = [Example(Features(fields={"a": value}), "x", value) for value in ("1", "2", "n/a")]
    assert trees.columns(mixed) == {"a": ("1", "2", "n/a")}
    codes = [Example(Features(fields={"a": value, "b": "0.5", "c": "0"}), "x", value) for value in ("007", "7", "8")]
    assert trees.columns(codes) == {"a": ("007", "7", "8"), "b": (), "c": ()}


def test_what_a_column_does_not_know_is_not_a_number() -> None:
    documents = [Features(fields={"amount": "12.5", "kind": "theft"}), Features(fields={"amount": "many", "kind": "fire", "days": "3"})]
    np.testing.assert_array_equal(Table(COLUMNS).rows(documents), [[12.5, 2.0, np.nan], [np.nan, np.nan, 3.0]])


def test_trees_learn_a_threshold_and_a_combination_of_fields(rows: list[Example], scorer: TreesScorer) -> None:
    fresh = _rows(1_600)[1_200:]
    said = scorer.probabilities([row.features for row in fresh]).argmax(axis=1)
    assert (said == _targets(fresh, ("ask", "pay"))).mean() > 0.95


@settings(deadline=None, max_examples=60)
@given(st.lists(fields, min_size=1, max_size=8))
def test_the_graph_computes_what_the_trees_say(grown: lightgbm.Booster, scorer: TreesScorer, batch: list[dict[str, str]]) -> None:
    found = scorer.probabilities([Features(fields=given) for given in batch])
    wanted = grown.predict(trees.matrix([Example(Features(fields=given), "", "") for given in batch], COLUMNS))
    np.testing.assert_allclose(found[:, 1], wanted, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_a_row_of_a_large_batch_is_the_row_of_its_document_alone(scorer: TreesScorer, rows: list[Example]) -> None:
    documents = [row.features for row in rows[:500]]
    assert [row.tobytes() for row in scorer.probabilities(documents)] == [scorer.probabilities([one]).tobytes() for one in documents]
    assert scorer.probabilities([]).shape == (0, 2)


@settings(deadline=None, max_examples=40)
@given(st.lists(fields, min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_a_score_is_the_same_alone_in_any_order_and_in_any_chunk(scorer: TreesScorer, batch: list[dict[str, str]], random: Any) -> None:
    documents = [Features(fields=given) for given in batch]
    alone = [scorer.probabilities([document]).tobytes() for document in documents]
    order = list(range(len(documents)))
    random.shuffle(order)
    cut = random.randrange(len(documents) + 1)
    shuffled = [documents[index] for index in order]
    found = [row.tobytes() for chunk in (shuffled[:cut], shuffled[cut:]) for row in scorer.probabilities(chunk)]
    assert found == [alone[index] for index in order]


def test_the_same_data_grow_the_same_graph_and_more_than_two_labels_are_told_apart(tmp_path: Path) -> None:
    rows = [
        Example(row.features, row.label if row.label == "ask" else f"pay {row.features.fields['kind'] == 'hail'}", row.group)
        for row in _rows(300)
    ]
    labels = ("ask", "pay False", "pay True")
    first, second = (trees.fit(rows, _targets(rows, labels), COLUMNS, 3, 5, lambda: None) for _ in range(2))
    assert trees.to_onnx(first, "x") == trees.to_onnx(second, "x")
    said = _scorer(tmp_path, first).probabilities([row.features for row in rows]).argmax(axis=1)
    assert (said == _targets(rows, labels)).mean() > 0.9


def test_an_early_hint_of_structure_is_not_enough_for_larger_trees(rows: list[Example]) -> None:
    """Labels that no field tells: the steadiest way wins, and few trees."""
    draws = np.random.default_rng(1)
    model = trees.fit(rows, draws.integers(0, 2, len(rows)), COLUMNS, 2, 0, lambda: None)
    assert (model.params["num_leaves"], model.params["extra_trees"]) == trees.WAYS[0]
    assert model.num_trees() < 50
