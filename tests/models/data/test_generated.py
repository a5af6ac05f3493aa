from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tree_sitter_c
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from tree_sitter import Language, Parser

from models.data.duplicates import DuplicateSearch
from models.data.flaw_templates import TEMPLATES
from models.data.generated import twin_functions, write_sample
from models.errors import SettingsInvalid

SPLITS = ("train", "valid", "test")
# Bytes of the default sample: they must not change by accident, nor with Python's version or hash seed.
DEFAULT_TRAIN_SHA256 = "96847d9f280177899ee07799659846461c7de9de0cbed26bc172db41faf6f71c"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample")
    write_sample(path)
    return path


@pytest.fixture(scope="module")
def rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        split: [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()] for split in SPLITS
    }


def tokens_of(code: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", code)


def test_default_sample_has_the_promised_size_shares_and_balance(rows: dict[str, list[dict[str, Any]]]) -> None:
    sizes = {split: len(rows[split]) for split in SPLITS}

    assert sum(sizes.values()) == 1800
    assert abs(sizes["train"] - 1440) <= 6
    assert abs(sizes["valid"] - 180) <= 12
    for split in SPLITS:
        assert sum(row["target"] for row in rows[split]) * 2 == sizes[split]
        assert all(set(row) == {"project", "commit_id", "target", "func", "idx"} for row in rows[split])
    assert len({row["idx"] for split in SPLITS for row in rows[split]}) == 1800


def test_commits_and_twins_stay_in_one_split(rows: dict[str, list[dict[str, Any]]]) -> None:
    commits = [{row["commit_id"] for row in rows[split]} for split in SPLITS]

    assert not commits[0] & commits[1]
    assert not commits[0] & commits[2]
    assert not commits[1] & commits[2]
    for split in SPLITS:
        bags = Counter(tuple(sorted(tokens_of(row["func"]))) for row in rows[split])
        assert set(bags.values()) == {2}


def test_every_function_parses_without_an_error(rows: dict[str, list[dict[str, Any]]]) -> None:
    parser = Parser(Language(tree_sitter_c.language()))

    broken = [
        row["func"] for split in SPLITS for row in rows[split] if parser.parse(row["func"].encode()).root_node.has_error
    ]

    assert not broken, broken[0]


@pytest.mark.parametrize("template", range(len(TEMPLATES)))
def test_twins_hold_the_same_tokens_and_the_same_node_kinds_in_another_shape(template: int) -> None:
    parser = Parser(Language(tree_sitter_c.language()))
    for pair in range(template, template + 10 * len(TEMPLATES), len(TEMPLATES)):
        weakness, safe, vulnerable = twin_functions(pair)
        trees = [str(parser.parse(code.encode()).root_node) for code in (safe, vulnerable)]

        assert weakness == TEMPLATES[template][0]
        assert safe != vulnerable
        assert len(safe) == len(vulnerable)
        assert Counter(tokens_of(safe)) == Counter(tokens_of(vulnerable))
        kinds = [Counter(re.findall(r"[a-z_]+", tree)) for tree in trees]
        assert kinds[0] == kinds[1]


def test_neither_length_nor_word_counts_separate_the_labels(rows: dict[str, list[dict[str, Any]]]) -> None:
    held_out = rows["valid"] + rows["test"]
    labels = [row["target"] for row in held_out]
    assert roc_auc_score(labels, [len(row["func"]) for row in held_out]) == pytest.approx(0.5)

    for pattern, most in (((1, 1), 0.55), ((1, 2), 0.62)):
        vectorizer = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]", ngram_range=pattern, lowercase=False, min_df=2)
        features = vectorizer.fit_transform([row["func"] for row in rows["train"]])
        model = LogisticRegression(max_iter=1000).fit(features, [row["target"] for row in rows["train"]])
        right = model.predict(vectorizer.transform([row["func"] for row in held_out])) == np.array(labels)
        assert right.mean() < most


def test_no_function_has_a_copy_or_near_copy_in_another_split(rows: dict[str, list[dict[str, Any]]]) -> None:
    search = DuplicateSearch(0.7)
    for split in SPLITS:
        for row in rows[split]:
            search.add(split, str(row["idx"]), row["commit_id"], row["target"], row["func"])

    report = search.report()

    assert all(entry["pairs"] == 0 for kind in ("exact", "near") for entry in report[kind]["across"].values())
    assert all(entry["pairs"] == 0 for entry in report["exact"]["within"].values())


def test_bytes_depend_on_nothing_but_the_arguments(folder: Path, tmp_path: Path) -> None:
    assert sha256((folder / "train.jsonl").read_bytes()).hexdigest() == DEFAULT_TRAIN_SHA256
    command = [sys.executable, "-m", "models.data.generated", str(tmp_path), "--num-functions", "1800", "--seed", "7"]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "123"})
    for split in SPLITS:
        assert (tmp_path / f"{split}.jsonl").read_bytes() == (folder / f"{split}.jsonl").read_bytes()


def test_another_seed_gives_other_functions(folder: Path, tmp_path: Path) -> None:
    write_sample(tmp_path, num_functions=60, seed=8)

    mine = {json.loads(line)["func"] for line in (tmp_path / "train.jsonl").read_text().splitlines()}
    theirs = {json.loads(line)["func"] for line in (folder / "train.jsonl").read_text().splitlines()}
    assert mine
    assert not mine & theirs


@pytest.mark.parametrize("num_functions", [0, 58, 101])
def test_sizes_that_cannot_be_had_are_refused(tmp_path: Path, num_functions: int) -> None:
    with pytest.raises(SettingsInvalid, match="even"):
        write_sample(tmp_path, num_functions=num_functions)


def test_single_words_are_at_chance_and_four_in_a_row_are_not(rows: dict[str, list[dict[str, Any]]]) -> None:
    def auroc(longest: int) -> float:
        vectorizer = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]", ngram_range=(1, longest), min_df=2)
        seen = vectorizer.fit_transform([row["func"] for row in rows["train"]])
        model = LogisticRegression(max_iter=1000).fit(seen, [row["target"] for row in rows["train"]])
        held_out = rows["valid"] + rows["test"]
        scores = model.predict_proba(vectorizer.transform([row["func"] for row in held_out]))[:, 1]
        return float(roc_auc_score([row["target"] for row in held_out], scores))

    assert 0.42 < auroc(1) < 0.58
    assert auroc(4) > 0.7  # said in the docstrings and shown in every report: the order of words tells much
