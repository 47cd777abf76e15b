"""The files about a pack that people read: evaluation report, model card, notice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from services.lab import plots
from services.lab.answers import Answers
from services.lab.confusion import confusion
from services.lab.figures import per_label
from services.lab.gates import Gate
from shared.automations.pack import NEVER, Pack

_STYLE: Final = (
    "body{font-family:sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#1f2933;background:#fff}h1,p{overflow-wrap:anywhere}"
    "table{border-collapse:collapse;margin:1em 0}td,th{border-bottom:1px solid #e4e7eb;padding:.3em .8em;text-align:start}"
    "td{max-width:28em;overflow-wrap:break-word}.wide{overflow-x:auto}.plots{display:flex;flex-wrap:wrap;align-items:start;gap:1em}svg{max-width:100%;height:auto}"
)
_WIDTH: Final = '<meta name="viewport" content="width=device-width, initial-scale=1">'


def as_json(found: Answers, gates: Sequence[Gate]) -> str:
    pack = found.pack
    about = {"pack": pack.name, "version": pack.version, "labels": per_label(found), "gates": [gate.as_dict() for gate in gates]}
    return json.dumps({**pack.report, **about}, indent=1, sort_keys=True) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(f"<tr>{''.join(f'<td><bdi>{escape(str(value))}</bdi></td>' for value in row)}</tr>" for row in rows)
    # Wider than a telephone, it is moved in its own frame, by keys too.
    return f'<div class="wide" tabindex="0"><table><tr>{cells}</tr>{body}</table></div>'


def _certified(pack: Pack) -> str:
    head = ("level", "variant", "coverage", "wrong of accepted", "upper bound", "thresholds")
    rows = [
        (c.level, c.variant, f"{c.coverage:.1%}", f"{c.errors} of {c.accepted}", f"{c.upper:.2%}", _asked(c.thresholds))
        for c in pack.certificates
    ]
    return _table(head, rows)


def _asked(thresholds: Mapping[str, float]) -> str:
    return ", ".join(f"{tier} {'never' if least >= NEVER else f'from {least:g}'}" for tier, least in thresholds.items())


def _scalars(report: Mapping[str, Any]) -> list[tuple[str, object]]:
    return [(name.replace("_", " "), value) for name, value in report.items() if not isinstance(value, Mapping)]


def _segments(found: Mapping[str, Any]) -> str:
    """Of groups of cases, where any were named; empty otherwise."""
    if not found:
        return ""
    rates = ("error", "automation")
    rows = [
        (name, seen["n"], *(f"{seen[rate]['value']:.1%} ({seen[rate]['low']:.1%} to {seen[rate]['high']:.1%})" for rate in rates))
        for name, seen in found.items()
    ]
    return "<h2>Groups</h2>" + _table(("group", "n", "wrong", "automatic"), rows)


def as_html(found: Answers, gates: Sequence[Gate]) -> str:
    """One page without anything from elsewhere."""
    pack, known = found.pack, found.known()
    drawn = (plots.calibration(known), plots.risk_coverage(found), plots.cost_coverage(found), confusion(known))
    labels = [(name, *row.values()) for name, row in per_label(found).items()]
    tiers = [(name, row["accuracy"], row["macro_f1"], row["alone_accuracy"]) for name, row in pack.report["tiers"].items()]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8>{_WIDTH}<title>{escape(pack.name)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(pack.name)} {escape(pack.version)}</h1>",
        "<p>Measured on the certification part, which no model has seen. Abstention off unless a level is named.</p>",
        _table(("figure", "value"), _scalars(pack.report)),
        "<h2>Tiers</h2>" + _table(("tier", "accuracy", "macro F1", "its model alone"), tiers),
        "<h2>Certificates</h2>" + _certified(pack),
        "<h2>Gates</h2>"
        + _table(
            ("gate", "value", "bound", "passed"),
            [(g.name, round(g.value, 4) + 0, g.bound + 0, "yes" if g.passed else g.why) for g in gates],
        ),
        f'<div class="plots">{"".join(drawn)}</div>',
        _segments(pack.report.get("segments", {})),
        "<h2>Labels</h2>" + _table(("label", "precision", "recall", "F1", "n"), labels),
        "</html>\n",
    ]
    return "\n".join(parts)


def card(pack: Pack) -> str:
    """Markdown: what the pack is for, what it was made of, what is proven and what is not."""
    training = "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in pack.training.items())
    proven = "\n".join(
        f"- level {c.level} ({c.variant}): {c.coverage:.1%} automatic, {c.errors} of {c.accepted} wrong, at most {c.upper:.2%} with "
        f"{1 - c.delta:.0%} confidence"
        if c.accepted
        else f"- level {c.level} ({c.variant}): nothing could be proven, so nothing is automatic"
        for c in pack.certificates
    )
    report = pack.report
    sizes = ", ".join(f"{name} {artefact.bytes / 1e6:.1f} MB" for name, artefact in pack.files.items())
    people = f"\nLabels that a person makes final: {', '.join(pack.person)}.\n" if pack.person else ""
    return f"""# {pack.name} {pack.version}

Answers the task `{pack.task}` with one of {len(pack.labels)} labels. Tiers, cheapest first: {", ".join(tier.name for tier in pack.tiers)}.
Files: {sizes}. Licence: {pack.licence}.
{people}
## Made of

{training}

## Measured on the certification part ({report["n_certify"]} labels that no model has seen)

Accuracy {report["accuracy"]}, macro F1 {report["macro_f1"]}, calibration error {report["calibration_error"]}, abstention off.

## Certified

{proven}

## Not proven

The certificates hold for cases like those that were certified on. Other customers, seasons or channels may differ: audits and control
reviews in production are what keeps the promise honest. Labels that were wrong in the data are counted as errors of the model.
"""
