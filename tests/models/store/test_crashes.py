"""A run that dies anywhere, on a disk that forgets what was not synced, and the mutations this would catch.

``survive`` is the property. ``sweep`` tries it with a death before every single filesystem operation of a fixed run,
which is what the mutations are measured with: each must turn it red.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import StoreError
from models.store import checkpoints, crash_points, folders, objects
from models.store.checkpoints import CheckpointStore
from models.store.folders import GenerationFolders
from models.store.generations import GenerationName
from models.store.head import HeadPointer

STORE_POINTS = [point for point in crash_points.CRASH_POINTS if point not in ("mid-step", "evaluation")]


@dataclass(frozen=True)
class Death:
    """Where an attempt dies, and what of the unsynced survives (a seed; ``None``: nothing)."""

    operation: int | None = None
    point: str | None = None
    occurrence: int = 0
    survival_seed: int | None = None


class Violation(AssertionError):
    """The property does not hold."""


class Survival:
    """Runs attempts until each dies, checking after each death what is found."""

    def __init__(self, lossy_filesystem, crash, training, drop=None) -> None:
        self.lossy_filesystem, self.crash, self.training = lossy_filesystem, crash, training
        self.drop = drop
        self.hits: list[str] = []

    def survive(self, keep: int, attempts: list[tuple[list[bool], Death]]) -> int:
        """The property; returns the operations of the last attempt."""
        # What survives is the double's to say, so a folder in memory will do.
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").exists() else None) as folder:
            filesystem = self.lossy_filesystem(Path(folder))
            if self.drop is not None:
                filesystem.dropped = self.drop
            root = filesystem.top / "run" / "checkpoints"
            returned_step = 0
            for attempt, (improvements, death) in enumerate(attempts, start=1):
                filesystem.num_operations = 0
                returned: list[int] = []
                self._attempt(filesystem, root, attempt, keep, improvements, death, returned)
                filesystem.crash(death.survival_seed)
                returned_step = max([returned_step, *returned])
                self._check(root, attempt, returned_step)
            return filesystem.num_operations

    def _attempt(self, filesystem, root, attempt, keep, improvements, death, returned) -> None:
        filesystem.die_before = death.operation
        seen: list[str] = []

        def die(point: str) -> None:
            seen.append(point)
            if point == death.point and seen.count(point) > death.occurrence:
                raise self.crash(point)

        crash_points.observe(die)
        try:
            store = self.training.store(root, attempt, keep, filesystem)
            store.take_over()
            loaded = store.newest_good()
            step, best_step = (loaded.step, loaded.best_step) if loaded is not None else (0, None)
            for improved in improvements:
                step += 1
                best_step = step if improved else best_step
                self.training.save(store, step, best_step)
                returned.append(step)
        except self.crash as death_seen:
            self.hits.append(str(death_seen))
        finally:
            crash_points.observe(None)

    def _check(self, root: Path, attempt: int, returned_step: int) -> None:
        try:
            self._check_found(root, attempt, returned_step)
        except (AssertionError, StoreError) as error:
            raise Violation(str(error)) from error

    def _check_found(self, root: Path, attempt: int, returned_step: int) -> None:
        reader = self.training.store(root, attempt + 1)
        loaded = reader.newest_good()
        assert reader.skipped == [], f"a death alone damaged what the head names: {reader.skipped}"
        found_step = loaded.step if loaded is not None else 0
        assert found_step >= returned_step, f"step {returned_step} was published, step {found_step} found"
        if loaded is not None:
            self.training.check(loaded)
        _check_manifests(root, loaded.name if loaded is not None else None)


def _check_manifests(root: Path, newest: str | None) -> None:
    """What a lost head would be recovered from: from the newest on, a manifest stands for a whole generation."""
    generations = GenerationFolders(root, checkpoints.LocalFilesystem())
    for name in generations.names():
        has_manifest = (root / name / "manifest.json").exists()
        if has_manifest and (newest is None or GenerationName.parse(name) >= GenerationName.parse(newest)):
            generations.verify(name)


@pytest.fixture
def survival(lossy_filesystem, crash, training) -> Survival:
    return Survival(lossy_filesystem, crash, training)


deaths = st.builds(
    Death,
    operation=st.one_of(st.none(), st.integers(0, 130)),
    point=st.one_of(st.none(), st.sampled_from(STORE_POINTS)),
    occurrence=st.integers(0, 5),
    survival_seed=st.one_of(st.none(), st.integers(0, 10_000)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keep=st.integers(1, 3),
    attempts=st.lists(st.tuples(st.lists(st.booleans(), min_size=1, max_size=5), deaths), min_size=1, max_size=5),
)
def test_whatever_was_published_is_found_whole_after_any_deaths(survival, keep, attempts):
    survival.survive(keep, attempts)


FIRST_RUN = ([True, False, True, False], Death())
"""An attempt that ends undisturbed (then the power goes), before the one that dies."""


def sweep(survival: Survival, keep: int) -> None:
    """Die before each operation of a first and of a second attempt, with three kinds of survival."""
    second = [True, False, False]
    num_operations = survival.survive(keep, [FIRST_RUN, (second, Death())])
    for operation in range(num_operations + 1):
        for seed in (None, operation, 1000 + operation):
            death = Death(operation=operation, survival_seed=seed)
            survival.survive(keep, [(second, death), (second, Death())])
            survival.survive(keep, [FIRST_RUN, (second, death)])


@pytest.mark.parametrize("keep", [1, 2])
def test_a_death_before_each_single_operation_is_survived(survival, keep):
    sweep(survival, keep)
    assert len(survival.hits) > 100


@pytest.mark.parametrize("point", STORE_POINTS)
def test_every_named_point_of_the_store_is_reached_by_a_run(survival, point):
    survival.survive(1, [FIRST_RUN, ([True, False], Death(point=point))])
    assert survival.hits == [point]


# Mutations: the code made wrong in one place. If the sweep stayed green, it would guard nothing.


def _drop_file_sync(operation: str, path: Path) -> bool:
    return operation == "sync"


def _drop_part_sync(operation: str, path: Path) -> bool:
    return operation == "sync" and path.name == "weights.safetensors"


def _drop_head_sync(operation: str, path: Path) -> bool:
    return operation == "sync" and path.name == "head.json"


def _drop_staging_folder_sync(operation: str, path: Path) -> bool:
    return operation == "sync_folder" and path.parent.name == ".staging"


def _drop_root_sync(operation: str, path: Path) -> bool:
    return operation == "sync_folder" and path.name == "checkpoints"


def _drop_run_folder_sync(operation: str, path: Path) -> bool:
    return operation == "sync_folder" and path.name == "run"


@pytest.mark.parametrize(
    ("drop", "what"),
    [
        (_drop_file_sync, "the head names"),
        (_drop_part_sync, "weights.safetensors' is damaged"),
        (_drop_head_sync, "'head.json' is damaged"),
        (_drop_staging_folder_sync, "no object"),
        (_drop_root_sync, "step 0 found"),
        (_drop_run_folder_sync, "step 0 found"),
    ],
)
def test_mutation_a_dropped_sync_turns_the_sweep_red(survival, drop, what):
    survival.drop = drop
    _assert_red(survival, what)


def test_mutation_the_manifest_before_its_parts_turns_the_sweep_red(survival, monkeypatch):
    def complete(self, staged, manifest) -> None:
        first, final = self._staging / "first" / str(staged), self._root / manifest.name
        self._filesystem.make_folder(first)
        path = first / "manifest.json"
        folders.write_synced(self._filesystem, path, manifest.to_bytes(), temp_folder=self._partial(staged))
        self._filesystem.sync_folder(first)
        self._filesystem.replace(first, final)
        for part in manifest.files:
            self._filesystem.replace(self._staging / str(staged) / part, final / part)
        self._filesystem.sync_folder(final)
        self._filesystem.sync_folder(self._root)

    monkeypatch.setattr(GenerationFolders, "complete", complete)
    _assert_red(survival, "no object .*(weights|random-1)")


def test_mutation_the_head_moved_before_its_generation_is_whole_turns_the_sweep_red(survival, monkeypatch):
    complete, move = GenerationFolders.complete, HeadPointer.move

    def completed_late(self, *args) -> None:
        self.waiting = args

    def moved_early(self, head):
        moved = move(self, head)
        waiting = self._generations.__dict__.pop("waiting", None)
        if waiting is not None:
            complete(self._generations, *waiting)
        return moved

    monkeypatch.setattr(GenerationFolders, "complete", completed_late)
    monkeypatch.setattr(HeadPointer, "move", moved_early)
    _assert_red(survival, "the head names")


def test_mutation_collecting_before_the_head_moves_turns_the_sweep_red(survival, monkeypatch):
    move = HeadPointer.move

    def collected_first(self, head):
        for name in self._generations.names():
            if name not in head.generations:
                self._generations.remove(name)
        return move(self, head)

    monkeypatch.setattr(HeadPointer, "move", collected_first)
    _assert_red(survival, "the head names")


def test_mutation_writing_in_place_turns_the_sweep_red(survival, monkeypatch):
    def in_place(filesystem, path, content, *, temp_folder) -> None:
        filesystem.write(path, content)
        filesystem.sync(path)

    monkeypatch.setattr(objects, "write_synced", in_place)
    _assert_red(survival, "the head names")


def test_mutation_collecting_the_best_turns_the_sweep_red(survival, monkeypatch):
    collect = CheckpointStore._collect
    monkeypatch.setattr(CheckpointStore, "_collect", lambda self, kept: collect(self, list(kept)[-1:]))
    _assert_red(survival, "the head names")


def _assert_red(survival: Survival, what: str) -> None:
    with pytest.raises(Violation, match=what):
        sweep(survival, keep=1)
