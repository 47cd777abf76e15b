"""What is to be trained: the task, its labels and the tiers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from services.lab.examples import Example, Source
from services.lab.versions import FIRST
from shared.automations.pack import Declaration
from shared.errors import Rejected

LEVELS: Final = ("0.01", "0.02", "0.05")
# Rarer labels can be neither learnt nor judged: their cases are left to people.
FEWEST_EXAMPLES: Final = 10


class TooFewExamples(Rejected):
    """There are too few labelled examples to train, tune and certify."""

    code = "too_few_examples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One pack.

    Attributes:
        version: of the pack; others of its name stay published beside it.
        level: the promise that holds where nobody chooses another; certified besides `LEVELS`.
        person: labels that a person must make final.
        teacher: ``minilm`` or the folder of an encoder; empty: none.
        large: the teacher is shipped as a tier of its own.
        strength: of nano, with ``balance``, ``buckets``, ``letters`` and ``margin`` as in `services.lab.nano.Recipe`.
        nano: train the linear model; ``trees``: gradient boosting over the fields.
        mini: train the small transformer; ``epochs`` long.
        finetune: epochs for which the teacher learns the task; 0: only its head does.
        layers: of the teacher that are kept, from the first; None: all.
        width: feed-forward units that are kept in each of them, those that matter most (`services.lab.narrowing`); None: all.
        rare: pieces of the teacher's vocabulary that the training texts have less often are cut; their words fall into shorter pieces.
        declares: what makes an automation of the pack, where none is installed.
        max_tokens: of a document; a transformer sees no more.
        blockwise: int8 keeps more of what transformers compute, for a fifth more time (`services.lab.blockwise`).
        variants: write an artefact for processors with VNNI and one for others, else one for all.
    """

    name: str
    task: str
    labels: tuple[str, ...]
    source: Source
    version: str = FIRST
    level: str = "0.02"
    person: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    seed: int = 0
    teacher: str = ""
    large: bool = False
    nano: bool = True
    trees: bool = False
    mini: bool = False
    epochs: int = 12
    finetune: int = 0
    layers: int | None = None
    width: int | None = None
    rare: int = 1
    max_tokens: int = 128
    blockwise: bool = False
    variants: bool = True
    strength: float = 30.0
    balance: float = 0.0
    buckets: int | None = None
    letters: int = 0
    margin: bool = False
    declares: Declaration | None = None

    @property
    def levels(self) -> tuple[str, ...]:
        return tuple(sorted({*LEVELS, self.level}, key=float))


def labels_of(examples: Iterable[Example], fewest: int = FEWEST_EXAMPLES) -> tuple[str, ...]:
    """Labels with enough examples, in alphabetical order.

    Raises:
        TooFewExamples: fewer than two such labels.
    """
    counts = Counter(example.label for example in examples)
    found = tuple(sorted(label for label, count in counts.items() if count >= fewest))
    if len(found) < 2:
        raise TooFewExamples(labels=len(found), fewest_examples=fewest)
    return found


def checked(parts: dict[str, list[Example]], labels: Sequence[str]) -> None:
    """Raises TooFewExamples where a part is missing, or the training part lacks a label."""
    if min(len(found) for found in parts.values()) < FEWEST_EXAMPLES:
        raise TooFewExamples(**{name: len(found) for name, found in parts.items()})
    unseen = set(labels) - {example.label for example in parts["train"]}
    if unseen:
        raise TooFewExamples(not_in_train=sorted(unseen))
