"""A flow as a program: errors in one line with what to do, exit codes that scripts can read.

0 done; 2 settings or data are wrong; 75 interrupted and worth running again; 1 anything else.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from types import FrameType

from models.errors import EXIT_CRASHED, EXIT_INTERRUPTED, CodewardenError
from models.settings.fields import Settings

RUN_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
"""Loggers, not handlers: Prefect makes its handlers anew whenever it sets up logging."""

NO_SERVER = "Failed to reach API"


class ProgramOptions(Settings):
    """What a flow's program does beside its flow."""

    dry_run: bool = False
    """Check the settings, print every job as it would be run and what it could cost, and stop: nothing is made."""
    check: bool = False
    """With where=sagemaker: ask AWS all that is looked at before a launch (role, bucket, image, price), and stop."""


def run_program(run: Callable[[], str]) -> int:
    """Run a flow, print what it gives on stdout, and give the exit code.

    Args:
        run: Runs the flow and gives the text to print.
    """
    say_own_errors_in_a_line()
    signal.signal(signal.SIGTERM, _leave_interrupted)
    try:
        sys.stdout.write(run())
    except CodewardenError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return EXIT_INTERRUPTED if error.retryable else error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on from the last checkpoint\n")
        return EXIT_INTERRUPTED
    except RuntimeError as error:
        if not str(error).startswith(NO_SERVER):
            raise
        sys.stderr.write(f"{error}. Start a server (make server), or unset PREFECT_API_URL.\n")
        return EXIT_CRASHED
    return 0


def say_own_errors_in_a_line() -> None:
    """From now on the runs' logs in this process show our own errors without traceback; again changes nothing.

    Flows call it first, for runs that a worker starts.
    """
    for name in RUN_LOGGERS:
        logging.getLogger(name).addFilter(without_our_tracebacks)


def without_our_tracebacks(record: logging.LogRecord) -> bool:
    """Keeps every record; our own errors say all in their message, so their traceback is dropped."""
    if record.exc_info and isinstance(record.exc_info[1], CodewardenError):
        record.exc_info = None
        record.exc_text = None
    return True


def _leave_interrupted(_number: int, _frame: FrameType | None) -> None:
    """Comes after Prefect's own handler, which has stopped the job by then."""
    sys.stderr.write("terminated; the same command goes on from the last checkpoint\n")
    sys.exit(EXIT_INTERRUPTED)
