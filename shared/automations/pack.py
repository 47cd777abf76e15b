"""The manifest of model packs, ``models.toml``: what the lab writes and the worker trusts only after checking the hashes.

A pack answers one task with one or more tiers, cheapest first, over the same labels in the same order. What a tier may decide is written in
certificates, one for each level and each variant of the artefacts: thresholds hold for the files that were certified with them and for no
others.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from shared.errors import InvariantBroken

MANIFEST: Final = "models.toml"
Value = str | int | float | bool | list[Any] | dict[str, Any]
# Any processor; one with 8-bit dot products (VNNI); one without, where full-range int8 saturates and 7-bit weights are faster too.
Variant = Literal["any", "vnni", "portable"]
Kind = Literal["linear", "trees", "transformer"]
# Above every probability: a tier with this threshold decides nothing.
NEVER: Final = 1.01
_TENTHS: Final = 10
_BESIDE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """One file beside the manifest. Two packs may name the same file: an encoder with several heads is shipped and loaded once."""

    file: str
    sha256: str
    bytes: int
    variant: Variant = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class TierModel:
    """One model of a pack.

    Attributes:
        name: ``nano``, ``trees``, ``mini`` or ``large``.
        kind: ``linear`` reads `shared.automations.hashing`; ``trees`` read `shared.automations.tabular` as ``fields``, ``float32[batch,
            columns]``; ``transformer`` reads one document a call as ``input_ids``, ``int64[1, tokens]`` without padding or mask: the
            tokens of `Features.as_document`.
        artefacts: ONNX graphs that compute the same, one for each variant.
        output: name of the graph's output, ``float32[batch, labels]`` probabilities; a shared encoder has one for each pack.
        inputs: name, type and shape of each graph input; same for ``outputs``.
        buckets: linear: size of the hash space, a power of two; ``hashing`` is the version of the hashing code it was trained with.
        letters: linear: length of the sequences of letters that are hashed besides words; 0: none are.
        columns: trees: by field, in the graph's order, its categories, or none where it is a number.
        tokenizer: transformer: file of the ``tokenizers`` library, which cuts at ``max_tokens``, special tokens included.
        quantised: transformer: by variant, how many labels of the 32-bit graph its int8 copy changed; for people and for the lab's gates.
        mix: weights of tiers in this tier's answer, softmax of the weighted sum of their log probabilities; empty: its own alone. It
            names this tier and earlier ones only, so a tier that mixes needs their answers too.
    """

    name: str
    kind: Kind
    artefacts: tuple[Artefact, ...]
    output: str = "probabilities"
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    buckets: int = 0
    hashing: int = 0
    letters: int = 0
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tokenizer: Artefact | None = None
    max_tokens: int = 0
    quantised: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    mix: Mapping[str, float] = field(default_factory=dict)

    def artefact(self, variant: Variant) -> Artefact:
        """The graph for that kind of processor, else the one for any.

        Raises:
            InvariantBroken: there is neither.
        """
        for wanted in (variant, "any"):
            for artefact in self.artefacts:
                if artefact.variant == wanted:
                    return artefact
        raise InvariantBroken("a tier has no artefact for this processor", tier=self.name, variant=variant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """``errors`` among ``accepted`` automatic decisions; ``upper`` bounds the true share with the certificate's confidence."""

    accepted: int
    errors: int
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """With probability 1 - ``delta`` over the certification sample, at most ``alpha`` of the automatic decisions are wrong.

    Attributes:
        level: name of the promise, ``alpha`` as written by people: ``0.02``.
        thresholds: by tier, the least probability at which it may decide; `NEVER` where it may not. All zero-coverage where nothing
            could be proven.
        floor: the least probability that the tier before the last must give its label, for the last to be asked: of the others it would
            decide too few.
        n: labels it was certified on; ``coverage`` is the share of them decided automatically, by tier in ``decided``.
        groups: bounds of their own for groups with enough accepted labels.
        scores: by tier, how many of those labels that reach it under these thresholds it gave a score in each tenth
            (`shared.measure.drift`): what it says in production is held against that. Empty in packs from before there was this.
        data_sha256: of the certification labels, so that nobody certifies twice on the same ones unnoticed.
    """

    level: str
    alpha: float
    delta: float
    thresholds: Mapping[str, float]
    n: int
    accepted: int
    errors: int
    upper: float
    coverage: float
    floor: float = 0.0
    variant: Variant = "any"
    data_sha256: str = ""
    decided: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, Bound] = field(default_factory=dict)
    scores: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What the events of a task look like for which no automation is installed (`shared.automations.declared`).

    Attributes:
        event_type: their CloudEvents ``type``.
        text: name of the text in their data; empty: there is none. ``fields``: of the fields, as in the training data.
        rare: labels that were too rare to learn; people may choose them.
    """

    event_type: str
    text: str = ""
    fields: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """What answers one task.

    Attributes:
        task: name of the automation, or of a labelling task that none has yet.
        labels: in the order of every tier's outputs.
        person: labels that a person must make final; nothing is certified for them.
        bins: by numeric field, the edges that turn a raw number into a category (`shared.automations.bins`); an automation that bins
            for itself has none.
        numbers: fields with numbers of few values, each a category in one writing. Packs from before there was this have none: they see
            ``3`` and ``3.0`` as two.
        level: the certificate that holds where nobody chose another.
        declares: makes an automation of the pack where none is installed.
        tiers: cheapest first.
        licence: of the weights, with what their data ask for; ``notice`` and ``card`` are files beside the manifest, or empty.
        training: where the data came from, their licence and hash, seed, library versions.
        report: measured on data that the models have not seen, abstention off.
    """

    name: str
    version: str
    task: str
    labels: tuple[str, ...]
    level: str
    tiers: tuple[TierModel, ...]
    person: tuple[str, ...] = ()
    bins: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()
    declares: Declaration | None = None
    certificates: tuple[Certificate, ...] = ()
    licence: str = ""
    notice: str = ""
    card: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)

    def is_number(self, name: str) -> bool:
        """Every value of that field in the training data was one, as far as a model says so."""
        return name in self.bins or name in self.numbers or any(not tier.columns[name] for tier in self.tiers if name in tier.columns)

    @property
    def age(self) -> tuple[list[int], str]:
        """Orders versions, as `age_of`."""
        return age_of(self.version)

    def tier(self, name: str) -> TierModel | None:
        return next((tier for tier in self.tiers if tier.name == name), None)

    @property
    def files(self) -> Mapping[str, Artefact]:
        """Every file that the worker may load, by name."""
        graphs = [artefact for tier in self.tiers for artefact in tier.artefacts]
        return {artefact.file: artefact for artefact in (*graphs, *(tier.tokenizer for tier in self.tiers if tier.tokenizer))}

    def certificate(self, level: str | None = None, variant: Variant = "any") -> Certificate | None:
        """What is proven for these artefacts at that level; None: nothing."""
        wanted = [found for found in self.certificates if found.level == (level or self.level)]
        return next((found for kind in (variant, "any") for found in wanted if found.variant == kind), None)

    def level_within(self, error_level: float | None, variant: Variant = "any") -> str:
        """The widest certified level that keeps the promise of ``error_level``; None: the pack's own.

        Where nothing is certified that keeps it, a level for which `minimum` lets nothing pass.
        """
        if error_level is None:
            return self.level
        fitting = [found for found in self.certificates if found.alpha <= error_level and found.variant in {variant, "any"}]
        return max(fitting, key=lambda found: found.alpha).level if fitting else "uncertified"

    def minimum(self, tier: str, label: str, level: str | None = None, variant: Variant = "any") -> float:
        """The least probability at which ``tier`` may say ``label``.

        What the last tier leaves to a person needs no certainty; an earlier one must be sure of it, else the next is asked.
        """
        if label in self.person and tier == self.tiers[-1].name:
            return 0.0
        found = self.certificate(level, variant)
        return found.thresholds.get(tier, NEVER) if found else NEVER

    def floor(self, level: str | None = None, variant: Variant = "any") -> tuple[str, float]:
        """The tier before the last, and what its likeliest label must reach there for the last to be asked; 0: it always is."""
        found = self.certificate(level, variant)
        return (self.tiers[-2].name, found.floor) if found and len(self.tiers) > 1 else ("", 0.0)


def age_of(version: str) -> tuple[list[int], str]:
    """Orders versions: numbers in them count as numbers, so that 1.10 is newer than 1.9."""
    return [int(number) for number in re.findall(r"[0-9]+", version)], version


def _artefact(entry: Mapping[str, Any]) -> Artefact:
    return Artefact(**entry)


def _tier(entry: Mapping[str, Any]) -> TierModel:
    tokenizer = entry.get("tokenizer")
    made: dict[str, Any] = {
        "artefacts": tuple(_artefact(found) for found in entry["artefacts"]),
        "columns": {name: tuple(known) for name, known in entry.get("columns", {}).items()},
        "tokenizer": _artefact(tokenizer) if tokenizer else None,
    }
    return TierModel(**{**entry, **made})


def _certificate(entry: Mapping[str, Any]) -> Certificate:
    made: dict[str, Any] = {
        "groups": {name: Bound(**bound) for name, bound in entry.get("groups", {}).items()},
        "scores": {name: tuple(counts) for name, counts in entry.get("scores", {}).items()},
    }
    return Certificate(**{**entry, **made})


def _declaration(entry: Mapping[str, Any]) -> Declaration:
    return Declaration(**{**entry, **{name: tuple(entry.get(name, ())) for name in ("fields", "rare")}})


def _pack(entry: Mapping[str, Any]) -> Pack:
    made: dict[str, Any] = {
        "labels": tuple(entry["labels"]),
        "person": tuple(entry.get("person", ())),
        "numbers": tuple(entry.get("numbers", ())),
        "bins": {name: tuple(edges) for name, edges in entry.get("bins", {}).items()},
        "declares": _declaration(entry["declares"]) if "declares" in entry else None,
        "tiers": tuple(_tier(found) for found in entry["tiers"]),
        "certificates": tuple(_certificate(found) for found in entry.get("certificates", ())),
    }
    return Pack(**{**entry, **made})


def parse(text: str) -> tuple[Pack, ...]:
    """Every pack of a manifest.

    Raises:
        InvariantBroken: not TOML, a field is missing or unknown, or a pack contradicts itself.
    """
    try:
        packs = tuple(_pack(entry) for entry in tomllib.loads(text).get("pack", []))
        for pack in packs:
            _check(pack)
    except (tomllib.TOMLDecodeError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvariantBroken("the manifest of models cannot be read", reason=str(error)) from error
    return packs


def read(manifest: Path) -> tuple[Pack, ...]:
    """Every pack of the manifest in that file.

    Raises:
        InvariantBroken: as `parse`, or it is not UTF-8.
        OSError: there is no such file, or it cannot be opened.
    """
    try:
        text = manifest.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise InvariantBroken("the manifest of models cannot be read", path=str(manifest), reason=str(error)) from error
    return parse(text)


def _check(pack: Pack) -> None:
    names = [tier.name for tier in pack.tiers]
    earlier = {tier.name: set(names[: index + 1]) for index, tier in enumerate(pack.tiers)}
    promises = {
        "a pack has no tier, or two of one name": bool(names) and len(set(names)) == len(names),
        "a pack has no label, or one twice": bool(pack.labels) and len(set(pack.labels)) == len(pack.labels),
        "a label for people is no label": set(pack.person) <= set(pack.labels),
        "a certificate speaks of other tiers": all({*found.thresholds, *found.scores} <= set(names) for found in pack.certificates),
        "a certificate counts scores by something else than tenths": all(
            len(counts) == _TENTHS for found in pack.certificates for counts in found.scores.values()
        ),
        "a tier mixes answers that it cannot have": all(set(tier.mix) <= earlier[tier.name] for tier in pack.tiers),
        # Somebody else's manifest may name any file of whoever moves, clears or reads packs.
        "a file does not lie beside the manifest": all(
            _BESIDE.fullmatch(name) for name in (*pack.files, *filter(None, (pack.card, pack.notice)))
        ),
        "a tier lacks what its kind needs": all(_is_complete(tier) for tier in pack.tiers),
        "a tier's output is none of its graph, or not one number for each label": all(_fits(tier, pack.labels) for tier in pack.tiers),
    }
    for broken, is_kept in promises.items():
        if not is_kept:
            raise InvariantBroken(broken, pack=pack.name)


def _is_complete(tier: TierModel) -> bool:
    match tier.kind:
        case "linear":
            return tier.buckets > 1 and tier.buckets.bit_count() == 1
        case "trees":
            return bool(tier.columns)
        case "transformer":
            return tier.tokenizer is not None and tier.max_tokens > 0


def _fits(tier: TierModel, labels: tuple[str, ...]) -> bool:
    """A manifest may say nothing about outputs; where it does, the last length is the labels'."""
    return not tier.outputs or tier.outputs.get(tier.output, "").endswith(f", {len(labels)}]")


