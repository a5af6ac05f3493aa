"""The preprocess job: a folder of raw functions in, records with tokens, offsets and syntax graphs out.

Streams: a few chunks of functions are in memory, and per row only what finds duplicates (a signature, an id, a commit).
Everything is written under temporary names and takes its place at the end; a killed job starts over. Output bytes
depend on data and settings only, not on the number of workers.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from models.data.columnar import ColumnWriter
from models.data.duplicates import DuplicateSearch
from models.data.graph_statistics import GraphStatistics
from models.data.raw_functions import (
    SPLITS,
    RawFunction,
    Rejection,
    Survey,
    find_split,
    max_line_bytes,
    read_function,
    read_lines,
    survey_split,
)
from models.data.records import NamedFunction, RecordMaker, RecordPlan
from models.data.split_report import GroupSearch, SplitReport
from models.data.syntax_trees import describe_grammar
from models.data.tokenizer_files import init_safe_tokenizer, save_tokenizer, tokenizer_sha256, train_tokenizer
from models.data.worker_pool import Chunk, MadeChunk, make_chunks, worker_count
from models.errors import DataInvalid, Interrupted, SettingsInvalid, TooManyRejected
from models.jobs.contract import JobContext, JobResult
from models.settings.preprocess import PreprocessSettings

REJECTED_FILE = "rejected.jsonl"
METADATA_FILE = "preprocessing_metadata.json"
TOKENIZER_FOLDER = "tokenizer"
QUICK_TEST_RECORDS = 100
CHUNK_FUNCTIONS = 64
CHUNK_CHARS = 1 << 18
SECONDS_BETWEEN_EVENTS = 0.4
GIB = 1 << 30
GZIP_FACTOR = 5
"""About how much smaller gzip makes code."""


@dataclass
class Findings:
    """What was found while records passed, over all splits."""

    duplicates: DuplicateSearch
    graphs: GraphStatistics
    groups: GroupSearch = field(default_factory=GroupSearch)
    splits: dict[str, SplitReport] = field(default_factory=dict)


def run(settings: PreprocessSettings, context: JobContext) -> JobResult:
    """Write records, their columnar copies, the rejected rows and the metadata into the run directory.

    Raises:
        DataInvalid: a split file is missing, damaged or holds no usable row. Not retried.
        TooManyRejected: of a file. Not retried; ``rejected.jsonl`` says which rows.
        SettingsInvalid: the tokenizer cannot be had, or ``max_seq_len`` leaves no room. Not retried.
        Interrupted: the job was asked to stop; it starts over. Retried.
    """
    started = time.monotonic()
    temp_path = context.run_path / ".preprocess"
    shutil.rmtree(temp_path, ignore_errors=True)
    temp_path.mkdir(parents=True)
    context.events.phase("read")
    surveys = {split: survey_split(find_split(settings.data, split)) for split in SPLITS}
    tokenizer = _tokenizer_content(settings, surveys["train"], context)
    plan = RecordPlan(
        tokenizer=tokenizer,
        source=settings.source,
        max_seq_len=settings.max_seq_len,
        collapse_whitespace=settings.collapse_whitespace,
        trimming=settings.trimming,
        max_nodes=settings.max_nodes,
    )
    vocabulary = _check_plan(plan)
    findings = Findings(
        DuplicateSearch(settings.near_duplicate_similarity), GraphStatistics(int(settings.gpu_memory_gib * GIB))
    )
    context.events.phase("write")
    _write_splits(settings, context, plan, surveys, findings, temp_path)
    context.events.phase("save")
    metadata = _metadata(settings, surveys, findings) | {"tokenizer": _identity(settings, tokenizer) | vocabulary}
    _write_json(temp_path / METADATA_FILE, metadata)
    tokenizer_files = save_tokenizer(tokenizer, temp_path / TOKENIZER_FOLDER)
    _warn(settings, context, metadata)
    files = (
        *(f"{split}.{suffix}" for split in SPLITS for suffix in ("jsonl", "arrow")),
        REJECTED_FILE,
        METADATA_FILE,
        *(f"{TOKENIZER_FOLDER}/{name}" for name in tokenizer_files),
    )
    _put_in_place(temp_path, context.run_path, files)
    seconds = time.monotonic() - started
    num_records = sum(report.num_accepted for report in findings.splits.values())
    return JobResult(_numbers(metadata), files, {"records_per_second": round(num_records / seconds, 1)})


def _check_plan(plan: RecordPlan) -> dict[str, Any]:
    maker = RecordMaker(plan)
    if maker.trimmer.max_tokens < 1:
        raise SettingsInvalid(f"max_seq_len={plan.max_seq_len} leaves no room beside the tokenizer's special tokens")
    return {"vocab_size": maker.tokenizer.vocab_size}


def _tokenizer_content(settings: PreprocessSettings, train: Survey, context: JobContext) -> str:
    """The tokenizer's definition: loaded, or trained on the usable rows of the training split."""
    if settings.tokenizer is not None:
        loaded = init_safe_tokenizer(
            settings.tokenizer, revision=settings.tokenizer_revision, allow_network=settings.allow_network
        )
        return str(loaded.backend_tokenizer.to_str())
    progress = _Progress(context, train.num_lines, "rows read for the tokenizer")

    def texts() -> Iterator[str]:
        for row in _usable_rows(settings, train, SplitReport(), lambda _: None):
            progress.step(1)
            yield " ".join(row.code.split()) if settings.collapse_whitespace else row.code

    return str(train_tokenizer(texts(), settings.vocab_size).to_str())


