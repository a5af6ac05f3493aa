"""How an attempt ends in its run directory: result and manifest of a finished one, outcome and record of any."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from models.errors import EXIT_CRASHED, EXIT_DONE, CodewardenError, HeadConflict, StoreUnavailable
from models.jobs.build import Build
from models.jobs.contract import RECORD_FILE, RESULT_FILE, JobResult
from models.jobs.json_files import read_json, write_json
from models.jobs.keys import run_key
from models.jobs.layout import BUILD_FILE
from models.jobs.outcome import outcome_of, say, tell_platform
from models.store.filesystem import LocalFilesystem
from models.store.manifest import write_manifest

if TYPE_CHECKING:
    from models.jobs.execution import Execution

IN_RECORD = ("outcome", "error", "step")
"""Of an outcome; the record keeps them for each attempt."""


def finish(execution: Execution, result: JobResult, *, seconds: float) -> None:
    """Write result, manifest last, then record and outcome."""
    run_path = execution.run_path
    kind = str(execution.settings.model_dump(include={"kind"})["kind"])
    write_json(
        run_path / RESULT_FILE,
        {"kind": kind, "numbers": result.numbers, "files": sorted(result.files)},
    )
    write_manifest(
        run_path,
        [*result.files, RESULT_FILE],
        kind=kind,
        run_key=run_key(execution.settings),
        build_key=Build(**(read_json(run_path / BUILD_FILE) or {})).key,
        filesystem=LocalFilesystem(),
    )
    _note(execution, {"seconds": round(seconds, 3), "outcome": "done", **result.record})
    end_done(execution, "done")


def end_done(execution: Execution, message: str) -> int:
    """Say that the run is finished; gives the exit code."""
    write_json(execution.outcome_path, outcome_of(EXIT_DONE, message, attempt=execution.attempt))
    return EXIT_DONE


def end(execution: Execution, error: Exception) -> int:
    """Say in the run directory, to the platform and to people how the attempt ended; gives the exit code.

    Of several ranks each says it to the job's own process only, which tells what decided.
    """
    outcome = _outcome(execution, error)
    write_json(execution.outcome_path, outcome)
    if execution.rendezvous is None:
        tell_platform(execution.placement.failure_path, outcome)
        say(outcome)
    return _exit_code(error)


def refuse(execution: Execution, error: CodewardenError) -> int:
    """Say it to people and platforms only, where the outcome file belongs to another run or process."""
    outcome = _outcome(execution, error)
    tell_platform(execution.placement.failure_path, outcome)
    say(outcome)
    return _exit_code(error)


def note_ending(execution: Execution, facts: Mapping[str, Any] | None = None) -> None:
    """Say in the record how an attempt ended that did not finish: what its outcome says, and ``facts``."""
    outcome = read_json(execution.outcome_path) or {}
    # The outcome, which counts, is written; a disk that is full by now must not change it.
    with contextlib.suppress(StoreUnavailable):
        _note(execution, {**{name: outcome.get(name) for name in IN_RECORD}, **(facts or {})})


def _note(execution: Execution, facts: Mapping[str, Any]) -> None:
    """Add to the newest attempt of the record."""
    record = read_json(execution.run_path / RECORD_FILE) or {"attempts": [{}]}
    record["attempts"][-1].update(facts)
    write_json(execution.run_path / RECORD_FILE, record)


def _exit_code(error: Exception) -> int:
    return error.exit_code if isinstance(error, CodewardenError) else EXIT_CRASHED


def _outcome(execution: Execution, error: Exception) -> dict[str, Any]:
    if not isinstance(error, CodewardenError):
        traceback.print_exception(error)
    message = str(error) or type(error).__name__
    if isinstance(error, HeadConflict) and execution.placement.run_uri is not None:
        message = f"another machine runs this now, and this one leaves it to that: {message}"
    return outcome_of(_exit_code(error), message, attempt=execution.attempt, error=error)
