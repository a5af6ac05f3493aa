"""Evaluate finished runs of the stages: on validation, and where asked on the sealed test, logged as an opening.

    python -m flows.evaluation --config configs/eval/eval_threshold.yaml --runs codet5p_220m_final_sweep_ --open-test
    prefect deployment run evaluation/evaluation -p prefix=codet5p_220m_final_sweep_ -p open_test=true
    from flows.evaluation import evaluation

For looking, never for choosing: nothing that selects reads what is written here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from models.errors import SettingsInvalid
from models.settings.audit import AuditSettings
from models.settings.command_line import parse_settings
from models.settings.decision import Argmax, FrozenThreshold, ThresholdSweep
from models.settings.documents import load_settings
from models.settings.evaluate import EvaluateSettings
from models.settings.fields import INCIDENTAL, Settings
from models.settings.predict import PredictSettings
from models.settings.train import ComputeSettings
from models.store.pointers import resolve_pointer
from tasks.artifacts import publish_markdown
from tasks.audit_of_records import AUDIT_FILE, records_of
from tasks.audit_report import audit_line, audit_markdown
from tasks.aws.settings import S3Location, SageMakerSettings
from tasks.champion_runs import is_final_measurement
from tasks.jobs import RunReference, finished_run, run_job
from tasks.launchers.local import LocalProcess
from tasks.pointer_store import pointers_of
from tasks.program import run_program, say_own_errors_in_a_line
from tasks.reports import markdown_summary, table_text
from tasks.run_view import ViewedTrial, find_view, link_evaluation, viewed_labels
from tasks.slots import Chain, run_chains
from tasks.stages import config_among
from tasks.supervision import SupervisionSettings
from tasks.termination import noting_termination

CONFIG = Path("configs/eval/eval_argmax.yaml")
ENVIRONMENT = {"CODEWARDEN_RUNS": "run_root", "CODEWARDEN_STORE": "store"}
ALIASES = {"runs": "prefix"}


class FrozenByPointer(Settings):
    """The thresholds of the sweep that a pointer names: nothing is tuned."""

    kind: Literal["frozen"] = "frozen"
    pointer: str
    """Name of the pointer, such as codet5p_220m_final_sweep_latest."""


class EvaluationSettings(Settings):
    """Evaluate finished runs of the stages, beside baselines."""

    prefix: Annotated[str, Field(min_length=1)]
    """Runs whose label begins so, such as codet5p_220m_champion_; labels are the folders of runs/encoder."""
    decision: Annotated[Argmax | ThresholdSweep | FrozenByPointer, Field(discriminator="kind")] = Argmax()
    """How a probability becomes an answer."""
    open_test: bool = False
    """Open the sealed test split too; each opening is logged in openings.jsonl."""
    num_resamples: PositiveInt = 10000
    """Bootstrap resamples over files; fewer show no difference where many runs are compared."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Coverage of the intervals."""
    seed: NonNegativeInt = 42
    """Seed of resampling and baselines."""
    compute: ComputeSettings = ComputeSettings()
    """Device, precision and threads of prediction."""
    patience: SupervisionSettings = SupervisionSettings()
    """How long a job may be silent, and how long it gets to save when it is stopped."""
    slots: Annotated[PositiveInt, INCIDENTAL] = 1
    """Predictions at a time on this machine [runs]."""
    run_root: Annotated[Path, INCIDENTAL] = Path("runs")
    """The run root that holds the runs, and takes what is written."""
    store: Annotated[S3Location | None, INCIDENTAL] = None
    """Where pointers are kept, such as s3://bucket/codewarden; empty: under the run root."""


class EvaluationResult(BaseModel):
    """What the evaluation leaves.

    Args:
        predict: Predictions of each run, by label.
        evaluate: Metrics, one run for each set of records.
        table: The same as text, and what the audit of the records found in a line.
    """

    model_config = ConfigDict(frozen=True)

    predict: dict[str, RunReference]
    evaluate: tuple[RunReference, ...]
    table: str


