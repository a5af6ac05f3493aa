"""The tables of retrieval, for terminal, artifact and page alike: search, reranking, patches, differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasks.comparison_words import NONE, difference_text, number, p_text, with_interval
from tasks.report_claims import SPLIT_TITLES
from tasks.retrieval_titles import title_of
from tasks.tables import PlainTable

Document = Mapping[str, Any]
"""Content of ``retrieval.json`` or ``judgement.json``."""
SEARCH = "all"
"""The search that is compared: in every other text."""
BASELINES = frozenset({"untrained", "bm25", "first_stage", "size", "random"})
"""Those that were not trained."""
KEPT = "Kept"
"""Share of right patches that stay where four fifths of the wrong ones are left out."""
METRICS = {"top1": "Top-1", "mrr": "MRR", "map": "MAP"}
SEARCHES = {"same_language": "in the query's language", "across_languages": "in other languages"}


def metric_title(name: str) -> str:
    """``recall@10`` as ``Recall@10``."""
    return METRICS.get(name) or name.replace("recall", "Recall").replace("ndcg", "nDCG").replace("success", "Hit rate")


def covered(document: Document) -> str:
    """Coverage of the intervals, such as ``95 %``."""
    return f"{100 * document['confidence']:g} %"


def search_metrics(document: Document) -> tuple[str, ...]:
    """What is shown of each search: recall at each depth, MRR, nDCG at the last."""
    return (*(f"recall@{k}" for k in document["ks"]), "mrr", f"ndcg@{max(document['ks'])}")


def search_tables(document: Document) -> list[PlainTable]:
    """Each system in the whole pool, then in the query's own language and in others; chance below."""
    metrics, split = search_metrics(document), SPLIT_TITLES[document["split"]]
    tables = []
    for name, search in document["searches"].items():
        place = "" if name == SEARCH else f", {SEARCHES.get(name, name)}"
        pool = number(search["pool_size"]["mean"], 0)
        title = f"{split}{place}: {search['num_queries']} queries, each in a pool of {pool} texts"
        systems = ((title_of(system), found) for system, found in search["systems"].items())
        rows = [*_rows(systems, metrics), *_rows([("Random order (chance)", _bare(search["chance"]))], metrics)]
        tables.append(_table(title, metrics, rows, num_sums=1))
    return tables


def judged_table(document: Document, metrics: Sequence[str]) -> PlainTable:
    """Rankers, then what needs no model, set off; means over seeds."""
    systems = {**document["systems"], **document["baselines"]}
    is_kept = any("kept" in found for found in systems.values())
    rows = []
    for name, found in systems.items():
        cells = [_cell(metric, found["metrics"]) for metric in metrics]
        kept = [number((found.get("kept") or {}).get("value"))] if is_kept else []
        rows.append((title_of(name), str(len(found["seeds"]) or NONE), *cells, *kept))
    heads = ("Seeds", *map(metric_title, metrics), *([KEPT] if is_kept else []))
    title = f"{document['num_judged']} lists of both labels, means over seeds [{covered(document)}]"
    return PlainTable(title, ("Ranker",), heads, tuple(rows), num_sums=len(document["baselines"]))


def projects_table(document: Document, metric: str) -> PlainTable:
    """One metric of every ranker on each project that was left out."""
    systems = {**document["systems"], **document["baselines"]}
    projects = next(iter(systems.values()))["by_split"]
    rows = []
    for project, counted in projects.items():
        values = (number(found["by_split"][project].get(metric)) for found in systems.values())
        rows.append((project, str(counted["num_lists"]), *values))
    heads = ("Bugs judged", *map(title_of, systems))
    return PlainTable(f"{metric_title(metric)} by the project left out", ("Project",), heads, tuple(rows))


def differences_table(document: Document) -> PlainTable:
    """Every comparison: the difference, p after Holm by each test, how small a difference could be shown."""
    rows = []
    for entry in document["comparisons"]:
        names = f"{title_of(entry['first'])} − {title_of(entry['second'])}"
        rows.append(
            (
                names,
                metric_title(entry["metric"]),
                difference_text(entry),
                p_text(entry["p_bootstrap_corrected"]),
                p_text(entry["p_combined_corrected"]),
                detectable_text(entry),
                _shown(entry),
            )
        )
    heads = (f"Difference [{covered(document)}]", "p bootstrap", "p combined", "Detectable", "Shown")
    return PlainTable("Differences; p after Holm", ("First − second", "Metric"), heads, tuple(rows))


def detectable_text(entry: Document) -> str:
    """The least difference that could be shown; ``none``: a share has no room for it, so that nothing could be."""
    least = entry["minimum_detectable"]
    if is_same_order(entry):
        return NONE
    return "none" if least is not None and least >= 1.0 else number(least)


def is_same_order(entry: Document) -> bool:
    """Whether both put every list into the same order, as far as this metric sees."""
    return all(entry[end] == 0.0 for end in ("difference", "low", "high"))


def _shown(entry: Document) -> str:
    if is_same_order(entry):
        return "the same order"
    if not entry["shown"]:
        return "no"
    return "better" if entry["difference"] > 0 else "worse"


def _rows(systems: Iterable[tuple[str, Document]], metrics: Sequence[str]) -> list[tuple[str, ...]]:
    return [(name, *(_cell(metric, found) for metric in metrics)) for name, found in systems]


def _cell(metric: str, found: Document) -> str:
    """MRR, MAP and top-1 with their interval, others bare: the page has all of them."""
    told = found.get(metric)
    if told is None:
        return NONE
    return with_interval(told) if metric in METRICS else number(told["value"])


def _table(title: str, metrics: Sequence[str], rows: Sequence[tuple[str, ...]], *, num_sums: int) -> PlainTable:
    return PlainTable(title, ("System",), tuple(map(metric_title, metrics)), tuple(rows), num_sums=num_sums)


def _bare(values: Mapping[str, float | None]) -> dict[str, dict[str, float | None]]:
    return {name: {"value": value, "low": None, "high": None} for name, value in values.items()}
