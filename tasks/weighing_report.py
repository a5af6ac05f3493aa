"""The report of a weigh run: tables as text and markdown, and the hard-set page with the least trusted records' code.

Rendering is data in, text out; ``read_weighing`` is the one function that reads the run directory.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.report_charts import Chart, histogram_chart
from tasks.report_provenance import read_json
from tasks.tables import TERMINAL_WIDTH, as_markdown, as_text
from tasks.weighing_tables import LABELS, facts_of, spread_line, weighing_tables

WEIGHING_FILE = "weighing.json"
TRUST_FILE = "trust.jsonl"
WEIGHTS_FILE = "weights.jsonl"
HARD_SET_FILE = "hard_set.jsonl"
TEMPLATE = "hard_set.html.j2"
NUM_BINS = 20
MAX_CODE_CHARS = 20_000
"""Longer code is cut on the page, which says so: one record must not make it unreadable."""


@dataclass(frozen=True)
class Weighing:
    """What a finished weigh run holds.

    Args:
        found: Content of ``weighing.json``.
        weights: Weights of the training records by given label.
        trust: Trust in their labels by given label; records that were never held out are left out.
        hard: Rows of ``hard_set.jsonl``, the least trusted first.
    """

    found: Mapping[str, Any]
    weights: Mapping[str, Sequence[float]]
    trust: Mapping[str, Sequence[float]]
    hard: Sequence[Mapping[str, Any]]


def read_weighing(run_path: Path) -> Weighing:
    """The files of a finished weigh run."""
    weight_of = {row["id"]: float(row["weight"]) for row in _rows(run_path / WEIGHTS_FILE)}
    weights: dict[str, list[float]] = {label: [] for label in LABELS}
    trust: dict[str, list[float]] = {label: [] for label in LABELS}
    for row in _rows(run_path / TRUST_FILE):
        weights[str(row["label"])].append(weight_of[row["id"]])
        if row["trust"] is not None:
            trust[str(row["label"])].append(float(row["trust"]))
    return Weighing(read_json(run_path / WEIGHING_FILE), weights, trust, _rows(run_path / HARD_SET_FILE))


def weighing_text(found: Mapping[str, Any]) -> str:
    """Noise, and the data before and after, as text of 100 columns; warnings last."""
    warnings = [textwrap.fill(f"Warning: {warning}", TERMINAL_WIDTH) for warning in found["warnings"]]
    return "\n".join([as_text(weighing_tables(found)), *warnings]).rstrip() + "\n"


def weighing_markdown(found: Mapping[str, Any]) -> str:
    """The same for an artifact; warnings first."""
    warnings = [f"> **{warning}**\n" for warning in found["warnings"]]
    return "\n".join([*warnings, as_markdown(weighing_tables(found))])


def render_hard_set(title: str, weighing: Weighing) -> str:
    """One self-contained HTML page: tables, histograms, and the least trusted records with their code, escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(TEMPLATE).render(
        title=title,
        warnings=weighing.found["warnings"],
        spread=spread_line(weighing.found),
        tables=weighing_tables(weighing.found),
        charts=[
            _histogram("Weights by given label", "weight", weighing.weights),
            _histogram("Trust by given label", "trust in the label", weighing.trust, top=1.0),
        ],
        records=[
            {
                "id": row["id"],
                "facts": list(facts_of(row)),
                "code": row["code"][:MAX_CODE_CHARS],
                "num_cut": max(0, len(row["code"]) - MAX_CODE_CHARS),
            }
            for row in weighing.hard
        ],
    )


def _histogram(title: str, x_label: str, values: Mapping[str, Sequence[float]], top: float | None = None) -> Chart:
    highest = top if top is not None else max((max(own) for own in values.values() if own), default=1.0)
    highest = highest if highest > 0 else 1.0
    edges = [highest * at / NUM_BINS for at in range(NUM_BINS + 1)]
    counts = [[0] * NUM_BINS for _ in values]
    for own, group in zip(counts, values.values(), strict=True):
        for value in group:
            own[min(int(NUM_BINS * value / highest), NUM_BINS - 1)] += 1
    names = [f"label {label} ({LABELS[label]})" for label in values]
    svg = histogram_chart(title, edges, counts, names, x_label=x_label)
    return Chart(title, svg, tuple((f"f{at}", name) for at, name in enumerate(names)))


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as lines:
        return [json.loads(line) for line in lines]