@flow(name="evaluation", flow_run_name="{config.stem} {prefix}")
def evaluation(
    prefix: str = "",
    settings: EvaluationSettings | None = None,
    config: Path = CONFIG,
    open_test: bool | None = None,
) -> EvaluationResult:
    """Evaluate the finished runs whose label begins with the prefix, beside baselines.

    Args:
        prefix: Begin of their labels; empty: what settings or file say.
        settings: All settings at once; None: those in the file.
        config: YAML file of the settings, read where settings is None.
        open_test: Open the sealed test split too, logged; empty: what settings or file say.

    Raises:
        SettingsInvalid: no finished run has such a label. Not retried.
        CodewardenError: what a job said; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        settings = settings if settings is not None else load_settings(EvaluationSettings, config)
        changes: dict[str, Any] = {"prefix": prefix or settings.prefix}
        if open_test is not None:
            changes["open_test"] = open_test
        settings = settings.model_copy(update=changes)
        runs_path = settings.run_root.resolve()
        how: dict[str, Any] = {"launcher": LocalProcess(runs_path), "patience": settings.patience}
        trials = _trials(runs_path, settings.prefix)
        decision = _decision(settings)
        predict = _predict_all(settings, trials, runs_path, how)
        runs, audits = [], []
        for data, together in _by_records(runs_path, trials).items():
            names = _names(together)
            predictions = {name: predict[trial.label].run_path for name, trial in names.items()}
            run = finished_run(run_job(_evaluate_job(settings, data, names, predictions, decision), runs_path, **how))
            _link(runs_path, run.run_path, names)
            runs.append(run)
            audited = finished_run(run_job(AuditSettings(data=data), runs_path, **how))
            audits.append(json.loads((audited.run_path / AUDIT_FILE).read_bytes()))
        tables = [json.loads((run.run_path / "evaluation.json").read_bytes()) for run in runs]
        markdown = [*map(markdown_summary, tables), *map(audit_markdown, audits)]
        publish_markdown("evaluation", "\n\n".join(markdown), f"runs {settings.prefix}…")
        table = "\n\n".join([*map(table_text, tables), *map(audit_line, audits)])
    return EvaluationResult(predict=predict, evaluate=tuple(runs), table=table)


def _trials(runs_path: Path, prefix: str) -> list[ViewedTrial]:
    trials = find_view(runs_path, prefix)
    if not trials:
        labels = viewed_labels(runs_path)
        there = f"there are: {', '.join(labels[:5])}{' …' if len(labels) > 5 else ''}" if labels else "there are none"
        raise SettingsInvalid(f"runs: no finished run in {runs_path} has a label that begins with {prefix!r}; {there}")
    return trials


def _predict_all(
    settings: EvaluationSettings, trials: Sequence[ViewedTrial], runs_path: Path, how: Mapping[str, Any]
) -> dict[str, RunReference]:
    """Predictions of each trial by label, so many at a time as there are slots."""
    jobs = {trial.label: _predict_job(settings, trial, runs_path) for trial in trials}
    labels = {id(job): label for label, job in jobs.items()}

    def chain(job: Settings) -> Chain[RunReference]:
        finished = yield job
        return finished

    def submit(job: Settings, after: list[PrefectFuture[Any]]) -> PrefectFuture[Any]:
        title = f"predict {labels[id(job)]}"
        future: PrefectFuture[Any] = run_job.submit(job, runs_path, **how, title=title, wait_for=after)
        return future

    chains = {label: chain(job) for label, job in jobs.items()}
    return run_chains(chains, submit, num_slots=settings.slots).of_all()


def _link(runs_path: Path, evaluate_path: Path, names: Mapping[str, ViewedTrial]) -> None:
    """Show the evaluation in the view, but never in the place of a final measurement by stage 4."""
    shown = {}
    for name, trial in names.items():
        if trial.evaluate is not None and is_final_measurement(runs_path, trial.evaluate):
            get_run_logger().info(
                "%s: the view keeps its final measurement by stage 4; this one is in %s", trial.label, evaluate_path
            )
        else:
            shown[name] = trial.trial
    link_evaluation(runs_path, evaluate_path, shown)


def _by_records(runs_path: Path, trials: Sequence[ViewedTrial]) -> dict[Path, list[ViewedTrial]]:
    """The trials by the run directory of their records: predictions are compared on the same ones."""
    found: dict[Path, list[ViewedTrial]] = {}
    for trial in trials:
        found.setdefault(records_of(trial.train, runs_path), []).append(trial)
    return found


def _names(trials: Sequence[ViewedTrial]) -> dict[str, ViewedTrial]:
    """What tables call them: the trial's label, which rankings know, or the whole one where two runs share that."""
    short = [trial.trial for trial in trials]
    return {trial.trial if short.count(trial.trial) == 1 else trial.label: trial for trial in trials}


def _predict_job(settings: EvaluationSettings, trial: ViewedTrial, runs_path: Path) -> PredictSettings:
    return PredictSettings(
        model_run=trial.train,
        data=records_of(trial.train, runs_path),
        open_test=f"evaluation of {trial.label}" if settings.open_test else None,
        compute=settings.compute,
    )


def _decision(settings: EvaluationSettings) -> Argmax | ThresholdSweep | FrozenThreshold:
    if isinstance(settings.decision, FrozenByPointer):
        runs_path = settings.run_root.resolve()
        pointers = pointers_of(runs_path, SageMakerSettings(store=settings.store))
        ranking = resolve_pointer(runs_path, settings.decision.pointer, pointers=pointers)
        return FrozenThreshold(ranking=ranking)
    return settings.decision


def _evaluate_job(
    settings: EvaluationSettings,
    data: Path,
    names: Mapping[str, ViewedTrial],
    predictions: dict[str, Path],
    decision: Argmax | ThresholdSweep | FrozenThreshold,
) -> EvaluateSettings:
    frozen = isinstance(decision, FrozenThreshold)
    return EvaluateSettings(
        data=data,
        predictions=predictions,
        decision=decision,
        trials={name: trial.name for name, trial in names.items()} if frozen else {},
        num_resamples=settings.num_resamples,
        confidence=settings.confidence,
        seed=settings.seed,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The program: settings from flags and file, the flow, its table; gives the exit code."""
    given = sys.argv[1:] if argv is None else argv
    settings = parse_settings(
        EvaluationSettings,
        given,
        prog="python -m flows.evaluation",
        aliases=ALIASES,
        environment=ENVIRONMENT,
    )
    config = config_among(given) or CONFIG
    return run_program(lambda: evaluation(settings.prefix, settings, config=config).table + "\n")


if __name__ == "__main__":
    sys.exit(main())