def _write_splits(
    settings: PreprocessSettings,
    context: JobContext,
    plan: RecordPlan,
    surveys: dict[str, Survey],
    findings: Findings,
    temp_path: Path,
) -> None:
    num_bytes = sum(
        survey.path.stat().st_size * (GZIP_FACTOR if survey.path.suffix == ".gz" else 1) for survey in surveys.values()
    )
    num_workers = worker_count(settings.num_workers, num_bytes)
    progress = _Progress(context, sum(survey.num_lines for survey in surveys.values()), "functions")
    with (temp_path / REJECTED_FILE).open("wb") as rejected:

        def chunks() -> Iterator[Chunk]:
            for split, survey in surveys.items():
                report = findings.splits.setdefault(split, SplitReport())

                def reject(rejection: Rejection, name: str = survey.path.name) -> None:
                    line = {
                        "file": name,
                        "line": rejection.line,
                        "reason": rejection.reason,
                        "detail": rejection.detail,
                    }
                    rejected.write(json.dumps(line).encode() + b"\n")

                functions = _usable_rows(settings, survey, report, reject)
                yield from _chunks_of(_named(settings, functions, split))
                try:
                    _check_share(settings, survey, report)
                except TooManyRejected:
                    rejected.flush()
                    os.replace(rejected.name, context.run_path / REJECTED_FILE)
                    raise

        with _SplitFiles(temp_path) as files:
            for made in make_chunks(plan, chunks(), num_workers):
                if context.stop_requested():
                    raise Interrupted(progress.done)
                files.add(made)
                _take_note(made, findings)
                progress.step(len(made.functions))
            files.finish()


def _usable_rows(
    settings: PreprocessSettings, survey: Survey, report: SplitReport, reject: Callable[[Rejection], None]
) -> Iterator[RawFunction]:
    """Rows of a split that can be used, each id once; the first hundred in a quick test."""
    seen: set[str] = set()
    for line in read_lines(survey.path, max_line_bytes=max_line_bytes(settings.max_code_bytes)):
        if line.content == b"":
            report.num_blank_lines += 1
            continue
        row = read_function(line, settings.max_code_bytes)
        if isinstance(row, RawFunction) and row.orig_id in seen:
            row = Rejection(line.number, "duplicate_id", f"idx {row.orig_id} was used by an earlier row of this file")
        if isinstance(row, Rejection):
            report.reject(row)
            reject(row)
            continue
        seen.add(row.orig_id)
        report.accept(row)
        yield row
        if settings.quick_test and report.num_accepted == QUICK_TEST_RECORDS:
            return


def _check_share(settings: PreprocessSettings, survey: Survey, report: SplitReport) -> None:
    if report.num_rejected > settings.max_rejected_fraction * report.num_rows:
        raise TooManyRejected(
            survey.path,
            num_rejected=report.num_rejected,
            num_rows=report.num_rows,
            allowed_fraction=settings.max_rejected_fraction,
        )
    if report.num_accepted == 0:
        raise DataInvalid(survey.path, "holds no usable row; expected JSON lines, one function each")


def _named(settings: PreprocessSettings, functions: Iterator[RawFunction], split: str) -> Iterator[NamedFunction]:
    for function in functions:
        record_id = f"{settings.source}-{split}-".upper() + function.orig_id
        yield NamedFunction(function, record_id, function.commit_id or record_id, split)


def _chunks_of(functions: Iterator[NamedFunction]) -> Iterator[Chunk]:
    chunk: Chunk = []
    num_chars = 0
    for named in functions:
        chunk.append(named)
        num_chars += len(named.function.code)
        if len(chunk) == CHUNK_FUNCTIONS or num_chars >= CHUNK_CHARS:
            yield chunk
            chunk, num_chars = [], 0
    if chunk:
        yield chunk


def _take_note(made: MadeChunk, findings: Findings) -> None:
    for named, fact in zip(made.functions, made.records.facts, strict=True):
        findings.duplicates.add(named.split, named.record_id, named.group, fact.label, named.function.code)
        findings.graphs.add(fact.num_nodes, fact.num_edges)
        findings.groups.add(named.split, named.group)
    findings.splits[made.functions[0].split].add_records(made.records.facts)


