"""Watching one job to its end: silence, interruptions, cancellation. Pure logic, no Prefect.

How an end becomes an error, all that retries read being ``retryable``:

- interrupted or killed, and the run got further than ever before: launched again at once, costs no retry;
- interrupted or killed without getting further, ``idle_attempts`` times in a row: ``JobInterrupted``, retried later;
- no machine to run on: launched again when its launcher says, costs no retry either; ``CapacityMissing`` or
  ``SpotWaitExceeded``, retried later, when the launcher has had enough; stopped by someone else: ``JobStopped``;
- silent for longer than its phase may be: ended, ``JobHung``, retried later (a remote job that waits for a machine
  says so, and is not silent);
- refused: ``JobRefused``, for a person; crashed by an error of its own: ``JobCrashed``, not retried;
- fenced off, because another machine runs the same job by now: ``TakenOver``, not retried.

"Further" is a newer checkpoint, or a phase that no attempt had finished. Both can only grow, so free attempts are
bounded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import PositiveFloat, PositiveInt

from models.errors import (
    CapacityMissing,
    HeadConflict,
    JobCrashed,
    JobFailed,
    JobHung,
    JobInterrupted,
    JobRefused,
    JobStopped,
    SpotWaitExceeded,
)
from models.jobs.layout import RunPlan, is_finished
from models.settings.fields import Settings
from tasks.launchers.contract import Event, JobEnd, JobState, LaunchedJob, Launcher

EVENTS_WAIT_SECONDS = 1.0
PHASE_LIMITS = {"start": "start", "load": "load", "read": "load", "train": "train", "eval": "eval", "save": "save"}
"""Which limit a phase has, by the names of ``models.jobs.events``; all others share one."""
WITHOUT_MACHINE: dict[JobState, type[JobFailed]] = {
    JobState.NO_CAPACITY: CapacityMissing,
    JobState.WAITED_OUT: SpotWaitExceeded,
}
"""Ends that are nobody's fault, and what they are raised as once the launcher does not go on by itself."""


class SupervisionSettings(Settings):
    """How patient the supervisor is. Decides nothing of the result."""

    start_silence_seconds: PositiveFloat = 300.0
    """Longest silence from the launch to the first event [s]."""
    load_silence_seconds: PositiveFloat = 1800.0
    """Longest silence while data are loaded or read [s]."""
    train_silence_seconds: PositiveFloat = 600.0
    """Longest silence while training [s]."""
    eval_silence_seconds: PositiveFloat = 1200.0
    """Longest silence while evaluating [s]."""
    save_silence_seconds: PositiveFloat = 600.0
    """Longest silence while saving [s]."""
    other_silence_seconds: PositiveFloat = 1800.0
    """Longest silence in any other phase [s]."""
    grace_seconds: PositiveFloat = 20.0
    """Time to save and leave after being asked to stop [s]; Prefect kills the whole run 30 s after a cancel."""
    idle_attempts: PositiveInt = 2
    """Interrupted attempts in a row that got no further before the interruption costs a retry [attempts]."""

    def silence_limit_seconds(self, phase: str) -> float:
        """Longest silence allowed in ``phase``."""
        name = f"{PHASE_LIMITS.get(phase, 'other')}_silence_seconds"
        limit: float = getattr(self, name)
        return limit


class SupervisorEnding(JobInterrupted):
    """The job was interrupted because this process is being ended: no retry can help here. Not retried."""

    retryable = False


class TakenOver(JobStopped):
    """Another machine runs this job now, and this one's was fenced off. Not retried: both would go on in turns."""


@dataclass(frozen=True)
class Supervised:
    """A job that is done.

    Args:
        run_path: Its run directory, local and verified.
        num_launches: Times it was launched here; 0 when another supervisor did all the work.
    """

    run_path: Path
    num_launches: int


