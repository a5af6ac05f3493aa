"""A command with AWS on this machine: ``python -m benchmarks.with_local_aws [--reclaims 2] python -m flows.phase1 …``.

Training jobs run on the twin, here and now; every Spot machine is taken away as often as ``--reclaims`` says, after an
epoch each time. Nothing is asked of the real AWS, whatever this machine's credentials are.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.local_aws import FaultPlan, LocalAws, Reclaim

NOTICE_SECONDS = 20.0
EPOCHS_BETWEEN = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code, after a line about the jobs that were run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.with_local_aws", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--reclaims", type=int, default=0, help="times that each machine is taken away")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run")
    arguments = parser.parse_args(argv)
    if not arguments.command:
        parser.error("no command is given, such as python -m flows.phase1 --where sagemaker …")
    with tempfile.TemporaryDirectory(prefix="codewarden-aws-") as folder, LocalAws(Path(folder)) as aws:
        aws.plan_faults(FaultPlan(reclaims=tuple(map(after_epoch, range(arguments.reclaims)))))
        code = subprocess.run(arguments.command, env=os.environ | variables(aws), check=False).returncode
        starts = sum(job.get("NumStarts", 0) for job in aws.jobs())
        sys.stderr.write(f"{len(aws.jobs())} training jobs on the twin, {starts} starts\n")
    return code


def after_epoch(number: int) -> Reclaim:
    """The reclaim of this number, once so many epochs have been told."""
    epoch = EPOCHS_BETWEEN * number
    return Reclaim(on_log=rf'"event": "epoch".*"epoch": {epoch}\b', notice_seconds=NOTICE_SECONDS)


def variables(aws: LocalAws) -> dict[str, str]:
    """By which flows find everything they need."""
    return {
        **aws.environment,
        "SAGEMAKER_EXECUTION_ROLE": aws.role,
        "CODEWARDEN_STORE": f"s3://{aws.bucket}/codewarden",
    }


if __name__ == "__main__":
    sys.exit(main())
