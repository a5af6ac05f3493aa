"""The fault table: what a row of it is, the run that is struck, and how its recovery is measured.

Each file of tests here has ``FAULTS``, rows of the table, and one test that tries each of them. ``test_table``
compares the rows with docs/faults.md, ``test_mutations`` makes the code wrong and expects the rows that guard against
it to fail.
"""

from __future__ import annotations

import importlib.util
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from models.store import crash_points
from models.store.checkpoints import CheckpointStore
from models.store.filesystem import Filesystem, LocalFilesystem
from models.store.folders import GenerationFolders
from models.store.generations import GenerationName
from models.store.head import HEAD_KEY, Head
from models.store.mirrored import MirroredCheckpointStore
from models.store.remote_checkpoints import remote_head
from models.store.s3 import S3Objects, S3Uri, open_s3
from models.store.s3_calls import Patience

STEPS = (10, 20, 30, 40, 50, 60)
INTERVAL = 10
BEST_STEP = 30
KEEP = 3
IDENTITY = {"run_key": "r" * 8, "build_key": "b" * 8}
PLENTY_SECONDS = 60.0


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    Args:
        name: What goes wrong.
        strike: Makes it go wrong.
        lost: Intervals between saves whose steps are trained again.
        guards: What a programmer may do to the code that this row would notice; a name of ``test_mutations``.
        told: What the next attempt says it could not use: generations, or the head.
        recovers: Who must do what.
    """

    name: str
    strike: Callable[..., Any]
    lost: int
    guards: str = ""
    told: tuple[str, ...] = ()
    recovers: str = "by itself"

    def __str__(self) -> str:
        return self.name


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for ``fault`` gets each row of its file."""
    if "fault" in metafunc.fixturenames:
        metafunc.parametrize("fault", [Fault(*row) for row in metafunc.module.FAULTS], ids=str)


class Scene:
    """A run that saved steps 10, 20 … 60 and keeps three; step 30 is the best since then. Something happens to it.

    So it holds 30 (the best), 40, 50 and 60: on its disk, and where there are ``objects`` in S3 too.
    """

    def __init__(
        self, folder: Path, training: Any, filesystem: Filesystem, objects: S3Objects | None, s3_faults: Any, crash: Any
    ) -> None:
        self.folder = folder
        self.training = training
        self.filesystem = filesystem
        self.objects = objects
        self.s3_faults = s3_faults
        self.crash = crash
        self.attempt = 1
        self.reached_step = STEPS[-1]
        """How far training had come when it was struck."""
        self.heads: dict[int, bytes] = {}
        """The head after each save."""
        self.writer = self.open(CheckpointStore)
        for step in STEPS:
            self.save(self.writer, step, min(step, BEST_STEP))
            self.heads[step] = (self.root / HEAD_KEY).read_bytes()
        if objects is not None:
            self._copy_to_s3()
            self.writer = self.begin()

    @property
    def root(self) -> Path:
        """The checkpoints on disk."""
        return self.folder / "run" / "checkpoints"

    @property
    def newest(self) -> Path:
        """The newest generation on disk."""
        return self.root / "step-000000060-a1"

    def open(self, kind: type[CheckpointStore] | None = None, *, attempt: int | None = None) -> Any:
        """A store of this attempt that has taken over."""
        common: dict[str, Any] = {"attempt": attempt or self.attempt, "keep": KEEP, "identity": IDENTITY}
        if kind is CheckpointStore or self.objects is None:
            store = CheckpointStore(self.root, filesystem=self.filesystem, **common)
        else:
            self.root.mkdir(parents=True, exist_ok=True)
            store = MirroredCheckpointStore(self.root, self.objects, retry_seconds=0.05, **common)
        store.take_over()
        return store

    def begin(self) -> Any:
        """The next attempt."""
        self.attempt += 1
        return self.open()

    def save(self, store: Any, step: int, best_step: int | None) -> None:
        """Save a step, on disk."""
        self.training.save(store, step, best_step)

    def send(self, store: Any, step: int, best_step: int | None) -> None:
        """Save a step, wherever it is kept."""
        self.save(store, step, best_step)
        if self.objects is not None:
            assert store.settle(PLENTY_SECONDS), store.problem

    def die_at(self, point: str, occurrence: int = 1) -> None:
        """The attempt saves step 70, the best of all, and dies at this point."""
        left = occurrence

        def die(reached: str) -> None:
            nonlocal left
            left -= reached == point
            if not left and reached == point:
                raise self.crash(point)

        crash_points.observe(die)
        with pytest.raises(self.crash, match=point):
            self.send(self.writer, 70, 70)
        crash_points.observe(None)
        self.reached_step = 70

    def lose_unsynced(self) -> None:
        """The power goes: what was not synced is lost."""
        self.filesystem.crash(None)  # type: ignore[attr-defined]
        self.filesystem = LocalFilesystem()

    def lose_disk(self) -> None:
        """The next attempt finds an empty disk."""
        shutil.rmtree(self.root, ignore_errors=True)

    def check_whole(self) -> None:
        """All that the heads name is whole, here and in S3, and nothing else lies about."""
        head = Head.from_bytes((self.root / HEAD_KEY).read_bytes())
        folders = GenerationFolders(self.root, LocalFilesystem())
        for name in head.generations:
            folders.verify(name)
        if self.objects is None:
            assert sorted(head.generations) == sorted(path.name for path in self.root.glob("step-*"))
        else:
            self.check_s3()
            there = {key.split("/")[1] for key in self.objects.list("checkpoints/step-")}
            assert there == set(remote_head(self.objects).generations)

    def check_s3(self) -> None:
        """All that the head in S3 names is there, newest and best as saved; no manifest stands for too little."""
        head = remote_head(self.objects)
        for name in {head.newest, head.best} - {None}:
            step = GenerationName.parse(name).step
            for part in self.training.parts:
                assert self.objects.get(f"checkpoints/{name}/{part}").content == self.training.content(step, part)
        keys = set(self.objects.list("checkpoints/step-"))
        manifests = {key for key in keys if key.endswith("/manifest.json")}
        assert {f"checkpoints/{name}/manifest.json" for name in head.generations} <= manifests
        for manifest in manifests:
            folder = manifest.rpartition("/")[0]
            assert {f"{folder}/{part}" for part in self.training.parts} <= keys

    def recover(self, fault: Fault) -> None:
        """The next attempt goes on as the row says, and the ones after it find nothing wrong."""
        store = self.begin()
        loaded = store.newest_good()
        step, best_step = (loaded.step, loaded.best_step) if loaded is not None else (0, None)
        if loaded is not None:
            self.training.check(loaded)
        assert (self.reached_step - step) // INTERVAL == fault.lost
        assert tuple(entry.name for entry in store.skipped) == fault.told
        assert all(entry.reason for entry in store.skipped)
        self.send(store, step + INTERVAL, best_step)
        self.check_whole()
        for is_disk_lost in (False, True) if self.objects is not None else (False,):
            if is_disk_lost:
                self.lose_disk()
            again = self.begin()
            reloaded = again.newest_good()
            assert reloaded is not None
            assert (reloaded.step, reloaded.best_step, again.skipped) == (step + INTERVAL, best_step, [])
            self.training.check(reloaded)
        assert not (self.folder / "exploded").exists()

    def _copy_to_s3(self) -> None:
        """As the mirror would have left them; that these are the same keys and bytes is a test of its own."""
        for path in self.root.rglob("*"):
            name = path.relative_to(self.root).as_posix()
            if path.is_file() and not name.startswith("."):
                self.objects.put(f"checkpoints/{name}", path.read_bytes())


