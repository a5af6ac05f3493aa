"""The collect job: clean splits and noisy collections merged, with nothing near validation, test or pairs in training.

Each part is read once and its usable rows laid aside on disk; copies are found over all of them; what stays is copied
into the output. In memory is per row what finds duplicates (a signature, an id, a commit), about 1 kB, and no code.
Everything is written under temporary names and takes its place at the end; a killed job starts over. What is merged
and why is in ``collection_merging.py``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson

from models.data.collection_merging import Drop, Merged, MergeRow, Place, merge
from models.data.collection_metadata import describe_collection, small_numbers
from models.data.collection_parts import Part, Told, parts_of, read_part, sample_part
from models.data.collectors.rows import RejectedRow
from models.data.commit_keys import commit_key
from models.data.duplicates import DuplicateSearch, Links
from models.data.job_progress import Progress, put_in_place
from models.errors import DataInvalid, TooManyRejected
from models.jobs.contract import JobContext, JobResult
from models.jobs.keys import content_digest
from models.settings.collect import CollectSettings

TEMP_FOLDER = ".collect"
COLLECTION_FILE = "collection.json"
REJECTED_FILE = "rejected.jsonl"
DROPPED_FILE = "dropped.jsonl"


_ADVICE = {
    "clean": "Give splits that share no commit and no copies",
    "collected": "Leave this source out, or give one that holds something new",
    "pairs": "Raise max_rows: a pair has two",
}


class _Name(NamedTuple):
    """Which row it is, for people."""

    part: Part
    idx: str | None
    origin: str
    record_id: str


@dataclass
class _Table:
    """All rows that were compared, in the order of their parts; no code."""

    rows: list[MergeRow] = field(default_factory=list)
    names: list[_Name] = field(default_factory=list)


def run(settings: CollectSettings, context: JobContext) -> JobResult:
    """Write the merged splits, the pairs, and what was rejected and dropped into the run directory.

    Raises:
        DataInvalid: a file is missing, damaged or of unknown shape, or nothing of a part is left. Not retried.
        TooManyRejected: of a part, rows in another language apart. Not retried; ``rejected.jsonl`` says which rows.
        Interrupted: the job was asked to stop; it starts over. Retried.
    """
    temp_path = context.run_path / TEMP_FOLDER
    shutil.rmtree(temp_path, ignore_errors=True)
    (temp_path / "parts").mkdir(parents=True)
    context.events.phase("read")
    parts = parts_of(settings, temp_path / "parts")
    _read_parts(settings, context, parts, temp_path / REJECTED_FILE)
    context.events.phase("compare")
    table = _table_of(parts)
    merged, is_complete = _merge(settings, context, parts, table)
    context.events.phase("write")
    _count(table, merged)
    _write_dropped(temp_path / DROPPED_FILE, table, merged)
    _check_something_is_left(context, parts, temp_path)
    files = _write_rows(context, parts, merged, temp_path)
    collection = describe_collection(settings, parts, merged, _digests(settings), is_complete=is_complete)
    for warning in collection["warnings"]:
        context.events.notice(warning, "warning")
    (temp_path / COLLECTION_FILE).write_text(json.dumps(collection, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    files = (*files, REJECTED_FILE, DROPPED_FILE, COLLECTION_FILE)
    put_in_place(temp_path, context.run_path, files)
    return JobResult(small_numbers(collection), files)


def _read_parts(settings: CollectSettings, context: JobContext, parts: Sequence[Part], rejected_path: Path) -> None:
    progress = Progress(context, None, "rows read")

    def seen() -> None:
        context.leave_if_asked(progress.done)
        progress.step(1)

    with rejected_path.open("wb") as rejected:

        def reject(part: Part, row: RejectedRow) -> None:
            rejected.write(_json_line({"source": part.name, **row._asdict()}))

        for part in parts:
            read_part(part, settings, Told(reject, seen))
            rejected.flush()
            _check_rejected(settings, context, part, rejected_path)
            sample_part(part, settings.seed)


def _check_rejected(settings: CollectSettings, context: JobContext, part: Part, rejected_path: Path) -> None:
    too_many = part.num_broken > settings.max_rejected_fraction * part.num_judged
    if too_many or not part.num_accepted:
        rejected_path.replace(context.run_path / REJECTED_FILE)  # the message sends people there
    if too_many:
        raise TooManyRejected(
            part.path,
            num_rejected=part.num_broken,
            num_rows=part.num_judged,
            allowed_fraction=settings.max_rejected_fraction,
        )
    if not part.num_accepted:
        raise DataInvalid(
            part.path, f"none of its {part.num_rows} rows is usable as {part.format}; why is in {REJECTED_FILE}"
        )


def _table_of(parts: Sequence[Part]) -> _Table:
    table = _Table()
    for part in parts:
        for number, line in enumerate(_lines(part), 1):
            row = orjson.loads(line)
            commit = commit_key(part.name, row["project"], row["commit_id"])
            table.rows.append(MergeRow(cast(Place, part.place), row["target"], commit))
            idx = row.get("idx")
            table.names.append(_Name(part, idx, row["origin"], part.id_of(idx, number)))
    return table


def _merge(settings: CollectSettings, context: JobContext, parts: Sequence[Part], table: _Table) -> tuple[Merged, bool]:
    """What stays, and whether no near pair was left out among it.

    Where one function has very many near copies not all pairs are compared: without those that go, the rest is
    searched again until nothing more goes.
    """
    left = list(range(len(table.rows)))
    drops: dict[int, Drop] = {}
    through_collected: list[int] = []
    while True:
        links = _search(settings, context, parts, table, set(left))
        context.leave_if_asked()
        merged = merge([table.rows[at] for at in left], links)
        drops |= {left[at]: Drop(drop.reason, left[drop.twin]) for at, drop in merged.drops.items()}
        through_collected += [left[at] for at in merged.clean_through_collected]
        if links.complete or not merged.drops:
            conflicts = [left[at] for at in merged.near_conflicts]
            return Merged(drops, conflicts, through_collected, merged.held_out_overlaps), links.complete
        left = [at for at in left if at not in drops]


def _search(
    settings: CollectSettings, context: JobContext, parts: Sequence[Part], table: _Table, left: set[int]
) -> Links:
    search = DuplicateSearch(settings.near_duplicate_similarity)
    progress = Progress(context, len(left), "functions compared")
    lines = chain.from_iterable(_lines(part) for part in parts)
    for row, name, line in (
        found for at, found in enumerate(zip(table.rows, table.names, lines, strict=True)) if at in left
    ):
        context.leave_if_asked(progress.done)
        search.add(row.place, name.record_id, "", row.label, orjson.loads(line)["func"])
        progress.step(1)
    return search.links()


def _lines(part: Part) -> Iterator[bytes]:
    with part.lines_path.open("rb") as lines:
        yield from lines


def _count(table: _Table, merged: Merged) -> None:
    for at, (row, name) in enumerate(zip(table.rows, table.names, strict=True)):
        if (drop := merged.drops.get(at)) is not None:
            name.part.dropped[drop.reason] += 1
        else:
            name.part.keep(row.label, name.origin)
    for at in merged.near_conflicts:
        table.names[at].part.num_near_conflicts += 1


def _write_dropped(path: Path, table: _Table, merged: Merged) -> None:
    with path.open("wb") as dropped:
        for at, drop in sorted(merged.drops.items()):
            name, twin = table.names[at], table.names[drop.twin]
            dropped.write(
                _json_line(
                    {
                        "source": name.part.name,
                        "split": name.part.split,
                        "idx": name.idx,
                        "reason": drop.reason,
                        "twin": twin.record_id,
                    }
                )
            )


def _check_something_is_left(context: JobContext, parts: Sequence[Part], temp_path: Path) -> None:
    for part in parts:
        if not part.num_kept:
            (temp_path / DROPPED_FILE).replace(context.run_path / DROPPED_FILE)  # the message sends people there
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(part.dropped.items()))
            raise DataInvalid(
                part.path,
                f"nothing of its {part.num_compared} rows compared is left for {part.split} ({reasons}); "
                f"{DROPPED_FILE} names each row's twin. {_ADVICE[part.kind]}",
            )


def _write_rows(context: JobContext, parts: Sequence[Part], merged: Merged, temp_path: Path) -> tuple[str, ...]:
    """Copy what stays; parts are in the order of the output, and so are their row numbers."""
    files = dict.fromkeys(f"{part.split}.jsonl" for part in parts)
    at = 0
    for name in files:
        (temp_path / name).touch()
    for part in parts:
        context.leave_if_asked()
        with (temp_path / f"{part.split}.jsonl").open("ab") as output:
            for line in _lines(part):
                if at not in merged.drops:
                    output.write(line)
                at += 1
            output.flush()
            os.fsync(output.fileno())
    return tuple(files)


def _digests(settings: CollectSettings) -> dict[str, str]:
    collections = {**settings.sources, **settings.pairs}
    paths = {settings.clean_name: settings.clean} | {name: source.data for name, source in collections.items()}
    return {name: content_digest(path) for name, path in paths.items()}


def _json_line(values: dict[str, Any]) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)
