"""Packs: the manifest, the hash of the file, the session's process."""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.lab import hidden, linear
from services.lab.public import INTENTS as PUBLIC
from services.worker.runtime.build import SHIPPED
from services.worker.runtime.pack import load
from shared.automations import hashing
from shared.automations.contract import Features
from shared.automations.declared import declared
from shared.automations.pack import MANIFEST, NEVER, Artefact, Bound, Certificate, Declaration, Pack, TierModel, parse, render
from shared.automations.registry import automations
from shared.errors import InvariantBroken
from shared.inference.models import Models
from shared.inference.session import Session

INTENTS = ("banking77", "clinc150", "insurance")
PACKS = sorted(load(SHIPPED).values(), key=lambda pack: pack.name)


def _nano(pack: Pack) -> tuple[Artefact, int]:
    tier = pack.tier("nano")
    assert tier is not None
    return tier.artefact("any"), tier.buckets


def _inputs(texts: list[str], buckets: int) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    sparse = hashing.encode([Features(text) for text in texts], buckets)
    return {"ids": sparse.ids, "values": sparse.values, "rows": sparse.rows, "batch": np.array([sparse.batch], dtype=np.int64)}


def test_the_shipped_packs_are_small_and_whole() -> None:
    assert [pack.task for pack in PACKS] == ["claims", "complaints", *(f"intents-{name}" for name in INTENTS), "invoices"]
    files = {name: artefact for pack in PACKS for name, artefact in pack.files.items()}
    assert sum(artefact.bytes for artefact in files.values()) < 40_000_000
    for name, artefact in files.items():
        content = (SHIPPED / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (artefact.bytes, artefact.sha256)
    for pack in PACKS:
        assert pack.training["data_licence"]
        assert not pack.card or (SHIPPED / pack.card).is_file()


def test_every_shipped_pack_keeps_its_promise_on_its_certification_sample() -> None:
    for pack in PACKS:
        promised = pack.certificate()
        assert promised is not None
        assert promised.upper <= promised.alpha
        assert promised.coverage >= 0.5


def test_the_packs_of_automations_know_their_outcomes_and_those_of_intents_ask_people_about_what_is_out_of_scope() -> None:
    for pack in PACKS:
        installed = automations().get(pack.task)
        assert installed is None or set(pack.labels) <= set(installed.outcomes)
        people = {label for label in pack.labels if installed.requires_person(label)} if installed else {"oos"} & set(pack.labels)
        assert set(pack.person) == people


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.name)
def test_the_graph_computes_what_the_lab_measured(pack: Pack) -> None:
    texts = ["the bank charged a fee", "", "mortgage escrow " * 50, "stone hit the windscreen", "x"]
    tier = pack.tier("nano")
    assert tier is not None
    documents = [Features(text) for text in texts]
    served = Models(SHIPPED, "any").scorer(dataclasses.replace(pack, bins={}), tier).probabilities(documents)
    public = PUBLIC.get(pack.name)
    read = hidden.from_onnx if public and (public.rewritten or public.varied) else linear.from_onnx
    model = read((SHIPPED / tier.artefact("any").file).read_bytes())
    expected = model.probabilities(hashing.encode(documents, tier.buckets, tier.letters))
    assert served.shape == (len(texts), len(pack.labels))
    np.testing.assert_allclose(served, expected, atol=2e-6)


def test_a_changed_model_file_is_refused(tmp_path: Path) -> None:
    artefact, buckets = _nano(PACKS[0])
    content = bytearray((SHIPPED / artefact.file).read_bytes())
    content[1000] ^= 1
    (tmp_path / artefact.file).write_bytes(content)
    with pytest.raises(InvariantBroken):
        Session(tmp_path / artefact.file, artefact.sha256).run(_inputs(["a"], buckets), "probabilities")


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
    artefact, buckets = _nano(PACKS[0])
    session = Session(SHIPPED / artefact.file, artefact.sha256)
    if is_used_before:
        session.run(_inputs(["a"], buckets), "probabilities")
    fork = multiprocessing.get_context("fork")
    answer: multiprocessing.Queue[bool] = fork.Queue()
    child = fork.Process(target=_child, args=(session, "a", buckets, answer))
    child.start()
    assert answer.get(timeout=60) is is_used_before
    child.join(timeout=60)


