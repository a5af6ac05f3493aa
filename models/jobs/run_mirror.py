"""The run directory's mirror in S3: what a fresh machine lacks is brought home, and what a job leaves is kept there.

Checkpoints are not moved here but by their store, generation by generation, each with the events up to it. The
manifest is written last, as in the run directory: with it the run is finished, wherever one looks.
"""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path
from typing import Any

from models.errors import (
    CloudRefused,
    HeadConflict,
    ObjectCorrupt,
    ObjectMissing,
    SettingsInvalid,
    StoreError,
    StoreUnavailable,
)
from models.jobs.contract import (
    MANIFEST_FILE,
    OUTCOME_FILE,
    PROGRESS_FILE,
    RECORD_FILE,
    RESULT_FILE,
    SETTINGS_FILE,
)
from models.jobs.json_files import read_json
from models.jobs.layout import BUILD_FILE, UNMIRRORED_FILE
from models.jobs.placement import Placement
from models.jobs.provenance import EXPERIMENT_FILE
from models.jobs.question import QUESTION_FILE
from models.store.filesystem import LocalFilesystem, disk_errors, write_synced
from models.store.manifest import FileDigest, Manifest, digest_file, inside, parse_manifest, read_manifest
from models.store.remote_checkpoints import CHECKPOINTS_PREFIX, remote_attempt
from models.store.remote_generations import RemoteGenerations
from models.store.s3 import S3Objects, S3Uri, open_s3
from models.store.s3_calls import Patience

AT_BEGIN = (QUESTION_FILE, BUILD_FILE, SETTINGS_FILE, EXPERIMENT_FILE, RECORD_FILE)
"""Kept before the job begins, the record last: with it the attempt is counted."""
AT_END = (RESULT_FILE, SETTINGS_FILE, EXPERIMENT_FILE, BUILD_FILE, QUESTION_FILE, RECORD_FILE, OUTCOME_FILE)
END_PATIENCE = Patience(total_seconds=180.0)
"""For a finished run, whose hours of work are on this disk only."""
GO_ON_WITHOUT = ", or without --store to go on from this disk alone"


def open_mirror(placement: Placement, run_path: Path) -> RunMirror | None:
    """The mirror of a run; ``None`` where its directory is all there is. Nothing is asked of S3 yet.

    Raises:
        SettingsInvalid: the address is none. Not retried.
    """
    if placement.run_uri is None:
        return None
    remedy = GO_ON_WITHOUT if placement.failure_path is None else ""  # a platform's machine has no disk that stays
    return RunMirror(S3Uri.parse(placement.run_uri), run_path, region=placement.region, remedy=remedy)


def newest_attempt(record: dict[str, Any] | None) -> int:
    """The last attempt that a ``record.json`` tells of, counted from 1; 0 before the first."""
    attempts = record["attempts"] if record is not None else []
    return max([len(attempts), *(int(entry.get("attempt", 0)) for entry in attempts)])


