"""The parts of a collection (clean splits, sources, pairs) read once, and their usable rows laid aside as lines.

A line is written as it will stand in the output, so that what stays is later copied byte by byte and the code of no
more than one batch of functions is in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import orjson

from models.data.collection_names import idx_of_held_out, name_in_records
from models.data.collection_sampling import sampling_key, stratified_sample
from models.data.collectors.reading import detect_format, read_collection
from models.data.collectors.rows import SOUND_REASONS, CollectedFunction, RejectedRow, Row
from models.data.raw_functions import SPLITS, Rejection, find_split, max_line_bytes, read_function, read_lines
from models.settings.collect import CollectedSource, CollectSettings

Kind = Literal["clean", "collected", "pairs"]
SIDES = {1: "vulnerable", 0: "fixed"}


@dataclass
class Part:
    """One split of the clean data, one source or one collection of pairs.

    Args:
        name: Of the data, in ids and provenance.
        kind: Clean, collected, or pairs.
        split: train, valid or test; pairs for pairs.
        path: Where it lies.
        format: Its shape.
        lines_path: Its usable functions, one line each.
        max_rows: How many of them are wanted; ``None``: all.
        num_rows: Rows read, usable or not; a row may hold two functions, before and after a fix.
        num_accepted: Usable functions.
        num_sampled_out: Those of them that were not wanted.
        rejected: Rows that cannot be used, by reason.
        dropped: Functions that were wanted and may not train, by reason.
        labels: Of the functions in the output.
        origins: The same by origin.
        num_near_conflicts: Functions in the output with a near copy of the other label there.
    """

    name: str
    kind: Kind
    split: str
    path: Path
    format: str
    lines_path: Path
    max_rows: int | None = None
    num_rows: int = 0
    num_accepted: int = 0
    num_sampled_out: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    labels: Counter[int] = field(default_factory=Counter)
    origins: dict[str, Counter[int]] = field(default_factory=dict)
    num_near_conflicts: int = 0

    @property
    def place(self) -> str:
        """Where its rows stand when rows are merged: clean, collected, valid, test or pairs."""
        return self.split if self.split in ("valid", "test", "pairs") else self.kind

    @property
    def num_broken(self) -> int:
        """Rejected rows that say something against the data."""
        return sum(count for reason, count in self.rejected.items() if reason not in SOUND_REASONS)

    @property
    def num_judged(self) -> int:
        """Rows among which the broken ones are counted: all but the sound ones that are of no use here."""
        return self.num_rows - (self.rejected.total() - self.num_broken)

    @property
    def num_compared(self) -> int:
        """Functions that went into the search for copies."""
        return self.num_accepted - self.num_sampled_out

    @property
    def num_kept(self) -> int:
        """Functions in the output."""
        return self.labels.total()

    def keep(self, label: int, origin: str) -> None:
        """Count a row of the output."""
        self.labels[label] += 1
        self.origins.setdefault(origin, Counter())[label] += 1

    def id_of(self, idx: str | None, line: int) -> str:
        """A row's id, as preprocessing will name it.

        Args:
            idx: As the row has it in the output.
            line: Its line there, which names a row without idx.
        """
        return f"{self.name}-{self.split}-".upper() + name_in_records(idx, line)


class Told(NamedTuple):
    """Who hears of each row.

    Args:
        rejected: Called with each row that cannot be used.
        seen: Called once a row.
    """

    rejected: Callable[[Part, RejectedRow], None]
    seen: Callable[[], None]


def parts_of(settings: CollectSettings, folder: Path) -> list[Part]:
    """What there is to read, in the order of the output: clean train, valid, test, the pairs, the sources.

    Pairs and sources go by name, not by their order in the settings: of near copies the first stays, and the run key,
    which knows no order, must not stand for two results.

    Raises:
        DataInvalid: a clean split is missing, or the shape of a collection is not known. Not retried.
    """
    parts = [
        Part(settings.clean_name, "clean", split, find_split(settings.clean, split), "codexglue", folder / split)
        for split in SPLITS
    ]
    parts += [_part(name, "pairs", "pairs", source, folder) for name, source in sorted(settings.pairs.items())]
    parts += [_part(name, "collected", "train", source, folder) for name, source in sorted(settings.sources.items())]
    return parts


def _part(name: str, kind: Kind, split: str, source: CollectedSource, folder: Path) -> Part:
    shape = detect_format(source.data) if source.format == "auto" else source.format
    return Part(name, kind, split, source.data, shape, folder / f"{kind}-{name}", source.max_rows)


def read_part(part: Part, settings: CollectSettings, told: Told) -> None:
    """Lay its usable rows aside, counting those that are not.

    Raises:
        DataInvalid: a file is damaged. Not retried.
    """
    if part.kind == "clean":
        rows = _clean_rows(part, settings.max_code_bytes)
    else:
        rows = read_collection(part.path, part.format, max_code_bytes=settings.max_code_bytes)  # type: ignore[arg-type]
    rows = _counted(part, rows)
    if part.kind == "pairs":
        rows = _whole_pairs(rows)
    with part.lines_path.open("wb") as lines:
        for row in rows:
            told.seen()
            _take(part, row, lines, told)


def _take(part: Part, row: Row, lines: IO[bytes], told: Told) -> None:
    if isinstance(row, RejectedRow):
        part.rejected[row.reason] += 1
        told.rejected(part, row)
    else:
        part.num_accepted += 1
        lines.write(_line_of(part, row))


def _counted(part: Part, rows: Iterator[Row]) -> Iterator[Row]:
    place: tuple[str, int] | None = None
    for row in rows:
        part.num_rows += (row.file, row.line) != place
        place = row.file, row.line
        yield row


def _clean_rows(part: Part, max_code_bytes: int) -> Iterator[Row]:
    seen: set[str] = set()
    for line in read_lines(part.path, max_line_bytes=max_line_bytes(max_code_bytes)):
        if line.content == b"":
            continue
        row = read_function(line, max_code_bytes)
        if not isinstance(row, Rejection) and row.unique_name in seen:
            row = Rejection(line.number, "duplicate_id", f"idx {row.orig_id} was used by an earlier row of this file")
        if isinstance(row, Rejection):
            yield RejectedRow(part.path.name, *row)
            continue
        seen.add(row.unique_name)
        yield CollectedFunction(
            code=row.code,
            label=row.label,
            idx=row.unique_name,
            project=row.project,
            commit_id=row.commit_id,
            origin="",
            cwe="",
            pair="",
            file=part.path.name,
            line=row.line,
        )


def _whole_pairs(rows: Iterator[Row]) -> Iterator[Row]:
    """Functions two by two, the vulnerable one first; what has no other side is rejected."""
    waiting: dict[str, CollectedFunction] = {}
    for row in rows:
        if isinstance(row, RejectedRow):
            yield row
        elif not row.pair:
            yield RejectedRow(row.file, row.line, "no_pair", "the row is no side of a pair; name it under sources")
        elif row.pair not in waiting:
            waiting[row.pair] = row
        elif waiting[row.pair].label == row.label:
            yield RejectedRow(
                row.file, row.line, "incomplete_pair", f"a second function {SIDES[row.label]} of its pair"
            )
        else:
            yield from sorted((waiting.pop(row.pair), row), key=lambda side: -side.label)
    for row in waiting.values():
        yield RejectedRow(row.file, row.line, "incomplete_pair", f"{row.pair} has no function {SIDES[1 - row.label]}")


def _line_of(part: Part, row: CollectedFunction) -> bytes:
    idx = idx_of_held_out(row.idx) if part.place in ("valid", "test") else row.idx
    values: dict[str, Any] = {
        "func": row.code,
        "target": row.label,
        "project": row.project,
        "commit_id": row.commit_id,
        **({} if idx is None else {"idx": idx}),
        "source": part.name,
        "origin": row.origin,
    }
    if row.cwe:
        values["cwe"] = row.cwe
    if part.kind == "pairs":
        values |= {"pair": f"{part.name}-{row.pair}", "side": SIDES[row.label]}
    return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)


def sample_part(part: Part, seed: int) -> None:
    """Leave no more lines than wanted, in the proportions of origin and label; of pairs always both sides."""
    if part.max_rows is None or part.num_accepted <= part.max_rows:
        return
    strata: list[tuple[str, int]] = []
    keys: list[int] = []
    with part.lines_path.open("rb") as lines:
        for line in lines:
            row = orjson.loads(line)
            if part.kind != "pairs" or row["target"] == 1:
                strata.append((row["origin"], row["target"]))
                keys.append(sampling_key(seed, part.name, row["idx"]))
    rows_each = 2 if part.kind == "pairs" else 1
    chosen = stratified_sample(strata, keys, part.max_rows // rows_each)
    sampled_path = part.lines_path.with_name(f"{part.lines_path.name}-sampled")
    with part.lines_path.open("rb") as lines, sampled_path.open("wb") as sampled:
        sampled.writelines(line for at, line in enumerate(lines) if chosen[at // rows_each])
    sampled_path.replace(part.lines_path)
    part.num_sampled_out = part.num_accepted - rows_each * int(chosen.sum())
