"""The code made wrong in one place: every row of the fault table that guards against it must fail.

A mutation is text that replaces text in a copy of the package. The rows run on that copy in a process of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
HERE = Path(__file__).resolve().parent.relative_to(ROOT)
STORE = "models/store"


@dataclass(frozen=True)
class Mutation:
    """Args: name: What is done, as rows say it. edits: File, text, and what it is replaced with."""

    name: str
    edits: tuple[tuple[str, str, str], ...]

    def __str__(self) -> str:
        return self.name


def mutation(name: str, *edits: tuple[str, str, str]) -> Mutation:
    return Mutation(name, edits)


COMPLETE = (
    f"{STORE}/folders.py",
    (
        "        write_synced(self._filesystem, folder / MANIFEST_FILE, manifest.to_bytes(), "
        "temp_folder=self._partial(staged))\n"
        "        self._filesystem.sync_folder(folder)\n"
        "        reached(BEFORE_RENAME)\n"
        "        self._filesystem.replace(folder, self._root / manifest.name)\n"
    ),
)
MANIFEST_FIRST = (
    '        first, final = folder.with_suffix(".first"), self._root / manifest.name\n'
    "        self._filesystem.make_folder(first)\n"
    "        write_synced(self._filesystem, first / MANIFEST_FILE, manifest.to_bytes(), temp_folder=folder)\n"
    "        self._filesystem.replace(first, final)\n"
    "        reached(BEFORE_RENAME)\n"
    "        for part in manifest.files:\n"
    "            self._filesystem.replace(folder / part, final / part)\n"
    "        self._filesystem.sync_folder(final)\n"
)
PUBLISH = (
    f"{STORE}/checkpoints.py",
    (
        "            with self._refused_if_succeeded():\n"
        "                self._folders.complete(staged, manifest)\n"
        "            reached(BEFORE_HEAD)\n"
        "            self._head = self._pointer.move(replace(head, newest=name, best=best, generations=kept))\n"
    ),
)
HEAD_BEFORE_RENAME = (
    "            reached(BEFORE_HEAD)\n"
    "            self._head = self._pointer.move(replace(head, newest=name, best=best, generations=kept))\n"
    "            with self._refused_if_succeeded():\n"
    "                self._folders.complete(staged, manifest)\n"
)
VERIFY_SHA256 = f"{STORE}/manifest.py", "    if found != expected:\n        raise ObjectCorrupt(str(path)"
READ_SHA256 = f"{STORE}/folders.py", "        if found != expected:\n            raise ObjectCorrupt(str(path)"

QUICK = [
    mutation(
        "drops the fsync of a file",
        (f"{STORE}/filesystem.py", "        filesystem.sync(temp_path)\n", ""),
    ),
    mutation(
        "drops the fsync of a folder", (f"{STORE}/folders.py", "        self._filesystem.sync_folder(folder)\n", "")
    ),
    mutation("puts the manifest on disk first", (*COMPLETE, MANIFEST_FIRST)),
    mutation(
        "skips the digest of what is read from disk",
        (*VERIFY_SHA256, VERIFY_SHA256[1].replace("found != expected", "False")),
        (*READ_SHA256, READ_SHA256[1].replace("found != expected", "False")),
    ),
    mutation("moves the head on disk before the rename", (*PUBLISH, HEAD_BEFORE_RENAME)),
]

REMOTE = f"{STORE}/remote_checkpoints.py"
MOVE_REMOTE = (
    "        self._head = self._pointer.move(replace(head, newest=upload.name, best=upload.best, generations=kept))\n"
)
LONG = [
    mutation(
        "drops the fsync of the run's folder",
        (f"{STORE}/filesystem.py", "    for folder in (path.parent, path.parent.parent):\n", "    for folder in ():\n"),
    ),
    mutation(
        "writes in place",
        (
            f"{STORE}/objects.py",
            "        write_synced(self._filesystem, path, content, temp_folder=self._root / _TEMP_FOLDER)\n",
            "        self._filesystem.write(path, content)\n        self._filesystem.sync(path)\n",
        ),
    ),
    mutation(
        "removes old generations on disk before the head has moved",
        (
            f"{STORE}/checkpoints.py",
            "            reached(BEFORE_HEAD)\n",
            "            self._collect(kept)\n            reached(BEFORE_HEAD)\n",
        ),
    ),
    mutation(
        "believes a head or a manifest without its sha256",
        (f"{STORE}/sealed.py", "    if found != expected:\n", "    if False:\n"),
    ),
    mutation(
        "believes a manifest under another name",
        (f"{STORE}/folders.py", "        if manifest.name != name:\n", "        if False:\n"),
    ),
    mutation(
        "believes a manifest in S3 under another name",
        (f"{STORE}/remote_generations.py", "        if manifest.name != name:\n", "        if False:\n"),
    ),
    mutation(
        "verifies the newest without its best",
        (f"{STORE}/checkpoints.py", "                self._folders.verify(manifest.best)\n", "                pass\n"),
    ),
    mutation(
        "lets files of others lie in a generation",
        (f"{STORE}/folders.py", "        if foreign:\n", "        if False:\n"),
    ),
    mutation(
        "loads files of any kind",
        (
            f"{STORE}/folders.py",
            '    if Path(part).suffix not in SAFE_SUFFIXES or "/" in part or part.startswith("."):\n',
            "    if False:\n",
        ),
    ),
    mutation(
        "leaves what it could not finish on a full disk",
        (f"{STORE}/checkpoints.py", "            self._discard_failed(staged, name)\n", ""),
    ),
    mutation(
        "believes that a sync always succeeds",
        (
            f"{STORE}/filesystem.py",
            "    else:\n        os.fsync(descriptor)\n",
            "    else:\n        with contextlib.suppress(OSError):\n            os.fsync(descriptor)\n",
        ),
        (
            f"{STORE}/filesystem.py",
            "            os.fsync(descriptor)\n\n    def replace",
            "            with contextlib.suppress(OSError):\n                os.fsync(descriptor)\n\n    def replace",
        ),
    ),
    mutation(
        "does not read back what it may have written",
        (f"{STORE}/s3.py", "            if is_unclear:\n", "            if False:\n"),
        (
            f"{STORE}/s3.py",
            "self._version_holding(key, content) if was_unclear else None",
            "None",
        ),
        (f"{STORE}/head.py", "            version = self._version_if_mine()\n", "            version = None\n"),
    ),
    mutation(
        "moves the head on disk without comparing",
        (f"{STORE}/objects.py", "            if found_version != expected_version:\n", "            if False:\n"),
    ),
    mutation(
        "drops If-Match",
        (f"{STORE}/s3.py", 'condition = {"IfNoneMatch": "*"} if expected_version is None else ', "condition = {} or "),
        (f"{STORE}/s3.py", '{} or {"IfMatch": expected_version}', "{}"),
    ),
    mutation(
        "does not ask S3 who owns the run",
        (
            f"{STORE}/head.py",
            "        if not self.is_mine(head):\n            raise",
            "        if False:\n            raise",
        ),
        (f"{STORE}/s3.py", 'condition = {"IfNoneMatch": "*"} if expected_version is None else ', "condition = {} or "),
        (f"{STORE}/s3.py", '{} or {"IfMatch": expected_version}', "{}"),
    ),
    mutation(
        "removes what a successor has saved",
        (f"{STORE}/checkpoints.py", "parsed is not None and parsed.attempt <= self._attempt", "True"),
    ),
    mutation(
        "removes what a successor has sent",
        (REMOTE, " and _parsed(name).attempt <= self._attempt", ""),
    ),
    mutation("puts the manifest in S3 first", (REMOTE, "            self._send_parts(upload.name, folders)\n", "")),
    mutation(
        "moves the head in S3 before the manifest",
        (
            REMOTE,
            "            reached(BEFORE_REMOTE_MANIFEST)\n            self._send_manifest(upload.name, folders)\n",
            "",
        ),
        (
            REMOTE,
            MOVE_REMOTE,
            MOVE_REMOTE
            + "        reached(BEFORE_REMOTE_MANIFEST)\n        self._send_manifest(upload.name, folders)\n",
        ),
    ),
    mutation(
        "removes old generations in S3 before the head has moved",
        (REMOTE, MOVE_REMOTE, "        self._collect(kept)\n        reached(BEFORE_REMOTE_HEAD)\n" + MOVE_REMOTE),
        (
            REMOTE,
            "        self._best_of[upload.name] = upload.best\n        reached(BEFORE_REMOTE_HEAD)\n",
            "        self._best_of[upload.name] = upload.best\n",
        ),
    ),
    mutation(
        "skips the digest of what is read from S3",
        (f"{STORE}/download.py", "        if found != expected:\n", "        if False:\n"),
    ),
    mutation(
        "sends what is on disk without looking at it", (f"{STORE}/s3.py", "        verify_file(path, digest)\n", "")
    ),
    mutation(
        "sends the newest without its best",
        (REMOTE, "        if upload.best is not None and upload.best != upload.name and", "        if False and"),
    ),
    mutation(
        "lets an outage of S3 end the training",
        (f"{STORE}/uploader.py", "except (StoreUnavailable, CloudRefused) as error", "except CloudRefused as error"),
    ),
    mutation(
        "asks S3 only once",
        (f"{STORE}/s3_calls.py", "                pause = next(pauses, None)\n", "                pause = None\n"),
    ),
    mutation(
        "waits by the wall clock",
        (f"{STORE}/s3_calls.py", "        started = time.monotonic()\n", "        started = time.time()\n"),
        (f"{STORE}/s3_calls.py", "if time.monotonic() + pause", "if time.time() + pause"),
    ),
    mutation(
        "ends at the second SIGTERM",
        ("models/jobs/stopping.py", "if self._raised and number == signal.SIGINT:", "if self._raised:"),
    ),
]


@pytest.mark.parametrize("mutated", QUICK, ids=str)
def test_what_guards_against_a_mutation_fails_on_it(tmp_path, fault_table, mutated):
    _check_guards(tmp_path, fault_table, mutated)


@pytest.mark.long
@pytest.mark.parametrize("mutated", LONG, ids=str)
def test_what_guards_against_a_mutation_fails_on_it_too(tmp_path, fault_table, mutated):
    _check_guards(tmp_path, fault_table, mutated)


def test_every_mutation_has_a_guard_and_every_guard_a_mutation(fault_table):
    guarded = {fault.guards for faults in fault_table.values() for fault in faults if fault.guards}
    assert guarded == {each.name for each in (*QUICK, *LONG)}


def test_every_mutation_finds_the_text_it_replaces():
    for mutated in (*QUICK, *LONG):
        edited: dict[str, str] = {}
        for file, old, new in mutated.edits:
            content = edited.get(file, (ROOT / file).read_text())
            assert old in content, f"{mutated}: {file} does not hold {old!r}"
            edited[file] = content.replace(old, new)


def _check_guards(folder: Path, fault_table, mutated: Mutation) -> None:
    _copy(folder, mutated)
    guards = [
        f"{HERE / file}::test_fault[{fault}]"
        for file, faults in fault_table.items()
        for fault in faults
        if fault.guards == mutated.name
    ]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "--tb=line", *guards],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    survived = [guard for guard in guards if f"FAILED {guard}" not in ended.stdout]
    assert survived == [], f"these do not notice it:\n{ended.stdout}"


def _copy(folder: Path, mutated: Mutation) -> None:
    """The package and these tests, with the mutation."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "models", folder / "models", ignore=ignored)
    (folder / HERE.parent).mkdir(parents=True)
    shutil.copytree(ROOT / HERE, folder / HERE, ignore=ignored)
    for name in ("pyproject.toml", "tests/models/conftest.py", f"{HERE.parent}/conftest.py"):
        shutil.copy(ROOT / name, folder / name)
    for file, old, new in mutated.edits:
        path = folder / file
        content = path.read_text()
        path.write_text(content.replace(old, new))
