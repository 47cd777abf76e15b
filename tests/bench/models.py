"""What models cost on this machine: int8 beside torch, the cascade beside one large model, a worker's start and size.

Times are CPU seconds of one thread, measured in turns over the same documents, so ratios hold on a busy machine too. MiniLM has its
published weights and a head fitted on the frozen encoder. The mini that is timed has drawn weights, which is good for its speed and for
nothing else. Cascades are compared on the packs that are installed; without them their rows stay empty and count as not met.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console

from services.lab.examples import Example
from services.lab.synth import TASKS, generate
from shared.automations.contract import Features
from shared.automations.pack import MANIFEST, Pack, parse
from shared.clock import SystemClock
from shared.inference.models import Models
from shared.inference.processor import processor
from shared.reports import Report
from tests.bench import cascade_costs
from tests.bench.contenders import TASK, Corpus, contenders, interleaved, predictor

if TYPE_CHECKING:
    from tests.bench.contenders import Predict

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "services" / "worker" / "models"
CLINC = ROOT / ".." / "shared" / "data" / "clinc150" / "train_val.json"
TIMED = 100

console = Console()
app = typer.Typer(add_completion=False)


def speed(report: Report, runs: Mapping[str, Predict], documents: Sequence[Features], rounds: int, *, has_vnni: bool) -> None:
    found = interleaved(runs, documents, rounds)

    def ratio(over: str, under: str) -> float:
        return round(median(each[over] / each[under] for each in found), 2)

    report.add("int8_vs_torch_fp32", ratio("torch", "int8"), "x", min=4.5 if has_vnni else 2.3)
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


def cascades(report: Report, folder: Path, torch: Predict, rounds: int) -> None:
    """The worst of the tasks is what counts."""
    packs = {pack.name: pack for pack in parse((folder / MANIFEST).read_text(encoding="utf-8"))}
    found: dict[str, list[float]] = {"cascade_vs_int8": [], "cascade_vs_torch": [], "total_cost_vs_best_single": [], "coverage_gap_pt": []}
    for name, examples in (("claims", _claims), ("intents-clinc150", _clinc)):
        pack = packs.get(name)
        figures = _task(pack, folder, examples(), torch, rounds) if pack and pack.tier("mini") and pack.tier("large") else {}
        for figure, values in found.items():
            values.append(figures.get(figure, float("nan")))
            report.add(f"{name}.{figure}", figures.get(figure))
    # A task without a pack makes the worst of them no number, which meets no target.
    report.add("cascade_vs_int8", float(np.min(found["cascade_vs_int8"])), "x", min=10)
    report.add("cascade_vs_torch", float(np.min(found["cascade_vs_torch"])), "x", min=50)
    report.add("coverage_gap_pt", float(np.max(found["coverage_gap_pt"])), "points", max=1)
    report.add("total_cost_vs_best_single", float(np.max(found["total_cost_vs_best_single"])), "x", max=0.5)


def _task(pack: Pack, folder: Path, examples: Sequence[Example], torch: Predict, rounds: int) -> Mapping[str, float]:
    models = Models(folder)
    scorers = {tier.name: models.scorer(pack, tier) for tier in pack.tiers}
    runs = {name: predictor(scorer) for name, scorer in scorers.items()}
    timed = interleaved({**runs, "torch": torch}, [example.features for example in examples[:TIMED]], rounds)
    cpu = {name: median(each[name] for each in timed) for name in timed[0]}
    costs = cascade_costs.compared(pack, folder, examples, cpu)
    cascade, large = costs["cascade"], costs["large"]
    singles = [cost.total for name, cost in costs.items() if name != "cascade"]
    return {
        "cascade_vs_int8": round(large.cpu_seconds / cascade.cpu_seconds, 2),
        "cascade_vs_torch": round(cpu["torch"] / cascade.cpu_seconds, 2),
        "total_cost_vs_best_single": round(cascade.total / min(singles), 3),
        "coverage_gap_pt": round(100 * (large.coverage - cascade.coverage), 2),
    }


def _claims() -> Sequence[Example]:
    """Drawn with another seed than the shipped pack was trained on."""
    return [Example(example.features, example.label, example.group, part="validation") for example in Corpus.drawn(0, 4000).test]


def _clinc() -> Sequence[Example]:
    content = json.loads(CLINC.read_text(encoding="utf-8"))
    return [Example(Features(text), label, text, part="validation") for text, label in [*content["val"], *content["oos_val"]]]


@app.command()
def main(
    *,
    models: Annotated[Path, typer.Option(help="Folder of the packs whose cascades are compared.")] = SHIPPED,
    train: Annotated[int, typer.Option(min=100, help="Documents that the heads are fitted on.")] = 1500,
    test: Annotated[int, typer.Option(min=100, help="Documents on which int8 and torch are compared.")] = 1000,
    rounds: Annotated[int, typer.Option(min=1, help="Times that every document is timed.")] = 5,
) -> None:
    report, found = Report("models", SystemClock()), processor()
    report.add("artefacts", found.variant)
    report.add("probe_s", round(found.seconds, 4), "s", max=1)
    worker(report)
    with tempfile.TemporaryDirectory(prefix="recoup-bench-") as folder:
        with console.status("fitting heads"):
            corpus = Corpus.drawn(train, test)
            runs = contenders(Path(folder), corpus, found.variant)
        report.add("corpus", f"generated {TASK}, fields and text, at most 128 tokens")
        report.add("mini_weights", "drawn: speed only")
        with console.status("timing"):
            speed(report, runs, [example.features for example in corpus.test[:TIMED]], rounds, has_vnni=found.variant == "vnni")
            agreement(report, runs, corpus)
            cascades(report, models, runs["torch"], rounds)
    if not report.finish(console):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
