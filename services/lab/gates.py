"""What a pack must show before it is published; one that fails a gate is not, and says why."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from services.lab import pairs, rulebook
from services.lab.answers import Answers
from services.lab.behaviour import faithfulness
from services.lab.bias import automated, treatments
from services.lab.deciding import finals
from services.lab.examples import Example
from services.lab.figures import calibration_error
from services.lab.quantising import flips_at_least, loss_at_least
from shared.automations.contract import Automation, Features
from shared.automations.pack import Pack, Variant
from shared.inference.explanation import explain
from shared.inference.scorers import Scorer

# Predictions move with the thermometer of their own uncertainty; a model further off than this misleads whoever reads its scores.
_CALIBRATION: Final = 0.10
_PROBED: Final = 200
# A segment may be wrong so many times as often as the whole, beyond what chance explains.
_UNFAIR: Final = 2.0
# Of int8, in percent and in points.
_FLIPS: Final = 0.5
_LOSS: Final = 0.3
# Of pairs of cases with one difference. A name may be part of the word pair that tells.
_TURNED: Final = 0.05
_MILDER: Final = 0.02
# Words that stand twice, or share a bucket, may leave a score where it was.
_FAITHFUL: Final = 0.9
# Of cases that break a gate.
_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Gate:
    """One demand: ``value`` against ``bound``."""

    name: str
    value: float
    bound: float
    passed: bool
    why: str

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "value": round(self.value, 4), "bound": self.bound, "passed": self.passed, "why": self.why}


def judged(
    pack: Pack, found: Answers, ask: Callable[[Sequence[Example]], Answers], examples: Sequence[Example], seed: int, first: Scorer
) -> list[Gate]:
    """Every gate, on the certification part.

    Args:
        found: the pack's answers to ``examples``.
        ask: its answers to others.
        first: the first tier, which explains itself.
    """
    return [
        promises(pack),
        _calibrated(found),
        _useful(found),
        _last_is_best(found),
        *_unmoved(found, ask, examples, seed),
        *_quantised(pack),
        *_explained(pack, first, examples, seed),
        *_fair(found, pack.tiers[-1].artefacts[0].variant),
    ]


def promises(pack: Pack) -> Gate:
    """Something is proven for every variant, at some level; where the pack's own is not, its cases go to people."""
    widest = dict.fromkeys({found.variant for found in pack.certificates} or {"any"}, 0.0)
    for found in pack.certificates:
        widest[found.variant] = max(widest[found.variant], found.coverage)
    least = min(widest.values())
    return Gate("certified", least, 0.0, least > 0, "nothing could be certified at any level: more or cleaner labels are needed")


def _calibrated(found: Answers) -> Gate:
    error = calibration_error(found.last, found.truth)
    return Gate("calibration error", error, _CALIBRATION, error <= _CALIBRATION, "probabilities are not what they say")


def _useful(found: Answers) -> Gate:
    """Labels depend on the input: cases get more for their own label than others do for it, beyond two standard errors.

    By the covariance of probabilities and truth. Not by accuracy: where one case in twenty is a fraud, the best of models says "no fraud"
    of each, and is worth its ranking. Nor by how much nearer to the truth probabilities are than the labels' frequencies: where they
    are what they say, which another gate asks, that has the same mean and twice the error, and misses what few cases of a rare label show.
    """
    hits = np.eye(found.last.shape[1])[found.truth]
    told = ((hits - hits.mean(axis=0)) * (found.last - found.last.mean(axis=0))).sum(axis=1)
    mean, least = float(told.mean()), 2 * float(told.std() / np.sqrt(len(told)))
    return Gate("covariance with the labels", mean, round(least, 4), mean > least, "the labels cannot be told from the input")


def _last_is_best(found: Answers) -> Gate:
    """A later tier costs more, so it must not be worse than the first, beyond two standard errors of the paired difference."""
    first, last = (answers.argmax(axis=1) == found.truth for answers in (next(iter(found.tiers.values())), found.last))
    difference = last.astype(float) - first
    allowed = -2 * float(difference.std() / np.sqrt(len(difference)))
    mean = float(difference.mean())
    return Gate("gain of the last tier over the first", mean, round(allowed, 4), mean >= min(allowed, 0.0), "the dearer tier is worse")


def _shouted(text: str, _chance: random.Random) -> str:
    return text.upper()


def _spaced(text: str, _chance: random.Random) -> str:
    return "  " + text.replace(" ", "  ") + " \n"


def _mistyped(text: str, chance: random.Random) -> str:
    """Two neighbouring letters of one longer word are exchanged."""
    words = text.split(" ")
    long = [index for index, word in enumerate(words) if len(word) > 5 and word.isalpha()]
    if not long:
        return text
    index = chance.choice(long)
    word, place = words[index], chance.randrange(1, len(words[index]) - 2)
    words[index] = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return " ".join(words)


# Each with the share of answers that it may turn. A short text whose telling word is mistyped is hard for people too.
_CHANGES: Final = {"upper case": (_shouted, 0.05), "spaces": (_spaced, 0.02), "one typing error": (_mistyped, 0.20)}


