"""Every error this project raises, in one tree.

    CodewardenError
    ├── SettingsInvalid        the settings are wrong            exit 2, a person must act
    │   └── CloudRefused       AWS says no: rights, region, quota, image
    ├── DataInvalid            the data are wrong                exit 2, a person must act
    │   ├── TooManyRejected    more rows refused than allowed
    │   └── FusionLeak         a score by a model that saw the record, or may have
    ├── NoClearWinner          nobody can be chosen              exit 2, a person must act
    ├── ChampionRefuted        a frozen champion does not hold   exit 1, not retried
    ├── BuildDiffers           the run was begun by other code   exit 2, a person must act
    ├── ShapeError             a tensor of the wrong shape       a bug
    ├── Interrupted            stopped after a clean checkpoint  exit 75, retried
    ├── StoreError
    │   ├── ObjectMissing      no such object
    │   ├── ObjectCorrupt      size or sha256 differ             never loaded
    │   ├── HeadConflict       another writer owns the run       exit 1, not retried
    │   └── StoreUnavailable   disk full, network away           retried
    ├── RankLost               one of several processes died     retried
    ├── RunBusy                another process runs this job     exit 73, attach or wait
    ├── NumericsError          loss or gradient is not finite    exit 2, a person must act
    ├── MemoryExhausted        one record alone does not fit     exit 2, a person must act
    └── JobFailed              seen by the supervising side
        ├── JobRefused         the job ended with exit 2         not retried
        ├── JobInterrupted     the job ended with exit 75        retried
        ├── JobCrashed         killed by a signal is retried, an exception of its own is not
        ├── JobHung            no progress within its limit      retried
        ├── JobStopped         someone stopped the remote job    not retried
        ├── SpotWaitExceeded   no Spot machine within max wait   retried
        ├── CapacityMissing    no machine to be had for now      retried
        └── BudgetExceeded     a launch would pass the budget    exit 2, a person must act

``retryable`` says whether a later attempt could succeed; it is all that the orchestrator reads.
Messages say what was expected, what was found and what to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

EXIT_DONE = 0
EXIT_CRASHED = 1
EXIT_REFUSED = 2
EXIT_BUSY = 73
EXIT_INTERRUPTED = 75


class CodewardenError(Exception):
    """Root of the tree."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = EXIT_CRASHED


class SettingsInvalid(CodewardenError):
    """The settings cannot be run. Not retried."""

    exit_code = EXIT_REFUSED


class WeightsMissing(SettingsInvalid):
    """Pretrained weights are required and not at hand. Not retried: fetch them, or train something else."""

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        super().__init__(message)


class CloudRefused(SettingsInvalid):
    """AWS refuses for a reason that stays until a person mends it: no rights, another region, no quota. Not retried.

    Args:
        what: What was asked for.
        code: The error code of the API.
        advice: What to do.
    """

    def __init__(self, what: str, code: str, advice: str) -> None:
        self.what = what
        self.code = code
        self.advice = advice
        super().__init__(f"{what}: AWS refuses ({code}): {advice}")


class DataInvalid(CodewardenError):
    """The data cannot be used. Not retried.

    Args:
        path: The file at fault.
        problem: What is wrong and what was expected.
        line: Line number in the file, counted from 1.
    """

    exit_code = EXIT_REFUSED

    def __init__(self, path: Path | str, problem: str, *, line: int | None = None) -> None:
        self.path = Path(path)
        self.problem = problem
        self.line = line
        where = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{where}: {problem}")


class TooManyRejected(DataInvalid):
    """More rows were refused than ``max_rejected_fraction`` allows. Not retried."""

    def __init__(self, path: Path | str, *, num_rejected: int, num_rows: int, allowed_fraction: float) -> None:
        self.num_rejected = num_rejected
        self.num_rows = num_rows
        self.allowed_fraction = allowed_fraction
        super().__init__(
            path,
            f"{num_rejected} of {num_rows} rows were rejected, more than max_rejected_fraction={allowed_fraction:g} "
            "allows; each row and its reason is in rejected.jsonl",
        )


