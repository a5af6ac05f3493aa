"""Which namespaces this machine lets us make, and the commands that start a program in them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from enum import StrEnum
from pathlib import Path

INSIDE = [sys.executable, "-I", "-S", str(Path(__file__).with_name("inside.py"))]
PROBE_SECONDS = 20


class Isolation(StrEnum):
    """How far a job can be set apart from this machine."""

    USER = "user namespace"
    """As process 1 of its own namespaces; no rights needed."""
    ROOT = "root"
    """The same with the rights of root, where user namespaces are switched off."""
    NONE = "none"
    """A plain child of the twin: not process 1, no /opt/ml, no network isolation."""


def best_isolation() -> Isolation:
    """The first kind that works here, found by trying."""
    for isolation in (Isolation.USER, Isolation.ROOT):
        if isolation is Isolation.ROOT and os.geteuid() != 0:
            continue
        if shutil.which("unshare") and _works(isolation):
            return isolation
    return Isolation.NONE


def container_command(isolation: Isolation, spec_path: Path, network_holder_pid: int | None) -> list[str]:
    """The command that runs the job of a spec file as process 1; it ends when the thread that starts it ends.

    Args:
        isolation: A kind that works here; not ``NONE``.
        spec_path: What ``inside.py`` reads.
        network_holder_pid: Process whose network the job shares; ``None``: the machine's.
    """
    apart = ["--mount", "--uts", "--pid"]  # inside.py forks, mounts /proc and kills its child with itself
    if network_holder_pid is not None:
        enter = ["nsenter", "--target", str(network_holder_pid), "--net"]
        if isolation is Isolation.USER:
            enter += ["--user", "--preserve-credentials"]
        return [*tied(), *enter, "unshare", *apart, *INSIDE, str(spec_path)]
    return [*tied(), "unshare", *_rights(isolation), *apart, *INSIDE, str(spec_path)]


def network_holder_command(isolation: Isolation) -> list[str]:
    """The command that keeps a network without a way out alive while its input is open."""
    return [*tied(), "unshare", *_rights(isolation), "--net", *INSIDE, "--network-holder"]


def tied() -> list[str]:
    """Prefix of a command that is killed with the thread that starts it."""
    return ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


def _rights(isolation: Isolation) -> list[str]:
    return ["--user", "--map-root-user"] if isolation is Isolation.USER else []


def _works(isolation: Isolation) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        ml_path, spec_path, hosts_path = Path(folder, "ml"), Path(folder, "spec.json"), Path(folder, "hosts")
        ml_path.mkdir()
        hosts_path.touch()
        seen = "import os, sys; sys.exit(not (os.getpid() == 1 and os.path.ismount('/opt/ml')))"
        spec = {
            "ml_path": str(ml_path),
            "hosts_path": str(hosts_path),
            "host": "probe",
            "working_path": "/",
            "command": [sys.executable, "-I", "-S", "-c", seen],
        }
        spec_path.write_text(json.dumps(spec))
        tried = subprocess.run(
            container_command(isolation, spec_path, None),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
        return tried.returncode == 0
