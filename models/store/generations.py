"""What a generation of a checkpoint is: its name, its manifest, and how it looks to those who saved or resume.

How generations lie on disk belongs to ``folders``, which of them count to ``checkpoints``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.errors import ObjectCorrupt, ObjectMissing
from models.store.manifest import FileDigest, parse_files
from models.store.sealed import seal

_NAME = re.compile(r"step-(?P<step>\d{9,})-a(?P<attempt>\d+)(-r(?P<repeat>\d+))?")


@dataclass(frozen=True, order=True)
class GenerationName:
    """Name of a generation; sorted by who wrote it, then by step: a later attempt knows better.

    Args:
        attempt: The attempt that wrote it.
        step: Optimiser steps done.
        repeat: 0, or how often this attempt has saved this step before.
    """

    attempt: int
    step: int
    repeat: int = 0

    def __str__(self) -> str:
        return f"step-{self.step:09d}-a{self.attempt}" + (f"-r{self.repeat}" if self.repeat else "")

    @classmethod
    def parse(cls, name: str) -> GenerationName | None:
        """The parts of a name; ``None`` if it is not a generation's."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        return cls(int(match["attempt"]), int(match["step"]), int(match["repeat"] or 0))


def in_order(names: Iterable[str]) -> list[str]:
    """Names of generations, oldest first; what is no such name is left out."""
    parsed = [GenerationName.parse(name) for name in names]
    return [str(name) for name in sorted(name for name in parsed if name is not None)]


@dataclass(frozen=True)
class GenerationManifest:
    """What a generation is and holds.

    Args:
        name: Its name.
        step: Optimiser steps done.
        best_step: The best step so far, if any.
        best: Name of the generation of that step, perhaps this one.
        identity: Digests of the run it belongs to.
        metadata: JSON of the engine.
        files: Its parts.
    """

    name: str
    step: int
    best_step: int | None
    best: str | None
    identity: dict[str, str]
    metadata: dict[str, Any]
    files: dict[str, FileDigest]

    def to_bytes(self) -> bytes:
        """The document: equal manifests give equal bytes."""
        return seal(asdict(self))

    @classmethod
    def from_body(cls, key: str, body: Mapping[str, Any]) -> GenerationManifest:
        """The manifest in a sealed document; raises ``ObjectCorrupt`` where its fields are others."""
        try:
            return cls(**{**body, "files": parse_files(body["files"])})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ObjectCorrupt(key, "the fields of a generation's manifest", repr(error)) from error


@dataclass(frozen=True)
class SkippedGeneration:
    """Something that could not be resumed from.

    Args:
        name: The generation, or ``head.json``.
        reason: What is wrong with it, for log and record.
        step: Its step, where it is a generation.
    """

    name: str
    reason: str
    step: int | None

    def __str__(self) -> str:
        return f"{self.name} was skipped: {self.reason}"


@dataclass(frozen=True)
class Generation:
    """A generation that was published.

    Args:
        step: Optimiser steps done.
        name: Its name.
        path: Its folder.
        best_name: The generation of the best step so far.
        problem: Why old generations could not be removed, if so. This one is safe, but the disk fills: tell a person.
    """

    step: int
    name: str
    path: Path
    best_name: str | None
    problem: str | None = None


@dataclass(frozen=True)
class LoadedGeneration:
    """A generation whose bytes, and those of the best one it names, were verified.

    Args:
        step: Optimiser steps done.
        name: Its name.
        path: Its folder.
        metadata: JSON of the engine.
        parts: Names of its parts.
        best_step: The best step so far.
        best_name: The generation of that step, perhaps this one.
        best_path: Its folder.
        skipped: What was newer and could not be used, newest first; also a head that had to be recovered.
    """

    step: int
    name: str
    path: Path
    metadata: dict[str, Any]
    parts: tuple[str, ...]
    best_step: int | None
    best_name: str | None
    best_path: Path | None
    skipped: list[SkippedGeneration]
    _read: Callable[[str, str], bytes] = field(repr=False)

    def read(self, part: str) -> bytes:
        """The bytes of a part, verified again. Raises ``ObjectMissing``, ``ObjectCorrupt``, ``StoreUnavailable``."""
        return self._read(self.name, part)

    def read_best(self, part: str) -> bytes:
        """The same of the best generation; ``ObjectMissing`` where there is none yet."""
        if self.best_name is None:
            raise ObjectMissing(f"best generation of {self.name}")
        return self._read(self.best_name, part)
