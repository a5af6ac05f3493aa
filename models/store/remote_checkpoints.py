"""What of a run's checkpoints lies in an object store, as one attempt sees and moves it.

A generation is sent parts first, then the log up to it, then its manifest; then the head is moved by compare-and-set,
and only then old generations are removed. An attempt that another one has succeeded moves nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from models.errors import CloudRefused, HeadConflict, ObjectCorrupt, ObjectMissing, StoreUnavailable
from models.store.crash_points import AFTER_REMOTE_HEAD, BEFORE_REMOTE_HEAD, BEFORE_REMOTE_MANIFEST, reached
from models.store.folders import GenerationFolders
from models.store.generations import GenerationName, SkippedGeneration, in_order
from models.store.head import HEAD_KEY, Head, HeadPointer
from models.store.objects import FileObjects, ObjectStore
from models.store.remote_generations import RemoteGenerations
from models.store.retention import kept_generations
from models.store.succession import succeed

CHECKPOINTS_PREFIX = "checkpoints"
"""Where a run's checkpoints lie in the mirror of its directory."""


@dataclass(frozen=True)
class MirroredLog:
    """A file that only grows, and must be in the object store as far as a generation knows it.

    Args:
        path: The file.
        key: Its key in the mirror of the run directory.
        size_key: The entry of a generation's metadata that says how much of the file it knows [bytes].
    """

    path: Path
    key: str
    size_key: str


@dataclass(frozen=True)
class Upload:
    """A generation that is to be sent, and the best one it names."""

    name: str
    step: int
    best: str | None
    log_bytes: int


def remote_head(objects: ObjectStore) -> Head | None:
    """The head of the checkpoints of the run mirrored there, for who only watches; ``None``: none, or damaged.

    Raises:
        CloudRefused: AWS says no. Not retried.
        StoreUnavailable: The store does not answer. Retried.
    """
    try:
        return Head.from_bytes(objects.get(f"{CHECKPOINTS_PREFIX}/{HEAD_KEY}").content)
    except (ObjectMissing, ObjectCorrupt):
        return None


def remote_attempt(objects: FileObjects) -> int:
    """The last attempt that the checkpoints of the run mirrored there know of; 0: none. The next must be higher.

    Raises:
        CloudRefused: AWS says no. Not retried.
        StoreUnavailable: The store does not answer. Retried.
    """
    head = remote_head(objects)
    # A stale head may have been put back: attempts that it does not know of have used their numbers all the same.
    names = [_parsed(name) for name in RemoteGenerations(objects.child(CHECKPOINTS_PREFIX)).names()]
    return max([head.attempt if head is not None else 0, *(name.attempt for name in names)])


