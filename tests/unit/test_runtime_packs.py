"""Packs: the manifest, the hash of the file, the session's process."""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pytest

from services.lab import linear
from services.worker.runtime.build import SHIPPED
from services.worker.runtime.pack import load
from services.worker.runtime.session import Session
from shared.automations import hashing
from shared.automations.contract import Features
from shared.automations.pack import MANIFEST, Pack, parse, render
from shared.automations.registry import automation
from shared.errors import InvariantBroken

PACKS = sorted(load(SHIPPED).values(), key=lambda pack: pack.name)


def _inputs(texts: list[str], buckets: int) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    sparse = hashing.encode([Features(text) for text in texts], buckets)
    return {"ids": sparse.ids, "values": sparse.values, "rows": sparse.rows, "batch": np.array([sparse.batch], dtype=np.int64)}


def test_the_three_shipped_packs_are_small_and_whole() -> None:
    assert [pack.task for pack in PACKS] == ["claims", "complaints", "invoices"]
    assert sum(pack.bytes for pack in PACKS) < 15_000_000
    for pack in PACKS:
        content = (SHIPPED / pack.file).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (pack.bytes, pack.sha256)
        assert set(pack.labels) <= set(automation(pack.task).outcomes)
        assert pack.training["data_licence"]
        assert pack.report["selective_error"] <= pack.report["error_target"]


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.name)
def test_the_graph_computes_what_the_lab_measured(pack: Pack) -> None:
    texts = ["the bank charged a fee", "", "mortgage escrow " * 50, "stone hit the windscreen", "x"]
    session = Session(SHIPPED / pack.file, pack.sha256)
    served = session.run(_inputs(texts, pack.buckets), "probabilities")
    model = linear.from_onnx((SHIPPED / pack.file).read_bytes())
    expected = model.probabilities(hashing.encode([Features(text) for text in texts], pack.buckets))
    assert served.shape == (len(texts), len(pack.labels))
    np.testing.assert_allclose(served, expected, atol=2e-6)


def test_a_changed_model_file_is_refused(tmp_path: Path) -> None:
    pack = PACKS[0]
    content = bytearray((SHIPPED / pack.file).read_bytes())
    content[1000] ^= 1
    (tmp_path / pack.file).write_bytes(content)
    with pytest.raises(InvariantBroken):
        Session(tmp_path / pack.file, pack.sha256).run(_inputs(["a"], pack.buckets), "probabilities")


def test_a_missing_model_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvariantBroken):
        Session(tmp_path / "none.onnx", "0").run({}, "probabilities")


def _refuses_in_child(session: Session, inputs: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]) -> bool:
    """Runs in a forked child."""
    try:
        session.run(inputs, "probabilities")
    except InvariantBroken:
        return True
    return False


def _child(session: Session, text: str, buckets: int, answer: multiprocessing.Queue[bool]) -> None:
    answer.put(_refuses_in_child(session, _inputs([text], buckets)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("is_used_before", [True, False])
def test_a_session_is_used_only_in_the_process_that_created_it(is_used_before: bool) -> None:  # noqa: FBT001 - a parameter of the test
    pack = PACKS[0]
    session = Session(SHIPPED / pack.file, pack.sha256)
    if is_used_before:
        session.run(_inputs(["a"], pack.buckets), "probabilities")
    fork = multiprocessing.get_context("fork")
    answer: multiprocessing.Queue[bool] = fork.Queue()
    child = fork.Process(target=_child, args=(session, "a", pack.buckets, answer))
    child.start()
    assert answer.get(timeout=60) is is_used_before
    child.join(timeout=60)


def test_a_manifest_survives_being_written_and_read() -> None:
    odd = dataclasses.replace(PACKS[0], training={"data": 'a "quoted" \\ path é', "n": 3, "ok": True, "list": ["a", 1]})
    assert parse(render([odd, *PACKS[1:]])) == (odd, *PACKS[1:])
    assert render(parse(render(PACKS))) == render(PACKS)


@pytest.mark.parametrize("text", ["[[pack]]\nname = 1", "not toml", '[[pack]]\nlabels = ["a"]'])
def test_a_broken_manifest_stops_the_start(text: str) -> None:
    with pytest.raises(InvariantBroken):
        parse(text)


def test_a_pack_of_other_hashing_code_is_refused(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "models")
    manifest = tmp_path / "models" / MANIFEST
    manifest.write_text(render([dataclasses.replace(pack, hashing=hashing.VERSION + 1) for pack in PACKS]), encoding="utf-8")
    with pytest.raises(InvariantBroken):
        load(tmp_path / "models")
    assert load(tmp_path) == {}
