"""Reading what lies in a local run directory while its job runs: locks, event lines, the end of the log."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import IO, Any

from tasks.launchers.contract import Event

LOG_FILE = "log.txt"
LAUNCH_LOCK_FILE = "launch.lock"


def parse_event(line: bytes) -> Event | None:
    """The event in a line of stdout; ``None`` when it is something else."""
    if not line.startswith(b"{"):
        return None
    try:
        value: Any = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("event"), str) else None


def try_lock(path: Path) -> IO[bytes] | None:
    """Hold ``path`` until the file is closed or this process dies; ``None`` when another holds it."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def is_locked(path: Path) -> bool:
    """Whether anyone holds ``path``."""
    if not path.exists():
        return False
    file = try_lock(path)
    if file is not None:
        file.close()
    return file is None


def tail(path: Path, num_lines: int, *, max_bytes: int = 16 * 1024) -> str:
    """The last lines of a text file; empty when there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - max_bytes))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-num_lines:])
