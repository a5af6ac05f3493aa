"""The report of retrieval says what the documents of its runs say, once, in words that people use."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from tasks.report_charts import Chart
from tasks.retrieval_charts import Bar, bar_chart, learning_charts
from tasks.retrieval_inputs import RetrievalInputs
from tasks.retrieval_report import parts_of, render_report, report_markdown, report_text
from tasks.retrieval_tables import differences_table, judged_table, projects_table, search_tables

EPOCHS = [{"epoch": 0, "train_loss": 2.0, "val_loss": 1.9, "val_mrr": 0.2}, {"epoch": 1, "train_loss": 1.5}]


def told(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


def metrics(value: float) -> dict[str, Any]:
    names = ("recall@1", "recall@5", "recall@10", "mrr", "ndcg@10", "top1", "map")
    return {name: told(value, value - 0.1, value + 0.1) for name in names}


def compared(first: str, second: str, *, shown: bool) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "metric": "mrr",
        "difference": 0.25,
        "low": 0.1,
        "high": 0.4,
        "p_bootstrap_corrected": 0.0004,
        "p_combined_corrected": 0.012,
        "minimum_detectable": 0.08,
        "shown": shown,
    }


@pytest.fixture
def retrieval() -> dict[str, Any]:
    systems = {"encoder": metrics(0.7), "bm25": metrics(0.4), "untrained": metrics(0.2)}
    search = {
        "num_queries": 40,
        "pool_size": {"min": 99, "mean": 99.0, "max": 99},
        "num_relevant": {"min": 1, "mean": 1.5, "max": 3},
        "chance": dict.fromkeys(metrics(0.0), 0.05),
        "systems": systems,
    }
    return {
        "split": "test",
        "ks": [1, 5, 10],
        "confidence": 0.95,
        "num_without_relevant": 60,
        "searches": {"all": search, "across_languages": search},
        "comparisons": [compared("encoder", "bm25", shown=True), compared("bm25", "untrained", shown=False)],
        "verdicts": ["encoder is shown to be better than bm25 on mrr (+0.250 [0.100, 0.400])."],
        "definitions": {"mrr": "mean reciprocal rank"},
        "warnings": ["8 groups are few"],
    }


@pytest.fixture
def judgement() -> dict[str, Any]:
    def of(name: str, value: float, seeds: list[str]) -> dict[str, Any]:
        by_split = {"Lang": {"num_lists": 3, "mrr": value, "top1": value, "map": None}}
        measured = {"metrics": metrics(value), "by_split": by_split, "kept": told(0.9)}
        return {"title": name, "seeds": seeds, **measured}

    return {
        "num_lists": 12,
        "num_judged": 7,
        "num_all_right": 4,
        "num_all_wrong": 1,
        "recall_ceiling": 0.8,
        "confidence": 0.95,
        "systems": {"patch_ranker": of("p", 0.6, ["1", "2"])},
        "baselines": {"random": of("r", 0.3, []), "size": of("s", 0.4, [])},
        "comparisons": [compared("patch_ranker", "size", shown=False)],
        "verdicts": ["No difference is shown between patch_ranker and size on top1, mrr and map."],
        "definitions": {"map": "mean average precision"},
        "warnings": [],
    }


@pytest.fixture
def inputs(retrieval: dict[str, Any], judgement: dict[str, Any]) -> RetrievalInputs:
    row = {"run": "Encoder", "run_key": "0123456789ab", "path": "runs/<train>"}
    opening = {"purpose": "final", "run_key": "0123456789abcdef"}
    return RetrievalInputs(
        retrieval=retrieval,
        reranking=judgement,
        patches=judgement,
        histories={"Encoder": EPOCHS},
        caveats=("Encoder: a quick test",),
        provenance={"runs": [row], "openings": [opening], "settings": {"Encoder": {"seed": 1}}},
    )


def test_search_stands_beside_chance_and_says_its_pool(retrieval: dict[str, Any]) -> None:
    whole, across = search_tables(retrieval)
    assert whole.title == "Sealed test: 40 queries, each in a pool of 99 texts"
    assert across.title.startswith("Sealed test, in other languages: ")
    assert [row[0] for row in whole.rows] == ["Trained encoder", "BM25", "Untrained encoder", "Random order (chance)"]
    assert whole.right == ("Recall@1", "Recall@5", "Recall@10", "MRR", "nDCG@10")
    assert whole.rows[0][1] == "0.700"
    assert whole.rows[0][4] == "0.700 [0.60, 0.80]"
    assert set(whole.rows[-1][1:]) == {"0.050"}


def test_a_difference_is_better_or_worse_only_where_it_was_shown(retrieval: dict[str, Any]) -> None:
    retrieval["comparisons"].append({**compared("encoder", "untrained", shown=True), "difference": -0.25})
    assert [row[-1] for row in differences_table(retrieval).rows] == ["better", "no", "worse"]
    assert differences_table(retrieval).rows[0][:2] == ("Trained encoder − BM25", "MRR")


def test_rankers_stand_over_baselines_and_one_label_is_counted(inputs: RetrievalInputs, judgement: Any) -> None:
    table = judged_table(judgement, ("top1", "mrr"))
    assert [(row[0], row[1]) for row in table.rows] == [
        ("Patch ranker", "2"),
        ("Random order", "–"),
        ("Smaller edit first", "–"),
    ]
    assert table.num_sums == 2
    assert projects_table(judgement, "map").rows == (("Lang", "3", "–", "–", "–"),)
    about = parts_of(inputs)[-1].about
    assert about.endswith(
        "7 of 12 lists were judged; 4 with right candidates alone and 1 with wrong candidates alone were not."
    )
    judgement |= {"num_judged": 12, "num_all_right": 0, "num_all_wrong": 0}
    assert parts_of(inputs)[-1].about.endswith("All 12 lists were judged.")


def test_projects_that_were_not_left_out_and_the_one_that_was_are_named(inputs: RetrievalInputs) -> None:
    named = replace(inputs, shown_without="Lang", not_left_out=("Cli", "Codec"))
    about = parts_of(named)[-1].about
    assert "Cli and Codec have no other bug" in about
    assert "whose weights are exported, left Lang out." in about


def test_what_no_share_has_room_for_is_not_told_as_a_difference(retrieval: dict[str, Any]) -> None:
    entry = {**compared("encoder", "bm25", shown=False), "minimum_detectable": 1.866}
    same = {**entry, "difference": 0.0, "low": 0.0, "high": 0.0, "minimum_detectable": 0.0}
    retrieval["comparisons"] = [entry, same]
    assert [row[-2:] for row in differences_table(retrieval).rows] == [("none", "no"), ("–", "the same order")]


def test_what_was_shown_stands_under_its_numbers(inputs: RetrievalInputs) -> None:
    for text in (report_text(inputs), report_markdown(inputs), render_report("Retrieval", inputs)):
        assert text.index("Recall@1") < text.index("is shown to be better than")


def test_a_warning_names_a_system_as_people_do(inputs: RetrievalInputs, judgement: dict[str, Any]) -> None:
    judgement["warnings"] = [
        "reranker has 1 seed: other random seeds may differ",
        "seeds 1 and 2 of reranker scored all",
    ]
    assert parts_of(inputs)[-1].warnings == (
        "Reranker (MLP) has 1 seed: other random seeds may differ",
        "seeds 1 and 2 of Reranker (MLP) scored all",
    )


def test_text_markdown_and_page_say_the_same_verdicts(inputs: RetrievalInputs) -> None:
    texts = [report_text(inputs), report_markdown(inputs), render_report("Retrieval", inputs)]
    for text in texts:
        words = " ".join(re.sub(r"&#39;", "'", text).split())
        assert "Trained encoder is shown to be better than BM25 on MRR" in words
        assert "No difference is shown between Patch ranker and Smaller edit first on Top-1, MRR and MAP." in words
        assert "8 groups are few" in words
        assert "Encoder: a quick test" in words
    assert max(map(len, texts[0].splitlines())) <= 100


def test_the_page_needs_nothing_else_and_escapes_what_it_shows(inputs: RetrievalInputs) -> None:
    page = render_report("Retrieval & <more>", inputs)
    assert "<title>Retrieval &amp; &lt;more&gt;</title>" in page
    assert "runs/&lt;train&gt;" in page
    assert not re.search(r"<(script|link|img)\b|(src|href)=\"(?!#)", page)
    assert page.count("<svg") == len([chart for part in parts_of(inputs) for chart in part.charts]) + 2 + 2  # legends


@pytest.mark.parametrize("only", ["retrieval", "patches"])
def test_what_was_not_measured_is_not_shown(only: str, inputs: RetrievalInputs) -> None:
    one = RetrievalInputs(**{only: getattr(inputs, only)}, provenance=inputs.provenance)
    assert len(parts_of(one)) == 1
    assert render_report("One", one).count("<section") == 3


def test_a_bar_says_its_value_and_a_missing_one_is_left_out() -> None:
    bars = [Bar("A & B", told(0.5, 0.4, 0.6)), Bar("C", told(None), is_baseline=True)]
    svg = bar_chart("MRR", bars, label="MRR", chance=0.01).svg
    assert "A &amp; B: 0.500 [0.40, 0.60]" in svg
    assert svg.count('class="rank ') == 1
    assert "random order: 0.0100" in svg


def test_learning_is_drawn_as_far_as_it_was_told() -> None:
    charts: list[Chart] = learning_charts({"Encoder": EPOCHS, "Nothing": []})
    assert [chart.title for chart in charts] == ["Encoder: loss", "Encoder: validation MRR"]
    assert charts[0].legend == (("s6", "training"), ("s0", "validation"))