def test_a_manifest_survives_being_written_and_read() -> None:
    odd = dataclasses.replace(PACKS[0], training={"data": 'a "quoted" \\ path é', "n": 3, "ok": True, "list": ["a", 1]})
    assert parse(render([odd, *PACKS[1:]])) == (odd, *PACKS[1:])
    assert render(parse(render(PACKS))) == render(PACKS)


def _whole() -> Pack:
    """Everything that a pack can hold."""
    graph = (
        Artefact(file="e.vnni.onnx", sha256="1", bytes=9, variant="vnni"),
        Artefact(file="e.onnx", sha256="2", bytes=8, variant="portable"),
    )
    tiers = (
        TierModel(
            name="nano",
            kind="linear",
            artefacts=(Artefact(file="n.onnx", sha256="3", bytes=7),),
            buckets=8,
            hashing=hashing.VERSION,
            letters=4,
        ),
        TierModel(
            name="trees",
            kind="trees",
            artefacts=(Artefact(file="b.onnx", sha256="5", bytes=5),),
            columns={"amount": (), 'kind of "loss"': ("fire", "a = b", "")},
            mix={"trees": 0.75},
        ),
        TierModel(
            name="mini",
            kind="transformer",
            artefacts=graph,
            output="probabilities_of_x",
            tokenizer=Artefact(file="t.json", sha256="4", bytes=6),
            max_tokens=128,
            quantised={"vnni": {"judged": 900, "flips": 2, "worse": 1, "better": 0}},
            mix={"nano": 0.5, "mini": 1.25},
        ),
    )
    certificate = Certificate(
        level="0.02",
        alpha=0.02,
        delta=0.05,
        thresholds={"nano": 0.9, "mini": 0.8},
        n=9,
        accepted=3,
        errors=0,
        upper=0.5,
        coverage=1 / 3,
        floor=0.25,
        variant="vnni",
        groups={"in person, by phone": Bound(accepted=1, errors=0, upper=0.9)},
        scores={"nano": (0, 0, 1, 0, 2, 0, 0, 1, 2, 3), "mini": (0, 0, 1, 0, 2, 0, 0, 0, 0, 0)},
    )
    labels = ("a", 'b "quoted"', "oos")
    return Pack(name="x", version="1", task="x", labels=labels, level="0.02", tiers=tiers, person=("oos",), certificates=(certificate,),
                declares=Declaration(event_type="com.example.x.v1", text="b c", fields=("amount",), rare=("once",)))  # fmt: skip


def test_everything_that_a_pack_can_hold_survives() -> None:
    assert parse(render([_whole()])) == (_whole(),)


@pytest.mark.parametrize("character", [*map(chr, range(32)), "\x7f", "\x80", "\u2028", "\ufeff", "😀"])
def test_any_character_of_a_label_or_a_field_survives(character: str) -> None:
    odd = f"a{character}b"
    trees = dataclasses.replace(_whole().tiers[1], columns={odd: (odd,)})
    tiers = (_whole().tiers[0], trees, _whole().tiers[2])
    pack = dataclasses.replace(_whole(), labels=(odd, "oos"), tiers=tiers)
    assert parse(render([pack])) == (pack,)


def test_a_pack_from_before_certificates_kept_scores_is_read_and_has_none() -> None:
    old = dataclasses.replace(_whole(), certificates=(dataclasses.replace(_whole().certificates[0], scores={}),))
    assert "scores" not in render([old])
    assert parse(render([old])) == (old,)


def test_the_shipped_certificates_know_the_scores_of_what_reaches_each_tier() -> None:
    for pack in PACKS:
        first, *later = (tier.name for tier in pack.tiers)
        for found in pack.certificates:
            reached = {name: sum(counts) for name, counts in found.scores.items()}
            assert reached.keys() == found.thresholds.keys()
            assert reached[first] == found.n
            assert list(reached.values()) == sorted(reached.values(), reverse=True)
            assert all(reached[name] <= found.n - found.decided[first] for name in later)


def test_thresholds_hold_for_the_variant_that_was_certified_and_for_no_other() -> None:
    pack = _whole()
    assert pack.minimum("mini", "a", "0.02", "vnni") == 0.8
    assert pack.minimum("mini", "a", "0.02", "portable") == NEVER
    assert pack.minimum("mini", "a", "0.01", "vnni") == NEVER
    assert (pack.minimum("nano", "oos", "0.02", "vnni"), pack.minimum("mini", "oos", "0.02", "vnni")) == (0.9, 0.0)


