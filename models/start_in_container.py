"""The first program of a container: unpacks our code, and becomes the job's process.

Sent beside the code as ``start.py``, so it imports nothing but Python's own library and nothing of ours. It is process
1 of the container and stays it (``execv``): the signal by which a container is told to leave reaches whoever is 1, and
no other. SIGTERM is blocked from the first moment until the job listens (``StopSignal.install``), and so not lost.
"""

import json
import os
import shutil
import signal
import sys
import tarfile
import zlib
from pathlib import Path
from typing import NoReturn

BUNDLE_PATH = Path("/opt/ml/input/data/code/bundle.tar.gz")
CODE_PATH = Path("/opt/ml/code")
FAILURE_PATH = Path("/opt/ml/output/failure")
EXIT_REFUSED = 2


def unpack(bundle_path: Path, code_path: Path) -> None:
    """Unpack the code anew; what an earlier start left there is replaced.

    Args:
        bundle_path: The archive.
        code_path: The folder it is unpacked to.

    Raises:
        OSError: the archive is not there, or the disk refuses.
        EOFError, zlib.error, tarfile.TarError: it is damaged, or holds something else than plain files and folders.
    """
    fresh_path = code_path.with_name(f".{code_path.name}.new")
    for path in (fresh_path, code_path):
        if path.exists():
            shutil.rmtree(path)
    fresh_path.mkdir(parents=True)
    with tarfile.open(bundle_path, "r:gz") as bundle:
        for member in bundle.getmembers():
            if not (member.isreg() or member.isdir()):
                raise tarfile.TarError(f"{member.name!r} is neither a file nor a folder")
        bundle.extractall(fresh_path, filter="data")
    fresh_path.rename(code_path)


def start(
    arguments: list[str],
    *,
    bundle_path: Path = BUNDLE_PATH,
    code_path: Path = CODE_PATH,
    failure_path: Path = FAILURE_PATH,
) -> int:
    """Become ``python -m models`` with these arguments; returns only where that cannot be: 2, and the reason written.

    Args:
        arguments: Arguments of the job's process.
        bundle_path: The code, packed.
        code_path: Where it is unpacked to; becomes the working directory.
        failure_path: File that the platform shows as the reason of a failure.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        unpack(bundle_path, code_path)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        return _refuse(f"the code in {bundle_path} cannot be unpacked: {error}; launch the job again", failure_path)
    os.chdir(code_path)
    return _become_job(arguments)


def _become_job(arguments: list[str]) -> NoReturn:
    os.execv(sys.executable, [sys.executable, "-m", "models", *arguments])  # noqa: S606  there is no shell to quote for


def _refuse(message: str, failure_path: Path) -> int:
    told = {
        "outcome": "refused",
        "error": "SettingsInvalid",
        "retryable": False,
        "step": None,
        "message": message[:800],
    }
    failure_path.parent.mkdir(parents=True, exist_ok=True)
    failure_path.write_text(json.dumps(told), encoding="ascii")
    print(f"SettingsInvalid: {message}", file=sys.stderr)  # noqa: T201  the log of a container
    return EXIT_REFUSED


if __name__ == "__main__":
    sys.exit(start(sys.argv[1:]))
