"""One command's training: every tier that the plan asks for, then the pack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.lab import files, manifest
from services.lab.answers import answers
from services.lab.building import (
    Bench,
    Stage,
    assembled,
    bench,
    certificates_of,
    large_tier,
    nano_tier,
    transformer_tier,
    trees_tier,
    written,
)
from services.lab.examples import Example, parts
from services.lab.levels import level
from services.lab.plan import Plan, TooFewExamples
from services.lab.teacher import Teacher, checked, load
from shared.automations.pack import Certificate, Pack, TierModel, Variant
from shared.errors import Rejected


class NeedsTorch(Rejected):
    """The mini tier and fine-tuning need torch: pip install 'recoup[train]'."""

    code = "needs_torch"


def train(plan: Plan, examples: Sequence[Example], folder: Path, stage: Stage) -> Pack:
    """The pack, its files already in ``folder``, its manifest not. The same examples give the same bytes on one machine and libraries.

    Raises:
        TooFewExamples: a part or a label has too few.
        NeedsTorch: the plan asks for what only torch can do.
        NotFound, UntrustedWeights, TooWide: of the teacher, before anything is trained.
    """
    if plan.teacher:
        checked(plan.teacher, plan.width)
    made = bench(plan, examples, folder, stage)
    tiers = [build(made) for build, is_wanted in ((nano_tier, plan.nano), (trees_tier, plan.trees)) if is_wanted]
    learnt, made_of = _transformers(made)
    return assembled(made, [*tiers, *learnt], made_of)


def _transformers(made: Bench) -> tuple[list[TierModel], Mapping[str, Any]]:
    plan = made.plan
    if not plan.mini and not plan.finetune:
        return _frozen(made) if plan.teacher else ([], {})
    try:
        from services.lab import student  # noqa: PLC0415 - only here is torch needed
    except ModuleNotFoundError as error:
        raise NeedsTorch(missing=error.name) from error
    teacher, large = None, None
    if plan.finetune:
        teacher, head = student.finetuned(made)
        tokenizer = written(made.folder, f"{plan.name}-large-tokenizer.json", teacher.tokenizer.to_str().encode())
        large = transformer_tier(made, "large", teacher.weights, teacher.shape, head, tokenizer)
    elif plan.teacher:
        teacher = _loaded(made)
        large = large_tier(made, teacher)
    soft = student.soft_labels(alone(made, large), made.targets("train")) if large is not None and plan.mini else None
    tiers = [student.mini_tier(made, teacher, soft)] if plan.mini else []
    return [*tiers, *([large] if large is not None else [])], student.provenance(plan, teacher)


def _frozen(made: Bench) -> tuple[list[TierModel], Mapping[str, Any]]:
    teacher = _loaded(made)
    return [large_tier(made, teacher)], teacher.provenance


def _loaded(made: Bench) -> Teacher:
    plan = made.plan
    return load(plan.teacher, made.texts("train"), plan.max_tokens, plan.layers, plan.rare, plan.width)


def recertified(pack: Pack, folder: Path, examples: Sequence[Example], levels: Sequence[str], version: str | None = None) -> Pack:
    """The pack with certificates from these labels only, in its folder's manifest, which keeps its others.

    Args:
        version: under which it stands beside the one that it was; None: it takes that one's place.

    The labels must not have been trained or tuned on. The pack's own level is one of ``levels``, as `services.lab.levels` writes them.
    Cases of labels that the pack does not have come to it too: every automatic answer to them is wrong.
    """
    halves = parts(replace(example, part="validation") for example in examples)
    if not halves["tune"] or not halves["certify"]:
        raise TooFewExamples(tune=len(halves["tune"]), certify=len(halves["certify"]))
    made: list[Certificate] = []
    kinds: dict[Variant, None] = dict.fromkeys(artefact.variant for artefact in pack.tiers[-1].artefacts)
    for variant in kinds:
        tune, sample = (answers(pack, folder, halves[name], variant) for name in ("tune", "certify"))
        made.extend(certificates_of(tune, sample, halves, levels, variant))
    proven = replace(pack, version=version or pack.version, certificates=tuple(made), level=level(pack.level))
    with files.locked(folder):
        others = [other for other in manifest.packs(folder) if (other.name, other.version) != (proven.name, proven.version)]
        manifest.write(folder, [*others, proven])
    return proven


def alone(made: Bench, tier: TierModel) -> Any:
    """What the teacher says to the training documents, in the form in which it would be shipped."""
    pack = Pack(name="", version="", task="", labels=made.plan.labels, level="", tiers=(tier,), bins=made.bins, numbers=made.numbers)
    passed = made.stage("the teacher's answers", 1)
    found = answers(pack, made.folder, made.examples["train"], tier.artefacts[0].variant).alone[tier.name]
    passed()
    return found