class RemoteCheckpoints:
    """The checkpoints of a run in an object store; one thread at a time.

    All methods raise ``StoreUnavailable`` (retried) and ``CloudRefused`` (not retried).

    Args:
        objects: The mirror of the run directory.
        attempt: This attempt.
        keep: Newest generations to keep beside what they name as best.
        identity: Digests of the run.
        log: What else must be there before a generation counts.
    """

    def __init__(
        self, objects: FileObjects, *, attempt: int, keep: int, identity: dict[str, str], log: MirroredLog | None
    ) -> None:
        self.generations = RemoteGenerations(objects.child(CHECKPOINTS_PREFIX))
        self._objects = objects
        self._attempt = attempt
        self._keep = keep
        self._identity = identity
        self._log = log
        self._log_version: str | None = None
        self._pointer = HeadPointer(objects.child(CHECKPOINTS_PREFIX), self.generations)
        self._head: Head | None = None
        self._whole: set[str] = set()
        self._sent_parts: dict[str, set[str]] = {}
        self._best_of: dict[str, str | None] = {}
        self.collection_problem: str | None = None
        """Why old generations could not be removed after the last upload, if so."""

    @property
    def recovered(self) -> SkippedGeneration | None:
        """Why the head found had to be recovered, if so."""
        return self._pointer.recovered

    def take_over(self) -> Head | None:
        """Become the writer: from now on earlier attempts are refused, on whatever machine.

        Returns:
            The head as it was found (or recovered); ``None`` at the first attempt.

        Raises:
            HeadConflict: This or a later attempt has taken over already. Not retried.
            BuildDiffers: The checkpoints belong to another run or build. Not retried.
        """
        found, self._head = succeed(
            self._pointer, attempt=self._attempt, identity=self._identity, where=str(self._objects)
        )
        self._whole = self.generations.whole()
        if self._log is not None:
            self._log_version = self._objects.version(self._log.key)
        return found

    @property
    def whole(self) -> Collection[str]:
        """Generations whose manifest is there, as far as this attempt knows."""
        return self._whole

    def go_on_from(self, name: str | None, unusable: Collection[str]) -> None:
        """The next head is built on this generation; the one there stays until something was sent."""
        head = self._owned_head()
        self._whole -= set(unusable)
        upto = GenerationName.parse(name) if name is not None else None
        lineage = [each for each in head.generations if each in self._whole]
        kept = tuple(each for each in lineage if upto is not None and _parsed(each) <= upto)
        self._head = replace(head, generations=kept)

    def send(self, upload: Upload, folders: GenerationFolders) -> None:
        """Send a generation and let the head name it; what was sent by a try before is not sent again.

        Raises:
            HeadConflict: Another attempt has taken over; this process must stop. Not retried.
            ObjectMissing: The generation is not on this disk any more. Not retried.
            ObjectCorrupt: It is damaged on this disk. Not retried.
        """
        self._pointer.require_mine(self._attempt)
        if upload.best is not None and upload.best != upload.name and upload.best not in self._whole:
            self._send_parts(upload.best, folders)
            self._send_manifest(upload.best, folders)
        if upload.name not in self._whole:
            self._send_parts(upload.name, folders)
            self._send_log(upload.log_bytes)
            reached(BEFORE_REMOTE_MANIFEST)
            self._send_manifest(upload.name, folders)
        self._best_of[upload.name] = upload.best
        reached(BEFORE_REMOTE_HEAD)
        head = self._owned_head()
        named = {*head.generations, upload.name, *([upload.best] if upload.best is not None else [])}
        kept = kept_generations(tuple(in_order(named)), self._keep, self._own_best)
        self._head = self._pointer.move(replace(head, newest=upload.name, best=upload.best, generations=kept))
        reached(AFTER_REMOTE_HEAD)
        self._collect(kept)

    def _send_parts(self, name: str, folders: GenerationFolders) -> None:
        sent = self._sent_parts.setdefault(name, set())
        for part in sorted(folders.manifest(name).files.keys() - sent):
            self.generations.send_part(name, part, folders)
            sent.add(part)

    def _send_manifest(self, name: str, folders: GenerationFolders) -> None:
        self.generations.send_manifest(name, folders)
        self._whole.add(name)
        self._sent_parts.pop(name, None)

    def _send_log(self, num_bytes: int) -> None:
        """By compare-and-set too: a writer that was succeeded must not put its log in the place of ours."""
        if self._log is None or num_bytes == 0:
            return
        with self._log.path.open("rb") as file:
            content = file.read(num_bytes)
        try:
            self._log_version = self._objects.compare_and_set(self._log.key, content, self._log_version)
        except HeadConflict:
            self._pointer.require_mine(self._attempt)
            # Written by the attempt before us, after we had looked: it cannot do so again.
            self._log_version = self._objects.version(self._log.key)
            self._log_version = self._objects.compare_and_set(self._log.key, content, self._log_version)

    def _own_best(self, name: str) -> str | None:
        if name not in self._best_of:
            try:
                self._best_of[name] = self.generations.manifest(name).best
            except (ObjectMissing, ObjectCorrupt):
                self._best_of[name] = None  # it cannot be resumed from, so nothing is kept for it
        return self._best_of[name]

    def _collect(self, kept: Collection[str]) -> None:
        """Remove what no head names any more; a successor's generations are left alone."""
        try:
            for name in self.generations.names():
                if name not in kept and _parsed(name).attempt <= self._attempt:
                    self.generations.remove(name)
                    self._whole.discard(name)
        except (StoreUnavailable, CloudRefused) as error:
            self.collection_problem = str(error)
        else:
            self.collection_problem = None

    def _owned_head(self) -> Head:
        if self._head is None:
            raise ValueError("take_over must come first")
        return self._head


def _parsed(name: str) -> GenerationName:
    parsed = GenerationName.parse(name)
    if parsed is None:
        raise ObjectCorrupt(name, "the name of a generation", "another")
    return parsed
