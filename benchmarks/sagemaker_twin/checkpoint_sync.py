"""A folder that follows an S3 prefix and is followed by it, as CheckpointConfig promises.

At every start of the job the prefix is copied in; while it trains, changed files are uploaded every few seconds and
files that are gone are deleted from S3. Objects that others add meanwhile are not copied in. A file is uploaded as it
is found: half of one, if it is being written.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.sagemaker_twin.aws_clients import AwsClients
from benchmarks.sagemaker_twin.transfer import download, keys_under, split_uri

Stamp = tuple[int, int]


class CheckpointSync:
    """The sync of one host.

    Args:
        clients: For S3.
        uri: The prefix.
        folder: The folder on the job's disk.
        every_seconds: Time between two passes [s].
        stalled_until: Before this moment of ``time.monotonic`` nothing is uploaded or deleted.
        holds: Whether the machine still lets the sync work; asked before every object.
    """

    def __init__(
        self,
        clients: AwsClients,
        uri: str,
        folder: Path,
        every_seconds: float,
        stalled_until: float,
        holds: Callable[[], bool],
    ) -> None:
        self._clients = clients
        self._uri = uri.rstrip("/") + "/"
        self._folder = folder
        self._every_seconds = every_seconds
        self._stalled_until = stalled_until
        self._known: dict[str, Stamp] = {}
        self._stopping = threading.Event()
        self._holds = holds
        self._thread: threading.Thread | None = None

    def restore(self) -> None:
        """Copy the prefix into the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        download(self._clients, self._uri, list(keys_under(self._clients, self._uri)), self._folder)
        self._known = self._found()

    def start(self) -> None:
        """Begin to follow the folder."""
        self._thread = threading.Thread(target=self._follow, name="checkpoint sync", daemon=True)
        self._thread.start()

    def stop(self, *, once_more: bool) -> None:
        """End; ``once_more`` uploads what has changed since the last pass, unless the sync is stalled."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        if once_more:
            self.sync()

    def sync(self) -> None:
        """One pass over the folder."""
        if time.monotonic() < self._stalled_until:
            return
        bucket, prefix = split_uri(self._uri)
        found = self._found()
        for name, stamp in found.items():
            if not self._holds():
                return
            if self._known.get(name) == stamp:
                continue
            try:
                content = (self._folder / name).read_bytes()
            except FileNotFoundError:  # renamed or removed since it was seen
                continue
            self._clients["s3"].put_object(Bucket=bucket, Key=prefix + name, Body=content)
            self._known[name] = stamp
        for name in self._known.keys() - found.keys():
            if not self._holds():
                return
            self._clients["s3"].delete_object(Bucket=bucket, Key=prefix + name)
            del self._known[name]

    def _follow(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            self.sync()

    def _found(self) -> dict[str, Stamp]:
        found: dict[str, Stamp] = {}
        for path in sorted(self._folder.rglob("*")):
            try:
                if path.is_file() and not path.is_symlink():
                    status = path.stat()
                    found[str(path.relative_to(self._folder))] = (status.st_size, status.st_mtime_ns)
            except FileNotFoundError:
                continue
        return found