def _scalar(value: Value) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_scalar(item) for item in value)}]"
    return _json(value)


def _json(value: Value) -> str:
    """JSON strings, numbers and booleans are TOML ones too; only DEL, which JSON leaves as it is, TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")


def _is_tables(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _json(name)


def _table(path: str, entry: Mapping[str, Any], *, is_item: bool = False) -> Iterable[str]:
    yield f"[[{path}]]" if is_item else f"[{path}]"
    nested = {key: value for key, value in entry.items() if isinstance(value, Mapping) or _is_tables(value)}
    yield from (f"{_key(key)} = {_scalar(value)}" for key, value in entry.items() if key not in nested and value is not None)
    yield ""
    for key, value in nested.items():
        if isinstance(value, Mapping):
            if value:
                yield from _table(f"{path}.{_key(key)}", value)
        else:
            for item in value:
                yield from _table(f"{path}.{_key(key)}", item, is_item=True)


def _without_defaults(pack: Pack) -> Mapping[str, Any]:
    """Fields that say nothing (empty text, zero, no file) are left out, so that a manifest can be read by people."""

    def kept(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: kept(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [kept(item) for item in value]
        return value

    entry: dict[str, Any] = kept(asdict(pack))
    entry["tiers"] = [{key: value for key, value in tier.items() if value not in ({}, 0, None)} for tier in entry["tiers"]]
    return {key: value for key, value in entry.items() if value not in ("", [], {}, None)}


def render(packs: Iterable[Pack]) -> str:
    """The manifest of these packs, by name and from the oldest version, so that the same packs give the same bytes."""
    lines = ["# Written by `recoup lab train`; hashes and thresholds belong together, so do not edit by hand.", ""]
    for pack in sorted(packs, key=lambda pack: (pack.name, pack.age)):
        lines.extend(_table("pack", _without_defaults(pack), is_item=True))
    return "\n".join(lines).rstrip() + "\n"
