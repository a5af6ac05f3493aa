"""Whether the predictions in a run directory are what its finished run wrote, and of a model that is a system's own."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from models.errors import DataInvalid, ObjectCorrupt, ObjectMissing
from models.jobs.contract import RESULT_FILE
from models.store.manifest import Manifest, inside, read_manifest, verify_file

PREDICTIONS = "predictions_*.jsonl"
SYSTEMS_COME_FROM = ("predict", "fuse")


def verify_system_run(run_path: Path) -> None:
    """Check the predictions of a system: of a finished predict or fuse run, by a model that left no fold out.

    Raises:
        DataInvalid: They are not. Not retried.
        StoreUnavailable: The disk does not answer. Retried.
    """
    manifest = _manifest_of(run_path)
    if manifest is None:
        raise DataInvalid(run_path, "is no finished run: it has no manifest; predict again, or wait until it is done")
    if manifest.kind not in SYSTEMS_COME_FROM:
        raise DataInvalid(run_path, f"is a {manifest.kind} run; expected one of {' or '.join(SYSTEMS_COME_FROM)}")
    _verify(run_path, manifest, {RESULT_FILE})
    numbers = json.loads((run_path / RESULT_FILE).read_bytes())["numbers"]
    if any(numbers.get(name) is not None for name in ("left_out", "held_out")):
        raise DataInvalid(
            run_path,
            "its model left a fold out of training, so it is no system; give the predict run of the model that was "
            "trained on all records",
        )


def verify_if_finished(run_path: Path) -> None:
    """Check predictions against the manifest beside them; those that came from elsewhere have none.

    Raises:
        DataInvalid: They are not as they were written. Not retried.
        StoreUnavailable: The disk does not answer. Retried.
    """
    manifest = _manifest_of(run_path)
    if manifest is not None:
        _verify(run_path, manifest, ())


def _manifest_of(run_path: Path) -> Manifest | None:
    try:
        return read_manifest(run_path)
    except ObjectCorrupt as error:
        raise DataInvalid(run_path, f"its manifest is damaged ({error}); make the run again") from error


def _verify(run_path: Path, manifest: Manifest, needed: Collection[str]) -> None:
    """All predictions that lie there are listed, and all that are listed are as they were written."""
    there = {path.name for path in run_path.glob(PREDICTIONS)} | set(needed)
    unknown = sorted(there - manifest.files.keys())
    if unknown:
        raise DataInvalid(run_path / unknown[0], "the manifest of the run does not list it; make the run again")
    for name, expected in manifest.files.items():
        if name in needed or Path(name).match(PREDICTIONS):
            try:
                verify_file(inside(run_path, name), expected)
            except (ObjectMissing, ObjectCorrupt) as error:
                raise DataInvalid(run_path / name, f"not as its run wrote it ({error}); predict again") from error
