"""Building a pack: train each tier on *train*, mix on *tune*, certify and report on *certify*; files first, the manifest last."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.lab import asking, bert, graphs, levelling, linear, mixing, nano, quantising
from services.lab.answers import Answers, answers, mix
from services.lab.bert import Head, Shape, Weights
from services.lab.blockwise import blockwise
from services.lab.certify import Promise, Sample, certify, starts
from services.lab.examples import Example, digest, once, parts
from services.lab.figures import figures
from services.lab.plan import Plan, checked
from services.lab.teacher import Teacher, fitted_head
from services.lab.thresholds import path
from services.lab.wordpiece import encoded
from shared.automations.bins import Edges, binned
from shared.automations.pack import Artefact, Certificate, Pack, TierModel, Variant
from shared.errors import Rejected
from shared.inference.processor import processor
from shared.inference.scorers import DocumentTokenizer

_LIBRARIES: Final = ("numpy", "scipy", "scikit-learn", "onnx", "onnxruntime", "tokenizers")
_GROWERS: Final = ("lightgbm", "onnxmltools")
Stage = Callable[[str, int], Callable[[], None]]


class CannotWrite(Rejected):
    """The folder of the pack cannot be made."""

    code = "cannot_write"


def written(folder: Path, file: str, content: bytes, variant: Variant = "any") -> Artefact:
    (folder / file).write_bytes(content)
    return Artefact(file=file, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content), variant=variant)


@dataclass(frozen=True, slots=True)
class Bench:
    """One pack in the making.

    Attributes:
        examples: by part, of the plan's labels only.
        stage: opens a progress bar of a name and a length; what it returns moves it by one.
        numbers: fields that are numbers of few values (`nano.numbers`).
        others: by part, of labels too rare to be learnt. Their cases come all the same, and every automatic answer to them is wrong.
    """

    plan: Plan
    folder: Path
    examples: Mapping[str, Sequence[Example]]
    bins: Edges
    stage: Stage
    others: Mapping[str, Sequence[Example]] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()

    def judged(self, part: str) -> list[Example]:
        """What certificates count: examples of the plan's labels and of others."""
        return [*self.examples[part], *self.others.get(part, ())]

    def texts(self, part: str) -> list[str]:
        return [example.features.as_document() for example in self.binned(part)]

    def targets(self, part: str) -> npt.NDArray[np.int64]:
        positions = {label: index for index, label in enumerate(self.plan.labels)}
        return np.array([positions[example.label] for example in self.examples[part]], dtype=np.int64)

    def binned(self, part: str) -> list[Example]:
        """Numbers of fields as bins or in one writing, as all models but trees read them."""
        if not self.bins and not self.numbers:
            return list(self.examples[part])
        return [_binned(example, self.bins, self.numbers) for example in self.examples[part]]


def _binned(example: Example, edges: Edges, numbers: tuple[str, ...]) -> Example:
    features = example.features
    return replace(example, features=replace(features, fields=binned(features.fields, edges, numbers)))


def bench(plan: Plan, examples: Sequence[Example], folder: Path, stage: Stage) -> Bench:
    """Raises TooFewExamples where a part or a label has too few, and CannotWrite where the folder cannot be made."""
    found, others = (parts(example for example in examples if (example.label in plan.labels) is is_known) for is_known in (True, False))
    checked(found, plan.labels)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(folder=str(folder), reason=error.strerror) from error
    edges = nano.edges(found["train"])
    return Bench(plan, folder, found, edges, stage, others, nano.numbers(found["train"], edges))


def nano_tier(bench: Bench) -> TierModel:
    plan, train = bench.plan, bench.binned("train")
    passed = bench.stage("nano", 1)
    how = nano.recipe(len(plan.labels)) if plan.buckets is None else nano.Recipe(plan.buckets)
    how = replace(how, strength=plan.strength, balance=plan.balance, letters=plan.letters, margin=plan.margin)
    model = nano.fit(train, plan.labels, how)
    model = model.cooled(nano.temperature(model, bench.binned("tune"), plan.labels, how))
    file, content = f"{plan.name}-nano.onnx", linear.to_onnx(model, f"{plan.name}-nano")
    passed()
    written(bench.folder, file, content)
    return nano.tier(file, content, how, len(plan.labels))


