"""A job that needs no learning library, and plans for it; finished runs of stages 3 and 4, written by hand."""

from __future__ import annotations

import copy
import json
import shutil
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.evaluation.metrics import as_json, metrics_at
from models.evaluation.record_sets import sets_of_test
from models.evaluation.records import read_probabilities, read_split
from models.jobs.build import Build
from models.jobs.layout import RunPlan
from models.jobs.question import question_of
from models.settings.decision import FrozenThreshold, ThresholdSweep
from models.settings.evaluate import EvaluateSettings, TrialName
from models.settings.fields import Settings
from models.settings.findings import FindingsSettings
from models.settings.predict import PredictSettings
from models.settings.rank import RankedTrial, RankSettings
from models.settings.train import TrainSettings
from models.settings.transformer import TransformerSettings
from models.store.manifest import digest_file, write_manifest
from models.store.openings import append_opening
from tasks.launchers.local import LocalProcess

STUB = Path(__file__).parent / "stub_job.py"
CONFIGURATIONS = {"codet5p_220m_lr2e-5_bs8_ep3_wd0.01": 2e-5, "codet5p_220m_lr4e-5_bs8_ep3_wd0.01": 4e-5}


@pytest.fixture
def stub_launcher(tmp_path: Path) -> Callable[..., LocalProcess]:
    """Launchers of ``stub_job.py`` with the behaviour that its arguments say."""

    def make(*arguments: str) -> LocalProcess:
        return LocalProcess(tmp_path / "runs", [sys.executable, str(STUB), *arguments])

    return make


@pytest.fixture
def plan(tmp_path: Path) -> RunPlan:
    """A run directory that does not exist yet."""
    build = Build(files={}, libraries={}, machine={})
    return RunPlan("stub", "stub", "0" * 64, "1" * 64, build, tmp_path / "runs/stub/stub-000000000000/11111111")


