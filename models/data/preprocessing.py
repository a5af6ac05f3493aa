"""The preprocess job: a folder of raw functions in, records with tokens, offsets and syntax graphs out.

Streams: a few chunks of functions are in memory, and per row only what finds duplicates (a signature, an id, a commit).
Everything is written under temporary names and takes its place at the end; a killed job starts over. Output bytes
depend on data and settings only, not on the number of workers.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from models.data.chosen_tokenizer import check_room, choose_tokenizer, leave_tokenizer
from models.data.duplicates import DuplicateSearch
from models.data.graph_statistics import GraphStatistics
from models.data.job_progress import Progress, put_in_place
from models.data.preprocessing_metadata import Findings, describe_run, small_numbers, warnings_of
from models.data.raw_functions import (
    SPLITS,
    Rejection,
    Survey,
    find_split,
    survey_split,
)
from models.data.records import NamedFunction, RecordPlan
from models.data.split_files import SplitFiles
from models.data.split_report import SplitReport
from models.data.tokens import SafeTokenizer
from models.data.usable_rows import RowGroups, RowSink, find_groups, usable_rows
from models.data.worker_pool import Chunk, MadeChunk, make_chunks, worker_count
from models.errors import DataInvalid, TooManyRejected
from models.jobs.contract import JobContext, JobResult
from models.settings.preprocess import PreprocessSettings

REJECTED_FILE = "rejected.jsonl"
METADATA_FILE = "preprocessing_metadata.json"
TEMP_FOLDER = ".preprocess"
CHUNK_FUNCTIONS = 64
CHUNK_CHARS = 1 << 18
GIB = 1 << 30
GZIP_FACTOR = 5
"""About how much smaller gzip makes code."""


def run(settings: PreprocessSettings, context: JobContext) -> JobResult:
    """Write records, their columnar copies, the rejected rows and the metadata into the run directory.

    Raises:
        DataInvalid: a split file is missing, damaged or holds no usable row. Not retried.
        TooManyRejected: of a file. Not retried; ``rejected.jsonl`` says which rows.
        SettingsInvalid: the tokenizer cannot be had, or ``max_seq_len`` leaves no room. Not retried.
        Interrupted: the job was asked to stop; it starts over. Retried.
    """
    started = time.monotonic()
    temp_path = context.run_path / TEMP_FOLDER
    shutil.rmtree(temp_path, ignore_errors=True)
    temp_path.mkdir(parents=True)
    context.events.phase("read")
    surveys = {split: survey_split(find_split(settings.data, split)) for split in SPLITS}
    groups = find_groups(settings, surveys, context.leave_if_asked)
    tokenizer = SafeTokenizer(
        choose_tokenizer(settings, lambda: _training_texts(settings, surveys["train"], groups, context)),
        collapse_whitespace=settings.collapse_whitespace,
    )
    plan = _plan(settings, tokenizer)
    findings = Findings(
        DuplicateSearch(settings.near_duplicate_similarity), GraphStatistics(int(settings.gpu_memory_gib * GIB))
    )
    context.events.phase("write")
    _write_splits(settings, context, plan, SplitSources(surveys, groups), findings, temp_path)
    context.events.phase("save")
    metadata = describe_run(settings, surveys, tokenizer, findings)
    for warning in warnings_of(metadata, settings.min_ast_success):
        context.events.notice(warning, "warning")
    (temp_path / METADATA_FILE).write_text(json.dumps(metadata, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    reading = settings.model_dump(include={"collapse_whitespace", "trimming", "max_seq_len"})
    files = (
        *(f"{split}.{suffix}" for split in SPLITS for suffix in ("jsonl", "arrow")),
        REJECTED_FILE,
        METADATA_FILE,
        *leave_tokenizer(tokenizer, reading, temp_path),
    )
    put_in_place(temp_path, context.run_path, files)
    num_records = sum(report.num_accepted for report in findings.splits.values())
    records_per_second = round(num_records / (time.monotonic() - started), 1)
    return JobResult(small_numbers(metadata), files, {"records_per_second": records_per_second})


def _plan(settings: PreprocessSettings, tokenizer: SafeTokenizer) -> RecordPlan:
    check_room(settings, tokenizer)
    return RecordPlan(
        tokenizer=tokenizer.content,
        source=settings.source,
        max_seq_len=settings.max_seq_len,
        collapse_whitespace=settings.collapse_whitespace,
        trimming=settings.trimming,
        max_nodes=settings.max_nodes,
    )


def _training_texts(
    settings: PreprocessSettings, train: Survey, groups: RowGroups, context: JobContext
) -> Iterator[str]:
    """The usable rows of the training split, as they will be tokenised."""
    progress = Progress(context, train.num_lines, "functions read for the tokenizer")
    for named in usable_rows(settings, train, "train", groups, RowSink(SplitReport(), lambda _: None)):
        context.leave_if_asked()
        progress.step(1)
        code = named.function.code
        yield " ".join(code.split()) if settings.collapse_whitespace else code


class SplitSources(NamedTuple):
    """The files, and what is known of their groups."""

    surveys: dict[str, Survey]
    groups: RowGroups


def _write_splits(
    settings: PreprocessSettings,
    context: JobContext,
    plan: RecordPlan,
    sources: SplitSources,
    findings: Findings,
    temp_path: Path,
) -> None:
    surveys = sources.surveys
    num_bytes = sum(
        survey.path.stat().st_size * (GZIP_FACTOR if survey.path.suffix == ".gz" else 1) for survey in surveys.values()
    )
    num_workers = worker_count(settings.num_workers, num_bytes)
    progress = Progress(context, sum(survey.num_lines for survey in surveys.values()), "functions")
    rejected_path = temp_path / REJECTED_FILE
    try:
        with rejected_path.open("wb") as rejected, SplitFiles(temp_path) as files:
            chunks = _chunks(settings, sources, findings, rejected)
            for made in make_chunks(plan, chunks, num_workers):
                context.leave_if_asked(progress.done)
                files.add(made.functions[0].split, made.records.lines, made.records.columns)
                _take_note(made, findings)
                progress.step(len(made.functions))
            files.finish()
    except DataInvalid:
        rejected_path.replace(context.run_path / REJECTED_FILE)  # the message sends people there
        raise


def _chunks(
    settings: PreprocessSettings, sources: SplitSources, findings: Findings, rejected: IO[bytes]
) -> Iterator[Chunk]:
    """All usable functions in the order of their files, a few at a time; never of two splits."""
    for split, survey in sources.surveys.items():
        report = findings.splits.setdefault(split, SplitReport())

        def reject(rejection: Rejection, file_name: str = survey.path.name) -> None:
            line = {"file": file_name, **rejection._asdict()}
            rejected.write(json.dumps(line).encode() + b"\n")

        functions = usable_rows(settings, survey, split, sources.groups, RowSink(report, reject))
        yield from _cut_into_chunks(functions)
        _check_share(settings, survey, report)


def _check_share(settings: PreprocessSettings, survey: Survey, report: SplitReport) -> None:
    if report.num_rejected > settings.max_rejected_fraction * report.num_rows:
        raise TooManyRejected(
            survey.path,
            num_rejected=report.num_rejected,
            num_rows=report.num_rows,
            allowed_fraction=settings.max_rejected_fraction,
        )
    if report.num_accepted == 0 and report.num_dropped:
        raise DataInvalid(survey.path, "every usable row's commit is in a later split too; try splits=given")
    if report.num_accepted == 0:
        raise DataInvalid(survey.path, "holds no usable row; expected JSON lines, one function each")


def _cut_into_chunks(functions: Iterator[NamedFunction]) -> Iterator[Chunk]:
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