class FusionLeak(DataInvalid):
    """An out-of-fold score may come from a model that learnt from its record. Not retried.

    The message names the record, the fold and the run; what is learnt from such scores would look better than it is.
    """


class NoClearWinner(CodewardenError):
    """Several configurations cannot be told apart from the best, and the settings ask to stop then. Not retried.

    Args:
        stage: The stage that should have chosen.
        configurations: Those that cannot be told apart, the best first.
        confidence: Coverage of their set.
    """

    exit_code = EXIT_REFUSED

    def __init__(self, stage: str, configurations: list[str], *, confidence: float) -> None:
        self.stage = stage
        self.configurations = configurations
        super().__init__(
            f"{stage}: no clear winner on validation; {len(configurations)} configurations cannot be told apart from "
            f"the best ({100 * confidence:g} %): {', '.join(configurations)}. Nothing was chosen, as "
            "no_clear_winner: stop asks; give more seeds or more validation data, or set it to cheapest or best."
        )


class ChampionRefuted(CodewardenError):
    """What is stored does not bear out a frozen champion. Not retried.

    Args:
        path: Its ``champion.json``.
        failed: The checks that failed.
        num_checks: How many were made.
    """

    def __init__(self, path: Path | str, failed: list[str], *, num_checks: int) -> None:
        self.path = Path(path)
        self.failed = failed
        super().__init__(
            f"{path}: {len(failed)} of {num_checks} checks failed ({'; '.join(failed)}); do not use this champion "
            "before you know why"
        )


class BuildDiffers(CodewardenError):
    """An unfinished run of the same settings was begun by another build. Not retried."""

    exit_code = EXIT_REFUSED

    def __init__(self, run_path: Path | str, differences: list[str]) -> None:
        self.run_path = run_path
        self.differences = differences
        super().__init__(
            f"{run_path} is unfinished and was begun by another build ({'; '.join(differences)}). "
            "Finish it with that code, delete it, or continue it with --reuse-build (recorded)."
        )


class ShapeError(CodewardenError):
    """A tensor has the wrong shape."""

    def __init__(self, name: str, expected: str, actual: tuple[int, ...]) -> None:
        self.name = name
        self.expected = expected
        self.actual = actual
        super().__init__(f"{name} must be {expected}, got {actual}")


class NumericsError(CodewardenError):
    """Loss or gradient stopped being finite. Not retried: the same bytes would do the same."""

    exit_code = EXIT_REFUSED

    def __init__(self, what: str, *, step: int, record_ids: list[str], checkpoint: str | None = None) -> None:
        self.what = what
        self.step = step
        self.record_ids = record_ids
        self.checkpoint = checkpoint
        shown = ", ".join(record_ids[:16]) + (f" and {len(record_ids) - 16} more" if len(record_ids) > 16 else "")
        kept = f"the last good checkpoint is {checkpoint}" if checkpoint else "no checkpoint was made before it"
        super().__init__(
            f"{what} is not finite at step {step} (records {shown}); {kept}. "
            "Lower the learning rate, or look at these records."
        )


class MemoryExhausted(CodewardenError):
    """Even micro-batches of one record do not fit into memory. Not retried: the same step would not fit again."""

    exit_code = EXIT_REFUSED

    def __init__(self, *, step: int, budget: int) -> None:
        self.step = step
        self.budget = budget
        super().__init__(
            f"memory does not suffice for one record at a time at step {step} (micro-batches of {budget}). Shorten "
            "the records, take a smaller model or a larger device, or turn on gradient checkpointing where there is it."
        )


class Interrupted(CodewardenError):
    """The job was asked to stop and left after a clean checkpoint. Retried."""

    retryable = True
    exit_code = EXIT_INTERRUPTED

    def __init__(self, step: int) -> None:
        self.step = step
        super().__init__(f"interrupted after a clean checkpoint at step {step}")


class StoreError(CodewardenError):
    """Something between us and the stored bytes."""


