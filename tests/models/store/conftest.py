"""A disk that forgets what was not synced, and a small training that saves on it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from models.store import crash_points
from models.store.checkpoints import CheckpointStore, LoadedGeneration
from models.store.filesystem import Filesystem, LocalFilesystem

IDENTITY = {"run_key": "r" * 8, "build_key": "b" * 8}


class Crash(BaseException):
    """The process died here; no handler of the code under test sees it."""


@dataclass
class File:
    content: bytes
    durable: bytes = b""


@dataclass
class Folder:
    entries: dict[str, File | Folder] = field(default_factory=dict)
    durable: dict[str, File | Folder] = field(default_factory=dict)


class LossyFilesystem(LocalFilesystem):
    """Works on a real folder, and remembers which bytes and names a power cut would leave.

    Syncing a file keeps its bytes, syncing a folder keeps the names in it: nothing else is promised. What was not
    synced is lost (``crash(None)``), or survives in part, each name and each file by the seed's lot (``crash(seed)``).
    """

    def __init__(self, top: Path) -> None:
        self.top = top
        self.tree = Folder()
        self.num_operations = 0
        self.die_before: int | None = None
        self.dropped: Callable[[str, Path], bool] = lambda operation, path: False

    def write(self, path: Path, content: bytes) -> None:
        if self._begins("write", path):
            folder = self._folder(path.parent)
            present = folder.entries.get(path.name)
            if isinstance(present, File):
                present.content = content
            else:
                folder.entries[path.name] = File(content)
            super().write(path, content)

    def sync(self, path: Path) -> None:
        if self._begins("sync", path):
            node = self._folder(path.parent).entries[path.name]
            assert isinstance(node, File)
            node.durable = node.content

    def sync_folder(self, path: Path) -> None:
        if self._begins("sync_folder", path) and path.is_relative_to(self.top):
            folder = self._folder(path)
            folder.durable = dict(folder.entries)

    def replace(self, source: Path, target: Path) -> None:
        if self._begins("replace", target):
            super().replace(source, target)
            self._folder(target.parent).entries[target.name] = self._folder(source.parent).entries.pop(source.name)

    def make_folder(self, path: Path) -> None:
        if self._begins("make_folder", path):
            super().make_folder(path)
            folder = self.tree
            for name in path.relative_to(self.top).parts:
                made = folder.entries.setdefault(name, Folder())
                assert isinstance(made, Folder)
                folder = made

    def remove_file(self, path: Path) -> None:
        if self._begins("remove_file", path):
            super().remove_file(path)
            self._folder(path.parent).entries.pop(path.name, None)

    def remove_tree(self, path: Path) -> None:
        if self._begins("remove_tree", path):
            super().remove_tree(path)
            if path.parent == self.top or path.parent.exists():
                removed = self._folder(path.parent).entries.pop(path.name, None)
                _forget_entries(removed)

    def crash(self, seed: int | None) -> None:
        """Leave on disk what a power cut leaves."""
        self.tree = _survivor(self.tree, random.Random(seed) if seed is not None else None)
        self.die_before = None
        for entry in self.top.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        _materialise(self.tree, self.top)

    def _begins(self, operation: str, path: Path) -> bool:
        if self.die_before is not None and self.num_operations >= self.die_before:
            raise Crash(f"before {operation} {path}")
        self.num_operations += 1
        return not self.dropped(operation, path)

    def _folder(self, path: Path) -> Folder:
        folder = self.tree
        for name in path.relative_to(self.top).parts:
            inner = folder.entries[name]
            assert isinstance(inner, Folder)
            folder = inner
        return folder


def _forget_entries(node: File | Folder | None) -> None:
    if isinstance(node, Folder):
        for inner in node.entries.values():
            _forget_entries(inner)
        node.entries = {}


def _survivor(node: File | Folder, lot: random.Random | None):
    if isinstance(node, File):
        content = node.durable
        if lot is not None and node.content != node.durable:
            prefix = node.content[: lot.randrange(len(node.content) + 1)]
            content = lot.choice([node.durable, node.content, prefix, bytes(len(node.content))])
        return File(content, content)
    survivors = {}
    for name in sorted(node.entries.keys() | node.durable.keys()):
        now, durable = node.entries.get(name), node.durable.get(name)
        kept = lot.choice([now, durable]) if lot is not None else durable
        if kept is not None:
            survivors[name] = _survivor(kept, lot)
    return Folder(survivors, dict(survivors))


def _materialise(folder: Folder, path: Path) -> None:
    for name, node in folder.entries.items():
        if isinstance(node, File):
            (path / name).write_bytes(node.content)
        else:
            (path / name).mkdir()
            _materialise(node, path / name)


class SmallTraining:
    """Saves two parts a step, as two ranks would; bytes and metadata are functions of the step alone."""

    parts = ("weights.safetensors", "random-1.json")

    @staticmethod
    def content(step: int, part: str) -> bytes:
        return random.Random(f"{step}/{part}").randbytes(40 + step % 7)

    @staticmethod
    def metadata(step: int) -> dict[str, object]:
        return {"step": step, "history": [float(n) for n in range(step % 5)]}

    @staticmethod
    def store(root: Path, attempt: int, keep: int = 2, filesystem: Filesystem | None = None) -> CheckpointStore:
        return CheckpointStore(root, attempt=attempt, keep=keep, identity=IDENTITY, filesystem=filesystem)

    def save(self, store: CheckpointStore, step: int, best_step: int | None):
        for part in self.parts:
            store.write_part(step, part, self.content(step, part))
        return store.publish(step, best_step=best_step, metadata=self.metadata(step), parts=self.parts)

    def check(self, loaded: LoadedGeneration) -> None:
        """Everything in it, and in the best one it names, is what was written for that step."""
        assert loaded.metadata == self.metadata(loaded.step)
        assert set(loaded.parts) == set(self.parts)
        for part in self.parts:
            assert loaded.read(part) == self.content(loaded.step, part)
            if loaded.best_step is not None:
                assert loaded.read_best(part) == self.content(loaded.best_step, part)
        assert (loaded.best_name is None) == (loaded.best_step is None)


@pytest.fixture(scope="session")
def lossy_filesystem() -> type[LossyFilesystem]:
    return LossyFilesystem


@pytest.fixture(scope="session")
def crash() -> type[Crash]:
    return Crash


@pytest.fixture(scope="session")
def training() -> SmallTraining:
    return SmallTraining()


@pytest.fixture(autouse=True)
def no_observer_left() -> Iterator[None]:
    yield
    crash_points.observe(None)
