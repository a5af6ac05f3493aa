"""The report of a comparison: text for the terminal, markdown for an artifact, one HTML page that needs nothing else.

Data in, text out; what is read from run directories is ``comparison_inputs``'. Each says first what was found, then
shows the tables, and each thing once.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from tasks.audit_report import audit_line, check_rows
from tasks.collection_report import collection_tables
from tasks.comparison_answers import Answer, answers_of
from tasks.comparison_charts import difference_charts, pair_chart, reliability_charts, system_charts
from tasks.comparison_footnotes import (
    checks_footnotes,
    differences_footnotes,
    footnotes_of,
    systems_footnotes,
)
from tasks.comparison_inputs import Beside
from tasks.comparison_summary import summary_lines
from tasks.comparison_tables import (
    Comparison,
    checks_table,
    details_table,
    differences_table,
    pairs_table,
    robustness_table,
    systems_table,
    tables_of,
)
from tasks.comparison_words import data_text, title_of, with_titles
from tasks.fusion_tables import fusion_tables, interval_text
from tasks.report_claims import coverage
from tasks.report_provenance import openings_by_purpose
from tasks.tables import TERMINAL_WIDTH, PlainTable, as_markdown, as_text
from tasks.weighing_tables import weighing_tables

TEMPLATE = "comparison.html.j2"
NOTHING_BESIDE = Beside()


def comparison_text(comparison: Comparison, beside: Beside = NOTHING_BESIDE) -> str:
    """What was found, then tables of 100 columns with their footnotes, then each comparison and what weakens it."""
    answers = answers_of(comparison)
    first = [data_text(comparison), "", *_answers_text(answers), *summary_lines(beside)]
    notes = footnotes_of(comparison, collapses=beside.collapses)
    last = [*_verdicts_text(answers), "", *(f"Warning: {warning}" for warning in _warnings(comparison))]
    tables = as_text([_narrowed(_folded(table)) for table in tables_of(comparison)])
    return "\n".join([*_filled(first), "", tables, *_filled([*notes, "", *last])]) + "\n"


def _answers_text(answers: list[Answer]) -> list[str]:
    told = [f"{answer.question} {answer.text}" for answer in answers if answer.text]
    return [*told, ""] if told else []


def _verdicts_text(answers: list[Answer]) -> Iterator[str]:
    for answer in answers:
        yield f"{answer.question}"
        yield from (f"- {verdict}" for verdict in answer.verdicts)


def _filled(lines: list[str]) -> list[str]:
    return [
        textwrap.fill(line, TERMINAL_WIDTH, subsequent_indent="  " if line.startswith("- ") else "") for line in lines
    ]


def _folded(table: PlainTable) -> PlainTable:
    """Rows that begin alike as one row of several lines: two systems on several metrics are read together."""
    if len(table.left) < 2:
        return table
    rows = [list(rows) for _, rows in groupby(table.rows, key=lambda row: row[0])]
    lines = ((own[0][0], *("\n".join(cells) for cells in zip(*(row[1:] for row in own), strict=True))) for own in rows)
    return replace(table, rows=tuple(lines))


def _narrowed(table: PlainTable) -> PlainTable:
    """Heads of two words as two lines: numbers are narrower than what they are called."""
    return replace(table, right=tuple(head if "[" in head else head.replace(" ", "\n") for head in table.right))


def comparison_markdown(comparison: Comparison, beside: Beside = NOTHING_BESIDE) -> str:
    """The same for an artifact; warnings come first."""
    answers = answers_of(comparison)
    warnings = [f"> **{warning}**\n" for warning in _warnings(comparison)]
    found = [f"- **{answer.question}** {answer.text}" for answer in answers if answer.text]
    found += [f"- {line}" for line in summary_lines(beside)]
    tables = [replace(table, num_sums=0) for table in tables_of(comparison)]  # baselines are no sums: never bold
    notes = [f"{note}\n" for note in footnotes_of(comparison, collapses=beside.collapses)]
    told = [
        line
        for answer in answers
        for line in (f"**{answer.question}**", "", *(f"- {verdict}" for verdict in answer.verdicts), "")
    ]
    return "\n".join([*warnings, *found, "", data_text(comparison), "", as_markdown(tables), *notes, *told]) + "\n"


def _warnings(comparison: Comparison) -> list[str]:
    return [with_titles(comparison, warning) for warning in comparison["warnings"]]


def render_comparison(
    *,
    title: str,
    comparison: Comparison,
    provenance: Mapping[str, Any],
    beside: Beside = NOTHING_BESIDE,
    hard_set_page: str | None = None,
) -> str:
    """One self-contained HTML page.

    Args:
        title: Its heading.
        comparison: Content of ``comparison.json``.
        provenance: ``runs``, ``openings`` and ``settings``, as ``report_provenance`` gives them.
        beside: What is told beside the comparison.
        hard_set_page: Name of the page of the least trusted records beside this one; ``None``: there is none.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(TEMPLATE).render(
        title=title,
        about=data_text(comparison),
        coverage=coverage(dict(comparison)),
        answers=answers_of(comparison),
        found=list(summary_lines(beside)),
        warnings=_warnings(comparison),
        hard_set_page=hard_set_page,
        how=comparison["settings"],
        runs=provenance["runs"],
        num_openings=len(provenance["openings"]),
        openings=openings_by_purpose(provenance["openings"], provenance["runs"]),
        settings={name: json.dumps(value, indent=2) for name, value in provenance["settings"].items()},
        **_measured(comparison, collapses=beside.collapses),
        **_beside(beside),
    )


def _measured(comparison: Comparison, *, collapses: bool) -> dict[str, Any]:
    """What the page shows of the comparison itself."""
    return {
        "system_charts": system_charts(comparison),
        "systems": systems_table(comparison, wide=True),
        "systems_notes": list(systems_footnotes(comparison)),
        "details": details_table(comparison),
        "descriptions": [(title_of(comparison, name), s["description"]) for name, s in comparison["systems"].items()],
        "difference_charts": difference_charts(comparison),
        "differences": differences_table(comparison, wide=True),
        "differences_notes": list(differences_footnotes(comparison)),
        "checks": checks_table(comparison),
        "checks_notes": list(checks_footnotes(comparison, collapses=collapses)),
        "robustness": robustness_table(comparison),
        "pair_shares": pairs_table(comparison),
        "pairs": pair_chart(comparison),
        "reliability": reliability_charts(comparison),
    }


def _beside(beside: Beside) -> dict[str, Any]:
    """What the page shows of data, noise, fusion and audit; empty where there was none."""
    weighing, audit = beside.weighing, beside.audit
    told = weighing["warnings"] if weighing else []
    warned = [warning for fusion in beside.fusions for warning in fusion["warnings"]]
    return {
        "collection": collection_tables(beside.collection) if beside.collection else [],
        "collection_warnings": beside.collection["warnings"] if beside.collection else [],
        "weighing": weighing_tables(weighing) if weighing else [],
        "weighing_warnings": told,
        "fusion": fusion_tables(beside.fusions),
        "fusion_notes": [interval_text(fusion) for fusion in beside.fusions],
        "fusion_warnings": [warning for warning in dict.fromkeys(warned) if warning not in told],  # none is told twice
        "data_checks": check_rows(audit) if audit else [],
        "data_summary": audit_line(audit) if audit else "",
    }
