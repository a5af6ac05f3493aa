"""Runs one job in its run directory and leaves it in a state that says how it ended.

Order of things: lock, what is missing here brought home from the mirror, settings and records, the job itself,
``result.json``, ``manifest.json`` last, ``outcome.json``; then the same to the mirror, its manifest last. A run with a
valid manifest, here or there, is not run again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from models.errors import (
    EXIT_DONE,
    CloudRefused,
    CodewardenError,
    HeadConflict,
    RunBusy,
    SettingsInvalid,
    StoreError,
    StoreUnavailable,
)
from models.jobs.attempts import begin_attempt, notices_of_attempt
from models.jobs.contract import LOCK_FILE, MANIFEST_FILE, OUTCOME_FILE, PROGRESS_FILE, JobContext
from models.jobs.endings import end, end_done, finish, note_ending, refuse
from models.jobs.events import EventEcho, EventStream
from models.jobs.hosts import Hosts
from models.jobs.json_files import read_json
from models.jobs.layout import holds_checkpoints, is_finished, make_run_folder
from models.jobs.outcome import clear_failure, tell_platform
from models.jobs.placement import Placement
from models.jobs.question import question_differences, question_of, require_planned
from models.jobs.ranks import StartRank, outcome_path_of, run_ranks, start_rank_process
from models.jobs.registry import entry_of
from models.jobs.run_mirror import RunMirror, open_mirror
from models.jobs.stopping import StopSignal
from models.settings.fields import Settings
from models.store.lock import RunLock
from models.store.s3 import S3Objects, S3Uri, open_s3


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
        attempt: Counted from 1; set by ``execute``.
        rank: This process among those that train together.
        num_ranks: Processes that train together, on all machines.
        rendezvous: File by which the ranks of a machine find each other.
        placement: What is told of the place.
        placement_path: The file it was read from, for the ranks.
        hosts: The machines that train together; ``None``: this one only.
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
    placement: Placement = field(default_factory=Placement)
    placement_path: Path | None = None
    hosts: Hosts | None = None

    @property
    def outcome_path(self) -> Path:
        """Where this process says how it ended."""
        if self.rendezvous is None:
            return self.run_path / OUTCOME_FILE
        return outcome_path_of(self.rendezvous, self.rank)

    @property
    def own_ranks(self) -> range:
        """The ranks that this machine starts."""
        return self.hosts.own_ranks(self.num_ranks) if self.hosts is not None else range(self.num_ranks)

    @property
    def owns_run(self) -> bool:
        """Whether this machine keeps the run's mirror."""
        return self.hosts is None or self.hosts.is_first

    @property
    def seconds_left(self) -> float:
        """Time there is for last words [s]; whole until the job is told to leave."""
        return max(0.0, self.placement.notice_seconds - self.stop.seconds_since())


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
    clear_failure(execution.placement.failure_path)
    make_run_folder(execution.run_path)
    lock = RunLock(execution.run_path / LOCK_FILE)
    if not lock.try_acquire():
        # The outcome file belongs to the holder.
        return refuse(execution, RunBusy(execution.run_path, f"process {lock.holder_pid()}"))
    try:
        if is_finished(execution.run_path):
            return _finished_before(execution, start_rank)
        return _go_on(execution, start_rank)
    except Exception as error:  # noqa: BLE001  the border of the process: the outcome must say what happened
        return end(execution, error)
    finally:
        lock.release()


def _finished_before(execution: Execution, start_rank: StartRank) -> int:
    """All files of the run are here: its mirror gets what it lacks, and nothing is run.

    Unless another machine has begun it again since: this one then takes over like any other, from what is here.
    """
    run_path = execution.run_path
    try:
        others = question_differences(run_path, _question(execution))
        mirror = open_mirror(execution.placement, run_path)
    except CodewardenError as error:
        return refuse(execution, error)
    if others:
        return refuse(execution, _other_question(run_path, others))
    code = end_done(execution, "was finished before; verified")
    if mirror is None or not execution.owns_run:
        return code
    try:
        return _keep_finished(execution, mirror)
    except HeadConflict:
        return _go_on(execution, start_rank)


def _go_on(execution: Execution, start_rank: StartRank) -> int:
    """Run what is not finished here, unless it is finished in its mirror."""
    run_path = execution.run_path
    mirror = open_mirror(execution.placement, run_path)
    if mirror is not None:
        mirror.bring_home()
    question = _question(execution)
    others = question_differences(run_path, question)
    if others and _holds_work(run_path, mirror):
        return refuse(execution, _other_question(run_path, others))
    if mirror is not None and mirror.is_finished(question["run_key"]):
        return end_done(execution, "was finished before; verified")
    own_ranks = execution.own_ranks  # or no attempt is begun
    attempt = begin_attempt(
        execution.settings,
        run_path,
        question,
        placement=execution.placement,
        mirror=mirror,
        owns_run=execution.owns_run,
        reuse_build=execution.reuse_build,
    )
    return _attempt(replace(execution, attempt=attempt), mirror, own_ranks, start_rank)


