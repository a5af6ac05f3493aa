"""The report of retrieval: text for the terminal, markdown for an artifact, one HTML page that needs nothing else.

Data in, text out; what is read from run directories is ``retrieval_inputs``'. What was shown stands under its numbers.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.evaluation.comparison.verdicts import listed
from tasks.comparison_words import number
from tasks.report_charts import Chart
from tasks.report_provenance import openings_by_purpose
from tasks.retrieval_charts import Bar, bar_chart, learning_charts
from tasks.retrieval_inputs import RetrievalInputs
from tasks.retrieval_tables import (
    BASELINES,
    SEARCH,
    Document,
    differences_table,
    judged_table,
    metric_title,
    projects_table,
    search_metrics,
    search_tables,
)
from tasks.retrieval_titles import TITLES, title_of
from tasks.tables import TERMINAL_WIDTH, PlainTable, as_markdown, as_text

TEMPLATE = "retrieval.html.j2"
RERANKED_ON, RANKED_ON = ("mrr", "top1", "map"), ("top1", "mrr", "map")
"""What is shown of rerankers and of patch rankers; the same on which they are compared."""
_NAMES = "|".join(sorted(TITLES, key=len, reverse=True))
_NAME = re.compile(rf"\b({_NAMES})\b")
_NAMED = re.compile(rf"(?:^|(?<= and )|(?<= of ))({_NAMES})(?= has | have | and | scored | was )")
"""A name where a warning speaks of the system; elsewhere it may be a plain word of it."""
_METRIC = re.compile(r"\b(mrr|map|top1|(?:recall|ndcg|success)@\d+)\b")


@dataclass(frozen=True)
class Part:
    """One part of a report: search, reranking or patches.

    Args:
        key: Anchor on the page.
        title: Heading.
        about: What was measured, and how much chance there is in it.
        verdicts: What was shown, a sentence for each two systems.
        warnings: What weakens it.
        tables: For every reader.
        charts: For the page.
        details: Further tables, for the page.
    """

    key: str
    title: str
    about: str
    verdicts: tuple[str, ...]
    warnings: tuple[str, ...]
    tables: tuple[PlainTable, ...]
    charts: tuple[Chart, ...]
    details: tuple[PlainTable, ...] = ()


def parts_of(inputs: RetrievalInputs) -> list[Part]:
    """The parts that were measured, in order."""
    found = []
    if inputs.retrieval is not None:
        found.append(_search(inputs.retrieval))
    if inputs.reranking is not None:
        found.append(_reranking(inputs.reranking, inputs.retrieval))
    if inputs.patches is not None:
        found.append(_patches(inputs.patches, inputs))
    return found


def report_text(inputs: RetrievalInputs) -> str:
    """Tables of 100 columns, what was shown by them, and what weakens it."""
    lines: list[str] = []
    for part in parts_of(inputs):
        lines += [part.title, "", *_filled([part.about]), "", as_text(part.tables)]
        lines += _filled([f"- {verdict}" for verdict in part.verdicts])
        lines += [*_filled([f"Warning: {warning}" for warning in part.warnings]), ""]
    return "\n".join([*_filled([f"Warning: {caveat}" for caveat in inputs.caveats]), *lines])


def report_markdown(inputs: RetrievalInputs) -> str:
    """The same for an artifact; warnings come first."""
    lines = [f"> **{caveat}**\n" for caveat in inputs.caveats]
    for part in parts_of(inputs):
        tables = [replace(table, num_sums=0) for table in part.tables]  # baselines are no sums: never bold
        lines += [f"### {part.title}", "", *(f"> **{warning}**\n" for warning in part.warnings)]
        lines += [part.about, "", as_markdown(tables), "", *(f"- {verdict}" for verdict in part.verdicts), ""]
    return "\n".join(lines) + "\n"


def render_report(title: str, inputs: RetrievalInputs) -> str:
    """One self-contained HTML page.

    Args:
        title: Its heading.
        inputs: All that it shows.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    provenance = inputs.provenance
    return environment.get_template(TEMPLATE).render(
        title=title,
        caveats=inputs.caveats,
        parts=parts_of(inputs),
        learning=learning_charts(inputs.histories),
        definitions=_definitions(inputs),
        runs=provenance["runs"],
        num_openings=len(provenance["openings"]),
        openings=openings_by_purpose(provenance["openings"], provenance["runs"]),
        settings={name: json.dumps(value, indent=2) for name, value in provenance["settings"].items()},
    )


