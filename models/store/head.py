"""The head of a run's checkpoints: the one document that says which generations count and who may write.

What is put into it is decided in ``checkpoints``; here is how it is found, recovered and moved.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from models.errors import HeadConflict, ObjectCorrupt, ObjectMissing, StoreUnavailable
from models.store.generations import GenerationManifest, GenerationName, SkippedGeneration
from models.store.objects import ObjectStore
from models.store.sealed import seal, unseal

HEAD_KEY = "head.json"


@dataclass(frozen=True)
class Head:
    """What counts.

    Args:
        newest: The newest generation.
        best: The generation of the best step so far, as ``newest`` says.
        generations: All that are kept, oldest first; holds ``newest``, ``best``, and what each of them names as best.
        attempt: The attempt that may write.
        writer: Random name of its process, so that two processes of one attempt are told apart.
        identity: Digests of the run, such as its run key and build key.
    """

    newest: str | None
    best: str | None
    generations: tuple[str, ...]
    attempt: int
    writer: str
    identity: dict[str, str]

    def to_bytes(self) -> bytes:
        """The document."""
        return seal(asdict(self))

    @classmethod
    def from_bytes(cls, content: bytes) -> Head:
        """The head in a document.

        Raises:
            ObjectCorrupt: It is damaged. Not retried.
        """
        body: dict[str, Any] = unseal(HEAD_KEY, content)
        try:
            return cls(**{**body, "generations": tuple(body["generations"])})
        except (KeyError, TypeError) as error:
            raise ObjectCorrupt(HEAD_KEY, "the fields of a head", repr(error)) from error


def published_head(root: Path) -> Head | None:
    """The head of the checkpoints in ``root`` for who only watches; ``None`` where there is none, or it is damaged.

    Nothing is recovered and nothing is said: the next attempt of the job does both.
    """
    try:
        return Head.from_bytes((root / HEAD_KEY).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ObjectCorrupt):
        return None


def published_step(root: Path) -> int | None:
    """Step of the newest generation that the head in ``root`` names; ``None`` where it names none."""
    head = published_head(root)
    name = GenerationName.parse(head.newest) if head is not None and head.newest is not None else None
    return name.step if name is not None else None


def identity_differences(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """The keys that differ, in words."""
    return [
        f"{key}: was {found.get(key)}, is {expected.get(key)}"
        for key in sorted(found.keys() | expected.keys())
        if found.get(key) != expected.get(key)
    ]


class Generations(Protocol):
    """Where generations lie, as far as a lost head is recovered from them."""

    def names(self) -> list[str]:
        """All that are there, whole or not; oldest first."""

    def manifest(self, name: str) -> GenerationManifest:
        """The manifest of one; raises ``ObjectMissing`` and ``ObjectCorrupt``."""


class HeadPointer:
    """The head, as one process sees and moves it.

    Args:
        objects: Where the head is.
        generations: From them a lost head is recovered.
    """

    def __init__(self, objects: ObjectStore, generations: Generations) -> None:
        self._objects = objects
        self._generations = generations
        self._writer = secrets.token_hex(8)
        self._version: str | None = None
        self.recovered: SkippedGeneration | None = None
        """Why the head found last had to be recovered, if so."""

    def find(self) -> Head | None:
        """The head; where it is lost or damaged, one made from the generations that are there, if any."""
        self.recovered = None
        try:
            found = self._objects.get(HEAD_KEY)
        except ObjectMissing:
            self._version = None
            return self._recover("it is missing")
        self._version = found.version
        try:
            return Head.from_bytes(found.content)
        except ObjectCorrupt as error:
            return self._recover(str(error))

    def is_mine(self, head: Head) -> bool:
        """Whether this process wrote it."""
        return head.writer == self._writer

    def require_mine(self, attempt: int) -> None:
        """Check that nobody has taken over.

        Raises:
            HeadConflict: Another process has. Not retried.
            StoreUnavailable: The head was lost under a running writer; the next attempt recovers it. Retried.
        """
        try:
            head = Head.from_bytes(self._objects.get(HEAD_KEY).content)
        except (ObjectMissing, ObjectCorrupt) as error:
            raise StoreUnavailable(
                f"the head of the checkpoints was lost while attempt {attempt} was writing ({error}); "
                "start the job again, it recovers the head from the generations that are there"
            ) from error
        if not self.is_mine(head):
            raise HeadConflict(HEAD_KEY, f"attempt {attempt}", f"attempt {head.attempt}")

    def require_no_successor(self, attempt: int) -> None:
        """Raise ``HeadConflict`` where a later attempt has taken over; for ranks that do not write the head."""
        try:
            head = Head.from_bytes(self._objects.get(HEAD_KEY).content)
        except (ObjectMissing, ObjectCorrupt):
            return
        if head.attempt > attempt:
            raise HeadConflict(HEAD_KEY, f"attempt {attempt}", f"attempt {head.attempt}")

    def move(self, head: Head) -> Head:
        """Compare-and-set the head against the one seen last; after an unclear answer look whether it moved.

        Returns:
            The head as written: with this process as its writer.

        Raises:
            HeadConflict: Another process has moved it. Not retried.
            StoreUnavailable: The disk refuses; the head may be the old or the new one. Retried.
        """
        head = replace(head, writer=self._writer)
        content = head.to_bytes()
        try:
            self._version = self._objects.compare_and_set(HEAD_KEY, content, self._version)
        except (HeadConflict, StoreUnavailable):
            version = self._version_if_mine()
            if version is None:
                raise
            # This write, or an earlier one that was reported as failed, has landed. Write once more, since what can
            # be read need not be durable.
            self._version = self._objects.compare_and_set(HEAD_KEY, content, version)
        return head

    def names(self, generation: str) -> bool:
        """Whether the head on disk may name a generation: true unless it is readable, this process's, and does not."""
        try:
            head = Head.from_bytes(self._objects.get(HEAD_KEY).content)
        except (ObjectMissing, ObjectCorrupt):
            return True
        return not self.is_mine(head) or generation in head.generations

    def _version_if_mine(self) -> str | None:
        try:
            found = self._objects.get(HEAD_KEY)
            return found.version if self.is_mine(Head.from_bytes(found.content)) else None
        except (ObjectMissing, ObjectCorrupt):
            return None

    def _recover(self, reason: str) -> Head | None:
        names, attempts, identity = [], [0], {}
        for name in self._generations.names():
            parsed = GenerationName.parse(name)
            try:
                manifest = self._generations.manifest(name)
            except (ObjectMissing, ObjectCorrupt):
                continue  # never whole, or damaged: newest_good says so of those it meets
            names.append(name)
            attempts.append(parsed.attempt if parsed is not None else 0)
            newest_manifest, identity = manifest, manifest.identity
        if not names:
            return None
        text = f"{reason}; recovered from the {len(names)} generations that are there"
        self.recovered = SkippedGeneration(HEAD_KEY, text, None)
        return Head(names[-1], newest_manifest.best, tuple(names), max(attempts), "", identity)