@dataclass
class _Watch:
    """What is remembered across the attempts of one job."""

    furthest_step: int
    finished_phases: set[str] = field(default_factory=set)
    num_phases_before: int = 0
    phase: str = "start"
    num_launches: int = 0
    num_idle: int = 0

    def hear(self, event: Event) -> None:
        """Follow the phases."""
        if event["event"] == "phase":
            self.finished_phases.add(self.phase)
            self.phase = str(event["phase"])


def supervise(
    launcher: Launcher,
    settings: Settings,
    plan: RunPlan,
    patience: SupervisionSettings,
    on_event: Callable[[Event], None],
    keep_going: Callable[[], bool] = lambda: True,
) -> Supervised:
    """Launch a job, or attach to it, and watch it until it is done.

    Args:
        launcher: Where it runs.
        settings: Settings of the job.
        plan: Where its run lies.
        patience: Limits.
        on_event: Told each event of the job, and notices of our own.
        keep_going: Asked before each launch and every second while the job runs; false once this process is being
            ended. The job is then stopped, with the time to save that ``patience`` gives.

    Raises:
        JobRefused: settings or data are wrong. Not retried.
        JobCrashed: the job ended by an error of its own. Not retried.
        JobInterrupted: interrupted without getting further. Retried.
        JobHung: silent for too long, and ended. Retried.
        JobStopped: someone else stopped it. Not retried.
        TakenOver: another machine runs it now. Not retried.
        CapacityMissing, SpotWaitExceeded: there was no machine for it, for as long as its launcher waits. Retried.
        SupervisorEnding: this process was told to end. Not retried.
    """
    watch = _Watch(launcher.newest_step(plan))
    while True:
        if not keep_going():
            raise SupervisorEnding(f"{plan.run_path}: not launched, because this process was told to end")
        end = _attempt(launcher, settings, plan, patience, on_event, keep_going, watch)
        if end.state is JobState.DONE:
            return Supervised(plan.run_path, watch.num_launches)
        if end.state is JobState.GONE:
            on_event(_notice("the supervisor that ran this job left it unfinished; taking over"))
            continue
        got_further = _got_further(watch, launcher.newest_step(plan))
        if end.state in WITHOUT_MACHINE and not (got_further and end.again_in_seconds is None):
            _wait_for_machine(end, plan, on_event, keep_going)
            continue
        if not got_further:
            watch.num_idle += 1
            if watch.num_idle >= patience.idle_attempts:
                raise JobInterrupted(
                    f"{plan.run_path}: interrupted {watch.num_idle} times in a row without getting further "
                    f"(last: {end.message}); it goes on from its last checkpoint when it is run again"
                )
        on_event(_notice(f"{end.message}; launched again at once, this costs no retry"))


def _wait_for_machine(
    end: JobEnd, plan: RunPlan, on_event: Callable[[Event], None], keep_going: Callable[[], bool]
) -> None:
    """Wait until the job may be launched again; a supervisor that is told to end hears it within a second.

    Raises:
        CapacityMissing, SpotWaitExceeded: the launcher does not go on by itself now. Retried.
    """
    if end.again_in_seconds is None:
        raise WITHOUT_MACHINE[end.state](
            f"{plan.run_path}: {end.message}; it goes on from its last checkpoint when it is run again"
        )
    on_event(_notice(f"{end.message}; launched again in {end.again_in_seconds:.0f} s, this costs no retry"))
    again = time.monotonic() + end.again_in_seconds
    while keep_going() and (remaining := again - time.monotonic()) > 0:
        time.sleep(min(1.0, remaining))


def _attempt(
    launcher: Launcher,
    settings: Settings,
    plan: RunPlan,
    patience: SupervisionSettings,
    on_event: Callable[[Event], None],
    keep_going: Callable[[], bool],
    watch: _Watch,
) -> JobEnd:
    """One launch, or one attachment; whatever ends us ends the job that we launched."""
    watch.phase = "start"
    with closing(launcher.launch(settings, plan)) as job:
        try:
            if job.attached:
                on_event(
                    _notice("nothing is launched: another supervisor runs this job, or has finished it; following it")
                )
            else:
                watch.num_launches += 1
            end = _follow(job, patience, on_event, keep_going, watch)
        except BaseException:  # cancelled, terminated, interrupted: nothing may go on training
            job.stop(patience.grace_seconds)
            raise
        return _judge(end, job, plan)


