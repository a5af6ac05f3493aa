"""Small preprocess and findings runs, and predict and training runs on them, as other jobs leave them, by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.evaluation import ranking_job
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.jobs.keys import run_key
from models.jobs.question import question_of
from models.settings.rank import RankSettings
from models.settings.train import TrainSettings
from models.store.manifest import digest_file, write_manifest

SIZES = {"train": 80, "valid": 40, "test": 44}
FINDINGS_SIZES = {"train": 90, "valid": 60, "test": 66}
TECHNOLOGIES = ("ansible", "chef", "puppet")
SMELLS = ("hard_coded_secret", "use_of_http", "weak_crypto")


def record(split: str, row: int, random: np.random.Generator) -> dict[str, Any]:
    """One record; a word carries most of the label, length and project carry nothing."""
    label = row % 2
    told = label if random.random() < 0.85 else 1 - label
    call = "strcpy(a, b);" if told else "strlcpy(a, b, n);"
    code = f"void f{row}(char *a) {{ {call} {'x += 1; ' * int(random.integers(1, 9))}}}"
    return {
        "id": f"SAMPLE-{split.upper()}-{row}",
        "code": code,
        "language": "c",
        "tokens": [1, 2],
        "token_offsets": [[0, 4], [5, 7]],
        "ast_nodes": [1, 2],
        "edge_index": [[0, 1]],
        "edge_type": [0],
        "label": label,
        "metadata": {"group": f"{split}-commit-{row // 4}", "project": ["alpha", "beta"][row // 4 % 2]},
    }


@pytest.fixture
def records_path(tmp_path: Path) -> Path:
    """A preprocess run of three splits."""
    folder = tmp_path / "preprocess"
    folder.mkdir()
    random = np.random.default_rng(3)
    for split, size in SIZES.items():
        lines = [json.dumps(record(split, row, random)) + "\n" for row in range(size)]
        (folder / f"{split}.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture
def write_predictions(tmp_path: Path, records_path: Path) -> Callable[..., Path]:
    """Writes a predict run; ``skill`` in [0, 1] is how far its probabilities follow the label."""

    def write(*, skill: float = 0.6, splits: tuple[str, ...] = ("valid",), name: str = "predict") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        random = np.random.default_rng(11)
        for split in splits:
            lines = scored(records_path / f"{split}.jsonl", skill=skill, random=random)
            (folder / f"predictions_{split}.jsonl").write_text(lines)
        (folder / "result.json").write_text(json.dumps({"numbers": {"model_kind": "gnn"}}))
        return folder

    return write


def finding(split: str, row: int, size: int, random: np.random.Generator) -> dict[str, Any]:
    """One finding; a word of its context tells the label mostly, its smell a little, about 40 % are true."""
    label = int(random.random() < 0.4)
    told = label if random.random() < 0.8 else 1 - label
    smell = SMELLS[0] if label and random.random() < 0.5 else SMELLS[int(random.integers(0, 3))]
    technology = TECHNOLOGIES[row * 3 // size]
    file = f"{split}-{technology}-{row // 3}.txt"
    return {
        "id": f"IAC-{split.upper()}-{row}",
        "code": f"{'password' if told else 'example'}: value{row}\nmode: {'0644 ' * int(random.integers(1, 6))}",
        "language": technology,
        "tokens": [1, 2],
        "token_offsets": [[0, 0], [0, 4]],
        "ast_nodes": [],
        "edge_index": [],
        "edge_type": [],
        "label": label,
        "metadata": {
            "group": f"{technology}/{file}",
            "project": "",
            "file": file,
            "technology": technology,
            "smell": smell,
            "line": row,
            "in_combined": row % 11 != 0,
            "source": "iac",
        },
    }


@pytest.fixture
def findings_path(tmp_path: Path) -> Path:
    """A findings run of three splits; test in the order of technologies."""
    folder = tmp_path / "findings"
    folder.mkdir()
    random = np.random.default_rng(7)
    for split, size in FINDINGS_SIZES.items():
        lines = [json.dumps(finding(split, row, size, random)) + "\n" for row in range(size)]
        (folder / f"{split}.jsonl").write_text("".join(lines))
    return folder


def scored(path: Path, *, skill: float, random: np.random.Generator) -> str:
    """Predictions of a record file as lines; ``skill`` in [0, 1] is how far the probabilities follow the label."""
    lines = []
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        probability = float(np.clip(skill * entry["label"] + (1 - skill) * random.random(), 0, 1))
        row = {"id": entry["id"], "group": entry["metadata"]["group"], "label": entry["label"]}
        lines.append(json.dumps({**row, "probability": probability, "logits": [0.0, 0.0]}))
    return "\n".join(lines) + "\n"


@pytest.fixture
def write_trial(tmp_path: Path, findings_path: Path) -> Callable[..., Path]:
    """Writes a finished training run on the findings, with its scores of validation."""

    def write(
        name: str, *, skill: float, seed: int, learning_rate: float = 1e-3, noise: int = 0, num_parameters: int = 1000
    ) -> Path:
        run_path = tmp_path / "runs" / "train" / name
        run_path.mkdir(parents=True)
        settings = TrainSettings(
            train_data=findings_path / "train.jsonl",
            val_data=findings_path / "valid.jsonl",
            model={"kind": "gnn", "learning_rate": learning_rate},
            seed=seed,
        )
        question = question_of(settings)
        numbers = {"num_parameters": num_parameters, "num_steps": 18, "batch_size": 16, "num_train": 90}
        (run_path / "settings.json").write_text(settings.model_dump_json())
        (run_path / "question.json").write_text(json.dumps(question))
        (run_path / "result.json").write_text(json.dumps({"kind": "train", "numbers": {**numbers, "num_epochs": 3}}))
        predictions = scored(findings_path / "valid.jsonl", skill=skill, random=np.random.default_rng([seed, noise]))
        (run_path / "predictions_valid.jsonl").write_text(predictions)
        (run_path / "predictions_test.jsonl").write_text("sealed")
        files = ["predictions_valid.jsonl", "predictions_test.jsonl", "result.json"]
        write_manifest(run_path, files, kind="train", run_key=question["run_key"], build_key="b" * 64)
        return run_path

    return write


@pytest.fixture
def trial(write_trial: Callable[..., Path]) -> Callable[..., dict[str, dict[str, Any]]]:
    """Writes the trials of one configuration, as settings of the rank job name them."""

    def made(
        configuration: str, *, skill: float, seeds: tuple[int, ...] = (41, 42, 43), model: str = "m", **facts: Any
    ) -> dict[str, dict[str, Any]]:
        return {
            f"{configuration}_s{seed}": {
                "run": write_trial(f"{configuration}_s{seed}", skill=skill, seed=seed, **facts),
                "family": model[0],
                "model": model,
                "configuration": configuration,
                "seed": seed,
            }
            for seed in seeds
        }

    return made


@pytest.fixture
def run_rank(tmp_path: Path, findings_path: Path) -> Callable[..., Path]:
    """Runs the rank job to a finished run directory."""

    def call(trials: dict[str, Any], *, folder: str = "rank", stop: bool = False, **settings: Any) -> Path:
        run_path = tmp_path / folder
        run_path.mkdir()
        document = {"stage": "stage3", "num_resamples": 200, "train_data": findings_path / "train.jsonl"}
        document |= {"val_data": findings_path / "valid.jsonl", "trials": trials, **settings}
        rank = RankSettings.model_validate(document)
        context = JobContext(run_path, tmp_path / "root", EventStream(None), stop_requested=lambda: stop)
        result = ranking_job.run(rank, context)
        (run_path / "result.json").write_text(json.dumps({"kind": "rank", "numbers": result.numbers}))
        write_manifest(run_path, [*result.files, "result.json"], kind="rank", run_key=run_key(rank), build_key="b" * 64)
        return run_path

    return call


@pytest.fixture
def write_scores(tmp_path: Path, findings_path: Path) -> Callable[..., Path]:
    """Writes a finished predict run on the findings."""

    def write(name: str = "predict", *, skill: float = 0.5, splits: tuple[str, ...] = ("valid", "test")) -> Path:
        run_path = tmp_path / name
        run_path.mkdir()
        random = np.random.default_rng(11)
        files = ["result.json"]
        for split in splits:
            files.append(f"predictions_{split}.jsonl")
            (run_path / files[-1]).write_text(scored(findings_path / f"{split}.jsonl", skill=skill, random=random))
        numbers = {"model_kind": "transformer", "model_run_key": "c" * 64}
        (run_path / "result.json").write_text(json.dumps({"numbers": numbers}))
        write_manifest(run_path, files, kind="predict", run_key="d" * 64, build_key="b" * 64)
        return run_path

    return write


class FoldRuns:
    """A preprocess run, a folds run on it, and predict runs of fold models and of refit ones, by hand.

    Args:
        path: Folder to write into.
    """

    NUM_FOLDS = 3
    NUM_TRAIN = 180

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data, self.folds = path / "preprocess", path / "folds"
        sizes = {"train": self.NUM_TRAIN, "valid": 60, "test": 48}
        self.records = {split: [self.record(split, row) for row in range(size)] for split, size in sizes.items()}
        self.write_data()
        self.write_folds([row // 4 % self.NUM_FOLDS for row in range(self.NUM_TRAIN)])

    @staticmethod
    def record(split: str, row: int) -> dict[str, Any]:
        """Two records a commit, one of each label; the last third is of a collected source."""
        source = "collected" if split == "train" and row >= 120 else "clean"
        return {
            "id": f"{source.upper()}-{split.upper()}-{row}",
            "code": f"int f{row}(void) {{ return {row}; }}",
            "language": "c",
            "tokens": [1, 2],
            "token_offsets": [[0, 3], [4, 5]],
            "ast_nodes": [1, 2],
            "edge_index": [[0, 1]],
            "edge_type": [0],
            "label": row % 2,
            "metadata": {
                "group": f"{split}-commit-{row // 2}",
                "project": ["alpha", "beta"][row // 2 % 2],
                "source": source,
                "origin": "" if source == "clean" else f"origin-{row % 2}",
                "orig_id": str(row),
            },
        }

    def write_data(self) -> None:
        self.data.mkdir(exist_ok=True)
        for split, entries in self.records.items():
            (self.data / f"{split}.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))

    def write_folds(self, fold_of: list[int | None]) -> None:
        """Two commits, which are four records, are one group of a fold."""
        self.fold_of = fold_of
        self.folds.mkdir(exist_ok=True)
        lines = [
            {"id": entry["id"], "fold": fold, "group": f"joined-{row // 4}"}
            for row, (entry, fold) in enumerate(zip(self.records["train"], fold_of, strict=True))
        ]
        (self.folds / "folds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (self.folds / "folds.json").write_text(json.dumps({"num_folds": self.NUM_FOLDS}))
        self.seal(self.folds, "folds")

    def seal(self, run_path: Path, kind: str) -> Path:
        """The manifest of what lies in a run directory, as its job would have written it."""
        files = [path.name for path in run_path.iterdir() if path.name != "manifest.json"]
        write_manifest(run_path, files, kind=kind, run_key="a" * 64, build_key="b" * 64)
        return run_path

    def folds_sha256(self) -> str:
        return digest_file(self.folds / "folds.jsonl").sha256

    def rows(self, split: str, log_odds: Callable[[dict[str, Any]], float], **beside: Any) -> list[dict[str, Any]]:
        """Rows of predictions of a split by a function of the record."""
        found = []
        for entry in self.records[split]:
            value = log_odds(entry)
            found.append(
                {
                    "id": entry["id"],
                    "group": entry["metadata"]["group"],
                    "label": entry["label"],
                    "probability": float(1.0 / (1.0 + np.exp(-value))),
                    "logits": [-value / 2, value / 2],
                    **beside,
                }
            )
        return found

    def predict_run(self, name: str, left_out: Any = None, **files: list[dict[str, Any]]) -> Path:
        """A finished predict run with these predictions by split."""
        run_path = self.path / name
        run_path.mkdir()
        for split, rows in files.items():
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (run_path / f"predictions_{split}.jsonl").write_text(text)
        numbers = {
            "model_kind": name.split("-")[0],
            "model_run_key": "c" * 64,
            "held_out": left_out,
            "left_out": left_out,
        }
        (run_path / "result.json").write_text(json.dumps({"kind": "predict", "numbers": numbers}))
        return self.seal(run_path, "predict")

    def fold_models(self, name: str, log_odds: Callable[[dict[str, Any]], float]) -> list[Path]:
        """One predict run a fold."""
        fold_of = dict(zip((entry["id"] for entry in self.records["train"]), self.fold_of, strict=True))
        runs = []
        for fold in range(self.NUM_FOLDS):
            rows = [row for row in self.rows("train", log_odds, fold=fold) if fold_of[row["id"]] == fold]
            told = {"fold": fold, "num_folds": self.NUM_FOLDS, "folds_sha256": self.folds_sha256()}
            told["num_records"] = len(rows)
            valid = self.rows("valid", log_odds)
            runs.append(self.predict_run(f"{name}-fold{fold}", told, held_out=rows, valid=valid))
        return runs

    def base(self, name: str, log_odds: Callable[[dict[str, Any]], float], *splits: str) -> Path:
        """The predict run of a model refit on all of training."""
        files = {split: self.rows(split, log_odds) for split in ("valid", *splits)}
        return self.predict_run(f"{name}-base", **files)

    def change(self, run_path: Path, name: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        """Change the rows of a file of a predict run, and seal it again."""
        path = run_path / name
        rows = change([json.loads(line) for line in path.read_text().splitlines()])
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.seal(run_path, "predict")


def noisy_scorer(skill: float, seed: int) -> Callable[[dict[str, Any]], float]:
    """Log-odds that follow the true label by ``skill`` beside normal noise, for a record always the same."""

    def log_odds(entry: dict[str, Any]) -> float:
        random = np.random.default_rng([seed, *entry["id"].encode()])
        return skill * (2 * entry["metadata"].get("truth", entry["label"]) - 1) + float(random.normal())

    return log_odds


@pytest.fixture
def fold_runs(tmp_path: Path) -> FoldRuns:
    """Everything that is learnt across folds, to be spoilt by a test."""
    return FoldRuns(tmp_path)


@pytest.fixture
def scorer() -> Callable[[float, int], Callable[[dict[str, Any]], float]]:
    """Makes models of a given skill and seed."""
    return noisy_scorer
