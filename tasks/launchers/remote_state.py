"""What is remembered here of a run's remote jobs, so that a new supervisor goes on where a killed one was."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from models.store.filesystem import disk_errors

REMOTE_FILE = "remote.json"


@dataclass(frozen=True)
class RemoteState:
    """The last job that was launched for a run.

    Args:
        attempt: Its number, counted from 1; 0: none yet.
        job: Its name; ``None``: none yet.
        ended: Whether it was seen to have ended.
        num_without_machine: Launches in a row that got no machine.
        waiting_since: When the run began to wait for a machine, since 1970 [s]; ``None``: it does not.
        on_demand: Whether the next launch takes an on-demand machine although Spot is asked for.
        launch: Token in the tags of the job that was asked for.
        mending: Whether that job was launched because its finished run is damaged in S3.
        unmendable: Whether such a job was completed, and the run is damaged still.
    """

    attempt: int = 0
    job: str | None = None
    ended: bool = True
    num_without_machine: int = 0
    waiting_since: float | None = None
    on_demand: bool = False
    launch: str = ""
    mending: bool = False
    unmendable: bool = False

    @classmethod
    def read(cls, run_path: Path) -> RemoteState:
        """What is remembered; nothing where there is no file, or one of another version."""
        try:
            return cls(**json.loads((run_path / REMOTE_FILE).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return cls()

    def write(self, run_path: Path) -> None:
        """Remember it; a killed writer leaves what was there.

        Raises:
            StoreUnavailable: the disk refuses. Retried.
        """
        path = run_path / REMOTE_FILE
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with disk_errors(path):
            temporary.write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")
            temporary.replace(path)