def trees_tier(bench: Bench) -> TierModel:
    from services.lab import trees  # noqa: PLC0415 - importing it takes longer than most commands of the lab, and few train trees

    plan, examples = bench.plan, bench.examples["train"]
    known = trees.columns(examples)
    passed = bench.stage("trees", len(trees.WAYS))
    model = trees.fit(examples, bench.targets("train"), known, len(plan.labels), plan.seed, passed)
    file = f"{plan.name}-{trees.NAME}.onnx"
    return trees.tier(written(bench.folder, file, trees.to_onnx(model, f"{plan.name}-{trees.NAME}")), known, len(plan.labels))


def transformer_tier(bench: Bench, name: str, weights: Weights, shape: Shape, head: Head, tokenizer: Artefact) -> TierModel:
    """A tier of one encoder with one head, in int8 for each kind of processor that the plan asks for."""
    plan = bench.plan
    pieces = DocumentTokenizer(bench.folder / tokenizer.file, tokenizer.sha256, plan.max_tokens)
    probed = [pieces.ids(text) for text in levelling.spread(bench.texts("train"))]
    exact = levelling.levelled(bert.to_onnx(weights, shape, {"probabilities": head}), probed)
    graph = blockwise(exact) if plan.blockwise else exact
    kinds: tuple[Variant, ...] = ("vnni", "portable") if plan.variants else ("any",)
    passed = bench.stage(f"{name} in int8", len(kinds))
    small: dict[Variant, bytes] = {}
    for kind in kinds:
        small[kind] = graphs.int8(graph, kind)
        passed()
    made = [
        written(bench.folder, f"{plan.name}-{name}{'' if kind == 'any' else f'.{kind}'}.onnx", content, kind)
        for kind, content in small.items()
    ]
    return TierModel(
        name=name,
        kind="transformer",
        artefacts=tuple(made),
        inputs=bert.INPUTS,
        outputs={"probabilities": f"float32[1, {len(plan.labels)}]"},
        tokenizer=tokenizer,
        max_tokens=plan.max_tokens,
        quantised=quantised(bench, exact, small, pieces),
    )


def quantised(
    bench: Bench, graph: bytes, small: Mapping[Variant, bytes], pieces: DocumentTokenizer, output: str = "probabilities"
) -> Mapping[str, Mapping[str, int]]:
    """What int8 changes on *tune*, by variant; what needs 8-bit dot products is judged only where there are some."""
    documents = [pieces.ids(text) for text in bench.texts("tune")[: quantising.MOST]]
    truth = bench.targets("tune")[: quantising.MOST]
    runs = {kind: content for kind, content in small.items() if kind != "vnni" or processor().variant == "vnni"}
    passed = bench.stage("int8 beside 32 bits", len(documents) * (1 + len(runs)))
    exact = quantising.said(graph, output, documents, passed)
    return {kind: quantising.counted(exact, quantising.said(content, output, documents, passed), truth) for kind, content in runs.items()}


def large_tier(bench: Bench, teacher: Teacher) -> TierModel:
    """The frozen teacher with a head for this task."""
    plan, texts = bench.plan, bench.texts("train")
    tokenizer = written(bench.folder, f"{plan.name}-large-tokenizer.json", teacher.tokenizer.to_str().encode())
    passed = bench.stage("embeddings of the teacher", len(texts))
    head = fitted_head(teacher, encoded(teacher.tokenizer, texts), bench.targets("train"), passed)
    return transformer_tier(bench, "large", teacher.weights, teacher.shape, head, tokenizer)


