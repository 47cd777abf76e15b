"""The exact cache: equal questions of one tenant get the answer of the first, and nothing else does."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from pydantic import BaseModel

from services.worker.cache import CacheTier, Entry, Models, canonical
from services.worker.cascade import Cascade, CascadeResult
from services.worker.runtime.build import SHIPPED, Kit, Room, build_cascade
from services.worker.tiers import NOTHING, UNLIMITED, Budget, CaseInput, Terms, TierResult, Usage
from shared.automations.contract import Automation, Features, Outcome, Verdict
from shared.automations.registry import automation
from shared.errors import InvariantBroken
from tests.memory_store import MemoryStore
from tests.tiny_models import tiny_kit

LONG = "my mortgage servicer lost the escrow payment and started foreclosure on my home loan modification"


class Note(BaseModel):
    text: str
    vip: bool = False


def _conclude(note: Note, label: str, confidence: float) -> Verdict:
    """What a label means here depends on more than the models see."""
    return Verdict(label, confidence, (f"model:{label}",), {"desk": "vip" if note.vip else "all"}, label)


COMPLAINTS = automation("complaints")
NOTES = Automation(
    name="complaints",
    event_type="com.example.note.v1",
    data_model=Note,
    outcomes={**COMPLAINTS.outcomes, "extra": Outcome()},
    features=lambda note: Features(note.text) if note.text else None,
    conclude=_conclude,
)


def _case(text: str, number: int = 0, tenant: str = "acme", terms: Terms | None = None, **data: Any) -> CaseInput:
    return CaseInput(uuid.UUID(int=number), Note(text=text, **data), tenant_id=tenant, terms=terms or Terms())


def _cascade(store: MemoryStore, entries: int = 1 << 16, **changes: Any) -> Cascade:
    kit = Kit.read(SHIPPED, Room(store, entries))
    packs = {"complaints": replace(kit.packs["complaints"], **changes)} if changes else kit.packs
    return build_cascade(NOTES, replace(kit, packs=packs))


def _tiers(result: CascadeResult) -> list[str]:
    return [step.tier for step in result.steps]


def _said(result: CascadeResult) -> object:
    assert result.verdict is not None
    return result.verdict, result.model, result.steps[-1].result.score, dict(result.steps[-1].result.probabilities)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_the_second_time_the_models_are_not_asked_and_the_answer_is_the_same_to_the_last_bit(store: MemoryStore) -> None:
    cascade = _cascade(store)
    (first,), (second,) = cascade.decide([_case(LONG)]), cascade.decide([_case(LONG, 1)])
    assert (_tiers(first), first.tier) == (["rules", "cache", "nano"], "nano")
    assert (_tiers(second), second.tier) == (["rules", "cache"], "cache")
    assert _said(second) == _said(first)
    assert second.steps[-1].result.saved_cpu_ns == first.steps[-1].result.usage.cpu_ns
    assert second.usage.cpu_ns > 0


@pytest.mark.parametrize(
    "other",
    [
        {"text": LONG + "!"},
        {"text": LONG, "tenant": "other"},
        {"text": LONG, "terms": Terms(error_level=0.05)},
    ],
    ids=["text", "tenant", "error level"],
)
def test_another_text_tenant_or_error_level_finds_nothing(store: MemoryStore, other: dict[str, Any]) -> None:
    cascade = _cascade(store)
    cascade.decide([_case(LONG)])
    assert "nano" in _tiers(cascade.decide([_case(number=1, **other)])[0])
    assert "nano" not in _tiers(cascade.decide([_case(LONG, 1)])[0])


def test_tenants_are_apart_in_the_key_and_in_the_digest(store: MemoryStore) -> None:
    cache = CacheTier(NOTES, Models(frozenset(), lambda: ""), store, 1)
    ours, theirs = cache.place(_case(LONG)), cache.place(_case(LONG, tenant="other"))
    assert ours is not None
    assert theirs is not None
    assert ours.key != theirs.key
    assert ours.digest != theirs.digest


def test_other_models_find_nothing(store: MemoryStore) -> None:
    _cascade(store).decide([_case(LONG)])
    assert "nano" in _tiers(_cascade(store, version="2.0.1").decide([_case(LONG)])[0])


def test_what_the_label_means_is_concluded_for_each_case_anew(store: MemoryStore) -> None:
    cascade = _cascade(store)
    cascade.decide([_case(LONG)])
    (hit,) = cascade.decide([_case(LONG, 1, vip=True)])
    assert hit.tier == "cache"
    assert hit.verdict is not None
    assert hit.verdict.attributes == {"desk": "vip"}


def test_neither_keys_nor_values_hold_anything_of_the_text(store: MemoryStore) -> None:
    _cascade(store).decide([_case(LONG)])
    ((key, value),) = store.entries.items()
    written = key.encode() + value
    assert b"acme" in written
    assert not [word for word in LONG.split() if word not in {"my", "on", "the", "and", "loan", "mortgage"} and word.encode() in written]


def test_memory_is_bounded_by_the_number_of_entries_whatever_comes_in(store: MemoryStore) -> None:
    cascade = _cascade(store, entries=4)
    cascade.decide([_case(f"{LONG} {word}", number) for number, word in enumerate("abcdefghijklmnopqrstuvwxyz")])
    assert 0 < len(store.entries) <= 4
    assert max(map(len, store.entries.values())) < 400
    # One that was overwritten by another is a miss, not the other's answer.
    assert all(len(set(_tiers(result)) & {"cache", "nano"}) >= 1 for result in cascade.decide([_case(f"{LONG} a")]))
    with pytest.raises(InvariantBroken):
        CacheTier(NOTES, Models(frozenset(), lambda: ""), store, 0)


@dataclass
class Fixed:
    """A tier that concludes the same about every case."""

    name: str
    needs: Usage = NOTHING
    label: str = "mortgage"

    def decide(self, batch: Sequence[CaseInput], budget: Budget = UNLIMITED) -> Sequence[TierResult]:
        del budget
        return [TierResult(_conclude(case.data, self.label, 0.9), {self.label: 0.9}, 0.9) for case in batch]  # type: ignore[arg-type]  # notes


def test_an_answer_that_is_not_sure_is_not_kept(store: MemoryStore) -> None:
    _cascade(store).decide([_case("hello there good people")])
    assert store.entries == {}


def test_an_answer_for_which_a_tier_was_passed_over_is_not_kept(store: MemoryStore) -> None:
    cache = CacheTier(NOTES, Models(frozenset({"dear", "cheap"}), lambda: ""), store, 9)
    cascade = Cascade(NOTES, [cache, Fixed("dear", Usage(wall_ns=10**9)), Fixed("cheap", label="card")], [cache.remember])
    (poor,) = cascade.decide([_case("a", terms=Terms(budget=Budget(seconds=0.5)))])
    assert (poor.tier, store.entries) == ("cheap", {})
    (rich,) = cascade.decide([_case("a", 1)])
    assert (rich.tier, len(store.entries)) == ("dear", 1)


def test_what_a_tier_says_that_is_none_of_the_models_is_not_kept(store: MemoryStore) -> None:
    cache = CacheTier(NOTES, Models(frozenset({"nano"}), lambda: ""), store, 9)
    Cascade(NOTES, [cache, Fixed("remote")], [cache.remember]).decide([_case("a")])
    assert store.entries == {}


def test_a_store_that_does_not_answer_or_holds_rubbish_means_misses_only(store: MemoryStore) -> None:
    cascade = _cascade(store)
    (first,) = cascade.decide([_case(LONG)])
    store.entries = dict.fromkeys(store.entries, b"\x00" * 40 + b"not json")
    assert _said(cascade.decide([_case(LONG, 1)])[0]) == _said(first)
    store.answers = False
    (again,) = cascade.decide([_case(LONG, 2)])
    assert _said(again) == _said(first)
    assert again.tier == "nano"


def test_hits_misses_and_what_they_saved_are_counted(store: MemoryStore, tmp_path: Path) -> None:
    def counted(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, {"automation": "complaints", **labels}) or 0.0

    kit = tiny_kit(tmp_path, "complaints", Room(store, 1 << 16))
    wide = Terms(error_level=0.1)
    cascade = build_cascade(NOTES, kit)
    results = {name: counted("recoup_cache_lookups_total", result=name) for name in ("hit", "miss", "unavailable")}
    saved = counted("recoup_cache_saved_cpu_seconds_total")
    cascade.decide([_case("card fee", 0, terms=wide), _case("", 1, terms=wide)])
    cascade.decide([_case("card fee", 2, terms=wide), _case("the bank", 3, terms=wide)])
    store.answers = False
    cascade.decide([_case("card fee", 4, terms=wide)])
    found = {name: counted("recoup_cache_lookups_total", result=name) - before for name, before in results.items()}
    assert found == {"hit": 1, "miss": 2, "unavailable": 1}
    assert counted("recoup_cache_saved_cpu_seconds_total") >= saved


texts = st.text(max_size=20)
features = st.builds(Features, texts, st.dictionaries(texts, texts, max_size=3))


@given(features, features)
def test_equal_features_and_no_others_have_equal_canonical_bytes(one: Features, other: Features) -> None:
    assert (canonical(one) == canonical(other)) == ((one.text, dict(one.fields)) == (other.text, dict(other.fields)))
    assert canonical(one) == canonical(Features(one.text, dict(reversed(list(one.fields.items())))))


@given(st.binary(max_size=80))
def test_no_bytes_break_the_reading_of_an_entry(content: bytes) -> None:
    found = Entry.decoded(content)
    assert found is None or isinstance(found, Entry)


@given(st.floats(0, 1), st.dictionaries(st.text(max_size=5), st.floats(0, 1), max_size=3))
def test_an_entry_survives_being_written_and_read(score: float, probabilities: dict[str, float]) -> None:
    entry = Entry(b"d" * 32, "mini", "x@1", "label", score, probabilities, 123)
    assert Entry.decoded(entry.encoded()) == entry