def _search(document: Document) -> Part:
    search = document["searches"][SEARCH]
    chance = search["chance"]
    about = (
        f"{search['num_queries']} texts were asked with, each in a pool of {number(search['pool_size']['mean'], 0)} "
        f"others, of which {number(search['num_relevant']['mean'], 1)} do the same (mean). A random order reaches MRR "
        f"{number(chance['mrr'])}; the same MRR in a larger pool is worth more. {document['num_without_relevant']} "
        "texts without a partner are searched only."
    )
    bars = [
        bar_chart(
            metric_title(metric),
            [Bar(title_of(name), found[metric], name in BASELINES) for name, found in search["systems"].items()],
            label=metric_title(metric),
            chance=chance.get(metric),
        )
        for metric in search_metrics(document)
    ]
    tables = search_tables(document)
    return Part(
        "search",
        "Code search by embeddings",
        about,
        _spoken(document["verdicts"]),
        _warned(document["warnings"]),
        (tables[0], differences_table(document)),
        tuple(bars),
        tuple(tables[1:]),
    )


def _reranking(document: Document, retrieval: Document | None) -> Part:
    split = "validation" if retrieval is not None and retrieval["split"] == "valid" else "the sealed test"
    about = (
        f"Rerankers put what the encoder found on {split} into an order of their own; the gain is the difference to "
        "the encoder's own order. What the encoder did not find, nobody finds after it."
    )
    ceiling = f" They hold {number(document['recall_ceiling'], 2)} of all texts that do the same."
    return _judged("reranking", "Reranking", about + ceiling, document, RERANKED_ON)


def _patches(document: Document, inputs: RetrievalInputs) -> Part:
    about = (
        "Candidate patches of one bug are put into an order by rankers that learnt from other projects alone. Bugs "
        "whose candidates all have one label cannot be ordered well or badly: they are learnt from and not judged."
    )
    if inputs.not_left_out:
        has = "have" if len(inputs.not_left_out) > 1 else "has"
        about += (
            f" {listed(inputs.not_left_out)} {has} no other bug: no ranker was trained without them, since nothing of "
            "them can be judged."
        )
    if inputs.shown_without:
        about += (
            f" The ranker whose learning is shown, and whose weights are exported, left {inputs.shown_without} out."
        )
    part = _judged("patches", "Patch ranking, one project left out at a time", about, document, RANKED_ON)
    return replace(part, details=tuple(projects_table(document, metric) for metric in RANKED_ON))


def _judged(key: str, title: str, about: str, document: Document, metrics: tuple[str, ...]) -> Part:
    systems = {**document["systems"], **document["baselines"]}
    bars = [
        bar_chart(
            metric_title(metric),
            [
                Bar(title_of(name), found["metrics"][metric], name in document["baselines"])
                for name, found in systems.items()
            ],
            label=metric_title(metric),
        )
        for metric in metrics
    ]
    return Part(
        key,
        title,
        f"{about} {_counts(document)}",
        _spoken(document["verdicts"]),
        _warned(document["warnings"]),
        (judged_table(document, metrics), differences_table(document)),
        tuple(bars),
    )


def _counts(document: Document) -> str:
    """How many lists were judged, and why others were not."""
    num_right, num_wrong = document["num_all_right"], document["num_all_wrong"]
    if not num_right + num_wrong:
        return f"All {document['num_lists']} lists were judged."
    left_out = " and ".join(
        f"{count} with {label} candidates alone"
        for count, label in ((num_right, "right"), (num_wrong, "wrong"))
        if count
    )
    return f"{document['num_judged']} of {document['num_lists']} lists were judged; {left_out} were not."


def _spoken(verdicts: list[str]) -> tuple[str, ...]:
    """With the names that people use."""
    named = (_NAME.sub(lambda found: title_of(found[0]), verdict) for verdict in verdicts)
    return tuple(_METRIC.sub(lambda found: metric_title(found[0]), verdict) for verdict in named)


def _warned(warnings: list[str]) -> tuple[str, ...]:
    """The same of warnings, where they speak of a system."""
    return tuple(_NAMED.sub(lambda found: title_of(found[0]), warning) for warning in warnings)


def _definitions(inputs: RetrievalInputs) -> dict[str, str]:
    found: dict[str, Any] = {}
    for document in (inputs.patches, inputs.reranking, inputs.retrieval):
        found |= (document or {}).get("definitions", {})
    return found


def _filled(lines: list[str]) -> Iterator[str]:
    for line in lines:
        yield textwrap.fill(line, TERMINAL_WIDTH, subsequent_indent="  " if line.startswith("- ") else "")
