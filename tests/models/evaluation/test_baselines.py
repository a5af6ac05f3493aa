"""Baselines learn from training only, and are what their names say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.evaluation import baselines
from models.evaluation.baselines import category_only, fit_baselines
from models.evaluation.metrics import metrics_at
from models.evaluation.records import SplitRecords, read_split


def records(labels, codes=None, **categories) -> SplitRecords:
    num = len(labels)
    names = [str(row) for row in range(num)]
    codes = codes or ["int f(void) { return 0; }"] * num
    categories = {"project": [""] * num, **categories}
    return SplitRecords(Path("x.jsonl"), names, np.array(labels, dtype=np.int8), names, codes, categories)


@pytest.fixture
def fitted(records_path):
    train = read_split(records_path / "train.jsonl")
    return {baseline.name: baseline for baseline in fit_baselines(train, seed=0)}


def test_words_find_what_is_told_by_a_word_and_length_does_not(fitted, records_path):
    valid = read_split(records_path / "valid.jsonl")
    auroc = {name: metrics_at(valid.labels, b.scorer(valid), 0.5)["auroc"] for name, b in fitted.items()}
    assert auroc["tfidf_lr"] > 0.75
    assert abs(auroc["length"] - 0.5) < 0.25
    assert auroc["always_1"] == auroc["majority"] == 0.5


def test_length_alone_is_learnt_where_it_tells():
    long_ones = ["x" * (10 + 90 * (row % 2)) for row in range(40)]
    train = records([row % 2 for row in range(40)], long_ones)
    length = next(b for b in fit_baselines(train, seed=0) if b.name == "length")
    assert metrics_at(train.labels, length.scorer(train), 0.5)["accuracy"] == 1.0


@pytest.mark.parametrize(("longest", "expected"), [(3, 0.5), (baselines.MAX_NGRAM, 1.0)])
def test_words_are_seen_in_their_order_up_to_four_in_a_row(longest, expected, monkeypatch):
    monkeypatch.setattr(baselines, "MAX_NGRAM", longest)
    texts = ["p q yes p q no p q ;", "p q no p q yes p q ;"]  # the same up to three in a row
    train = records([row % 2 for row in range(40)], [texts[row % 2] + f" w{row // 2} ;" for row in range(40)])
    words = next(b for b in fit_baselines(train, seed=0) if b.name == "tfidf_lr")
    assert metrics_at(train.labels, words.scorer(train), 0.5)["auroc"] == pytest.approx(expected)
    assert f"up to {longest} in a row" in words.description


def test_constant_answers_are_constant():
    train = records([0, 0, 1])
    majority, always, *_ = fit_baselines(train, seed=0)
    assert majority.scorer(train) == pytest.approx([1 / 3] * 3)
    assert metrics_at(train.labels, majority.scorer(train), 0.5)["accuracy"] == pytest.approx(2 / 3)
    assert metrics_at(train.labels, always.scorer(train), 0.5)["f1"] == pytest.approx(0.5)


@pytest.mark.parametrize("category", ["project", "smell"])
def test_a_category_knows_the_share_of_each_of_its_values_and_of_all_for_a_new_one(category):
    train = records([1, 1, 0, 0], **{category: ["a", "a", "b", "b"]})
    scorer = category_only(train, category, title="").scorer
    assert scorer(records([0, 0, 0], **{category: ["a", "b", "new"]})) == pytest.approx([0.75, 0.25, 0.5])


def test_project_only_is_left_out_where_no_project_tells(records_path):
    assert "project" not in {b.name for b in fit_baselines(records([0, 1, 0, 1]), seed=0)}
    assert "project" not in {b.name for b in fit_baselines(records([0, 1], project=["a", "a"]), seed=0)}


def test_findings_stand_beside_the_analyser_alone_their_smell_and_their_words():
    train = records([0, 0, 0, 1], smell=["weak crypto"] * 3 + ["hard-coded secret"])
    fitted = {baseline.name: baseline for baseline in fit_baselines(train, seed=0)}
    assert list(fitted) == ["majority", "keep_all", "smell", "tfidf_lr"]
    kept = metrics_at(train.labels, fitted["keep_all"].scorer(train), fitted["keep_all"].threshold)
    assert (kept["recall"], kept["precision"], kept["false_positive_reduction"]) == (1.0, 0.25, 0.0)


def test_equal_input_gives_equal_bytes(records_path):
    train, valid = (read_split(records_path / f"{split}.jsonl") for split in ("train", "valid"))
    first, second = ([b.scorer(valid).tobytes() for b in fit_baselines(train, seed=4)] for _ in range(2))
    assert first == second