class FakeStages:
    """Run directories of stages 3 and 4 as the jobs leave them, made in a second: two configurations, three seeds.

    Args:
        runs_path: The run root to fill.
    """

    SEEDS = (41, 42, 43)
    THRESHOLD = 0.47

    def __init__(self, runs_path: Path) -> None:
        self.runs_path = runs_path
        self.data = self._findings()
        self.train = {
            (configuration, seed): self._training(rate, seed, skill=0.32 - 1e3 * rate)
            for configuration, rate in CONFIGURATIONS.items()
            for seed in self.SEEDS
        }
        self.stage3 = self._ranking("stage3", "final_sweep", (42,))
        self.stage4 = self._ranking("stage4", "champion", self.SEEDS)
        ranking = json.loads((self.stage4 / "ranking.json").read_text())
        self.champion, self.runner_up = (self._median(ranking, name) for name in ("first", "runner_up"))
        self.evaluation = self.evaluate([self.champion, self.runner_up])

    def copied(self, runs_path: Path) -> FakeStages:
        """The same under another run root, as if they had been made there."""
        shutil.copytree(self.runs_path, runs_path)
        for path in runs_path.glob("*/*/*/settings.json"):
            path.write_text(path.read_text().replace(str(self.runs_path), str(runs_path)))
        other = copy.copy(self)
        for name in ("data", "stage3", "stage4", "evaluation"):
            setattr(other, name, runs_path / getattr(self, name).relative_to(self.runs_path))
        other.train = {key: runs_path / path.relative_to(self.runs_path) for key, path in self.train.items()}
        other.runs_path = runs_path
        return other

    def trial(self, label: str) -> Path:
        """Training run of a trial of stage 4."""
        return Path(json.loads((self.stage4 / "settings.json").read_text())["trials"][label]["run"])

    def finish(self, label: str, settings: Settings, files: dict[str, Any], seconds: float = 60.0) -> Path:
        """A finished run, with keys as the real one would have."""
        question = question_of(settings)
        kind = settings.model_dump()["kind"]
        build = Build(files={f"models/{kind}.py": "0" * 64}, libraries={"numpy": "2.4"}, machine={"device": "cpu"})
        run_path = self.runs_path / kind / f"{label}_20260102-{question['run_key'][:12]}" / build.key[:8]
        attempt = {"seconds": seconds, "started": 1.8e9, "samples_per_second": 12.5, "peak_memory_bytes": 2**30}
        unlisted = {
            "settings.json": settings.model_dump(mode="json"),
            "question.json": question,
            "build.json": build.to_json(),
            "record.json": {"attempts": [attempt]},
        }
        for name, content in (files | unlisted).items():
            path = run_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        write_manifest(run_path, files, kind=kind, run_key=question["run_key"], build_key=build.key)
        return run_path

    def _findings(self) -> Path:
        raw_path = self.runs_path.parent / "raw"
        raw_path.mkdir()
        (raw_path / "train.jsonl").write_text("raw")
        files = {}
        for split, size in {"train": 20, "valid": 60, "test": 80}.items():
            records = [_finding(split, number) for number in range(size)]
            files[f"{split}.jsonl"] = "".join(json.dumps(record) + "\n" for record in records)
        return self.finish("iac_bpe", FindingsSettings(data=raw_path), files)

    def _training(self, learning_rate: float, seed: int, skill: float) -> Path:
        model = TransformerSettings(pretrained="off", learning_rate=learning_rate, batch_size=8, epochs=3)
        settings = TrainSettings(
            train_data=self.data / "train.jsonl",
            val_data=self.data / "valid.jsonl",
            tokenizer=self.data / "train.jsonl",
            model=model,
            seed=seed,
        )
        epochs = [{"epoch": at, "val_f1_vulnerable": 0.5 + 0.1 * at, "train_loss": 0.7 - 0.1 * at} for at in range(3)]
        files = {
            "best_model/model.safetensors": f"weights of {learning_rate} and {seed}",
            "best_model/config.json": "{}",
            "predictions_valid.jsonl": self._predictions("valid", skill, seed),
            "history.json": {"epochs": epochs},
            "result.json": {"numbers": {"num_parameters": 223_000_000, "num_train": 20, "num_epochs": 3}},
        }
        return self.finish(f"codet5p-220m_s{seed}", settings, files, seconds=60.0 + seed)

    def _predictions(self, split: str, skill: float, seed: int) -> str:
        random = np.random.default_rng(seed)
        lines = []
        for line in (self.data / f"{split}.jsonl").read_text().splitlines():
            record = json.loads(line)
            probability = skill * record["label"] + (1 - skill) * random.random()
            lines.append(json.dumps({"id": record["id"], "label": record["label"], "probability": probability}) + "\n")
        return "".join(lines)

    def _ranking(self, stage: str, tag: str, seeds: tuple[int, ...]) -> Path:
        sweep = stage == "stage3"
        labels = {
            (name, seed): name.replace("220m_", f"220m_{tag}_") + ("" if sweep else f"_s{seed}")
            for name in CONFIGURATIONS
            for seed in seeds
        }
        trials = {
            label: RankedTrial(
                run=self.train[name, seed], family="codet5p", model="codet5p_220m", configuration=name, seed=seed
            )
            for (name, seed), label in labels.items()
        }
        decision = ThresholdSweep() if sweep else FrozenThreshold(ranking=self.stage3)
        data = {"train_data": self.data / "train.jsonl", "val_data": self.data / "valid.jsonl"}
        settings = RankSettings(stage=stage, **data, trials=trials, decision=decision)
        entries = [self._entry(name, {seed: labels[name, seed] for seed in seeds}) for name in CONFIGURATIONS]
        entries.sort(key=lambda entry: -entry["f1"]["value"])
        files: dict[str, Any] = {"ranking.json": _ranking_of(stage, decision.kind, entries), "selection.json": {}}
        for (name, _), label in labels.items():
            files[f"trials/{label}/config_used.yaml"] = f"label: {label}\n"
            files[f"trials/{label}/threshold_sweep_results.json"] = self._swept(name) if sweep else self._frozen(name)
        return self.finish(stage, settings, files)

    def _entry(self, name: str, labels: dict[int, str]) -> dict[str, Any]:
        measured = {str(seed): self.metrics(self.train[name, seed] / "predictions_valid.jsonl") for seed in labels}
        f1 = {seed: metrics["f1"] for seed, metrics in measured.items()}
        median = next(seed for seed, value in f1.items() if value == statistics.median_low(f1.values()))
        mean = statistics.fmean(f1.values())
        return {
            "configuration": name,
            "family": "codet5p",
            "model": "codet5p_220m",
            "rank": 1,
            "seeds": [int(seed) for seed in f1],
            "f1": {"value": mean, "low": mean - 0.05, "high": mean + 0.05},
            "f1_by_seed": f1,
            "median_seed": int(median),
            "trials": {str(seed): label for seed, label in labels.items()},
            "thresholds": dict.fromkeys(f1, self.THRESHOLD),
            "num_positive_answers": dict.fromkeys(f1, 20),
            "metrics": {key: statistics.fmean(m[key] for m in measured.values()) for key in measured[median]},
            "median_seed_metrics": {key: value for key, value in measured[median].items() if key != "f1"},
            "false_positive_reduction_at_recall": {**measured[median], "threshold": 0.41, "recall": 0.96},
            "cost": {"num_parameters": 223_000_000, "max_records_trained": 60},
            "gap": 0.0,
            "in_best_set": True,
            "kept": True,
        }

    def metrics(self, path: Path, threshold: float = THRESHOLD) -> dict[str, float]:
        """Metrics of stored predictions."""
        entries = [json.loads(line) for line in path.read_text().splitlines()]
        return metrics_at([e["label"] for e in entries], [e["probability"] for e in entries], threshold)

    def _swept(self, name: str) -> dict[str, Any]:
        predictions = self.train[name, 42] / "predictions_valid.jsonl"
        grid = ThresholdSweep().grid()
        curve = [{"threshold": at, "f1": self.metrics(predictions, at)["f1"]} for at in grid]
        return {"decision": "sweep", "threshold": self.THRESHOLD, "curve": curve}

    def _frozen(self, name: str) -> dict[str, Any]:
        source = {
            "stage": "stage3",
            "configuration": name,
            "matched_by": "configuration",
            "run_key": json.loads((self.stage3 / "question.json").read_text())["run_key"],
            "ranking_sha256": digest_file(self.stage3 / "ranking.json").sha256,
        }
        return {"decision": "frozen", "threshold": self.THRESHOLD, "source": source}

    def evaluate(
        self, labels: list[str], *, open_test: bool = True, ranking: Path | None = None, threshold: float = THRESHOLD
    ) -> Path:
        """Predictions and evaluation of trials of stage 4, named by their labels; frozen by stage 4 or another."""
        predict = {}
        for number, label in enumerate(labels):
            purpose = f"stage 4: final measurement ({('champion', 'runner-up', 'other')[number]})"
            settings = PredictSettings(
                model_run=self.trial(label), data=self.data, open_test=purpose if open_test else None
            )
            files = {"predictions_valid.jsonl": (self.trial(label) / "predictions_valid.jsonl").read_text()}
            if open_test:
                files["predictions_test.jsonl"] = self._predictions("test", 0.3 - 0.1 * number, seed=number)
                self.open_test(purpose, question_of(settings)["run_key"])
            predict[label] = self.finish("test" if open_test else "valid", settings, files)
        ranked = json.loads((self.stage4 / "settings.json").read_text())["trials"]
        settings = EvaluateSettings(
            data=self.data,
            predictions=predict,
            decision=FrozenThreshold(ranking=ranking or self.stage4),
            trials={
                label: TrialName(configuration=ranked[label]["configuration"], model="codet5p_220m") for label in labels
            },
        )
        evaluation = self._evaluation(predict, open_test=open_test, threshold=threshold)
        files = {"evaluation.json": evaluation}
        for label in labels:
            for split in evaluation["splits"]:
                name = "combined" if split == "test" else split.removeprefix("test_")
                files[f"sets/{label}/{name}/evaluation_metadata.json"] = {"model": label, "set": name}
        return self.finish("metrics", settings, files)

    def open_test(self, purpose: str, run_key: str, attempt: int = 1) -> None:
        """Log an opening of this test set."""
        append_opening(
            self.runs_path,
            model_sha256="ab" * 32,
            data_sha256=digest_file(self.data / "test.jsonl").sha256,
            split="test",
            purpose=purpose,
            run_key=run_key,
            attempt=attempt,
        )

    def _evaluation(self, predict: dict[str, Path], *, open_test: bool, threshold: float) -> dict[str, Any]:
        valid = read_split(self.data / "valid.jsonl")
        parts = {"valid": ("predictions_valid.jsonl", valid, valid)}
        if open_test:
            test = read_split(self.data / "test.jsonl")
            parts |= {name: ("predictions_test.jsonl", test, part) for name, part in sets_of_test(test).items()}
        splits = {}
        for split, (file, every, part) in parts.items():
            scores = {label: read_probabilities(path / file, every) for label, path in predict.items()}
            rows = [list(every.ids).index(record_id) for record_id in part.ids]
            systems = {label: metrics_at(part.labels, score[rows], threshold) for label, score in scores.items()}
            systems["keep_all"] = metrics_at(part.labels, np.ones(len(part)), 0.5)
            splits[split] = {
                "sha256": digest_file(every.path).sha256,
                "num_records": len(part),
                "num_groups": len(set(part.groups)),
                "num_positive": int(part.labels.sum()),
                "systems": {
                    name: {"metrics": {key: {"value": v, "low": v, "high": v} for key, v in as_json(found).items()}}
                    for name, found in systems.items()
                },
            }
        names = [*predict, "keep_all"]
        return {
            "test_opened": open_test,
            "settings": {"num_resamples": 2000, "confidence": 0.95, "seed": 42},
            "systems": {name: {"title": name, "is_model": name != "keep_all"} for name in names},
            "thresholds": {name: {"value": threshold if name in predict else 0.5} for name in names},
            "splits": splits,
        }

    @staticmethod
    def _median(ranking: dict[str, Any], which: str) -> str:
        entry = next(e for e in ranking["configurations"] if e["configuration"] == ranking[which])
        return str(entry["trials"][str(entry["median_seed"])])