def assembled(bench: Bench, tiers: Sequence[TierModel], made_of: Mapping[str, Any]) -> Pack:
    """The pack with mixture weights, certificates and figures."""
    plan, sees_words = bench.plan, any(tier.kind != "trees" for tier in tiers)
    pack = Pack(
        name=plan.name,
        version=plan.version,
        task=plan.task,
        labels=plan.labels,
        level=plan.level,
        tiers=tuple(tiers),
        person=plan.person,
        declares=plan.declares,
        bins=bench.bins if sees_words else {},
        numbers=bench.numbers if sees_words else (),
        licence=plan.licence,
        training={
            "data": plan.source.name,
            "data_licence": plan.source.licence,
            "data_sha256": plan.source.sha256,
            "seed": plan.seed,
            **made_of,
            "libraries": [f"{name} {version(name)}" for name in (*_LIBRARIES, *(_GROWERS if plan.trees else ()))],
        },
    )
    kinds: tuple[Variant, ...] = ("vnni", "portable") if any(len(tier.artefacts) > 1 for tier in tiers) else ("any",)
    tune = _answers(bench, pack, "tune", kinds[0])
    pack = _mixing(tune.known())
    certificates: list[Certificate] = []
    judged = {name: bench.judged(name) for name in ("tune", "certify")}
    for kind in kinds:
        seen = mix(replace(tune, pack=pack)) if kind == kinds[0] else _answers(bench, pack, "tune", kind)
        sample = _answers(bench, pack, "certify", kind)
        certificates.extend(certificates_of(seen, sample, judged, plan.levels, kind))
    pack = replace(pack, certificates=tuple(certificates))
    sizes = {f"n_{name}": len(found) for name, found in bench.examples.items()}
    if bench.others.get("certify"):
        sizes["n_of_rare_labels"] = len(bench.others["certify"])
    return replace(pack, report={"measured_on": "certify", **sizes, **figures(replace(sample, pack=pack), kinds[-1])})


def _answers(bench: Bench, pack: Pack, part: str, kind: Variant) -> Answers:
    judged = bench.judged(part)
    passed = bench.stage(f"answers on {part}", len(pack.tiers) * len(judged))

    def counted(count: int) -> None:
        for _ in range(count):
            passed()

    return answers(pack, bench.folder, judged, kind, counted)


def _mixing(tune: Answers) -> Pack:
    """Every tier answers with those before it, by weights that fit the tuning labels; nano as the first has its temperature already."""
    names, made = list(tune.alone), []
    for index, tier in enumerate(tune.pack.tiers):
        is_cooled = index == 0 and tier.kind == "linear"
        weights = () if is_cooled else mixing.fit([tune.alone[name] for name in names[: index + 1]], tune.truth)
        # A weight of nothing would only cost a logarithm.
        made.append(replace(tier, mix={name: weight for name, weight in zip(names, weights, strict=False) if weight > 0}))
    return replace(tune.pack, tiers=tuple(made))


def certificates_of(
    tune: Answers, sample: Answers, judged: Mapping[str, Sequence[Example]], levels: Sequence[str], kind: Variant
) -> list[Certificate]:
    """One for each level, in their order; ``judged`` has the examples of both, *tune* and *certify*, whose copies count once."""
    counted = {name: np.array(once(found), dtype=bool) for name, found in judged.items()}
    scores, distinct = tune.only(counted["tune"]).scores(), sample.only(counted["certify"])
    settings = path(scores)
    certified = Sample(
        names=tuple(sample.tiers),
        scores=distinct.scores(),
        sha256=digest(judged["certify"]),
        groups=distinct.segments if any(distinct.segments) else (),
        whole=() if counted["certify"].all() else sample.scores(),
    )
    floors = asking.floors(scores)
    promised = {promise: floors.highest(promise) for promise in (Promise(level=level) for level in levels)}
    begins = starts(settings, scores, certified.n, promised)
    return [certify(settings, scores, certified, promise, kind, floor=floor, begin=begins[promise]) for promise, floor in promised.items()]
