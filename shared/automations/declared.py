"""Automations without a program: a pack of models says what its events look like, and its labels are the ways a case can end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, create_model

from shared.automations.contract import Automation, Features, Outcome
from shared.automations.pack import MANIFEST, Declaration, Pack, read
from shared.errors import InvariantBroken

_TEXT: Final = Annotated[str, Field(max_length=20_000)]
_CATEGORY: Final = Annotated[str, Field(max_length=1_000)] | int | Annotated[float, Field(allow_inf_nan=False)] | bool | None
_NUMBER: Final = int | Annotated[float, Field(allow_inf_nan=False)] | None


def declared(folder: Path) -> Mapping[str, Automation]:
    """By name, one for each task of the folder's manifest that says what its events look like.

    Raises:
        InvariantBroken: the manifest cannot be read.
    """
    try:
        packs = read(folder / MANIFEST)
    except OSError as error:
        raise InvariantBroken("the manifest of models cannot be read", path=str(folder / MANIFEST)) from error
    by_task: dict[str, list[Pack]] = {}
    for pack in packs:
        by_task.setdefault(pack.task, []).append(pack)
    return {task: automation_of(found) for task, found in by_task.items() if any(pack.declares for pack in found)}


def automation_of(versions: Iterable[Pack]) -> Automation:
    """Of all versions of one task: its cases end with any of their labels; what its events look like, the last one says.

    A field is a number where each value in the training data was one; null stands for a value that is not known. What else an event holds
    is kept for people and ignored. A label that is for people in any version is adverse; one that no model has learnt is not automatic.

    Raises:
        InvariantBroken: no version says what the events look like.
    """
    packs = list(versions)
    said = [(pack, pack.declares) for pack in packs if pack.declares is not None]
    if not said:
        raise InvariantBroken("a pack does not say what its events look like", packs=[pack.name for pack in packs])
    pack, declaration = said[-1]
    return Automation(
        name=pack.task,
        event_type=declaration.event_type,
        data_model=_data_model(pack, declaration),
        outcomes=_outcomes([pack for pack, _ in said]),
        title=pack.task,
        features=_features(pack, declaration),
    )


def _data_model(pack: Pack, declaration: Declaration) -> type[BaseModel]:
    """Columns of a table may be called anything, so attributes are numbered and the names are aliases."""
    given: dict[str, Any] = {"text": (_TEXT, Field(alias=declaration.text))} if declaration.text else {}
    for place, name in enumerate(declaration.fields):
        given[f"field_{place}"] = (_NUMBER if pack.is_number(name) else _CATEGORY, Field(alias=name))
    # A title of its own: the schema is shown to whoever connects.
    return create_model(f"{pack.task} event", __config__=ConfigDict(extra="ignore", frozen=True), **given)


def _outcomes(packs: Iterable[Pack]) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for pack in packs:
        known = set(pack.labels)
        for name in (*pack.labels, *(pack.declares.rare if pack.declares else ())):
            before = found.get(name, Outcome(automatic=False))
            found[name] = Outcome(adverse=before.adverse or name in pack.person, automatic=before.automatic or name in known)
    return found


def _features(pack: Pack, declaration: Declaration) -> Any:
    """Numbers and truth values as the table had them in writing."""
    known = {name: values for tier in pack.tiers for name, values in tier.columns.items()}

    def features(data: BaseModel) -> Features:
        values = ((name, getattr(data, f"field_{place}")) for place, name in enumerate(declaration.fields))
        fields = {name: _written(value, known.get(name, ())) for name, value in values}
        return Features(text=getattr(data, "text") if declaration.text else "", fields=fields)  # noqa: B009 - the model is made at run time

    return features


def _written(value: str | float | bool | None, known: Iterable[str]) -> str:  # noqa: FBT001 - a truth value is one of a field's values
    """Tables have ``true``, ``True`` or ``TRUE`` for what JSON has one word for."""
    if isinstance(value, bool):
        return next((found for found in known if found.lower() == str(value).lower()), str(value))
    return "" if value is None else str(value)
