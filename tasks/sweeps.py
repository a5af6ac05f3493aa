"""Running a sweep: records once per tokenizer, every trial under a slot limit, then one ranking on validation.

What is tried is settled in ``sweep_plan.py``, how a ranking is shown in ``leaderboard.py``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger

from models.errors import CodewardenError, JobHung, JobInterrupted, SettingsInvalid, TooManyTrialsFailed
from models.settings.audit import AuditSettings
from models.settings.decision import RankingRule
from models.settings.fields import Settings
from models.settings.rank import RankedTrial, RankSettings
from tasks.artifacts import publish_markdown
from tasks.audit_of_records import AUDIT_FILE
from tasks.audit_report import audit_line
from tasks.flow_jobs import FlowJobs, flow_jobs
from tasks.jobs import RunReference
from tasks.leaderboard import trials_markdown
from tasks.slots import Chain, Outcomes, run_chains
from tasks.sweep_plan import SweepPlan, read_selection, train_job
from tasks.sweep_settings import SweepSettings
from tasks.trials import Trial


@dataclass(frozen=True)
class Sweep:
    """A sweep that was run.

    Args:
        records: Run directory of each model's records.
        trials: Training run of each finished trial, by label.
        failures: What each failed trial said, by label.
        ranking: The ranking of the finished ones.
    """

    records: dict[str, Path]
    trials: dict[str, RunReference]
    failures: dict[str, str]
    ranking: RunReference


def run_sweep(
    settings: SweepSettings, plan: SweepPlan, decision: RankingRule, *, no_clear_winner: str = "best"
) -> Sweep:
    """Make the records, check every trial, run them, and rank those that came to their end.

    Args:
        settings: Of the sweep.
        plan: Its trials, with nothing missing.
        decision: How a probability becomes an answer.
        no_clear_winner: Who comes first where several cannot be told apart.

    Raises:
        SettingsInvalid: a trial cannot be run as it is, or the selection was made on other data; none was begun. Not
            retried.
        TooManyTrialsFailed: more than the settings allow, or all of one seed. Not retried.
        JobRefused: the data are wrong. Not retried.
    """
    log = get_run_logger()
    plan.require_all()
    for announcement in plan.announcements:
        log.warning(announcement)
    with flow_jobs(settings) as jobs:
        return _run(settings, plan, decision, jobs, no_clear_winner=no_clear_winner)


def _run(
    settings: SweepSettings, plan: SweepPlan, decision: RankingRule, jobs: FlowJobs, *, no_clear_winner: str
) -> Sweep:
    made: dict[str, RunReference] = {}
    for job in plan.data.values():
        if job.model_dump_json() not in made:
            made[job.model_dump_json()] = jobs.run(job)
    records = {model: made[job.model_dump_json()].run_path for model, job in plan.data.items()}
    first = records[plan.trials[0].model]  # the same data in the tokens of any model
    if settings.selection is not None:
        refuse_selection_of_other_data(settings.selection, first)
    _check_trials(settings, plan, records, jobs)
    jobs.preflight(*(train_job(settings, trial, records[trial.model]) for trial in plan.trials))
    outcomes = _run_trials(settings, plan, records, jobs)
    failures = _judge_failures(settings, plan, outcomes)
    ranked = ranked_trials(plan.trials, outcomes.results)
    for label in outcomes.results.keys() - ranked.keys():
        get_run_logger().warning("%s is not ranked: another seed of its configuration failed", label)
    ranking = jobs.run(
        RankSettings(
            stage=settings.STAGE,
            train_data=first / "train.jsonl",
            val_data=first / "valid.jsonl",
            trials=ranked,
            failed={label: failure_line(failure) for label, failure in outcomes.failures.items()},
            num_planned=len(plan.trials),
            decision=decision,
            keep=settings.keep,
            no_clear_winner=no_clear_winner,
            num_resamples=settings.num_resamples,
            confidence=settings.confidence,
            seed=settings.ranking_seed,
        )
    )
    _audit(first, jobs)
    return Sweep(records, outcomes.results, failures, ranking)


def _audit(records_path: Path, jobs: FlowJobs) -> None:
    """Check the data; what was found is on the page of ``tasks.analysis``."""
    audited = jobs.run(AuditSettings(data=records_path))
    get_run_logger().info(audit_line(json.loads((audited.run_path / AUDIT_FILE).read_bytes())))


def refuse_selection_of_other_data(selection_path: Path, records_path: Path) -> None:
    """What was selected on some data is tried on the same.

    Args:
        selection_path: The selection, or the directory of its ranking.
        records_path: Run directory of the records of any model.

    Raises:
        SettingsInvalid: it was made on other data. Not retried.
    """
    from models.evaluation.records import data_digest  # numpy comes with it

    chosen_on = read_selection(selection_path).data_sha256
    found = data_digest(records_path / "train.jsonl", records_path / "valid.jsonl")
    if found != chosen_on:
        raise SettingsInvalid(
            f"selection: {selection_path} was made on other data ({chosen_on[:12]}) than {records_path} holds "
            f"({found[:12]}); give the findings that it was made on (findings.data, context_lines, quick_test …), or "
            "run the stage before on these"
        )


def failure_line(failure: CodewardenError) -> str:
    """What a failed trial said, in one line that is the same wherever it ran: no folder is named."""
    message = re.sub(r"(?<![\w./])/(?:[^\s/:;,'\")]+/)*([^\s/:;,'\")]*)", r"…/\1", str(failure).partition("\n")[0])
    return f"{type(failure).__name__}: {message}"


def ranked_trials(trials: tuple[Trial, ...], finished: dict[str, RunReference]) -> dict[str, RankedTrial]:
    """The trials of all configurations that have every seed."""
    incomplete = {trial.configuration for trial in trials if trial.label not in finished}
    return {
        trial.label: RankedTrial(
            run=finished[trial.label].run_path,
            family=trial.family,
            model=trial.model,
            configuration=trial.configuration,
            seed=trial.seed,
        )
        for trial in trials
        if trial.configuration not in incomplete
    }


def _check_trials(settings: SweepSettings, plan: SweepPlan, records: dict[str, Path], jobs: FlowJobs) -> None:
    """Every trial can be planned, and no two are the same run."""
    labels: dict[str, str] = {}
    for trial in plan.trials:
        key = jobs.check(train_job(settings, trial, records[trial.model]))
        if key in labels:
            raise SettingsInvalid(
                f"models: {labels[key]} and {trial.label} are the same training (duplicate trial); remove one"
            )
        labels[key] = trial.label


def _run_trials(
    settings: SweepSettings, plan: SweepPlan, records: dict[str, Path], jobs: FlowJobs
) -> Outcomes[RunReference]:
    log = get_run_logger()
    trainings = {trial.label: train_job(settings, trial, records[trial.model]) for trial in plan.trials}
    labels = {training: label for label, training in trainings.items()}

    def chain(training: Settings) -> Chain[RunReference]:
        finished = yield training
        return finished

    def submit(training: Any, after: list[PrefectFuture[Any]]) -> PrefectFuture[Any]:
        return jobs.submit(training, after, labels[training])

    def tell(label: str, outcomes: Outcomes[RunReference]) -> None:
        failure = outcomes.failures.get(label)
        if failure is not None:
            log.error("trial %s failed: %s", label, failure)
        _publish_trials(settings, plan, outcomes)

    _publish_trials(settings, plan, Outcomes())
    chains = {label: chain(training) for label, training in trainings.items()}
    return run_chains(chains, submit, num_slots=settings.slots, on_end=tell)


def _publish_trials(settings: SweepSettings, plan: SweepPlan, outcomes: Outcomes[RunReference]) -> None:
    table = trials_markdown(
        [trial.label for trial in plan.trials],
        {label: run.numbers for label, run in outcomes.results.items()},
        {label: str(failure) for label, failure in outcomes.failures.items()},
    )
    publish_markdown(f"{settings.STAGE}-trials", table, f"{settings.STAGE}: trials so far")


def _judge_failures(settings: SweepSettings, plan: SweepPlan, outcomes: Outcomes[RunReference]) -> dict[str, str]:
    """What failed, where the sweep may go on all the same.

    Raises:
        CodewardenError: a trial was interrupted, or the disk is away: running again goes on from there.
        TooManyTrialsFailed: more failed than may. Not retried.
    """
    for failure in outcomes.failures.values():
        if _is_from_outside(failure):
            raise failure
    failures = {label: str(failure) for label, failure in outcomes.failures.items()}
    if len(failures) > settings.max_failed_trials or not ranked_trials(plan.trials, outcomes.results):
        raise TooManyTrialsFailed(failures, num_trials=len(plan.trials), num_allowed=settings.max_failed_trials)
    return failures


def _is_from_outside(failure: CodewardenError) -> bool:
    """Whether the trial itself is innocent; one that hung in every attempt is not."""
    return isinstance(failure, JobInterrupted) or (failure.retryable and not isinstance(failure, JobHung))