def _unmoved(found: Answers, ask: Callable[[Sequence[Example]], Answers], examples: Sequence[Example], seed: int) -> list[Gate]:
    """Answers should survive changes that mean nothing."""
    chance = random.Random(seed)
    picked = [index for index, example in enumerate(examples) if example.features.text.strip()]
    picked = chance.sample(picked, min(_PROBED, len(picked)))
    if not picked:
        return []
    before = found.last[picked].argmax(axis=1)
    gates = []
    for name, (change, bound) in _CHANGES.items():
        changed = [replace(examples[index], features=_changed(examples[index].features, change, chance)) for index in picked]
        turned = float((ask(changed).last.argmax(axis=1) != before).mean())
        gates.append(Gate(f"answers turned by {name}", turned, bound, turned <= bound, f"{name} should not change what a text means"))
    return gates


def _changed(features: Features, change: Callable[[str, random.Random], str], chance: random.Random) -> Features:
    return replace(features, text=change(features.text, chance))


def _quantised(pack: Pack) -> list[Gate]:
    """Copies in int8 say what their originals say, beyond what chance explains: at most one label in two hundred is another."""
    gates = []
    for name, variant, found in ((tier.name, variant, found) for tier in pack.tiers for variant, found in tier.quantised.items()):
        flips, loss = 100 * flips_at_least(found), 100 * loss_at_least(found)
        why = "int8 changes what the model says"
        gates.append(Gate(f"labels that int8 changes in {name} ({variant}), at least, %", flips, _FLIPS, flips <= _FLIPS, why))
        gates.append(Gate(f"accuracy that int8 loses in {name} ({variant}), at least, points", loss, _LOSS, loss <= _LOSS, why))
    return gates


def _explained(pack: Pack, first: Scorer, examples: Sequence[Example], seed: int) -> list[Gate]:
    """What people are shown as reasons must be what moved the score; only linear models name words one by one."""
    if pack.tiers[0].kind != "linear":
        return []
    made = faithfulness(first, [example.features for example in examples], lambda document, label: explain(first, label, document), seed)
    return [
        Gate("explanations that hold", made.fell, _FAITHFUL, made.fell >= _FAITHFUL, "the score does not fall without what was cited"),
        Gate(
            "fall without what was cited",
            made.cited,
            round(made.others, 4),
            made.n == 0 or made.cited > made.others,
            "other words matter as much as those that were cited",
        ),
    ]


def directed(automation: Automation, labels: Sequence[str], ask: Callable[[Sequence[Example]], Answers], seed: int) -> list[Gate]:
    """Pairs of generated cases: more of what is grave never makes a case milder, and another name turns nothing.

    Changes that a hard rule would catch are among them, so this is where a model that contradicts the rules is found.
    """
    grave = {label: place for place, label in enumerate(pairs.SEVERITY[automation.name])}
    gates = []
    for pair in pairs.PAIRS[automation.name]:
        drawn = pairs.drawn(automation, pair, seed)
        before, after = (
            [labels[row] for row in ask([Example(both[side], labels[0], "") for both in drawn]).last.argmax(axis=1)] for side in (0, 1)
        )
        both = list(zip(before, after, strict=True))
        bad = [one != other if pair.means_nothing else grave.get(other, 0) < grave.get(one, 0) for one, other in both]
        what, bound = ("answers turned", _TURNED) if pair.means_nothing else ("cases that became milder", _MILDER)
        share = sum(bad) / max(len(bad), 1)
        gates.append(Gate(f"{what} by {pair.name}", share, bound, share <= bound, "the model has learnt what is not so"))
    return gates


def ruled(automation: Automation, pack: Pack, ask: Callable[[Sequence[Example]], Answers], seed: int) -> list[Gate]:
    """Cases of every hard rule: at no level does the line make final without a person what the rule forbids.

    Models do not see most of what rules look at, and learn nothing of such cases: alone they decide most of them as if there were none.
    """
    found, variant = rulebook.cases(automation, seed), pack.tiers[-1].artefacts[0].variant
    if not found:
        return []
    proven = [certificate for certificate in pack.certificates if certificate.variant in {variant, "any"}]
    broken = {}
    for outcomes in finals(automation, pack, ask, [(case.data, case.context) for case in found], proven):
        for case, outcome in zip(found, outcomes, strict=True):
            if outcome is not None and outcome not in case.rule.may:
                broken[case.rule.reason, case.event] = outcome
    named = [f"{event} under {reason} would be {outcome}" for (reason, event), outcome in broken.items()]
    return [Gate("automatic decisions against a hard rule", len(broken), 0.0, not broken, "; ".join(named[:_NAMED]))]


def _fair(found: Answers, variant: Variant) -> list[Gate]:
    """No segment is wrong far more often than the whole, or left to people far more often, beyond what chance explains."""
    wrong = float((found.last.argmax(axis=1) != found.truth).mean())
    automatic = float(automated(found, variant).mean())
    gates = []
    for name, seen in treatments(found, variant).items():
        if wrong:
            low = seen.error.low / wrong
            gates.append(Gate(f"errors in segment {name}, times the whole's", low, _UNFAIR, low <= _UNFAIR, "one segment bears the errors"))
        if automatic:
            high, least = seen.automation.high / automatic, 1 / _UNFAIR
            why = "one segment waits for people"
            gates.append(Gate(f"automation in segment {name}, times the whole's", high, least, high >= least, why))
    return gates
