"""The ``predict`` job: scores of a finished model on validation, on the fold that it left out, and on sealed records.

Sealed are the test split and probes; both are opened on request only, and each opening is logged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from models.errors import SettingsInvalid
from models.jobs.compute import resolved_compute
from models.jobs.contract import MANIFEST_FILE, JobContext, JobResult
from models.jobs.keys import run_key
from models.jobs.layout import read_result
from models.jobs.registry import train_settings_of
from models.settings.predict import PredictSettings
from models.store.manifest import read_manifest, verify_manifest
from models.training.held_out import held_out_records
from models.training.objective import Examples, Objective
from models.training.process import open_process
from models.training.scoring import open_sealed, write_predictions

HELD_OUT = "held_out"
TEST = "test"


def run(settings: PredictSettings, context: JobContext, *, objective_class: type[Objective]) -> JobResult:
    """Score the asked splits with the best weights of ``model_run``.

    Raises:
        SettingsInvalid: the training run or a probe is not finished, several ranks are asked for, or the model did not
            leave out what is asked as held out. Not retried.
        DataInvalid: the records cannot be scored, or the folds are not theirs. Not retried.
        ObjectCorrupt: its weights are not those it wrote. Not retried.
        StoreUnavailable: an opening could not be logged; those records stay closed. Retried.
    """
    if settings.compute.num_ranks != 1:
        raise SettingsInvalid("compute.num_ranks: a prediction runs in one process; give 1")
    context.events.phase("load")
    _require_finished("model_run", settings.model_run)
    for name, path in settings.probes.items():
        _require_finished(f"probes.{name}", path)  # before anything is opened
    verify_manifest(settings.model_run)
    model_manifest = read_manifest(settings.model_run)
    assert model_manifest is not None
    trained = train_settings_of(settings)
    accelerator = open_process(resolved_compute(settings), context)
    objective = objective_class.trained(trained.model, settings.model_run)
    objective.model.to(accelerator.device)
    context.events.phase("predict")
    scorer = _Scorer(settings, context, objective, accelerator)
    for split in settings.splits:
        if split == HELD_OUT:
            scorer.score_held_out()
        else:
            scorer.score(split, scorer.load(settings.data / f"{split}.jsonl"))
    if settings.open_test:
        scorer.score_sealed(TEST, settings.data, settings.open_test)
        for name, probe_path in settings.probes.items():
            scorer.score_sealed(name, probe_path, settings.open_test)
    numbers = {
        "num_records": scorer.num_records,
        "held_out": scorer.held_out,
        "left_out": read_result(settings.model_run)["numbers"].get("left_out"),
        "model_kind": trained.model.kind,
        "model_run_key": model_manifest.run_key,
    }
    return JobResult(numbers=numbers, files=tuple(scorer.files))


def _require_finished(name: str, path: Path) -> None:
    if not (path / MANIFEST_FILE).exists():
        raise SettingsInvalid(f"{name}: {path} is not finished (no {MANIFEST_FILE}); finish it first")


@dataclass
class _Scorer:
    """A trained model and what it has scored so far."""

    settings: PredictSettings
    context: JobContext
    objective: Objective
    accelerator: Accelerator
    files: list[str] = field(default_factory=list)
    num_records: dict[str, int] = field(default_factory=dict)
    held_out: dict[str, Any] | None = None

    def load(self, path: Path) -> Examples:
        """All records at ``path``."""
        return self.objective.load(path, limit=None)

    def score(self, name: str, examples: Examples, beside: dict[str, Any] | None = None) -> None:
        """Write the scores of these records."""
        budget = self.objective.budget
        self.files.append(
            write_predictions(
                self.objective, examples, name, self.context, self.accelerator, budget=budget, beside=beside
            )
        )
        self.num_records[name] = len(examples)

    def score_held_out(self) -> None:
        """The fold of training that the model left out; each row says which."""
        path = self.settings.data / "train.jsonl"
        examples, self.held_out = held_out_records(self.settings, path, self.load(path))
        self.score(HELD_OUT, examples, {"fold": self.held_out["fold"]})

    def score_sealed(self, name: str, folder: Path, purpose: str) -> None:
        """Sealed records, once their opening is logged."""
        path = open_sealed(
            folder / "test.jsonl",
            self.context,
            weights=[self.settings.model_run / file for file in self.objective.WEIGHTS_FILES],
            purpose=purpose,
            run_key=run_key(self.settings),
            split=name,
        )
        self.score(name, self.load(path))