class _SplitFiles:
    """The record file and columns of each split, as they grow; splits come one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = {split: (folder / f"{split}.jsonl").open("wb") for split in SPLITS}
        self._columns = {split: ColumnWriter(folder) for split in SPLITS}
        self._sha256 = {split: hashlib.sha256() for split in SPLITS}

    def __enter__(self) -> _SplitFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for split in SPLITS:
            self._files[split].close()
            self._columns[split].close()

    def add(self, made: MadeChunk) -> None:
        split = made.functions[0].split
        self._files[split].write(made.records.lines)
        self._sha256[split].update(made.records.lines)
        self._columns[split].add(made.records.columns)

    def finish(self) -> None:
        """Make the records durable and write their columnar copies."""
        for split, file in self._files.items():
            file.flush()
            os.fsync(file.fileno())
            self._columns[split].write(
                self._folder / f"{split}.arrow", jsonl_sha256=self._sha256[split].hexdigest(), jsonl_bytes=file.tell()
            )


class _Progress:
    """Progress events, a few a second at most."""

    def __init__(self, context: JobContext, total: int, unit: str) -> None:
        self.done = 0
        self._context = context
        self._total = total
        self._unit = unit
        self._next = 0.0

    def step(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now >= self._next:
            self._context.events.progress(self.done, self._total, self._unit)
            self._next = now + SECONDS_BETWEEN_EVENTS


def _metadata(settings: PreprocessSettings, surveys: dict[str, Survey], findings: Findings) -> dict[str, Any]:
    return {
        "settings": _echo(settings),
        "data": {split: {"file": survey.path.name, "sha256": survey.sha256} for split, survey in surveys.items()},
        "splits": {split: report.summary() for split, report in findings.splits.items()},
        "groups_across_splits": findings.groups.summary(),
        "duplicates": findings.duplicates.report(),
        "graph_statistics": findings.graphs.summary(),
        "syntax": describe_grammar(),
    }


def _echo(settings: PreprocessSettings) -> dict[str, Any]:
    """Settings without places and workers, which decide nothing."""
    echo = settings.model_dump(mode="json", exclude={"data", "allow_network", "num_workers"})
    return echo | {"tokenizer": _tokenizer_name(settings)}


def _identity(settings: PreprocessSettings, content: str) -> dict[str, Any]:
    return {
        "name": _tokenizer_name(settings) or "trained on the training split",
        "revision": settings.tokenizer_revision,
        "sha256": tokenizer_sha256(content),
    }


def _tokenizer_name(settings: PreprocessSettings) -> str | None:
    """Hub name, or the last part of a folder's path."""
    if settings.tokenizer is None or not Path(settings.tokenizer).is_dir():
        return settings.tokenizer
    return Path(settings.tokenizer).resolve().name


def _warn(settings: PreprocessSettings, context: JobContext, metadata: dict[str, Any]) -> None:
    for split, found in metadata["splits"].items():
        if found["ast_success"] < settings.min_ast_success:
            told = f"{found['ast_success']:.1%} of its functions parse without error, fewer than {settings.min_ast_success:.0%}"
            context.events.notice(f"{split}: {told}; graphs of the others are partial", "warning")
        if found["rejected"]:
            reasons = ", ".join(f"{count} {reason}" for reason, count in found["rejected_by_reason"].items())
            context.events.notice(
                f"{split}: {found['rejected']} of {found['rows']} rows rejected ({reasons})", "warning"
            )
    groups = metadata["groups_across_splits"]
    if groups["in_several_splits"]:
        told = f"{groups['in_several_splits']} of {groups['groups']} commits are in several splits"
        context.events.notice(f"{told}: scores on valid and test will be too good", "warning")
    for split, twins in metadata["duplicates"]["with_twin_in_train"].items():
        if twins["either"]:
            context.events.notice(f"{split}: {twins['either']} functions have a twin in train", "warning")


def _numbers(metadata: dict[str, Any]) -> dict[str, Any]:
    graphs = metadata["graph_statistics"]
    return {
        "splits": {
            split: {
                name: found[name]
                for name in ("accepted", "rejected", "share_vulnerable", "ast_success", "share_of_tokens_kept")
            }
            for split, found in metadata["splits"].items()
        },
        "groups_in_several_splits": metadata["groups_across_splits"]["in_several_splits"],
        "with_twin_in_train": {s: twins["either"] for s, twins in metadata["duplicates"]["with_twin_in_train"].items()},
        "vocab_size": metadata["tokenizer"]["vocab_size"],
        **{
            name: graphs[name]
            for name in ("total_graphs", "avg_nodes", "p95_nodes", "max_nodes", "recommended_batch_size")
        },
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _put_in_place(temp_path: Path, run_path: Path, files: tuple[str, ...]) -> None:
    for name in files:
        target = run_path / name
        target.parent.mkdir(exist_ok=True)
        (temp_path / name).replace(target)
    shutil.rmtree(temp_path)
