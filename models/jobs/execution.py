"""Runs one job in its run directory and leaves it in a state that says how it ended.

Order of things: lock, settings and records, the job itself, ``result.json``, ``manifest.json`` last,
``outcome.json``. A run with a valid manifest is not run again.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from models.errors import (
    EXIT_CRASHED,
    EXIT_DONE,
    BuildDiffers,
    CodewardenError,
    Interrupted,
    RunBusy,
    SettingsInvalid,
)
from models.jobs.build import Build, build_of
from models.jobs.contract import (
    LOCK_FILE,
    MANIFEST_FILE,
    OUTCOME_FILE,
    PROGRESS_FILE,
    RECORD_FILE,
    RESULT_FILE,
    SETTINGS_FILE,
    JobContext,
    JobResult,
)
from models.jobs.events import EventEcho, EventStream
from models.jobs.keys import input_digests, run_key
from models.jobs.layout import (
    BUILD_FILE,
    CHECKPOINTS_FOLDER,
    holds_checkpoints,
    is_finished,
    make_run_folder,
)
from models.jobs.provenance import experiment_config, git_state, machine_state
from models.jobs.question import QUESTION_FILE, question_differences, question_of
from models.jobs.ranks import StartRank, outcome_path_of, run_ranks, start_rank_process
from models.jobs.registry import entry_of
from models.jobs.stopping import StopSignal
from models.settings.fields import Settings
from models.settings.train import TrainSettings
from models.store.filesystem import LocalFilesystem
from models.store.head import published_head
from models.store.lock import RunLock
from models.store.manifest import write_manifest

EXPERIMENT_FILE = "exp_config.json"
OUTCOME_OF_EXIT = {0: "done", 2: "refused", 75: "interrupted"}


@dataclass(frozen=True)
class Execution:
    """One attempt at a job.

    Args:
        settings: Settings of the job.
        run_path: Its run directory.
        runs_path: The run root, where openings are logged.
        echo: Where events go, beside ``progress.jsonl``.
        stop: The flag that asks the job to leave.
        reuse_build: Whether a run begun by another build may be continued.
        attempt: Counted from 1; set by ``prepare``.
        rank: This process among those that train together.
        num_ranks: Processes that train together.
        rendezvous: File by which ranks find each other.
    """

    settings: Settings
    run_path: Path
    runs_path: Path
    echo: EventEcho | None = None
    stop: StopSignal = field(default_factory=StopSignal)
    reuse_build: bool = False
    attempt: int = 1
    rank: int = 0
    num_ranks: int = 1
    rendezvous: Path | None = None

    @property
    def outcome_path(self) -> Path:
        """Where this process says how it ended."""
        if self.rendezvous is None:
            return self.run_path / OUTCOME_FILE
        return outcome_path_of(self.rendezvous, self.rank)


def execute(execution: Execution, start_rank: StartRank = start_rank_process) -> int:
    """Run a job to its end, or to the next interruption.

    Args:
        execution: What to run and where.
        start_rank: Starts one rank of a job that has several.

    Returns:
        The exit code; ``outcome.json`` says more, unless the directory holds another run, which is left as it is.

    Raises:
        SettingsInvalid: no run can lie in the run directory. Not retried.
        StoreUnavailable: the disk refuses the directory or its lock. Retried.
    """
    make_run_folder(execution.run_path)
    lock = RunLock(execution.run_path / LOCK_FILE)
    if not lock.try_acquire():
        # The outcome file belongs to the holder.
        return _say(RunBusy(execution.run_path, f"process {lock.holder_pid()}"))
    try:
        return _execute_locked(execution, start_rank)
    finally:
        lock.release()


def _execute_locked(execution: Execution, start_rank: StartRank) -> int:
    finished = is_finished(execution.run_path)
    try:
        question = question_of(execution.settings)
        others = question_differences(execution.run_path, question)
        if others and (finished or _holds_work(execution.run_path)):
            return _say(_other_question(execution.run_path, others))
        if finished:
            write_outcome(execution, EXIT_DONE, "was finished before; verified")
            return EXIT_DONE
        execution = prepare(execution, question)
        if execution.num_ranks == 1:
            return run_attempt(execution)
        return run_ranks(execution, execution.num_ranks, start_rank)
    except CodewardenError as error:
        return _say(error) if finished else _end(execution, error.exit_code, error)


def prepare(execution: Execution, question: dict[str, Any]) -> Execution:
    """Write what is known before the job begins; counts the attempt.

    Args:
        execution: What is to run.
        question: What it answers, as ``question_of`` says; a run that holds work answers the same.

    Raises:
        BuildDiffers: the run holds checkpoints of another build, and ``reuse_build`` is off. Not retried.
        SettingsInvalid: an input does not exist. Not retried.
    """
    run_path = execution.run_path
    build = build_of(execution.settings)
    record = _read_json(run_path / RECORD_FILE) or {"attempts": []}
    attempt = max(len(record["attempts"]), _attempt_of_head(run_path)) + 1
    begun_by = _read_json(run_path / BUILD_FILE)
    differences = build.differences(begun_by) if begun_by else []
    holds_progress = holds_checkpoints(run_path)
    if differences and holds_progress and not execution.reuse_build:
        raise BuildDiffers(run_path, differences)
    if not holds_progress and (differences or question_differences(run_path, question)):
        LocalFilesystem().remove_tree(run_path / CHECKPOINTS_FOLDER)  # an empty head that names the other run
    record["attempts"].append(
        {
            "attempt": attempt,
            "started": round(time.time(), 3),
            **git_state(),
            **machine_state(),
            **({"continued_other_build": differences} if differences and holds_progress else {}),
        }
    )
    settings_json = execution.settings.model_dump(mode="json")
    _write_json(run_path / RECORD_FILE, record)
    _write_json(run_path / QUESTION_FILE, question)
    _write_json(run_path / SETTINGS_FILE, settings_json)
    if begun_by is None or not holds_progress:
        _write_json(run_path / BUILD_FILE, build.to_json())
    if isinstance(execution.settings, TrainSettings):
        inputs = input_digests(execution.settings)
        _write_json(run_path / EXPERIMENT_FILE, experiment_config(settings_json, inputs, build))
    return replace(execution, attempt=attempt)


def run_attempt(execution: Execution) -> int:
    """The job itself in this process; rank 0 writes result, manifest and outcome."""
    is_writer = execution.rank == 0
    events = EventStream(
        execution.run_path / PROGRESS_FILE if is_writer else None,
        execution.echo if is_writer else None,
    )
    context = JobContext(
        execution.run_path,
        execution.runs_path,
        events,
        execution.stop,
        execution.attempt,
        execution.rank,
        execution.num_ranks,
        execution.rendezvous,
    )
    started = time.monotonic()
    try:
        result = entry_of(execution.settings)(execution.settings, context)
        if is_writer:
            finish(execution, result, seconds=time.monotonic() - started)
        return EXIT_DONE
    except CodewardenError as error:
        return _end(execution, error.exit_code, error)
    except Exception as error:  # noqa: BLE001  the border of the process: the outcome must say what happened
        traceback.print_exc()
        return _end(execution, EXIT_CRASHED, error)
    finally:
        events.close()


def finish(execution: Execution, result: JobResult, *, seconds: float) -> None:
    """Write result, manifest last, then record and outcome."""
    run_path = execution.run_path
    kind = str(execution.settings.model_dump(include={"kind"})["kind"])
    _write_json(
        run_path / RESULT_FILE,
        {"kind": kind, "numbers": result.numbers, "files": sorted(result.files)},
    )
    write_manifest(
        run_path,
        [*result.files, RESULT_FILE],
        kind=kind,
        run_key=run_key(execution.settings),
        build_key=Build(**(_read_json(run_path / BUILD_FILE) or {})).key,
        filesystem=LocalFilesystem(),
    )
    record = _read_json(run_path / RECORD_FILE) or {"attempts": [{}]}
    record["attempts"][-1].update(seconds=round(seconds, 3), outcome="done", **result.record)
    _write_json(run_path / RECORD_FILE, record)
    write_outcome(execution, EXIT_DONE, "done")


def write_outcome(execution: Execution, exit_code: int, message: str, error: BaseException | None = None) -> None:
    """``outcome.json`` decides how the attempt ended; the exit code is its echo."""
    _write_json(
        execution.outcome_path,
        {
            "outcome": OUTCOME_OF_EXIT.get(exit_code, "crashed"),
            "message": message,
            "error": type(error).__name__ if error is not None else None,
            "retryable": bool(getattr(error, "retryable", False)),
            "step": error.step if isinstance(error, Interrupted) else None,
            "attempt": execution.attempt,
        },
    )


def _holds_work(run_path: Path) -> bool:
    """Whether something lies there that another question must not replace."""
    return holds_checkpoints(run_path) or (run_path / MANIFEST_FILE).exists()


def _other_question(run_path: Path, differences: list[str]) -> SettingsInvalid:
    """A run directory answers the settings it was begun with; one given by hand may hold others."""
    return SettingsInvalid(
        f"{run_path} holds a run of other settings or inputs ({'; '.join(differences)}). "
        "Give another --output-dir, or delete it; nothing in it was changed."
    )


def _attempt_of_head(run_path: Path) -> int:
    """The attempt that last took over the checkpoints; the record may be older than they are after a power cut."""
    head = published_head(run_path / CHECKPOINTS_FOLDER)
    return head.attempt if head is not None else 0


def _end(execution: Execution, exit_code: int, error: Exception) -> int:
    write_outcome(execution, exit_code, str(error) or type(error).__name__, error)
    if execution.rendezvous is None:  # of several ranks the job's own process says what decided
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201  the log of a container
    return exit_code


def _say(error: CodewardenError) -> int:
    """For people only, where the outcome file belongs to another run or process."""
    print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201  the log of a container
    return error.exit_code


def _write_json(path: Path, value: Any) -> None:
    """Atomic: a killed writer leaves the old file."""
    filesystem = LocalFilesystem()
    temp_path = path.with_name(f".{path.name}.tmp")
    filesystem.write(temp_path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())
    filesystem.sync(temp_path)
    filesystem.replace(temp_path, path)


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content
