"""Prints the scores of documents, bit by bit, as the process that runs this computes them: `python -m tests.scores FOLDER [SEED]`.

With ``--runtime`` it refuses every library that the worker's image does not have.
"""

from __future__ import annotations

import importlib.abc
import json
import random
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ABSENT = frozenset({"torch", "transformers", "sklearn", "scipy", "onnx", "pandas", "lightgbm", "pytest", "hypothesis"})


class _Refusing(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        del path, target
        if fullname.partition(".")[0] in ABSENT:
            raise ImportError(f"{fullname} is not in the worker's image")
        return None


def scores(folder: Path, texts: Sequence[str], order: Sequence[int]) -> list[str]:
    """Rows of every tier of every pack in the folder, mixed ones too, computed in this order of texts and returned in theirs."""
    from services.worker.runtime.pack import load  # noqa: PLC0415 - after the refusing
    from shared.automations.contract import Features  # noqa: PLC0415 - as above
    from shared.inference.models import Models  # noqa: PLC0415 - as above
    from shared.inference.scorers import mixed  # noqa: PLC0415 - as above

    models = Models(folder)
    found: list[str] = []
    documents = [Features(texts[index], {"n": str(index)}) for index in order]
    for pack in load(folder).values():
        rows = {tier.name: models.scorer(pack, tier).probabilities(documents) for tier in pack.tiers}
        places = [order.index(position) for position in range(len(texts))]
        for tier in pack.tiers:
            found += [rows[tier.name][place].tobytes().hex() for place in places]
            found += [mixed(tier.mix, {name: rows[name][place] for name in tier.mix}).tobytes().hex() for place in places if tier.mix]
    return found


def main() -> None:
    if "--runtime" in sys.argv:
        sys.meta_path.insert(0, _Refusing())
        # The whole worker, as it starts.
        import services.worker.process  # noqa: F401, PLC0415 - for what it imports
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    texts: list[str] = json.loads(sys.stdin.read())
    order = list(range(len(texts)))
    random.Random(seed).shuffle(order)
    sys.stdout.write(json.dumps({"scores": scores(folder, texts, order), "loaded": sorted(ABSENT & set(sys.modules))}))


if __name__ == "__main__":
    main()