def _attempt(execution: Execution, mirror: RunMirror | None, own_ranks: Sequence[int], start_rank: StartRank) -> int:
    """One attempt, after its entry in the record, to the last byte in the mirror."""
    kept = mirror if execution.owns_run else None
    try:
        if kept is not None:
            kept.keep_begun()
        if execution.num_ranks == 1:
            code = run_attempt(execution, mirror.objects if mirror is not None else None)
        else:
            code = run_ranks(execution, own_ranks, start_rank)
    except Exception as error:  # noqa: BLE001  the border of the process: the outcome must say what happened
        code = end(execution, error)
    if code == EXIT_DONE:
        try:
            return _keep_finished(execution, kept) if kept is not None else code
        except StoreError as error:
            return end(execution, error)
    note_ending(execution)
    outcome = read_json(execution.outcome_path) or {}
    if execution.num_ranks > 1:
        tell_platform(execution.placement.failure_path, outcome)
    if kept is not None and outcome.get("error") != HeadConflict.__name__:
        kept.keep_ending(within_seconds=execution.seconds_left)
    return code


def _keep_finished(execution: Execution, mirror: RunMirror) -> int:
    """Bring a finished run to its mirror; where S3 is away or refuses, another start does only that.

    Raises:
        HeadConflict: another machine has begun it again. Not retried.
        ObjectCorrupt: a file is not what the manifest says, here or there. Not retried.
    """
    try:
        mirror.keep_finished()
    except (StoreUnavailable, CloudRefused) as error:
        return end(execution, StoreUnavailable(f"finished here, not yet in S3 (a new start only sends it): {error}"))
    return EXIT_DONE


def run_attempt(execution: Execution, mirror: S3Objects | None = None) -> int:
    """The job itself in this process; rank 0 writes result, manifest and outcome.

    Args:
        execution: What to run, as which rank.
        mirror: Where the run is mirrored, if that was opened before.

    Returns:
        The exit code.
    """
    is_writer = execution.rank == 0
    events = EventStream(
        execution.run_path / PROGRESS_FILE if is_writer else None,
        execution.echo if is_writer else None,
    )
    started = time.monotonic()
    facts: dict[str, Any] = {}
    try:
        for notice in notices_of_attempt(execution.run_path) if is_writer else ():
            events.notice(notice, "warning")
        result = entry_of(execution.settings)(execution.settings, _context(execution, events, mirror, facts))
        if is_writer:
            finish(execution, result, seconds=time.monotonic() - started)
        return EXIT_DONE
    except Exception as error:  # noqa: BLE001  the border of the process: the outcome must say what happened
        code = end(execution, error)
        if is_writer:
            note_ending(execution, {"seconds": round(time.monotonic() - started, 3), **facts})
        return code
    finally:
        events.close()


def _context(execution: Execution, events: EventStream, mirror: S3Objects | None, facts: dict[str, Any]) -> JobContext:
    placement = execution.placement
    is_writer = execution.rank == 0
    if is_writer and mirror is None and placement.run_uri is not None:
        mirror = open_s3(S3Uri.parse(placement.run_uri), region=placement.region)
    openings = None
    if is_writer and placement.openings_uri is not None:
        openings_uri = S3Uri.parse(placement.openings_uri)
        openings = mirror.at(openings_uri) if mirror else open_s3(openings_uri, region=placement.region)
    return JobContext(
        execution.run_path,
        execution.runs_path,
        events,
        execution.stop,
        execution.attempt,
        execution.rank,
        execution.num_ranks,
        execution.rendezvous,
        mirror=mirror if is_writer else None,
        openings=openings,
        notice_seconds=placement.notice_seconds,
        hosts=execution.hosts,
        seconds_since_stop=execution.stop.seconds_since,
        record=facts,
    )


def _question(execution: Execution) -> dict[str, Any]:
    """What the job answers, which is what it was planned for."""
    question = question_of(execution.settings)
    require_planned(question, execution.placement.run_key, execution.run_path)
    return question


def _holds_work(run_path: Path, mirror: RunMirror | None) -> bool:
    """Whether something lies there that another question must not replace."""
    if holds_checkpoints(run_path) or (run_path / MANIFEST_FILE).exists():
        return True
    return mirror is not None and mirror.holds_work()


def _other_question(run_path: Path, differences: list[str]) -> SettingsInvalid:
    """A run directory answers the settings it was begun with; one given by hand may hold others."""
    return SettingsInvalid(
        f"{run_path} holds a run of other settings or inputs ({'; '.join(differences)}). "
        "Give another --output-dir, or delete it; nothing in it was changed."
    )
