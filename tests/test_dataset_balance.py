"""The balanced data set as the seed's interface gives it: balance, splits, determinism."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from models.data.balanced.dataset import build_balanced_dataset
from tests.models.data.balanced.small_trees import write_small_sample

FILES = ("train.jsonl", "val.jsonl", "test.jsonl", "stats.json", "pairs.jsonl", "triples.jsonl")


@pytest.fixture(scope="module")
def repos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_sample(tmp_path_factory.mktemp("sample"))


def test_half_of_each_split_is_vulnerable(repos: Path, tmp_path: Path) -> None:
    dataset = build_balanced_dataset(repos, tmp_path / "out", balance_ratio=0.5, seed=1337)
    for split in (dataset.train, dataset.val, dataset.test):
        labels = Counter(row["label"] for row in split)
        assert labels[0] == labels[1] > 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)
    assert dataset.stats == json.loads((tmp_path / "out" / "stats.json").read_text())


def test_equal_seeds_give_equal_data_sets(repos: Path, tmp_path: Path) -> None:
    first = build_balanced_dataset(repos_root=repos, output_dir=tmp_path / "a", seed=1337)
    second = build_balanced_dataset(repos_root=repos, output_dir=tmp_path / "b", seed=1337)
    assert first.train == second.train
    assert first == second
    assert first.stats == second.stats
    other = build_balanced_dataset(repos_root=repos, output_dir=tmp_path / "c", seed=1338)
    assert first.train != other.train


def test_the_folders_are_those_of_the_seed_where_none_is_named(
    repos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "repos").symlink_to(repos)
    monkeypatch.chdir(tmp_path)
    dataset = build_balanced_dataset()
    assert len(dataset.train) == len((tmp_path / "artifacts/dl/balanced/train.jsonl").read_text().splitlines())


def test_variants_are_of_training_functions_only(repos: Path, tmp_path: Path) -> None:
    plain = build_balanced_dataset(repos, tmp_path / "plain")
    augmented = build_balanced_dataset(repos, tmp_path / "augmented", augment_k=3)
    assert (plain.val, plain.test) == (augmented.val, augmented.test)
    originals = [row for row in augmented.train if row["augmented_from"] is None]
    assert originals == list(plain.train)
    assert len(augmented.train) == 4 * len(plain.train)
    assert augmented.stats["augmentation"]["undo_rate"] < 0.05


@pytest.mark.long
@pytest.mark.usefixtures("asked_to_train")
@pytest.mark.parametrize("ratio", [0.2, 0.35, 0.5, 0.65, 0.8])
def test_every_seed_keeps_groups_together_and_meets_the_ratio(repos: Path, tmp_path: Path, ratio: float) -> None:
    for seed in range(12):
        dataset = build_balanced_dataset(repos, tmp_path / str(seed), balance_ratio=ratio, seed=seed, augment_k=1)
        rows = [row for split in (dataset.train, dataset.val, dataset.test) for row in split]
        assert len({row["id"] for row in rows}) == len(rows)
        groups = {(row["group"], row["split"]) for row in rows}
        assert len(groups) == len({group for group, _ in groups})
        for report in dataset.stats["splits"].values():
            labelled = report["vulnerable"] + report["safe"]
            assert abs(report["vulnerable"] - ratio * labelled) <= 1
