"""Fields as the columns that trees read: numbers as numbers, categories by their position among those of the training part."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from shared.automations.bins import number
from shared.automations.contract import Features

# By name, in the order of the model's columns: the known categories in the order of their numbers, or none where the field is a number.
Columns = Mapping[str, tuple[str, ...]]
_UNKNOWN = math.nan


class Table:
    """A row depends on its document alone. What a column does not know, a category, no number or no value at all, is NaN."""

    def __init__(self, columns: Columns) -> None:
        self._columns = {name: {value: float(place) for place, value in enumerate(known)} for name, known in columns.items()}

    def rows(self, documents: Iterable[Features]) -> Sequence[Sequence[float]]:
        """``(documents, columns)``."""
        return [[_value(document.fields.get(name, ""), known) for name, known in self._columns.items()] for document in documents]


def _value(text: str, known: Mapping[str, float]) -> float:
    if known:
        return known.get(text, _UNKNOWN)
    found = number(text)
    return _UNKNOWN if found is None else found
