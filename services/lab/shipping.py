"""The shipped packs of intents: three tasks on one fine-tuned encoder with a head for each, so that all fit into little room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.lab import bert, encoder, graphs, lessons, mixing, student, taught, tutored
from services.lab.answers import answers
from services.lab.bert import Head
from services.lab.building import Bench, Stage, assembled, bench, nano_tier, quantised, written
from services.lab.encoder import Material, Network, Schedule
from services.lab.examples import Example
from services.lab.plan import Plan, labels_of
from services.lab.public import INTENTS, PublicSet
from services.lab.publishing import Published, draft, judge, publish
from services.lab.taught import Schooling, Tutor, Vocabulary
from services.lab.teacher import MINILM, Teacher, folder_of, load
from services.lab.training import alone
from services.lab.wordpiece import encoded
from shared.automations.pack import Artefact, Pack, TierModel
from shared.inference.scorers import DocumentTokenizer

ENCODER: Final = "intents-encoder.onnx"
TOKENIZER: Final = "intents-tokenizer.json"
_MAX_TOKENS: Final = 64
# Utterances are short: one thousand tokens are more than fifty of them.
SCHEDULE: Final = Schedule(epochs=5, rate=1e-4, seed=0, tokens=1_024)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the three tasks have in common; ``exact`` is the graph in 32 bits."""

    graph: Artefact
    tokenizer: Artefact
    exact: bytes


def plan(name: str, data: PublicSet, examples: Sequence[Example], folder: Path) -> Plan:
    return Plan(
        name=name,
        task=name,
        labels=labels_of(examples),
        source=data.source(folder),
        person=data.person,
        level=data.level,
        licence=f"Apache-2.0; trained on {data.name}, {data.licence}",
        mini=data.mini,
        teacher=MINILM,
        variants=False,
        max_tokens=_MAX_TOKENS,
    )


def benches(data: Path, out: Path, stage: Stage) -> dict[str, tuple[Bench, list[Example]]]:
    made = {}
    for name, public in INTENTS.items():
        read = public.read(data)
        planned = plan(name, public, read, data)
        # Three sentences of the insurance set have lists of words for an intent: slips of its publisher, and no cases of a rare label.
        examples = [example for example in read if example.label in planned.labels]
        made[name] = (bench(planned, examples, out, stage), examples)
    return made


def network(found: Mapping[str, Bench]) -> Network:
    return encoder.pretrained(folder_of(MINILM), {name: len(made.plan.labels) for name, made in found.items()}, SCHEDULE.seed)


def fitted(found: Mapping[str, Bench], out: Path, stage: Stage) -> tuple[Teacher, Network]:
    """MiniLM after it has learnt all three tasks at once, or what an earlier run has left of that."""
    texts = [text for made in found.values() for text in made.texts("train")]
    teacher, made = load(MINILM, texts, _MAX_TOKENS), network(found)
    materials = {
        name: Material(
            [teacher.kept[ids].tolist() for ids in encoded(teacher.tokenizer, bench.texts("train"))],
            bench.targets("train"),
            len(bench.plan.labels),
        )
        for name, bench in found.items()
    }
    encoder.fit(made, materials, SCHEDULE, out / student.WORK / "intents.pt", student.moved(stage, "encoder of the intents"))
    return student.with_weights(teacher, made.weights), made


def shared(teacher: Teacher, heads: Mapping[str, Head], out: Path) -> Shared:
    """One int8 graph for every processor: 7-bit weights, because two variants would not fit into the room that there is."""
    # Not levelled: of 3,000 utterances int8 gives 14 another label without it and 11 with it, and it takes a fiftieth more time.
    exact = bert.to_onnx(teacher.weights, teacher.shape, {_output(name): head for name, head in heads.items()})
    small, tokenizer = written(out, ENCODER, graphs.int8(exact, "any")), written(out, TOKENIZER, teacher.tokenizer.to_str().encode())
    return Shared(small, tokenizer, exact)


def _output(name: str) -> str:
    return f"probabilities_{name.replace('-', '_')}"


def large_tier(name: str, labels: int, given: Shared) -> TierModel:
    return TierModel(
        name="large",
        kind="transformer",
        artefacts=(given.graph,),
        output=_output(name),
        inputs=bert.INPUTS,
        outputs={_output(name): f"float32[1, {labels}]"},
        tokenizer=given.tokenizer,
        max_tokens=_MAX_TOKENS,
    )


