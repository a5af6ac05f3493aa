"""Checkpoints on this disk, and a copy of them in an object store that outlives the machine.

Everything is written to the disk first, as ``CheckpointStore`` does, and sent afterwards on a thread of its own. The
head in the object store decides who may write, on whatever machine; the disk's is made to agree with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.errors import ObjectCorrupt, ObjectMissing
from models.store.checkpoints import CheckpointStore
from models.store.filesystem import Filesystem
from models.store.generations import (
    Generation,
    GenerationManifest,
    GenerationName,
    LoadedGeneration,
    SkippedGeneration,
    in_order,
)
from models.store.head import Head
from models.store.objects import FileObjects
from models.store.remote_checkpoints import MirroredLog, RemoteCheckpoints, Upload
from models.store.succession import require_identity
from models.store.uploader import RETRY_SECONDS, Uploader


class MirroredCheckpointStore(CheckpointStore):
    """The checkpoints of a run on this disk and in an object store; for the writer.

    Other ranks on this machine use a ``CheckpointStore`` on the same folder, once the writer has taken over.

    Args:
        root: The folder of the checkpoints.
        mirror: The objects that mirror the run directory.
        attempt: This attempt; higher than any that either knows (``remote_attempt``).
        keep: Newest generations to keep, in both.
        identity: Digests of the run; a checkpoint with others is refused, in both.
        log: What else must be sent before a generation counts.
        filesystem: How files are written.
        retry_seconds: Pause before a failed upload is tried again [s].
    """

    def __init__(
        self,
        root: Path,
        mirror: FileObjects,
        *,
        attempt: int,
        keep: int,
        identity: dict[str, str],
        log: MirroredLog | None = None,
        filesystem: Filesystem | None = None,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        super().__init__(root, attempt=attempt, keep=keep, identity=identity, filesystem=filesystem)
        self._remote = RemoteCheckpoints(mirror, attempt=attempt, keep=keep, identity=identity, log=log)
        self._log = log
        self._skipped_before: list[SkippedGeneration] = []
        self.uploads = Uploader(lambda upload: self._remote.send(upload, self._folders), retry_seconds=retry_seconds)
        """What is being sent, and what went wrong with it."""

    def take_over(self) -> Head | None:
        """Become the writer on any machine, and bring here what there is newer than on this disk.

        Afterwards this disk holds the newest generation that is good, here or in the object store, together with the
        best one it names. If it was only here, it is sent.

        Returns:
            The head as it was found in the object store; ``None`` at the first attempt.

        Raises:
            HeadConflict: This or a later attempt has taken over already. Not retried.
            BuildDiffers: The checkpoints belong to another run or build. Not retried.
            CloudRefused: AWS says no. Not retried.
            StoreUnavailable: Disk or object store does not answer. Retried.
        """
        found = self._remote.take_over()
        found_here = super().take_over()
        recovered = (self._remote.recovered, self._pointer.recovered)
        self._skipped_before = [entry for entry in recovered if entry is not None]
        listed = {*(found.generations if found else ()), *(found_here.generations if found_here else ())}
        newest = self._bring_newest(listed)
        unusable = {entry.name for entry in self._skipped_before}
        self._remote.go_on_from(newest.name if newest is not None else None, unusable)
        self._point_here_at(newest, listed - unusable)
        if newest is not None and (found is None or found.newest != newest.name):
            self._offer(newest.name, newest.step, newest.best, newest.metadata)
        return found

    def publish(
        self, step: int, *, best_step: int | None, metadata: dict[str, Any], parts: Collection[str] | None = None
    ) -> Generation:
        """Make the parts written for a step the newest generation on this disk, durably, and begin to send it.

        Raises:
            HeadConflict: Another attempt has taken over, here or (found by an upload) elsewhere. Not retried.
            ObjectMissing: One of ``parts`` was not written. Not retried.
            StoreUnavailable: The disk refuses; an object store that is away is no error here. Retried.
        """
        self.uploads.require_alive()
        generation = super().publish(step, best_step=best_step, metadata=metadata, parts=parts)
        self._offer(generation.name, step, generation.best_name, metadata)
        return generation

    def newest_good(self) -> LoadedGeneration | None:
        """As of a ``CheckpointStore``; ``skipped`` also says what ``take_over`` could not use."""
        loaded = super().newest_good()
        told = {entry.name for entry in self._skipped_before}
        self.skipped = [*self._skipped_before, *(entry for entry in self.skipped if entry.name not in told)]
        return replace(loaded, skipped=list(self.skipped)) if loaded is not None else None

    def settle(self, deadline_seconds: float, is_stopped: Callable[[], bool] = lambda: False) -> bool:
        """Wait until everything published is in the object store, at most so long and not once stopped; whether it is.

        Raises:
            HeadConflict: Another attempt has taken over. Not retried.
        """
        return self.uploads.settle(deadline_seconds, is_stopped)

    @property
    def problem(self) -> str | None:
        """What is wrong with the copy in the object store, if anything; this disk has everything."""
        return self.uploads.problem or self._remote.collection_problem

    def _collect(self, kept: Iterable[str]) -> str | None:
        return super()._collect((*kept, *self.uploads.pinned()))

    def _offer(self, name: str, step: int, best: str | None, metadata: dict[str, Any]) -> None:
        log_bytes = int(metadata.get(self._log.size_key, 0)) if self._log is not None else 0
        self.uploads.offer(Upload(name, step, best, log_bytes))

    def _bring_newest(self, listed: Collection[str]) -> GenerationManifest | None:
        """The newest that is good here or there, now here; those that no head lists are tried last."""
        newest_first = in_order({*self._folders.names(), *self._remote.whole, *listed})[::-1]
        unlisted = [name for name in newest_first if name not in listed]
        for name in (*(name for name in newest_first if name in listed), *unlisted):
            try:
                manifest = self._whole_here(name)
                if manifest.best is not None and manifest.best != name:
                    self._whole_here(manifest.best)
            except (ObjectMissing, ObjectCorrupt) as error:
                parsed = GenerationName.parse(name)
                self._skipped_before.append(
                    SkippedGeneration(name, str(error), parsed.step if parsed is not None else None)
                )
                continue
            require_identity(manifest.identity, self._identity, self._root.parent)
            return manifest
        return None

    def _whole_here(self, name: str) -> GenerationManifest:
        """The manifest of a generation that verifies on this disk, brought here if it did not."""
        try:
            return self._folders.verify(name)
        except (ObjectMissing, ObjectCorrupt):
            if name not in self._remote.whole:
                raise
        return self._remote.generations.bring(name, self._folders)

    def _point_here_at(self, newest: GenerationManifest | None, listed: Collection[str]) -> None:
        """Let the head on this disk, which other ranks read, name what was found and what of its past is here."""
        assert self._head is not None
        on_disk = self._folders.names()
        if newest is None:
            lineage, best = [], None
        else:
            past = on_disk[: on_disk.index(newest.name)]
            lineage = [name for name in past if name in listed or name == newest.best] + [newest.name]
            best = newest.best
        name = newest.name if newest is not None else None
        agreed = replace(self._head, newest=name, best=best, generations=tuple(lineage))
        if agreed != self._head:
            self._head = self._pointer.move(agreed)
