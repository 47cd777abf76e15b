"""Which examples a task is trained and judged on, and the plan that comes with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from services.lab import columns, examples
from services.lab.columns import Columns
from services.lab.examples import Example, Source
from services.lab.plan import Plan, labels_of
from services.lab.synth import TASKS
from shared.automations import registry
from shared.automations.pack import Declaration
from shared.errors import Rejected


@dataclass(frozen=True, slots=True)
class _Known:
    """What a plan says of a task that is trained on events instead of a user's table."""

    strength: float
    buckets: int
    level: str
    balance: float = 0.0
    letters: int = 0
    margin: bool = False
    blockwise: bool = False


_KNOWN: Final = {
    "claims": _Known(10.0, 1 << 17, "0.02"),
    # One narrative in a hundred is about a payday loan, and another is about a transfer. In four folds of the training part a logistic loss
    # on words alone gets 80.4 % right at a macro F1 of 0.61; letters and margins get 82.4 % and 0.67.
    "complaints": _Known(0.03, 1 << 18, "0.08", balance=1.0, letters=4, margin=True, blockwise=True),
    "invoices": _Known(10.0, 1 << 17, "0.02"),
}
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{1,47}")
# As the API takes an outcome.
_LABEL: Final = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
# Of labels, to show which are meant.
_NAMED: Final = 5


class UnfitLabels(Rejected):
    """The labels in the data are no outcomes of the automation."""

    code = "unfit_labels"


class UnfitNames(Rejected):
    """A label is one line of at most 200 characters: no person could choose another."""

    code = "unfit_names"


class BadName(Rejected):
    """A task is named with a lower-case letter and 1 to 47 more of lower-case letters, digits and hyphens."""

    code = "bad_name"


def from_table(task: str, path: Path, named: Columns, person: Sequence[str], licence: str) -> tuple[Plan, list[Example]]:
    """A user's own table. Where an automation of that name is installed, its outcomes say which labels need a person, else the pack
    declares one.

    Raises:
        BadName, UnfitNames, ColumnTwice, UnreadableData, TooFewExamples: as they say.
        UnfitLabels: labels that are no outcomes of the installed automation, or people's labels that do not occur.
    """
    if not _NAME.fullmatch(task):
        raise BadName(name=task)
    found = list(columns.labelled(path, named))
    odd = sorted({example.label for example in found if not _LABEL.fullmatch(example.label)})
    if odd:
        raise UnfitNames(labels=odd[:_NAMED])
    labels = labels_of(found)
    installed = registry.installed().get(task)
    unfit = set(labels) - set(installed.outcomes) if installed else set(person) - set(labels)
    if unfit:
        raise UnfitLabels(labels=sorted(unfit), known=sorted(installed.outcomes if installed else labels))
    people = tuple(label for label in labels if (installed.requires_person(label) if installed else label in person))
    source = Source(path.name, licence or "not stated", columns.sha256(path))
    declares = None if installed else _declaration(task, named, {example.label for example in found} - set(labels))
    return Plan(name=task, task=task, labels=labels, source=source, person=people, declares=declares), found


def _declaration(task: str, named: Columns, rare: Iterable[str]) -> Declaration:
    return Declaration(event_type=f"recoup.{task}.received.v1", text=named.text or "", fields=named.fields, rare=tuple(sorted(rare)))


def from_events(task: str, data: Path | None, n: int, seed: int, passed: Callable[[], None]) -> tuple[Plan, list[Example]]:
    """A task with an automation, on generated events, or complaints on narratives."""
    installed = registry.installed()[task]
    if task == "complaints":
        products = [name for name, outcome in installed.outcomes.items() if outcome.automatic]
        found, source = examples.cfpb(data or examples.CFPB, products)
    else:
        found, source = examples.synthetic(installed, n, seed, passed)
    labels = tuple(sorted({example.label for example in found}))
    person = tuple(label for label in labels if installed.requires_person(label))
    made = Plan(name=task, task=task, labels=labels, source=source, person=person, seed=seed, **asdict(_KNOWN[task]))
    return made, found


def for_pack(task: str, data: Path, named: Columns | None, label: str) -> list[Example]:
    """Examples to judge a pack on: rows of a table, or events as `recoup lab synth` writes them."""
    if named is not None:
        return list(columns.labelled(data, named))
    if task not in TASKS:
        raise examples.UnreadableData(path=str(data), reason="rows are no events of an installed automation: name the columns")
    return list(examples.events(registry.installed()[task], examples.rows(data), label))