def _finding(split: str, number: int) -> dict[str, Any]:
    technology = ("ansible", "chef", "puppet")[number % 3]
    metadata = {"technology": technology, "smell": "hard-coded secret", "in_combined": number % 5 > 0, "project": ""}
    return {
        "id": f"IAC-{split.upper()}-{number}",
        "code": f"password: {number}",
        "language": technology,
        "tokens": [1, 2],
        "token_offsets": [[0, 4], [5, 7]],
        "ast_nodes": [],
        "edge_index": [],
        "edge_type": [],
        "label": int(number % 7 in (0, 2, 5)),
        "metadata": {"group": f"{technology}/{split}-{number // 4}", **metadata},
    }


def _ranking_of(stage: str, decision: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    baseline = {"title": "GLITCH alone", "threshold": 0.5, "metrics": entries[0]["metrics"], "f1": entries[0]["f1"]}
    return {
        "stage": stage,
        "decision": {"kind": decision},
        "keep": {"num": 1, "by": "configuration"},
        "no_clear_winner": "cheapest",
        "rules": {"rank_tie": "the cheapest"},
        "val": {"sha256": "0" * 64, "data_sha256": "0" * 64, "num_records": 60, "num_files": 15, "num_positive": 26},
        "confidence": 0.95,
        "num_resamples": 2000,
        "num_planned": sum(len(entry["trials"]) for entry in entries),
        "failed": {},
        "configurations": [{**entry, "rank": rank} for rank, entry in enumerate(entries, start=1)],
        "best_set": {"configurations": [entry["configuration"] for entry in entries], "clear_winner": False},
        "first": entries[0]["configuration"],
        "first_because": "the cheapest of those that cannot be told apart",
        "runner_up": entries[1]["configuration"],
        "probability_beats_runner_up": 0.71,
        "baselines": {"keep_all": baseline},
        "selected": [entries[0]["configuration"]],
    }


@pytest.fixture(scope="session")
def made_stages(tmp_path_factory: pytest.TempPathFactory) -> FakeStages:
    """Made once; nobody writes into it."""
    return FakeStages(tmp_path_factory.mktemp("stages") / "runs")


@pytest.fixture
def stages(made_stages: FakeStages, tmp_path: Path) -> FakeStages:
    """Finished stages 3 and 4 under a run root of the test's own."""
    return made_stages.copied(tmp_path / "runs")
