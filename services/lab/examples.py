"""Labelled examples: from files of real data, or from the generators; split so that near-copies stay together."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pyarrow import parquet
from pydantic import ValidationError

from services.lab.synth import generate
from shared.automations.contract import Automation, Context, Features
from shared.errors import Rejected

CFPB: Final = Path("../shared/data/cfpb-narratives/narratives_train.csv.gz")
SYNTHETIC: Final = 16_000
# Template letters open alike; more than this is the writer's own story.
OPENING_CHARACTERS: Final = 80
SPLITS: Final = (("train", 0.76), ("tune", 0.88), ("certify", 1.0))


class UnreadableData(Rejected):
    """The data file cannot be read as labelled examples."""

    code = "unreadable_data"


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled document.

    Attributes:
        group: equal for near-copies, which must not be in two splits.
        part: ``train`` or ``validation`` where whoever made the data has split them; validation is halved into tune and certify.
        segment: what errors and automation are compared over and certified for, such as a channel or a region; not an input.
    """

    features: Features
    label: str
    group: str
    part: str = ""
    segment: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where examples come from; ``sha256`` is of the file, or of what a generator yielded."""

    name: str
    licence: str
    sha256: str


def split(example: Example) -> str:
    """``train``, ``tune`` or ``certify``, by hash: the same example is always in the same split."""
    position = int.from_bytes(hashlib.sha256(example.group.encode()).digest()[:8], "big") / 2**64
    if example.part == "validation":
        return "tune" if position < 0.5 else "certify"
    return example.part or next(name for name, bound in SPLITS if position < bound)


def parts(found: Iterable[Example]) -> dict[str, list[Example]]:
    """Examples by split, in their order."""
    made: dict[str, list[Example]] = {name: [] for name, _ in SPLITS}
    for example in found:
        made[split(example)].append(example)
    return made


def digest(found: Iterable[Example]) -> str:
    """Names a set of labelled examples, whatever their order."""
    lines = sorted(json.dumps([example.features.text, dict(example.features.fields), example.label], sort_keys=True) for example in found)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def once(found: Sequence[Example]) -> list[bool]:
    """Of each: it counts. Of those with the same input in one group one does, as copies of a case are no more evidence than the case.

    Where their labels differ, a hash of the input says which one, so that no order of rows does, and a frequent label is likelier.
    """
    copies: dict[str, list[int]] = {}
    for index, example in enumerate(found):
        key = json.dumps([example.features.text, dict(example.features.fields), example.group], sort_keys=True)
        copies.setdefault(key, []).append(index)
    kept = set()
    for key, places in copies.items():
        places.sort(key=lambda index: (found[index].label, found[index].segment))
        kept.add(places[int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % len(places)])
    return [index in kept for index in range(len(found))]


def group_of(text: str) -> str:
    return " ".join(text.lower().split())[:OPENING_CHARACTERS]


def written(cell: object) -> str:
    """A cell in writing: nothing where it is null or NaN, which is how data frames say null."""
    return "" if cell is None or (isinstance(cell, float) and math.isnan(cell)) else str(cell)


def rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """Rows of a table: CSV, TSV or JSON Lines, gzipped or not, or Parquet.

    Raises:
        UnreadableData: none of these, or broken.
    """
    try:
        name = path.name.lower()
        content = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
        yield from _parsed(content, Path(name.removesuffix(".gz")).suffix)
    except (OSError, ValueError, EOFError, csv.Error, zlib.error) as error:
        raise UnreadableData(path=str(path), reason=str(error)) from error


def _parsed(content: bytes, suffix: str) -> Iterator[Mapping[str, Any]]:
    if suffix == ".parquet":
        # Parquet's own errors are ValueErrors and OSErrors.
        yield from parquet.read_table(io.BytesIO(content)).to_pylist()
        return
    text = content.decode("utf-8-sig")
    csv.field_size_limit(10_000_000)
    if suffix == ".csv":
        yield from csv.DictReader(io.StringIO(text, newline=""))
    elif suffix == ".tsv":
        # Quotation marks are characters of the text there: a customer's inch sign opens no field.
        yield from csv.DictReader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        yield from (_object(line, number) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _object(line: str, number: int) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {number}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise ValueError(f"line {number}: nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError(f"line {number}: no JSON object")  # noqa: TRY004 - what is wrong is the file
    # Nobody could write down what was read; only an escape can bring half a pair.
    if "\\ud" in line.lower() and any("\ud800" <= character <= "\udfff" for character in json.dumps(found, ensure_ascii=False)):
        raise ValueError(f"line {number}: half of a surrogate pair is no character")
    return found


def texts(path: Path, text: str, label: str) -> Iterator[Example]:
    """Examples of a file whose ``text`` column is the whole input.

    Raises:
        UnreadableData: a column is missing.
    """
    for row in rows(path):
        if text not in row or label not in row:
            raise UnreadableData(path=str(path), columns=sorted(str(name) for name in row), wanted=[text, label])
        yield Example(Features(text=written(row[text])), written(row[label]), group_of(written(row[text])))


def events(automation: Automation, records: Iterable[Mapping[str, Any]], label: str = "label") -> Iterator[Example]:
    """Examples of events with a label that are left to the models: what rules decide teaches nothing.

    Raises:
        UnreadableData: a record has no data or label, or its data do not fit the automation.
    """
    for number, record in enumerate(records):
        try:
            data = automation.data_model.model_validate(record["data"])
            target = written(record[label])
        except (KeyError, ValidationError) as error:
            raise UnreadableData(record=number, reason=type(error).__name__) from error
        features = automation.features(data)
        if target.strip() and features is not None and record.get("duplicate_of") is None and automation.rules(data, Context()) is None:
            yield Example(features, target, str(record.get("event_id", number)))


def synthetic(automation: Automation, n: int, seed: int, passed: Callable[[], None]) -> tuple[list[Example], Source]:
    """Examples of the first ``n`` events of the automation's generator; ``passed`` is called for each event."""
    digest = hashlib.sha256()

    def records() -> Iterator[Mapping[str, Any]]:
        for event in generate(automation.name, n, seed):
            record = asdict(event)
            digest.update(json.dumps(record, default=str, sort_keys=True).encode())
            passed()
            yield record

    found = list(events(automation, records()))
    return found, Source(f"services.lab.synth {automation.name}, n={n}, seed={seed}", "Apache-2.0 (generated)", digest.hexdigest())


def cfpb(path: Path, labels: Iterable[str]) -> tuple[list[Example], Source]:
    """Complaint narratives of the product classes; rows of other classes are dropped."""
    wanted = set(labels)
    found = [example for example in texts(path, "narrative", "product") if example.label in wanted]
    source = Source(
        "CFPB Consumer Complaint Database, narratives (sample, cfpb-narratives)",
        "US government data, published openly",
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    return found, source
