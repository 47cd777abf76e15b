"""What models cost on this machine: int8 beside torch, the cascade beside one large model, a worker's start and size.

Times are CPU seconds of one thread, measured in turns over the same documents, so ratios hold on a busy machine too. MiniLM starts from its
published weights and learns generated claims here, which takes some minutes once; what it has learnt is kept in ``.recoup/bench``. The mini
that is timed has drawn weights, which is good for its speed and for nothing else. Cascades are those of the packs that are shipped; claims,
which have no large tier, are given the MiniLM of this bench as one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from services.lab.examples import Example, parts
from services.lab.public import INTENTS
from services.lab.synth import TASKS, generate
from shared.automations.pack import MANIFEST, Pack, parse
from shared.clock import SystemClock
from shared.inference.models import Models
from shared.inference.processor import processor
from shared.reports import Report
from tests.bench import cascade_costs
from tests.bench.contenders import TASK, Corpus, contenders, interleaved, large_tier, learnt_minilm, predictor, timed_only

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.lab.bert import Head
    from services.lab.teacher import Teacher
    from shared.automations.contract import Features
    from tests.bench.cascade_costs import Costs
    from tests.bench.contenders import Predict

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "services" / "worker" / "models"
DATA = ROOT / ".." / "shared" / "data"
KEPT = ROOT / ".recoup" / "bench"
CLINC = "intents-clinc150"
TIMED = 100
Compared = Mapping[str, float]

console = Console()
app = typer.Typer(add_completion=False)


def speed(report: Report, runs: Mapping[str, Predict], documents: Sequence[Features], rounds: int) -> None:
    found = interleaved(runs, documents, rounds)

    def ratio(over: str, under: str) -> float:
        return round(median(each[over] / each[under] for each in found), 2)

    report.add("torch_vs_mini", ratio("torch", "mini"), "x", min=60)
    report.add("torch_vs_nano", ratio("torch", "nano"), "x", min=600)
    report.add("torch_ms", round(median(each["torch"] for each in found) * 1e3, 3), "ms")
    report.add("int8_ms", round(median(each["int8"] for each in found) * 1e3, 3), "ms")
    report.add("mini_ms", round(median(each["mini"] for each in found) * 1e3, 4), "ms")
    report.add("nano_us", round(median(each["nano"] for each in found) * 1e6, 2), "µs")


def agreement(report: Report, runs: Mapping[str, Predict], corpus: Corpus) -> None:
    """Of int8 with the 32-bit floats that it was made from, on documents that neither has seen."""
    documents, truth = [example.features for example in corpus.test], corpus.targets(corpus.test)
    exact, quantised = runs["torch"](documents), runs["int8"](documents)
    loss = float((exact == truth).mean() - (quantised == truth).mean())
    report.add("judged_documents", len(documents))
    report.add("int8_accuracy_loss_pt", round(100 * loss, 3), "points", max=0.3)
    report.add("int8_flips_pct", round(100 * float(np.mean(exact != quantised)), 3), "%", max=0.5)


def worker(report: Report) -> None:
    """The smallest of three starts, because others' work on the machine only ever adds to it."""
    events = json.dumps({task: [event.data for event in generate(task, 200, 3)] for task in TASKS}, default=str)
    command = [sys.executable, "-m", "tests.bench.worker_start"]
    starts = [
        json.loads(subprocess.run(command, cwd=ROOT, input=events, capture_output=True, text=True, check=True).stdout) for _ in range(3)
    ]
    report.add("worker_rss_mb", round(max(start["worker_rss_mb"] for start in starts), 1), "MiB", max=150)
    report.add("cold_start_s", round(min(start["cold_start_s"] for start in starts), 3), "s", max=0.5)
    report.add("worker_import_s", round(min(start["import_s"] for start in starts), 3), "s")


def int8(report: Report, compared: Mapping[str, Compared], *, has_vnni: bool) -> None:
    """Over one document of each task: utterances of eleven tokens and claims of ninety-five, because the gain falls with the length."""
    spent = {name: sum(found[name] for found in compared.values()) for name in ("torch_ms", "int8_ms")}
    report.add("int8_vs_torch_fp32", round(spent["torch_ms"] / spent["int8_ms"], 2), "x", min=4.5 if has_vnni else 2.3)


def cascades(report: Report, compared: Mapping[str, Compared]) -> None:
    """The worst of the tasks is what counts."""
    for task, found in compared.items():
        for name, value in found.items():
            report.add(f"{task}.{name}", value)
    rows: tuple[tuple[str, str, dict[str, float]], ...] = (
        ("cascade_vs_int8", "x", {"min": 10}),
        ("cascade_vs_torch", "x", {"min": 50}),
        ("coverage_gap_pt", "points", {"max": 1}),
        ("total_cost_vs_best_single", "x", {"max": 0.5}),
    )
    for name, unit, bound in rows:
        worst = np.min if "min" in bound else np.max
        report.add(name, float(worst([found[name] for found in compared.values()])), unit, **bound)


