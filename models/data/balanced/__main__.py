"""``python -m models.data.balanced --build-balanced [--flags]``: the seed's command, with the flags of the balance job.

The files go to ``--output-dir``; ``python -m models balance`` makes a run of the same that is found again.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Annotated

from models.data.balanced.balance_report import small_numbers
from models.data.balanced.dataset import write_dataset
from models.errors import CodewardenError
from models.settings.balance import BalanceSettings
from models.settings.command_line import parse_command
from models.settings.fields import INCIDENTAL, Settings

PROG = "python -m models.data.balanced"


class BuildOptions(Settings):
    """What is done, and where the files go."""

    build_balanced: Annotated[bool, INCIDENTAL] = False
    """Build the balanced data set; there is nothing else to do, so it must be given."""
    output_dir: Annotated[Path, INCIDENTAL] = Path("artifacts/dl/balanced")
    """Folder of the files; what is there of a build before is replaced."""


def main(argv: list[str] | None = None) -> int:
    """Build a data set from the command line; the exit code is 0, or what its error says."""
    logging.basicConfig(format="%(levelname)s: %(message)s")
    settings, options = parse_command(BalanceSettings, BuildOptions, sys.argv[1:] if argv is None else argv, prog=PROG)
    if not options.build_balanced:
        sys.stderr.write(f"{PROG}: give --build-balanced; --help explains every flag\n")
        return 2
    try:
        dataset = write_dataset(settings, options.output_dir)
    except CodewardenError as error:
        sys.stderr.write(f"{PROG}: {error}\n")
        return error.exit_code
    sys.stdout.write(
        json.dumps({"output_dir": str(options.output_dir), **small_numbers(dataset.stats)}, indent=1) + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