class ObjectMissing(StoreError):
    """The object is not there."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"no object {key!r}")


class ObjectCorrupt(StoreError):
    """The stored bytes are not those that were written; they are never loaded."""

    def __init__(self, key: str, expected: str, actual: str) -> None:
        self.key = key
        self.expected = expected
        self.actual = actual
        super().__init__(f"{key!r} is damaged: expected {expected}, found {actual}")


class HeadConflict(StoreError):
    """Another writer moved the head: this one is fenced off and must stop."""

    def __init__(self, key: str, expected: str, actual: str) -> None:
        self.key = key
        self.expected = expected
        self.actual = actual
        super().__init__(f"{key!r} was moved by another writer: expected {expected}, found {actual}; this writer stops")


class StoreUnavailable(StoreError):
    """The store does not answer, or has no room. Retried."""

    retryable = True


class JobFailed(CodewardenError):
    """A job did not finish, as its supervisor saw it."""


class JobRefused(JobFailed):
    """The job refused its settings or data (exit 2). Not retried."""

    exit_code = EXIT_REFUSED


class JobInterrupted(JobFailed):
    """The job was interrupted (exit 75, or killed by a signal) and can go on. Retried."""

    retryable = True
    exit_code = EXIT_INTERRUPTED


class JobCrashed(JobFailed):
    """The job ended by an error of its own. Not retried: the same code would fail again."""


class JobHung(JobFailed):
    """The job made no progress within its limit and was ended. Retried."""

    retryable = True


class JobStopped(JobFailed):
    """The remote job was stopped by someone else. Not retried: whoever stopped it meant it."""


class SpotWaitExceeded(JobFailed):
    """The Spot job waited for a machine longer than max_wait_seconds. Retried."""

    retryable = True


class CapacityMissing(JobFailed):
    """There was no machine of this type to be had, time after time. Retried."""

    retryable = True


class BudgetExceeded(JobFailed):
    """A launch could spend more than the budget leaves. Not retried.

    Args:
        what: The job that was not launched.
        bound_usd: What it could cost at most.
        remaining_usd: What is left.
    """

    exit_code = EXIT_REFUSED

    def __init__(self, what: str, *, bound_usd: float, remaining_usd: float) -> None:
        self.what = what
        self.bound_usd = bound_usd
        self.remaining_usd = remaining_usd
        super().__init__(
            f"{what} could cost up to ${bound_usd:.2f}, and the budget leaves ${remaining_usd:.2f}; it was not "
            "launched. Raise budget.total_usd, lower max_run_seconds, or take a cheaper instance "
            "(python -m tasks.ledger report shows what was spent)"
        )


class TooManyTrialsFailed(CodewardenError):
    """More trials of a sweep failed than its settings allow. Not retried: finished ones are kept for a later run."""

    def __init__(self, failures: dict[str, str], *, num_trials: int, num_allowed: int) -> None:
        self.failures = failures
        self.num_trials = num_trials
        self.num_allowed = num_allowed
        first, message = next(iter(failures.items()))
        super().__init__(
            f"{len(failures)} of {num_trials} trials failed ({', '.join(failures)}), max_failed_trials is "
            f"{num_allowed}; mend the cause or raise it, finished trials are kept. {first}: {message}"
        )


class RunBusy(CodewardenError):
    """Another process runs this job now: attach to it, or wait."""

    retryable = True
    exit_code = EXIT_BUSY

    def __init__(self, run_path: Path, holder: str) -> None:
        self.run_path = run_path
        self.holder = holder
        super().__init__(f"{run_path} is being run by {holder}; this attempt did nothing")


class RankLost(CodewardenError):
    """A process of those that train together was killed by a signal. Retried."""

    retryable = True

    def __init__(self, signals: dict[int, int]) -> None:
        self.signals = signals
        told = ", ".join(f"rank {rank} by signal {number}" for rank, number in sorted(signals.items()))
        super().__init__(f"lost {told}; the other ranks were ended")