def ship(data: Path, out: Path, stage: Stage) -> list[Published]:
    """Trains and publishes the three packs in ``out``; a broken run goes on from its checkpoint."""
    made_in = draft(out, "intents")
    found = benches(data, made_in, stage)
    made = {name: bench for name, (bench, _) in found.items()}
    teacher, network = fitted(made, made_in, stage)
    judged = packs(found, teacher, {name: Tutor(network.weights, network.head(name)) for name in made}, made_in)
    return publish(judged, made_in, out)


def packs(found: Mapping[str, tuple[Bench, list[Example]]], teacher: Teacher, tutors: Mapping[str, Tutor], out: Path) -> list[Published]:
    """Judged, with small tiers for each task, some of which the encoder teaches.

    The encoder is written twice, the second time with heads that lean towards what people must see.
    """
    heads = {name: tutor.head for name, tutor in tutors.items()}
    nanos = {name: nano_tier(made) for name, (made, _) in found.items()}
    plain = shared(teacher, heads, out)
    leant = {
        name: _leaning(made, (nanos[name], large_tier(name, len(made.plan.labels), plain)), heads[name])
        for name, (made, _) in found.items()
    }
    given = shared(teacher, leant, out)
    judged, vocabulary = [], taught.vocabulary(next(iter(found.values()))[0].stage, _MAX_TOKENS)
    for name, (made, examples) in found.items():
        about = {"teacher": teacher.name, "teacher_sha256": teacher.sha256, "teacher_epochs": SCHEDULE.epochs, "teacher_tasks": list(found)}
        large = _beside_exact(made, large_tier(name, len(made.plan.labels), given), given)
        small, taught_by = _small(made, tutors[name], (nanos[name], large), vocabulary, _others(found, name))
        pack = assembled(made, [*small, large], {**student.provenance(made.plan, None), **about, **taught_by})
        judged.append(judge(pack, out, examples, made.plan.seed))
    return judged


def _small(
    made: Bench, tutor: Tutor, known: tuple[TierModel, TierModel], vocabulary: Vocabulary, others: Sequence[str]
) -> tuple[list[TierModel], Mapping[str, Any]]:
    """What the encoder teaches, or else the nano that learnt the labels; and what the card says about it.

    Args:
        known: that nano, and the large tier.
    """
    data, (linear, large) = INTENTS[made.plan.name], known
    if data.varied:
        prepared = lessons.prepared(made, tutor, vocabulary, data.varied, others)
        return tutored.tiers(made, prepared, tutor.head), tutored.provenance(data.varied)
    if not data.rewritten:
        return [linear, *_minis(made, large)], {}
    schooling = Schooling(data.rewritten, data.letters, data.width, linear if data.beside else None)
    return [taught.nano_tier(made, tutor, schooling, vocabulary), *_minis(made, large)], taught.provenance(schooling)


def _others(found: Mapping[str, tuple[Bench, list[Example]]], name: str) -> list[str]:
    """Training texts of the other tasks."""
    return [text for other, (made, _) in found.items() if other != name for text in made.texts("train")]


def _beside_exact(made: Bench, tier: TierModel, given: Shared) -> TierModel:
    pieces = DocumentTokenizer(made.folder / TOKENIZER, given.tokenizer.sha256, _MAX_TOKENS)
    small = (made.folder / ENCODER).read_bytes()
    return replace(tier, quantised=quantised(made, given.exact, {"any": small}, pieces, tier.output))


def _minis(made: Bench, large: TierModel) -> list[TierModel]:
    """A mini that learns from this encoder, with the pieces that its own task needs, where the plan asks for one."""
    if not made.plan.mini:
        return []
    words = load(MINILM, made.texts("train"), _MAX_TOKENS)
    return [student.mini_tier(made, words, student.soft_labels(alone(made, large), made.targets("train")))]


def _leaning(made: Bench, tiers: tuple[TierModel, TierModel], head: Head) -> Head:
    """The head with a larger bias for each label that a person makes final, as far as that costs the other labels little on *tune*."""
    plan = made.plan
    if not plan.person:
        return head
    pack = Pack(name="", version="", task="", labels=plan.labels, level="", tiers=tiers, bins=made.bins, numbers=made.numbers)
    found = answers(pack, made.folder, made.examples["tune"], "any")
    rows = [found.alone[tier.name] for tier in tiers]
    weights = mixing.fit(rows, found.truth)
    people = np.array([label in plan.person for label in plan.labels])
    lean = mixing.lean(mixing.mixed(rows, weights), found.truth, people)
    bias = head.bias + np.where(people, lean / max(weights[-1], 0.1), 0.0).astype(np.float32)
    return Head(head.weights, bias.astype(np.float32))
