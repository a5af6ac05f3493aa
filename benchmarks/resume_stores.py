"""Where the certificate's runs keep their checkpoints: on this disk, or in S3 too, on machines that vanish."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any, Protocol

from models.jobs.placement import Placement
from models.settings.train import CheckpointSettings, TrainSettings
from models.store import head
from models.store.crash_points import CRASH_POINTS, REMOTE_CRASH_POINTS
from models.store.generations import GenerationName
from models.store.head import HEAD_KEY, Head
from models.store.remote_checkpoints import remote_head
from models.store.s3 import S3Objects

LOST_DISK_SHARE = 0.7
"""Share of attempts that begin on a new machine, as after a reclaim of a Spot machine."""
NOTICE_SECONDS = 20.0


class ResumeStore(Protocol):
    """Where the runs of a certificate keep their checkpoints."""

    points: tuple[str, ...]
    """Named points at which the writer can be hit."""

    def settings(self, settings: TrainSettings) -> TrainSettings:
        """The run, as it is trained with this store."""
        ...

    def placement(self, run_path: Path) -> Placement:
        """What the run is told of its place."""
        ...

    def newest_step(self, run_path: Path) -> int:
        """The step that the next attempt begins at; 0 before the first checkpoint."""
        ...

    def lose_disk(self, run_path: Path, rng: random.Random) -> bool:
        """Take the disk away now and then, after an attempt that was hit; whether it was."""
        ...

    def kept_elsewhere(self, run_path: Path) -> dict[str, bytes] | None:
        """What a finished run left beside its disk, by name; ``None``: nothing is kept elsewhere."""
        ...


class DiskStore:
    """The disk alone: every attempt finds what the one before left."""

    points = CRASH_POINTS

    def settings(self, settings: TrainSettings) -> TrainSettings:
        """As they are."""
        return settings

    def placement(self, run_path: Path) -> Placement:  # noqa: ARG002  the store's interface
        """Nothing is said."""
        return Placement()

    def newest_step(self, run_path: Path) -> int:
        """By the head on disk."""
        return head.published_step(run_path / "checkpoints") or 0

    def lose_disk(self, run_path: Path, rng: random.Random) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def kept_elsewhere(self, run_path: Path) -> dict[str, bytes] | None:  # noqa: ARG002
        """Nothing is kept elsewhere."""
        return None


class S3Store:
    """Disk and S3; most attempts begin on a machine that has nothing.

    Args:
        objects: Prefix for the runs.
        region: AWS region.
    """

    points = CRASH_POINTS + REMOTE_CRASH_POINTS

    def __init__(self, objects: S3Objects, region: str) -> None:
        self._objects = objects
        self._region = region

    def settings(self, settings: TrainSettings) -> TrainSettings:
        """Training goes on for one step at most while a generation is being sent: that bounds what a reclaim costs."""
        checkpoints = CheckpointSettings(**{**settings.checkpoints.model_dump(), "overlap_steps": 1})
        return settings.model_copy(update={"checkpoints": checkpoints})

    def placement(self, run_path: Path) -> Placement:
        """Its mirror."""
        uri = str(self._objects.uri / self._name(run_path))
        return Placement(run_uri=uri, region=self._region, notice_seconds=NOTICE_SECONDS)

    def newest_step(self, run_path: Path) -> int:
        """By both heads: what survived on disk may be newer than what had been sent."""
        return max(head.published_step(run_path / "checkpoints") or 0, self._remote_step(run_path))

    def lose_disk(self, run_path: Path, rng: random.Random) -> bool:
        """As a machine that was taken away."""
        if rng.random() >= LOST_DISK_SHARE:
            return False
        shutil.rmtree(run_path, ignore_errors=True)
        return True

    def kept_elsewhere(self, run_path: Path) -> dict[str, bytes] | None:
        """The run's files and last checkpoint as S3 has them."""
        objects = self._objects.child(self._name(run_path))
        manifest: dict[str, Any] = json.loads((run_path / "manifest.json").read_bytes())
        newest = Head.from_bytes(objects.get(f"checkpoints/{HEAD_KEY}").content).newest
        kept = {name: objects.get(name).content for name in [*manifest["files"], "manifest.json"]}
        for key in objects.list(f"checkpoints/{newest}/"):
            if not key.endswith("/manifest.json"):
                kept[f"last checkpoint/{key.rpartition('/')[2]}"] = objects.get(key).content
        return kept

    def _remote_step(self, run_path: Path) -> int:
        found = remote_head(self._objects.child(self._name(run_path)))
        name = GenerationName.parse(found.newest) if found is not None and found.newest is not None else None
        return name.step if name is not None else 0

    def _name(self, run_path: Path) -> str:
        return f"{run_path.parent.name}/{run_path.name}"
