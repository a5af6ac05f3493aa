"""A flow as a program that can also say what it would do: its jobs are planned, then checked, shown or run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from models.settings.fields import Settings
from tasks.dry_run import check, dry_run
from tasks.first_inputs import refuse_missing_inputs
from tasks.program import ProgramOptions, run_program
from tasks.run_settings import RunSettings


def run_planned_program(
    settings: RunSettings,
    options: ProgramOptions,
    jobs: Callable[[], Sequence[Settings]],
    run: Callable[[], str],
    *,
    inputs_may_lack: bool = False,
) -> int:
    """Check, show or run a flow; gives the exit code.

    An input that is not there is refused first: before a server is started, and in a dry run too.

    Args:
        settings: Of the flow.
        options: What the person asked for.
        jobs: Plans the jobs of the flow in order, as far as they are known before it runs.
        run: Runs the flow and gives the text to print.
        inputs_may_lack: Show the plan all the same where inputs are not there yet.
    """

    def planned() -> str:
        foreseen = jobs()
        if not inputs_may_lack:
            refuse_missing_inputs(foreseen, settings.runs.resolve())
        if options.check:
            return check(settings, foreseen)
        return dry_run(settings, foreseen) if options.dry_run else run()

    return run_program(planned)