def _compared(pack: Pack, folder: Path, examples: Sequence[Example], torch: Predict, rounds: int) -> Compared:
    models = Models(folder)
    runs = {tier.name: predictor(models.scorer(pack, tier)) for tier in pack.tiers}
    timed = interleaved({**runs, "torch": torch}, [example.features for example in examples[:TIMED]], rounds)
    cpu = {name: median(each[name] for each in timed) for name in timed[0]}
    found = cascade_costs.compared(pack, folder, examples, cpu)
    cascade, large = found.cascade, found.alone["large"]
    return {
        "torch_ms": round(1e3 * cpu["torch"], 3),
        "int8_ms": round(1e3 * cpu["large"], 3),
        "int8_vs_torch_fp32": round(median(each["torch"] / each["large"] for each in timed), 2),
        **{f"torch_vs_{name}": round(median(each["torch"] / each[name] for each in timed), 2) for name in cpu if name in {"nano", "mini"}},
        "cascade_vs_int8": round(large.cpu_seconds / cascade.cpu_seconds, 2),
        "cascade_vs_torch": round(cpu["torch"] / cascade.cpu_seconds, 2),
        "asked_of_large_pct": round(100 * cascade.asked, 2),
        "coverage_pct": round(100 * cascade.coverage, 2),
        "coverage_of_large_pct": round(100 * large.coverage, 2),
        "coverage_gap_pt": round(100 * (large.coverage - cascade.coverage), 2),
        "total_cost": round(found.cheapest.total, 3),
        **{f"total_cost_of_{name}_alone": round(cost.total, 3) for name, cost in found.single.items()},
        "total_cost_vs_best_single": _ratio(found.cheapest, found.single),
        "total_cost_vs_best_with_people": _ratio(found.cheapest, found.cheapest_alone),
    }


def _ratio(cost: Costs, others: Mapping[str, Costs]) -> float:
    return round(cost.total / min(other.total for other in others.values()), 3)


def _claims(folder: Path, shipped: Path, found: tuple[Teacher, Head]) -> tuple[Pack, Sequence[Example]]:
    """The shipped nano, and this bench's MiniLM behind it; examples drawn with another seed than nano was trained on."""
    pack = _packs(shipped)[TASK]
    made = replace(pack, tiers=(pack.tiers[0], large_tier(folder, *found, processor().variant)))
    for artefact in pack.files.values():
        shutil.copy(shipped / artefact.file, folder)
    examples = Corpus.drawn(0, 4000).test
    return cascade_costs.remixed(made, folder, examples), examples


def _packs(folder: Path) -> Mapping[str, Pack]:
    return {pack.name: pack for pack in parse((folder / MANIFEST).read_text(encoding="utf-8"))}


def both(shipped: Path, found: tuple[Teacher, Head], torch: Predict, rounds: int) -> Mapping[str, Compared]:
    """Claims with a large tier that is made here, because none is shipped, and the intents of CLINC150 as they are shipped."""
    with tempfile.TemporaryDirectory(prefix="recoup-bench-") as name:
        pack, examples = _claims(Path(name), shipped, found)
        claims = _compared(pack, Path(name), examples, torch, rounds)
    pack, public = _packs(shipped)[CLINC], parts(INTENTS[CLINC].read(DATA))
    texts, limit = [example.features.as_document() for example in public["train"]], max(tier.max_tokens for tier in pack.tiers)
    over_these_words = timed_only(texts, limit, len(pack.labels)).predict
    return {TASK: claims, CLINC: _compared(pack, shipped, [*public["tune"], *public["certify"]], over_these_words, rounds)}


def _learnt(corpus: Corpus, epochs: int) -> tuple[Teacher, Head]:
    with Progress(console=console) as progress:

        def stage(name: str, total: int) -> Callable[[], None]:
            bar = progress.add_task(name, total=total)
            return lambda: progress.advance(bar)

        return learnt_minilm(corpus, epochs, stage, KEPT)


@app.command()
def main(
    *,
    models: Annotated[Path, typer.Option(help="Folder of the packs whose cascades are compared.")] = SHIPPED,
    train: Annotated[int, typer.Option(min=100, help="Documents that MiniLM learns from.")] = 2500,
    epochs: Annotated[int, typer.Option(min=1, help="How often it sees them.")] = 2,
    test: Annotated[int, typer.Option(min=100, help="Documents on which int8 and torch are compared.")] = 1000,
    rounds: Annotated[int, typer.Option(min=1, help="Times that every document is timed.")] = 5,
) -> None:
    report, found = Report("models", SystemClock()), processor()
    report.add("artefacts", found.variant)
    report.add("probe_s", round(found.seconds, 4), "s", max=1)
    worker(report)
    corpus = Corpus.drawn(train, test)
    learnt = _learnt(corpus, epochs)
    with tempfile.TemporaryDirectory(prefix="recoup-bench-") as folder:
        runs = contenders(Path(folder), corpus, *learnt, found.variant)
        report.add("corpus", f"generated {TASK}, fields and text, at most 128 tokens; {CLINC}")
        report.add("mini_weights", "drawn: speed only")
        with console.status("timing"):
            speed(report, runs, [example.features for example in corpus.test[:TIMED]], rounds)
            agreement(report, runs, corpus)
            compared = both(models, learnt, runs["torch"], rounds)
        int8(report, compared, has_vnni=found.variant == "vnni")
        cascades(report, compared)
    if not report.finish(console):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
