"""The public sets that shipped packs are trained on, as labelled examples in their publishers' own split."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from services.lab.columns import Columns, labelled, sha256
from services.lab.examples import Example, Source, group_of
from services.lab.figures import OUT_OF_SCOPE
from shared.automations.contract import Features

Read = Callable[[Path], list[Example]]


@dataclass(frozen=True, slots=True)
class PublicSet:
    """One task's data below the folder of public data.

    Attributes:
        mini: a mini tier learns from the encoder; where it stays far behind it, one would only cost time.
        rewritten: texts that are made of every training text, for nano to learn from the encoder what they mean; 0: it learns the labels.
        letters: of a nano that is taught, as in `shared.automations.hashing.encode`.
        width: hidden units of such a nano.
        beside: the linear nano, which learnt the labels, teaches it beside the encoder.
        varied: likewise, of more kinds, for nano and a mini.
    """

    file: str
    name: str
    licence: str
    read: Read
    person: tuple[str, ...] = ()
    level: str = "0.02"
    mini: bool = False
    rewritten: int = 0
    letters: int = 0
    width: int = 128
    beside: bool = False
    varied: int = 0

    def source(self, folder: Path) -> Source:
        return Source(self.name, self.licence, sha256(folder / self.file) if (folder / self.file).is_file() else "")


def _banking(folder: Path) -> list[Example]:
    return list(labelled(folder / "banking77/train.csv", Columns(text="text", label="category")))


def _clinc(folder: Path) -> list[Example]:
    found: Mapping[str, list[list[str]]] = json.loads((folder / "clinc150/train_val.json").read_text(encoding="utf-8"))
    given = {"train": "train", "oos_train": "train", "val": "validation", "oos_val": "validation"}
    return [Example(Features(text), label, group_of(text), part) for name, part in given.items() for text, label in found[name]]


def _insurance(folder: Path) -> list[Example]:
    """Sentences with several intents, or none, are left out; a conversation is in one part."""
    columns = Columns(text="utterance", label="intent", group="conversationId")
    found: list[Example] = []
    for file, part in (("train", "train"), ("dev", "validation")):
        rows = labelled(folder / f"multidogo/sentence_level/insurance/{file}.tsv", columns)
        found.extend(replace(row, part=part) for row in rows if "<div>" not in row.label)
    return found


INTENTS: Final = {
    "intents-banking77": PublicSet("banking77/train.csv", "BANKING77 (PolyAI)", "CC-BY-4.0", _banking),
    "intents-clinc150": PublicSet("clinc150/train_val.json", "CLINC150 (Larson et al.)", "CC-BY-3.0", _clinc, (OUT_OF_SCOPE,), varied=37),
    "intents-insurance": PublicSet(
        "multidogo/sentence_level/insurance/train.tsv",
        "MultiDoGO, insurance (Amazon)",
        "CDLA-Permissive-1.0",
        _insurance,
        level="0.05",
        mini=True,
        rewritten=4,
        letters=4,
        width=64,
        beside=True,
    ),
}
