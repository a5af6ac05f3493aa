"""The findings job: findings of a static analyser in, records with tokens and offsets out.

All findings are in memory; there are thousands of them, not millions. Everything is written under temporary names and
takes its place at the end; a killed job starts over.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from models.data.chosen_tokenizer import check_room, choose_tokenizer, leave_tokenizer
from models.data.duplicates import DuplicateSearch
from models.data.findings import Finding
from models.data.findings_folder import FindingsFolder, check_both_labels, read_folder
from models.data.findings_metadata import FindingsReport, Found, describe_run, small_numbers, warnings_of
from models.data.findings_records import FindingMaker
from models.data.findings_splits import Separated, separate
from models.data.findings_text import COLLAPSES_WHITESPACE, TRIMMING_NAME, text_of
from models.data.job_progress import Progress, put_in_place
from models.data.raw_functions import SPLITS
from models.data.split_files import SplitFiles
from models.data.tokens import SafeTokenizer
from models.jobs.contract import JobContext, JobResult
from models.settings.findings import FindingsSettings

METADATA_FILE = "findings_metadata.json"
TEMP_FOLDER = ".findings"
QUICK_TEST_FINDINGS = 100
FINDINGS_AT_ONCE = 64

Splits = Mapping[str, list[Finding]]


def run(settings: FindingsSettings, context: JobContext) -> JobResult:
    """Write records, their columnar copies, the tokenizer and the metadata into the run directory.

    Raises:
        DataInvalid: anything is wrong with the findings (``findings.read_folder``), or a split has one label only after
            its files were separated. Nothing is written then. Not retried.
        SettingsInvalid: the tokenizer cannot be had, or ``max_seq_len`` leaves no room. Not retried.
        Interrupted: the job was asked to stop; it starts over. Retried.
    """
    started = time.monotonic()
    context.events.phase("read")
    folder = read_folder(settings.data)
    separated = separate(folder.train.findings, folder.val.findings, settings.shared_files)
    splits = _splits(settings, folder, separated)
    context.leave_if_asked()
    tokenizer = SafeTokenizer(
        choose_tokenizer(settings, lambda: _training_texts(settings, splits, context)),
        collapse_whitespace=COLLAPSES_WHITESPACE,
    )
    check_room(settings, tokenizer)
    found = Found(DuplicateSearch(settings.near_duplicate_similarity), separated.report)
    temp_path = context.run_path / TEMP_FOLDER
    shutil.rmtree(temp_path, ignore_errors=True)
    temp_path.mkdir(parents=True)
    context.events.phase("write")
    _write_splits(settings, context, tokenizer, splits, found, temp_path)
    context.events.phase("save")
    metadata = describe_run(settings, folder, tokenizer, found)
    for warning in warnings_of(metadata):
        context.events.notice(warning, "warning")
    (temp_path / METADATA_FILE).write_text(json.dumps(metadata, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    reading = {
        "collapse_whitespace": COLLAPSES_WHITESPACE,
        "trimming": TRIMMING_NAME,
        "max_seq_len": settings.max_seq_len,
    }
    files = (
        *(f"{split}.{suffix}" for split in SPLITS for suffix in ("jsonl", "arrow")),
        METADATA_FILE,
        *leave_tokenizer(tokenizer, reading, temp_path),
    )
    put_in_place(temp_path, context.run_path, files)
    num_records = sum(map(len, splits.values()))
    records_per_second = round(num_records / (time.monotonic() - started), 1)
    return JobResult(small_numbers(metadata), files, {"records_per_second": records_per_second})


def _splits(settings: FindingsSettings, folder: FindingsFolder, separated: Separated) -> Splits:
    """What goes into each record file; of a quick test the first findings of train, val and each test file."""
    limit = QUICK_TEST_FINDINGS if settings.quick_test else None
    splits = {
        "train": separated.train[:limit],
        "valid": separated.val[:limit],
        "test": [finding for file in folder.test.values() for finding in file.findings[:limit]],
    }
    how = f"shared_files={settings.shared_files}" + (", quick_test" if settings.quick_test else "")
    for split, findings in splits.items():
        check_both_labels(settings.data, findings, f"that are left for {split} ({how})")
    return splits


def _training_texts(settings: FindingsSettings, splits: Splits, context: JobContext) -> Iterator[str]:
    for finding in splits["train"]:
        context.leave_if_asked()
        yield text_of(finding, settings.context_lines)


def _write_splits(
    settings: FindingsSettings,
    context: JobContext,
    tokenizer: SafeTokenizer,
    splits: Splits,
    found: Found,
    temp_path: Path,
) -> None:
    maker = FindingMaker(
        tokenizer,
        source=settings.source,
        context_lines=settings.context_lines,
        max_seq_len=settings.max_seq_len,
    )
    progress = Progress(context, sum(map(len, splits.values())), "findings")
    with SplitFiles(temp_path) as files:
        for split, findings in splits.items():
            report = found.splits.setdefault(split, FindingsReport())
            for first in range(0, len(findings), FINDINGS_AT_ONCE):
                context.leave_if_asked(progress.done)
                some = findings[first : first + FINDINGS_AT_ONCE]
                made = maker.make(some, split)
                files.add(split, made.lines, made.columns)
                for finding, record, fact in zip(some, made.records, made.facts, strict=True):
                    report.add(finding, fact)
                    found.duplicates.add(split, record.record_id, record.group, record.label, _searched(record.code))
                progress.step(len(some))
        files.finish()


def _searched(text: str) -> str:
    """The text as the search for copies reads it: to that, ``//`` would begin a comment of C and hide all of an URL."""
    return text.replace("/", " / ")