class RunMirror:
    """The mirror of one run, as the process sees it that runs the job.

    Methods raise ``StoreUnavailable`` (retried) when S3 does not answer for as long as patience lasts, and
    ``CloudRefused`` (not retried) where it says no. Those that keep something also raise ``HeadConflict`` (not retried)
    where a later attempt runs on another machine: the run is its now.

    Args:
        uri: Where the run is mirrored.
        run_path: The run directory.
        region: AWS region; ``None``: that of the standard chain.
        remedy: What else can be done where S3 is away at the start; ends the message.
    """

    def __init__(self, uri: S3Uri, run_path: Path, *, region: str | None = None, remedy: str = "") -> None:
        self.objects = open_s3(uri, region=region)
        """The mirror itself, for the job."""
        self.damaged: set[str] = set()
        """Files that were met there lost, or with other bytes than were written; they were not used."""
        self._uri = uri
        self._run_path = run_path
        self._remedy = remedy

    def bring_home(self) -> None:
        """Take over question, build, record and progress where another machine made the last attempt."""
        try:
            contents = self._contents_of_newer()
        except StoreUnavailable as error:
            raise StoreUnavailable(f"{error}{self._remedy}") from error
        for name, content in contents.items():
            write_synced(LocalFilesystem(), self._run_path / name, content, temp_folder=self._run_path / ".partial")

    def is_finished(self, run_key: str) -> bool:
        """Whether a manifest is kept there, and every file that it lists, all bytes of which are read and compared.

        Args:
            run_key: The question that the run must answer.

        Raises:
            SettingsInvalid: it answers another one. Not retried.
        """
        manifest = self._manifest()
        if manifest is None:
            return False
        if manifest.run_key != run_key:
            raise SettingsInvalid(f"{self._uri} holds a finished run of other settings; nothing in it was changed")
        damaged = {name for name, digest in manifest.files.items() if self.objects.measured(name) != digest}
        self.damaged |= damaged
        return not damaged

    def attempt(self) -> int:
        """The attempt that last took over the checkpoints there; 0 before the first."""
        return remote_attempt(self.objects)

    def holds_checkpoints(self) -> bool:
        """Whether a generation is kept there; a head alone is no progress."""
        return bool(RemoteGenerations(self.objects.child(CHECKPOINTS_PREFIX)).whole())

    def holds_work(self) -> bool:
        """Whether something is kept there that another question must not replace."""
        return self.holds_checkpoints() or self.objects.version(MANIFEST_FILE) is not None

    def forget_checkpoints(self) -> None:
        """Remove what names another run where no generation is kept."""
        for key in self.objects.list(f"{CHECKPOINTS_PREFIX}/"):
            self.objects.delete(key)

    def keep_begun(self) -> None:
        """Keep what a later attempt asks for first, so that it may come to another machine."""
        self._mark()
        self._require_no_successor(self.objects)
        for name in AT_BEGIN:
            self._keep(self.objects, name)

    def keep_finished(self) -> None:
        """Keep a finished run: its files, what is told of it, and the manifest last.

        Nothing is written where it is kept already, be it by another machine.

        Raises:
            ObjectMissing: the run has no manifest, or what was kept is not there. Not retried.
            ObjectCorrupt: a file is not what the manifest says, here or there. Not retried.
        """
        manifest = read_manifest(self._run_path)
        if manifest is None:
            raise ObjectMissing(str(self._run_path / MANIFEST_FILE))
        self._mark()
        objects = self.objects.at(self._uri, patience=END_PATIENCE)
        lacking = [name for name, digest in manifest.files.items() if objects.measured(name) != digest]
        if lacking or self._manifest() != manifest:
            self._require_no_successor(objects)
            for name in lacking:
                self._send(objects, name, manifest.files[name])
            self._require_no_successor(objects)
            for name in (*AT_END, PROGRESS_FILE, MANIFEST_FILE):
                self._keep(objects, name)
        with disk_errors(self._run_path):
            (self._run_path / UNMIRRORED_FILE).unlink()

    def keep_ending(self, *, within_seconds: float) -> None:
        """Keep how an unfinished attempt ended, as far as that can be done in time; the run does not depend on it.

        Args:
            within_seconds: Time there is [s]; what is not kept by then is left.
        """
        objects = self.objects.at(self._uri, patience=Patience(total_seconds=within_seconds))

        def keep() -> None:
            with contextlib.suppress(StoreError, CloudRefused):
                self._require_no_successor(objects)
                for name in (RECORD_FILE, OUTCOME_FILE):
                    self._keep(objects, name)

        # A call that hangs must not hold the process: it is told to leave, or has nothing left to do.
        keeper = threading.Thread(target=keep, daemon=True)
        keeper.start()
        keeper.join(within_seconds)

    def _contents_of_newer(self) -> dict[str, bytes]:
        """What is taken over, by name: nothing where this disk has the last attempt."""
        record = self._document(self.objects, RECORD_FILE)
        own = read_json(self._run_path / RECORD_FILE)
        if record is not None:
            is_newer = newest_attempt(json.loads(record)) > newest_attempt(own)
        else:
            is_newer = RECORD_FILE in self.damaged and own is None
        if not is_newer:
            return {}
        contents = {name: self._document(self.objects, name) for name in (QUESTION_FILE, BUILD_FILE)}
        contents |= {PROGRESS_FILE: self._bytes(PROGRESS_FILE), RECORD_FILE: record}
        return {name: content for name, content in contents.items() if content is not None}

    def _manifest(self) -> Manifest | None:
        content = self._bytes(MANIFEST_FILE)
        try:
            return parse_manifest(f"{self._uri}/{MANIFEST_FILE}", content) if content is not None else None
        except ObjectCorrupt:
            self.damaged.add(MANIFEST_FILE)
            return None

    def _require_no_successor(self, objects: S3Objects) -> None:
        """A writer that was succeeded must not put its words in the place of the successor's.

        Raises:
            HeadConflict: a later attempt than the newest one here has begun. Not retried.
        """
        record = self._document(objects, RECORD_FILE)
        there = max(remote_attempt(objects), newest_attempt(json.loads(record)) if record is not None else 0)
        own = newest_attempt(read_json(self._run_path / RECORD_FILE))
        if there > own:
            raise HeadConflict(f"{self._uri}/{RECORD_FILE}", f"attempt {own}", f"attempt {there}")

    def _send(self, objects: S3Objects, name: str, digest: FileDigest) -> None:
        objects.put_file(name, inside(self._run_path, name), digest)
        if (found := objects.digest(name)) != digest:
            raise ObjectCorrupt(f"{self._uri}/{name}", str(digest), str(found))

    def _keep(self, objects: S3Objects, name: str) -> None:
        path = self._run_path / name
        if path.exists():
            objects.put_file(name, path, digest_file(path))

    def _mark(self) -> None:
        with disk_errors(self._run_path):
            (self._run_path / UNMIRRORED_FILE).touch()

    def _document(self, objects: S3Objects, name: str) -> bytes | None:
        """A small file as it was sent; ``None`` where there is none, or it was damaged since."""
        try:
            return objects.get_sent(name)
        except ObjectMissing:
            return None
        except ObjectCorrupt:
            self.damaged.add(name)
            return None

    def _bytes(self, name: str) -> bytes | None:
        try:
            return self.objects.get(name).content
        except ObjectMissing:
            return None