def _follow(
    job: LaunchedJob,
    patience: SupervisionSettings,
    on_event: Callable[[Event], None],
    keep_going: Callable[[], bool],
    watch: _Watch,
) -> JobEnd:
    """Hear the job until it ends.

    Raises:
        JobHung: it was silent for too long. Retried.
        SupervisorEnding: this process was told to end; in a task's thread nothing else says so. Not retried.
    """
    heard_seconds = time.monotonic()
    while True:
        if not keep_going():
            raise SupervisorEnding("stopped, because this process was told to end; run again, it goes on from there")
        events = job.events(EVENTS_WAIT_SECONDS)
        for event in events:
            watch.hear(event)
            on_event(event)
        now_seconds = time.monotonic()
        if events:
            heard_seconds = now_seconds
            continue
        end = job.wait(0)
        if end.state is not JobState.RUNNING:
            return end
        limit_seconds = patience.silence_limit_seconds(watch.phase)
        if job.attached:  # its own supervisor comes first
            limit_seconds = 2 * limit_seconds + patience.grace_seconds
        if now_seconds - heard_seconds > limit_seconds:
            raise JobHung(
                f"no event for {limit_seconds:.0f} s in phase {watch.phase!r}; "
                f"{'its own supervisor lets it stand' if job.attached else 'ended it'}. "
                f"The end of its log:\n{job.log_tail(5)}"
            )


def _judge(end: JobEnd, job: LaunchedJob, plan: RunPlan) -> JobEnd:
    """Raise what cannot go on; give back what is done, or can go on at once.

    Raises:
        JobRefused: settings or data are wrong. Not retried.
        JobCrashed: an error of its own. Not retried.
        JobInterrupted: an error that says that a later attempt could succeed. Retried.
        JobStopped: someone else stopped it. Not retried.
        TakenOver: another machine runs it now. Not retried.
    """
    if end.state is JobState.DONE:
        run_path = job.fetch()
        if not is_finished(run_path):
            raise JobCrashed(
                f"{run_path}: the job said that it is done, but its manifest is missing or does not verify"
            )
        return end
    if end.state is JobState.REFUSED:
        raise JobRefused(_named(end) or job.log_tail(5))
    if end.state is JobState.STOPPED:
        raise JobStopped(f"{plan.run_path}: {end.message}")
    if end.state is JobState.CRASHED and end.error == HeadConflict.__name__:
        raise TakenOver(
            f"{plan.run_path}: another machine runs this job now, and goes on from the checkpoints of this one; "
            f"nothing is lost. Run it again to follow the other, or to find it finished ({end.message})"
        )
    if end.state is JobState.CRASHED:
        message = f"{plan.run_path}: {_named(end)}. The end of its log:\n{job.log_tail(15)}"
        raise JobInterrupted(message) if end.retryable else JobCrashed(message)
    return end


def _got_further(watch: _Watch, step: int) -> bool:
    """Whether this attempt brought the run where none had been, its newest checkpoint being ``step``; remembers it."""
    num_phases = len(watch.finished_phases)
    further = step > watch.furthest_step or num_phases > watch.num_phases_before
    watch.furthest_step = max(step, watch.furthest_step)
    watch.num_phases_before = num_phases
    if further:
        watch.num_idle = 0
    return further


def _named(end: JobEnd) -> str:
    return f"{end.error}: {end.message}" if end.error else end.message


def _notice(message: str) -> Event:
    return {"event": "notice", "time": round(time.time(), 3), "level": "warning", "message": message}
