"""The copy of a run directory in S3, seen from here: whether it is finished, how far it is, and how it comes home."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.errors import ObjectCorrupt, ObjectMissing
from models.jobs.contract import MANIFEST_FILE, OUTCOME_FILE, PROGRESS_FILE, RECORD_FILE, SETTINGS_FILE
from models.jobs.layout import BUILD_FILE, CHECKPOINTS_FOLDER, RunPlan
from models.jobs.provenance import EXPERIMENT_FILE
from models.jobs.question import QUESTION_FILE
from models.settings.fields import Settings
from models.store.filesystem import LocalFilesystem, disk_errors, write_synced
from models.store.generations import GenerationName
from models.store.head import HEAD_KEY, Head
from models.store.manifest import FileDigest, Manifest, inside, parse_manifest, verify_file
from models.store.s3 import S3Objects, S3Uri

UNLISTED_FILES = (RECORD_FILE, OUTCOME_FILE, QUESTION_FILE, BUILD_FILE, EXPERIMENT_FILE, PROGRESS_FILE)
"""What a finished run has beside the files of its manifest."""
NO_STEP = -1
RUNS_FOLDER = "runs"


def question_uri(store: S3Uri, plan: RunPlan) -> S3Uri:
    """Where all runs of the question of ``plan`` are mirrored: by its key alone, since a label holds a day."""
    return store / f"{RUNS_FOLDER}/{plan.kind}/{plan.run_key[:12]}"


def run_uri(store: S3Uri, plan: RunPlan) -> S3Uri:
    """Where the run of ``plan`` is mirrored."""
    return question_uri(store, plan) / plan.run_path.name


@dataclass(frozen=True)
class RemoteRunState:
    """How a run stands in S3.

    Args:
        finished: Whether its manifest is there.
        newest_step: Step of its newest checkpoint; -1 where there is none.
        unfinished_others: A checkpoint of each unfinished run of the same question by another build, by the name of its
            folder.
    """

    finished: bool
    newest_step: int
    unfinished_others: dict[str, str] = field(default_factory=dict)


class RemoteRun:
    """The mirror of one run directory.

    Args:
        question: Where all runs of its question lie.
        name: Name of its folder there.
    """

    def __init__(self, question: S3Objects, name: str) -> None:
        self._question = question
        self._name = name
        self._objects = question.child(name)

    def state(self) -> RemoteRunState:
        """How the run stands, and others of its question; one call, and another where there are checkpoints.

        Raises:
            CloudRefused: no rights, no such bucket. Not retried.
            StoreUnavailable: S3 does not answer. Retried.
        """
        keys = {tuple(key.split("/")) for key in self._question.list()}
        head = (self._name, CHECKPOINTS_FOLDER, HEAD_KEY)
        others = {
            key[0]: key[2]
            for key in sorted(keys)
            if len(key) > 3
            and key[1] == CHECKPOINTS_FOLDER
            and key[0] != self._name
            and (key[0], MANIFEST_FILE) not in keys
        }
        step = self._step("/".join(head[1:])) if head in keys else NO_STEP
        return RemoteRunState((self._name, MANIFEST_FILE) in keys, step, others)

    def note_other_builds(self, plan: RunPlan, others: Mapping[str, str]) -> tuple[Path, list[str]] | None:
        """Note here what unfinished runs of other builds there are, so that planning finds them as its own.

        Returns:
            The directory of one of them, and how its build differs; ``None`` where none can be gone on with.
        """
        found = None
        for name, checkpoint in others.items():
            try:
                content = self._question.get(f"{name}/{BUILD_FILE}").content
            except ObjectMissing:
                continue
            path = plan.run_path.with_name(name)
            (path / CHECKPOINTS_FOLDER / checkpoint).mkdir(parents=True, exist_ok=True)  # empty: its bytes stay there
            (path / BUILD_FILE).write_bytes(content)
            found = path, plan.build.differences(json.loads(content))
        return found

    def fetch(self, run_path: Path, settings: Settings, run_key: str) -> None:
        """Bring the finished run home: files by their sha256, the manifest last. Several may do it at once.

        The settings are written as they are here: the job was given other paths.

        Args:
            run_path: The run directory here.
            settings: Settings of the job.
            run_key: The question that the run answers.

        Raises:
            ObjectMissing: there is no manifest, or a file of it is gone. Not retried.
            ObjectCorrupt: a file is not what its manifest says, or the run answers another question. Not retried.
            StoreUnavailable: S3 or the disk does not answer. Retried.
        """
        content = self._objects.get(MANIFEST_FILE).content
        with disk_errors(run_path):
            temporary = Path(tempfile.mkdtemp(prefix=".fetch-", dir=run_path))
        try:
            manifest = parse_manifest(f"{self._objects.uri}/{MANIFEST_FILE}", content)
            if manifest.run_key != run_key:
                raise ObjectCorrupt(str(self._objects.uri), f"run {run_key[:12]}", f"run {manifest.run_key[:12]}")
            self._fetch_files(manifest, run_path)
            self._fetch_unlisted(run_path, temporary, settings, self._objects.list())
            write_synced(LocalFilesystem(), run_path / MANIFEST_FILE, content, temp_folder=temporary / "last")
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _fetch_files(self, manifest: Manifest, run_path: Path) -> None:
        for name, expected in manifest.files.items():
            path = inside(run_path, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if not _is_here(path, expected):
                self._objects.get_file(name, path, expected)

    def _fetch_unlisted(self, run_path: Path, temporary: Path, settings: Settings, keys: Collection[str]) -> None:
        told = settings.model_dump(mode="json")
        contents = {name: self._objects.get(name).content for name in UNLISTED_FILES if name in keys}
        if EXPERIMENT_FILE in contents:
            contents[EXPERIMENT_FILE] = _json(self._experiment(contents[EXPERIMENT_FILE]) | {"settings": told})
        contents[SETTINGS_FILE] = _json(told)
        for name, content in contents.items():
            write_synced(LocalFilesystem(), run_path / name, content, temp_folder=temporary / "unlisted")

    def _experiment(self, content: bytes) -> dict[str, Any]:
        try:
            return dict(json.loads(content))
        except (ValueError, TypeError) as error:
            raise ObjectCorrupt(f"{self._objects.uri}/{EXPERIMENT_FILE}", "a JSON object", str(error)) from None

    def _step(self, head_key: str) -> int:
        """Step that the head names; none where it is damaged, until the job recovers it."""
        try:
            head = Head.from_bytes(self._objects.get(head_key).content)
        except (ObjectMissing, ObjectCorrupt):
            return NO_STEP
        name = GenerationName.parse(head.newest) if head.newest is not None else None
        return name.step if name is not None else NO_STEP


def _is_here(path: Path, expected: FileDigest) -> bool:
    try:
        verify_file(path, expected)
    except (ObjectMissing, ObjectCorrupt):
        return False
    return True


def _json(value: object) -> bytes:
    """As the job itself writes its files."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()