def test_the_floor_holds_for_the_tier_before_the_last_under_the_promise_for_which_it_was_chosen() -> None:
    assert _whole().floor("0.02", "vnni") == ("trees", 0.25)
    assert _whole().floor("0.02", "portable")[1] == _whole().floor("0.01", "vnni")[1] == 0.0


def test_the_artefact_for_the_processor_is_preferred_and_one_for_any_serves_all() -> None:
    nano, _, mini = _whole().tiers
    assert [mini.artefact(variant).file for variant in ("vnni", "portable")] == ["e.vnni.onnx", "e.onnx"]
    assert nano.artefact("vnni").file == "n.onnx"
    with pytest.raises(InvariantBroken):
        mini.artefact("any")


@pytest.mark.parametrize(
    "changes",
    [
        {"tiers": ()},
        {"labels": ("a", "a", "oos")},
        {"person": ("nobody",)},
        {"tiers": _whole().tiers[:1]},
        {"tiers": _whole().tiers[::-1]},
        {"tiers": (dataclasses.replace(_whole().tiers[2], tokenizer=None, mix={}),), "certificates": ()},
        {"tiers": (dataclasses.replace(_whole().tiers[1], columns={}),), "certificates": ()},
        {"tiers": (dataclasses.replace(_whole().tiers[0], buckets=0),), "certificates": ()},
        {"tiers": (dataclasses.replace(_whole().tiers[0], buckets=100),), "certificates": ()},
        {"tiers": (dataclasses.replace(_whole().tiers[0], outputs={"probabilities": "float32[batch, 2]"}),), "certificates": ()},
        {"tiers": (dataclasses.replace(_whole().tiers[0], outputs={"others": "float32[batch, 3]"}),), "certificates": ()},
        {"certificates": (dataclasses.replace(_whole().certificates[0], scores={"large": (0,) * 10}),)},
        {"certificates": (dataclasses.replace(_whole().certificates[0], scores={"nano": (1, 2)}),)},
    ],
    ids=[
        "no tier",
        "a label twice",
        "no such label",
        "certified tier gone",
        "mixes what comes later",
        "no tokenizer",
        "no columns",
        "no buckets",
        "buckets that nothing is hashed into",
        "another number of labels",
        "no such output",
        "scores of another tier",
        "scores by something else than tenths",
    ],
)
def test_a_pack_that_contradicts_itself_stops_the_start(changes: dict[str, Any]) -> None:
    with pytest.raises(InvariantBroken):
        parse(render([dataclasses.replace(_whole(), **changes)]))


@pytest.mark.parametrize("text", ["[[pack]]\nname = 1", "not toml", '[[pack]]\nlabels = ["a"]', "a = " + "[" * 100_000])
def test_a_broken_manifest_stops_the_start(text: str) -> None:
    with pytest.raises(InvariantBroken):
        parse(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"fast_track_pay", ', b""),
        (b'output = "probabilities"', b'output = "likelihoods"'),
        (b"buckets = 131072", b"buckets = 100"),
        (b"buckets = 131072", b'buckets = "131072"'),
        (b'task = "claims"', b'task = "cl\xe4ims"'),
        (b'file = "claims-nano.onnx"', b'file = "../claims-nano.onnx"'),
        (b'file = "claims-nano.onnx"', b'file = "/etc/hostname"'),
        (b'card = "claims.md"', b'card = "cards/claims.md"'),
    ],
    ids=[
        "a label removed",
        "no such output",
        "too few buckets",
        "buckets in writing",
        "not UTF-8",
        "a file above",
        "any file",
        "a card below",
    ],
)
def test_a_manifest_that_was_edited_by_hand_stops_the_start(tmp_path: Path, before: bytes, after: bytes) -> None:
    content = (SHIPPED / MANIFEST).read_bytes()
    assert before in content
    (tmp_path / MANIFEST).write_bytes(content.replace(before, after, 1))
    with pytest.raises(InvariantBroken):
        load(tmp_path)
    with pytest.raises(InvariantBroken):
        declared(tmp_path)


def test_a_pack_of_other_hashing_code_is_refused(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "models")
    manifest = tmp_path / "models" / MANIFEST
    old = [dataclasses.replace(tier, hashing=hashing.VERSION + 1) for tier in PACKS[0].tiers]
    manifest.write_text(render([dataclasses.replace(PACKS[0], tiers=tuple(old))]), encoding="utf-8")
    with pytest.raises(InvariantBroken):
        load(tmp_path / "models")
    assert load(tmp_path) == {}
