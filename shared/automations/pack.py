"""The manifest of model packs, ``models.toml``: what the lab writes and the worker trusts only after checking the hash."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from shared.errors import InvariantBroken

MANIFEST: Final = "models.toml"
Value = str | int | float | bool | list[Any] | dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One trained model of one tier.

    Attributes:
        task: name of the automation.
        file: of the ONNX graph, relative to the manifest.
        labels: in the order of the model's outputs.
        buckets: size of the hash space; ``hashing`` is the version of the hashing code it was trained with.
        minimum: by label, the least probability at which a tier may say it; below it abstains.
        inputs: name, type and shape of each graph input; same for ``outputs``.
        training: where the data came from, their licence and hash, seed, library versions.
        report: measured on data that the model has not seen.
    """

    name: str
    version: str
    tier: str
    task: str
    file: str
    sha256: str
    bytes: int
    labels: tuple[str, ...]
    buckets: int
    hashing: int
    minimum: Mapping[str, float]
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)


def parse(text: str) -> tuple[Pack, ...]:
    """Every pack of a manifest.

    Raises:
        InvariantBroken: not TOML, a field is missing or unknown, or a label has no threshold.
    """
    try:
        packs = tuple(Pack(**{**entry, "labels": tuple(entry["labels"])}) for entry in tomllib.loads(text).get("pack", []))
    except (tomllib.TOMLDecodeError, TypeError, KeyError) as error:
        raise InvariantBroken("the manifest of models cannot be read", reason=str(error)) from error
    for pack in packs:
        if set(pack.minimum) != set(pack.labels):
            raise InvariantBroken("a label has no threshold, or a threshold no label", pack=pack.name)
    return packs


def _scalar(value: Value) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_scalar(item) for item in value)}]"
    # JSON strings, numbers and booleans are TOML ones too, as long as no control character or non-finite number comes in.
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _table(name: str, entry: Mapping[str, Any]) -> Iterable[str]:
    yield f"[{name}]"
    yield from (f"{key} = {_scalar(value)}" for key, value in entry.items() if not isinstance(value, Mapping))
    yield ""
    for key, value in entry.items():
        if isinstance(value, Mapping):
            yield from _table(f"{name.strip('[]')}.{key}", value)


def render(packs: Iterable[Pack]) -> str:
    """The manifest of these packs, by name, so that the same packs give the same bytes."""
    lines = ["# Written by `recoup lab train`; hashes and thresholds belong together, so do not edit by hand.", ""]
    for pack in sorted(packs, key=lambda pack: pack.name):
        table = _table("[pack]", asdict(pack))
        lines.extend(table)
    return "\n".join(lines).rstrip() + "\n"