@pytest.fixture(scope="session")
def s3_bucket(s3_server: str) -> S3Objects:
    """A bucket; made once, because making a client of AWS takes longer than most of these tests."""
    import boto3

    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name="us-east-1")
    patience = Patience(total_seconds=0.3, first_pause_seconds=0.01, longest_pause_seconds=0.05)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", s3_server)
        objects = open_s3(S3Uri(f"faults-{secrets.token_hex(6)}", ""), session=session, patience=patience)
    objects._client.create_bucket(Bucket=objects.uri.bucket)
    return objects


@pytest.fixture
def s3_objects(s3_bucket: S3Objects) -> S3Objects:
    """A prefix of this test's own."""
    return s3_bucket.child(f"code/{secrets.token_hex(6)}")


@pytest.fixture
def disk_scene(tmp_path: Path, training: Any, lossy_filesystem: Any, crash: Any) -> Scene:
    """A run whose checkpoints are on a disk that forgets what was not synced."""
    return Scene(tmp_path, training, lossy_filesystem(tmp_path), None, None, crash)


@pytest.fixture
def plain_scene(tmp_path: Path, training: Any, crash: Any) -> Scene:
    """The same on a disk as it is; for several processes."""
    return Scene(tmp_path, training, LocalFilesystem(), None, None, crash)


@pytest.fixture
def s3_scene(tmp_path: Path, training: Any, s3_objects: S3Objects, s3_faults: Any, crash: Any) -> Scene:
    """A run whose checkpoints are mirrored to S3; its second attempt has begun."""
    return Scene(tmp_path, training, LocalFilesystem(), s3_objects, s3_faults, crash)


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"fault_table_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fault_table() -> dict[str, list[Fault]]:
    """All rows, by the name of the file that tries them."""
    files = ("test_disk.py", "test_refusals.py", "test_writers.py", "test_s3.py", "test_outages.py")
    return {name: [Fault(*row) for row in _loaded(Path(__file__).with_name(name)).FAULTS] for name in files}
