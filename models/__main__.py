"""``python -m models JOB.json --run-dir DIR`` runs a job; ``python -m models train gnn --train-data …`` writes one.

The first form is how flows and containers run jobs; the second is for people, and every flag of it is a field of the
job's settings.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import CodewardenError, SettingsInvalid

if TYPE_CHECKING:
    from models.jobs.placement import Placement
    from models.jobs.stopping import StopSignal


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the arguments say; the exit code is the job's."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments and arguments[0].endswith(".json"):
            return _run_file(arguments)
        from models.jobs.command_line import run_command

        return run_command(arguments)
    except CodewardenError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code


def _run_file(arguments: Sequence[str]) -> int:
    from models.jobs.outcome import outcome_of, tell_platform
    from models.jobs.placement import read_placement
    from models.jobs.stopping import StopSignal, die_with_parent

    options = _options(arguments)
    if options.die_with_parent:
        die_with_parent(options.die_with_parent)
    stop = StopSignal()
    stop.install()
    placement = read_placement(options.placement)
    try:
        return _run_job(options, placement, stop)
    except CodewardenError as error:
        tell_platform(placement.failure_path, outcome_of(error.exit_code, str(error), attempt=0, error=error))
        raise


def _run_job(options: argparse.Namespace, placement: Placement, stop: StopSignal) -> int:
    from models.jobs.execution import Execution, execute, run_attempt
    from models.jobs.hosts import read_hosts
    from models.jobs.registry import parse_job
    from models.settings.train import TrainSettings

    settings = parse_job(_read(options.job))
    num_ranks = settings.compute.num_ranks if isinstance(settings, TrainSettings) else 1
    execution = Execution(
        settings,
        options.run_dir,
        options.runs,
        echo=sys.stdout,
        reuse_build=options.reuse_build,
        stop=stop,
        attempt=options.attempt,
        rank=options.rank or 0,
        num_ranks=num_ranks,
        rendezvous=options.rendezvous,
        placement=placement,
        placement_path=options.placement,
        hosts=read_hosts(options.resource_config, port=options.meeting_port),
    )
    return run_attempt(execution) if options.rank is not None else execute(execution)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsInvalid(f"job file {path} cannot be read: {error.strerror}; give the path of one") from None


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    from models.jobs.hosts import MEETING_PORT, RESOURCE_CONFIG_PATH

    parser = argparse.ArgumentParser(prog="python -m models", description="Run one job from its settings file.")
    parser.add_argument("job", type=Path, help="settings of the job, as JSON")
    parser.add_argument("--run-dir", type=Path, required=True, help="run directory; a killed run goes on where it was")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="run root, where openings are logged")
    parser.add_argument("--reuse-build", action="store_true", help="go on with a run that other code began (recorded)")
    parser.add_argument("--placement", type=Path, help="what is told of the place: mirror, planned machine and build")
    parser.add_argument("--die-with-parent", type=int, default=0, metavar="PID", help="stop when this process ends")
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--attempt", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--rendezvous", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--resource-config", type=Path, default=RESOURCE_CONFIG_PATH, help=argparse.SUPPRESS)
    parser.add_argument("--meeting-port", type=int, default=MEETING_PORT, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    code = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # whoever listened has gone, and the exit code still counts
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.stderr.flush()
    sys.exit(code)
