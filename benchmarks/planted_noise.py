"""How well wrong labels are found: ``python -m benchmarks.planted_noise [--rates 0.1 0.2 0.3]``.

Generated collections in which a known share of the noisy labels is turned (`models.data.generated_collections`),
through the real jobs: collect, preprocess, folds, one small graph network a fold, weigh. Printed is the AUROC of trust,
wrong labels against right ones of the same fold among the noisy records, with its interval. Its peer is the same
trust by words alone (TF-IDF and logistic regression, same folds); a coin has 0.5.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.side_by_side import held
from models.data.fold_file import read_folds
from models.data.generated_collections import write_collections
from models.evaluation.audit.folds import auroc_within_folds
from models.evaluation.baselines import words_logistic
from models.evaluation.intervals import Resamples
from models.evaluation.metrics import Floats
from models.evaluation.out_of_fold.label_trust import label_trust
from models.evaluation.records import SplitRecords, read_split

MIN_AUROC = 0.7
NUM_FOLDS = 5
EPOCHS = 12
SEED = 42


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each share of noise; 1 when wrong labels are found worse than ``MIN_AUROC``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planted_noise", description=__doc__.partition("\n")[0])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.1, 0.2, 0.3], help="shares of wrong labels")
    options = parser.parse_args(argv)
    print("| wrong labels | records | AUROC of trust [95 %] | words alone | estimated noise, all of training |")
    print("|---|---|---|---|---|")
    bounds: dict[str, bool] = {}
    for rate in options.rates:
        with tempfile.TemporaryDirectory() as folder:
            found = find_noise(Path(folder), rate)
        planted = found["weighing"]["planted"]
        value = planted["auroc"]
        print(
            f"| {rate:.0%} ({planted['num_planted']}) | {planted['num_known']} | {value['value']:.3f} "
            f"[{value['low']:.3f}, {value['high']:.3f}] | {found['words']:.3f} | "
            f"{found['weighing']['estimated_noise']['overall']:.1%} |",
            flush=True,
        )
        bounds[f"AUROC at {rate:.0%} ≥ {MIN_AUROC}"] = value["value"] >= MIN_AUROC
    return 0 if held(bounds) else 1


def find_noise(folder: Path, rate: float) -> dict[str, Any]:
    """``weighing.json`` of a run with a share ``rate`` of wrong labels, and the AUROC of words alone."""
    write_collections(folder / "data", noise=rate)
    data = folder / "data"
    _run(
        folder,
        "collected",
        {
            "kind": "collect",
            "clean": data / "clean",
            "clean_name": "demo",
            "sources": {"noisy": {"data": data / "noisy.jsonl"}},
        },
    )
    _run(folder, "records", {"kind": "preprocess", "data": folder / "collected", "vocab_size": 600})
    _run(folder, "folds", {"kind": "folds", "data": folder / "records", "num_folds": NUM_FOLDS, "seed": SEED})
    for fold in range(NUM_FOLDS):
        _run(folder, f"model{fold}", _training(folder, fold))
        _run(
            folder,
            f"scores{fold}",
            {
                "kind": "predict",
                "model_run": folder / f"model{fold}",
                "data": folder / "records",
                "splits": ["valid", "held_out"],
                "folds": folder / "folds",
            },
        )
    _run(
        folder,
        "weights",
        {
            "kind": "weigh",
            "data": folder / "records",
            "folds": folder / "folds",
            "out_of_fold": {"gnn": [folder / f"scores{fold}" for fold in range(NUM_FOLDS)]},
            "planted": data / "planted.jsonl",
        },
    )
    weighing = json.loads((folder / "weights" / "weighing.json").read_bytes())
    return {"weighing": weighing, "words": auroc_of_words(folder, data / "planted.jsonl")}


def auroc_of_words(folder: Path, planted_path: Path) -> float:
    """The same measure for trust by TF-IDF and logistic regression on the same folds."""
    records = read_split(folder / "records" / "train.jsonl")
    folds = read_folds(folder / "folds", list(records.ids))
    probabilities: Floats = np.zeros(len(records))
    for fold in range(NUM_FOLDS):
        inside, outside = np.flatnonzero(folds.fold == fold), np.flatnonzero(folds.fold != fold)
        probabilities[inside] = words_logistic(records.only(outside), seed=SEED).scorer(records.only(inside))
    trust = label_trust(records.labels, [probabilities])
    rows = np.flatnonzero(np.array(records.categories["source"]) == "noisy")
    is_wrong = np.array(planted_among(records, planted_path), dtype=np.int8)
    alone = Resamples(np.ones((1, len(rows)), np.uint16), np.arange(len(rows)))
    return auroc_within_folds(is_wrong[rows], 1.0 - trust[rows], folds.fold[rows], alone).value


def planted_among(records: SplitRecords, planted_path: Path) -> list[bool]:
    """Per record whether its label was turned."""
    turned = {f"NOISY-TRAIN-{json.loads(line)['idx']}" for line in planted_path.read_bytes().splitlines()}
    return [record_id in turned for record_id in records.ids]


def _training(folder: Path, fold: int) -> dict[str, Any]:
    return {
        "kind": "train",
        "train_data": folder / "records" / "train.jsonl",
        "val_data": folder / "records" / "valid.jsonl",
        "folds": folder / "folds",
        "left_out_fold": fold,
        "seed": SEED,
        "model": {"kind": "gnn", "hidden_dim": 64, "epochs": EPOCHS, "early_stopping_patience": EPOCHS},
    }


def _run(folder: Path, name: str, settings: dict[str, Any]) -> None:
    """One job in a process of its own."""
    job_path = folder / f"{name}.json"
    job_path.write_text(json.dumps(settings, default=str))
    command = [sys.executable, "-m", "models", str(job_path), f"--run-dir={folder / name}", f"--runs={folder}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
