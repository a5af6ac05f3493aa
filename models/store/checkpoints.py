"""The checkpoints of one run: published whole, found again after any death, never by two writers.

What a checkpoint means to training does not belong here; the store sees named parts (bytes) and metadata (JSON).

How a generation comes to count: every rank writes its parts to a staging folder; after a barrier the one writer adds
the manifest, renames the folder, and moves the head by compare-and-set. Each step is durable before the next begins.
Only then are old generations removed. A run is resumed from the newest generation that verifies together with the
one it names as best.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.errors import ObjectCorrupt, ObjectMissing, StoreError, StoreUnavailable
from models.store.crash_points import AFTER_HEAD, BEFORE_HEAD, COLLECTION, reached
from models.store.filesystem import Filesystem, LocalFilesystem, make_folder_durably
from models.store.folders import GenerationFolders
from models.store.generations import Generation, GenerationManifest, GenerationName, LoadedGeneration, SkippedGeneration
from models.store.head import Head, HeadPointer
from models.store.objects import LocalObjects
from models.store.retention import kept_generations
from models.store.succession import require_identity, succeed


class CheckpointStore:
    """The checkpoints of a run.

    Each rank has one; the writer is the one that takes over and publishes. In each attempt: the writer calls
    ``take_over``, then (barrier) every rank ``newest_good``. To save: every rank ``write_part``, (barrier, all agreed
    that they succeeded) the writer ``publish``.

    Args:
        root: The folder of the checkpoints.
        attempt: This attempt, counted from 1; no two processes may have the same.
        keep: Newest generations to keep, at least 1; what they name as best is kept besides, and what that names.
        filesystem: How files are written.
        identity: Digests of the run, such as run key and build key; a checkpoint with others is refused.
    """

    def __init__(
        self,
        root: Path,
        *,
        attempt: int,
        keep: int,
        identity: dict[str, str],
        filesystem: Filesystem | None = None,
    ) -> None:
        if keep < 1:
            raise ValueError(f"keep must be at least 1, got {keep}")
        self._root = root
        self._attempt = attempt
        self._keep = keep
        self._identity = dict(identity)
        self._filesystem = filesystem if filesystem is not None else LocalFilesystem()
        self._folders = GenerationFolders(root, self._filesystem)
        self._pointer = HeadPointer(LocalObjects(root, self._filesystem), self._folders)
        self._head: Head | None = None
        self.skipped: list[SkippedGeneration] = []
        """What the last ``newest_good`` could not use, also when it found nothing."""

    def take_over(self) -> Head | None:
        """Become the writer: from now on earlier attempts are refused.

        Returns:
            The head as it was found (or recovered); ``None`` at the first attempt.

        Raises:
            HeadConflict: This or a later attempt has taken over already. Not retried.
            BuildDiffers: The checkpoints belong to another run or build. Not retried.
            StoreUnavailable: The disk refuses. Retried.
        """
        make_folder_durably(self._filesystem, self._root)
        found, self._head = succeed(
            self._pointer, attempt=self._attempt, identity=self._identity, where=self._root.parent
        )
        self._folders.remove_staging(before_attempt=self._attempt)
        return found

    def write_part(self, step: int, name: str, content: bytes) -> None:
        """Write one part of the checkpoint of a step; any rank, each its own names. Nothing counts until published.

        Args:
            step: Optimiser steps done.
            name: File name, of a format that loads without running code (``SAFE_SUFFIXES``).
            content: Its bytes.

        Raises:
            HeadConflict: A later attempt has taken over and swept the parts away. Not retried.
            StoreUnavailable: The disk refuses; no part of this name is left, and the step must not be published.
                Retried.
        """
        with self._refused_if_succeeded():
            self._folders.write_part(GenerationName(self._attempt, step), name, content)

    def publish(
        self,
        step: int,
        *,
        best_step: int | None,
        metadata: dict[str, Any],
        parts: Collection[str] | None = None,
    ) -> Generation:
        """Make the parts written for a step the newest generation; only the writer, after a barrier.

        When this returns, the generation is found again after any death. When it raises, the ones before are.

        Args:
            step: Optimiser steps done.
            best_step: The best step so far: this one, or one that was published and is kept; ``None`` for none yet.
            metadata: JSON that comes back with the generation.
            parts: Names that must have been written, so that a rank that failed is noticed; ``None`` trusts the caller.

        Raises:
            HeadConflict: Another attempt has taken over; this process must stop. Not retried.
            ObjectMissing: One of ``parts`` was not written. Not retried.
            StoreUnavailable: The disk refuses; write the parts and publish again. Retried.
        """
        if self._head is None:
            raise ValueError("take_over must come before publish")
        self._pointer.require_mine(self._attempt)
        head = self._head
        staged = GenerationName(self._attempt, step)
        with self._refused_if_succeeded():
            digests = self._folders.staged_digests(staged)
            missing = sorted(set(parts or ()) - digests.keys())
            if missing or not digests:
                raise ObjectMissing(f"{staged}/{missing[0]}" if missing else f"{staged}: no part was written")
        name = self._free_name(staged)
        best = self._best_of(head, step, name, best_step)
        kept = kept_generations(
            (*head.generations, name), self._keep, lambda each: best if each == name else self._own_best(each)
        )
        manifest = GenerationManifest(name, step, best_step, best, self._identity, metadata, digests)
        try:
            with self._refused_if_succeeded():
                self._folders.complete(staged, manifest)
            reached(BEFORE_HEAD)
            self._head = self._pointer.move(replace(head, newest=name, best=best, generations=kept))
        except StoreUnavailable:
            self._discard_failed(staged, name)
            raise
        reached(AFTER_HEAD)
        return Generation(step, name, self._folders.path(name), best, self._collect(kept))

    def discard(self, step: int) -> None:
        """Remove what was written for a step that will not be published; the writer, once no rank writes it."""
        self._folders.remove_staged(GenerationName(self._attempt, step))

    def newest_good(self) -> LoadedGeneration | None:
        """The newest generation that verifies together with the best one it names; ``None`` where there is none.

        Publishing goes on from it: newer generations that did not verify are forgotten.

        Raises:
            BuildDiffers: The checkpoints belong to another run or build. Not retried.
            StoreUnavailable: The disk does not answer; this says nothing about the bytes. Retried.
        """
        head = self._head if self._head is not None else self._pointer.find()
        self.skipped = [self._pointer.recovered] if self._pointer.recovered is not None else []
        listed = head.generations if head is not None else ()
        on_disk = self._folders.names()
        # What no head lists is tried last: an old head may have come back with a backup.
        unlisted = [name for name in on_disk if name not in listed]
        for name in (*reversed(listed), *reversed(unlisted)):
            loaded = self._load(name)
            if loaded is not None:
                known = listed if name in listed else tuple(on_disk)
                self._go_on_from(loaded, known[: known.index(name) + 1])
                return loaded
        self._go_on_from(None, ())
        return None

    def newest_name(self) -> str | None:
        """The newest published generation, not verified; ``None`` where there is none. For any rank."""
        head = self._head if self._head is not None else self._pointer.find()
        return head.newest if head is not None else None

    def best_path(self) -> Path | None:
        """Folder of the best generation so far, not verified; ``None`` where there is none. For the writer."""
        head = self._head if self._head is not None else self._pointer.find()
        return self._folders.path(head.best) if head is not None and head.best is not None else None

    def _load(self, name: str) -> LoadedGeneration | None:
        try:
            manifest = self._folders.verify(name)
            if manifest.best is not None and manifest.best != name:
                self._folders.verify(manifest.best)
        except (ObjectMissing, ObjectCorrupt) as error:
            parsed = GenerationName.parse(name)
            step = parsed.step if parsed is not None else None
            self.skipped.append(SkippedGeneration(name, str(error), step))
            return None
        self._check_identity(manifest.identity)
        return LoadedGeneration(
            step=manifest.step,
            name=name,
            path=self._folders.path(name),
            metadata=manifest.metadata,
            parts=tuple(manifest.files),
            best_step=manifest.best_step,
            best_name=manifest.best,
            best_path=self._folders.path(manifest.best) if manifest.best is not None else None,
            skipped=list(self.skipped),
            _read=self._folders.read,
        )

    def _go_on_from(self, loaded: LoadedGeneration | None, lineage: tuple[str, ...]) -> None:
        """Remember what the next head is built on; the one on disk stays until something is published."""
        if self._head is not None:
            newest = loaded.name if loaded is not None else None
            best = loaded.best_name if loaded is not None else None
            self._head = replace(self._head, newest=newest, best=best, generations=lineage)

    def _discard_failed(self, staged: GenerationName, name: str) -> None:
        """Free the space of a generation that could not be published: it may be what fills the disk."""
        with contextlib.suppress(StoreError):
            self._folders.remove_staged(staged)
            if not self._pointer.names(name):
                self._folders.remove(name)

    @contextlib.contextmanager
    def _refused_if_succeeded(self) -> Iterator[None]:
        """What is missing because a later attempt swept it away is a refusal, not a loss."""
        try:
            yield
        except ObjectMissing:
            self._pointer.require_no_successor(self._attempt)
            raise

    def _check_identity(self, found: dict[str, str]) -> None:
        require_identity(found, self._identity, self._root.parent)

    def _free_name(self, staged: GenerationName) -> str:
        """The staged name, or the next one where this attempt has saved this step before."""
        taken = set(self._folders.names())
        while str(staged) in taken:
            staged = replace(staged, repeat=staged.repeat + 1)
        return str(staged)

    def _best_of(self, head: Head, step: int, name: str, best_step: int | None) -> str | None:
        if best_step is None or best_step == step:
            return name if best_step == step else None
        for candidate in reversed(head.generations):
            parsed = GenerationName.parse(candidate)
            if parsed is not None and parsed.step == best_step:
                return candidate
        raise ValueError(f"best_step={best_step} is not among the generations kept: {', '.join(head.generations)}")

    def _own_best(self, name: str) -> str | None:
        try:
            return self._folders.manifest(name).best
        except (ObjectMissing, ObjectCorrupt):
            return None  # it cannot be resumed from, so nothing is kept for it

    def _collect(self, kept: Iterable[str]) -> str | None:
        """Remove what no head names any more; what went wrong, if anything."""
        doomed = [name for name in self._folders.names() if name not in set(kept) and self._is_ours(name)]
        try:
            for index, name in enumerate(doomed):
                self._folders.remove(name)
                if index == 0:
                    reached(COLLECTION)
            self._folders.remove_staging(before_attempt=self._attempt)
        except (StoreUnavailable, ObjectMissing) as error:
            return str(error)
        return None

    def _is_ours(self, name: str) -> bool:
        """Whether a generation was written by this attempt or an earlier one: a successor's are left alone."""
        parsed = GenerationName.parse(name)
        return parsed is not None and parsed.attempt <= self._attempt
