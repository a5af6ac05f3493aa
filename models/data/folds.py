"""The folds job: training records cut into folds, so that each can be scored by a model that never saw its like.

Reads the training records of a preprocess run only; which fold a record goes to is decided in ``fold_dealing.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from models.data.duplicates import DuplicateSearch, Links
from models.data.fold_dealing import LABELS, Deal, Ints, TrainingRows, deal_by_group, deal_by_project, joined_rows
from models.data.fold_file import FOLDS_FILE, NEVER, SUMMARY_FILE, refuse_group_in_two_folds
from models.data.job_progress import Progress
from models.errors import DataInvalid
from models.jobs.contract import JobContext, JobResult
from models.settings.folds import FoldsSettings
from models.store.filesystem import LocalFilesystem, write_synced

TRAIN_FILE = "train.jsonl"


def run(settings: FoldsSettings, context: JobContext) -> JobResult:
    """Write ``folds.jsonl`` and ``folds.json``.

    Raises:
        DataInvalid: There is no training file, a line is no record, there are too few groups or projects for the
            folds, or a fold would have one label only. Not retried.
        Interrupted: Asked to stop; nothing was written. Retried.
    """
    context.events.phase("load")
    rows, links = read_rows(settings.data / TRAIN_FILE, settings.near_duplicate_similarity, context)
    context.leave_if_asked(len(rows))
    context.events.phase("cut")
    joined = joined_rows(rows.groups, [*links.exact, *links.near])
    dealt = deal_by_project if settings.by == "project" else deal_by_group
    deal = dealt(rows, joined, num_folds=settings.num_folds, seed=settings.seed)
    names = [rows.groups[first] for first in joined.tolist()]
    for groups in (names, rows.groups):
        refuse_group_in_two_folds(rows.path, groups, deal.fold)
    context.leave_if_asked(len(rows))
    context.events.phase("save")
    summary = describe(settings, rows, joined, links, deal)
    for notice in notices_of(settings, summary, links):
        context.events.notice(notice, "warning")
    _write(context.run_path, FOLDS_FILE, fold_lines(rows, names, deal))
    _write(context.run_path, SUMMARY_FILE, json.dumps(summary, indent=1, sort_keys=True).encode() + b"\n")
    return JobResult(numbers=summary, files=(FOLDS_FILE, SUMMARY_FILE))


def read_rows(path: Path, similarity: float, context: JobContext) -> tuple[TrainingRows, Links]:
    """What decides the folds of the records at ``path``, and which of them are copies of which.

    Raises:
        DataInvalid: There is no such file or no record in it, a line is no record, or a label is not 0 or 1. Not
            retried.
        Interrupted: Asked to stop. Retried.
    """
    if not path.is_file():
        raise DataInvalid(path, "no such file; give the directory of a finished preprocess run")
    rows, search = TrainingRows(path), DuplicateSearch(similarity)
    with path.open("rb") as file:
        progress = Progress(context, sum(1 for _ in file), "records")
    for record in _records(path):
        context.leave_if_asked(progress.done)
        record_id, label, metadata = record["id"], record["label"], record["metadata"]
        rows.ids.append(record_id)
        rows.labels.append(label)
        rows.groups.append(metadata["group"])
        rows.projects.append(metadata.get("project") or "")
        search.add("train", record_id, metadata["group"], label, record["code"])
        progress.step(1)
    if not len(rows):
        raise DataInvalid(path, "holds no record; there is nothing to cut into folds")
    return rows, search.links()


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """The lines as records, each with id, label, code and group."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record: dict[str, Any] = orjson.loads(line)
                label, named = record["label"], (record["id"], record["code"], record["metadata"]["group"])
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                raise DataInvalid(
                    path, f"not a record of the preprocess job ({type(error).__name__}: {error})", line=number
                ) from error
            if label not in LABELS or not all(isinstance(value, str) for value in named):
                raise DataInvalid(path, "a label is not 0 or 1, or id, code or group is no text", line=number)
            yield record


def describe(settings: FoldsSettings, rows: TrainingRows, joined: Ints, links: Links, deal: Deal) -> dict[str, Any]:
    """What ``folds.json`` says."""
    labels = np.array(rows.labels, dtype=np.int64)

    def part(number: int) -> dict[str, Any]:
        chosen = deal.fold == number
        counts = {str(label): int((chosen & (labels == label)).sum()) for label in LABELS}
        found = {"records": int(chosen.sum()), "labels": counts, "groups": len(np.unique(joined[chosen]))}
        if settings.by == "project":
            found["projects"] = sorted({rows.projects[row] for row in np.flatnonzero(chosen).tolist()})
        return found

    return {
        "num_folds": deal.num_folds,
        "by": settings.by,
        "folds": [part(number) for number in range(deal.num_folds)],
        "never_held_out": int((deal.fold == NEVER).sum()),
        "num_records": len(rows),
        "num_groups": len(np.unique(joined)),
        "num_commits": len(set(rows.groups)),
        "largest_group": int(np.bincount(joined).max()),
        "exact_copies": len(links.exact),
        "near_pairs": len(links.near),
        "complete": links.complete,
    }


def notices_of(settings: FoldsSettings, summary: dict[str, Any], links: Links) -> list[str]:
    """What a person must be told of these folds."""
    told = []
    if summary["num_folds"] < settings.num_folds:
        told.append(f"{summary['num_folds']} projects, so {summary['num_folds']} folds instead of {settings.num_folds}")
    if summary["never_held_out"]:
        told.append(
            f"{summary['never_held_out']} of {summary['num_records']} records are never held out: they have no "
            "project, or a commit or near copy in another one"
        )
    if not links.complete:
        told.append("some functions have so many near copies that not all pairs were looked at; folds may share some")
    return told


def fold_lines(rows: TrainingRows, names: list[str], deal: Deal) -> bytes:
    """``folds.jsonl``: one line per record in the order of the file."""
    numbers = [None if fold == NEVER else fold for fold in deal.fold.tolist()]
    lines = (
        orjson.dumps({"id": record_id, "fold": fold, "group": name})
        for record_id, fold, name in zip(rows.ids, numbers, names, strict=True)
    )
    return b"\n".join(lines) + b"\n"


def _write(run_path: Path, name: str, content: bytes) -> None:
    write_synced(LocalFilesystem(), run_path / name, content, temp_folder=run_path / ".temp")
