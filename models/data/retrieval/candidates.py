"""The candidates job: patches in, the texts and features of their edits and lists for each left-out project out.

All patches are in memory; there are thousands of them, not millions. Everything is written under temporary names and
takes its place at the end; a killed job starts over.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from models.data.chosen_tokenizer import describe_tokenizer
from models.data.job_progress import Progress, put_in_place
from models.data.retrieval.candidate_bugs import Bug, Edit, GroupedEdits, bug_of, edit_of, group_by_bug
from models.data.retrieval.candidate_lists import list_line
from models.data.retrieval.edit_features import FEATURES, SIZE_FEATURE
from models.data.retrieval.left_out_projects import Division, counts_of, leave_out, projects_of
from models.data.retrieval.lists_origin import LEARNT_FLAG, METADATA_FILE
from models.data.retrieval.patch_rows import PatchFile, read_patches
from models.data.retrieval.text_records import (
    TRIMMING_NAME,
    NamedText,
    TextMaker,
    TextReport,
    leave_text_tokenizer,
    text_tokenizer,
)
from models.data.split_files import SplitFiles
from models.data.tokens import SafeTokenizer
from models.errors import DataInvalid
from models.evaluation.result_files import write_document
from models.jobs.contract import JobContext, JobResult
from models.settings.retrieval import CandidatesSettings

PROJECTS_FOLDER = "projects"
TEXTS_NAME = "texts"
TEMP_FOLDER = ".candidates"
QUICK_TEST_BUGS = 100
TEXTS_AT_ONCE = 64
SPLIT_NAME = "candidates"
"""Split of all texts: what a text is for differs with the project that is left out, and is in the lists."""
LEARNT_FROM = "the edits of all projects, the left-out one's too; no label was read"
LIST_FILES = ("train.jsonl", "valid.jsonl", "held_out.jsonl")


class _Found(NamedTuple):
    file: PatchFile
    grouped: GroupedEdits
    bugs: list[Bug]
    divisions: dict[str, Division]
    report: TextReport


def run(settings: CandidatesSettings, context: JobContext) -> JobResult:
    """Write texts of edits, their columnar copy, tokenizer, lists of each left-out project and metadata.

    Raises:
        DataInvalid: A row lacks a field or has a wrong one (``patch_rows``), there is one project only, or too few bugs
            have both labels. Nothing is written then. Not retried.
        SettingsInvalid: The tokenizer cannot be had, or ``max_seq_len`` leaves no room. Not retried.
        Interrupted: The job was asked to stop; it starts over. Retried.
    """
    started = time.monotonic()
    found = _find(settings, context)
    context.enter("tokenizer")
    texts = [_text_of(bug, at) for bug in found.bugs for at in range(len(bug.candidates))]
    tokenizer = text_tokenizer(settings, lambda: _until_asked(context, texts))
    temp_path = context.run_path / TEMP_FOLDER
    shutil.rmtree(temp_path, ignore_errors=True)
    temp_path.mkdir(parents=True)
    context.enter("write")
    _write_texts(settings, context, tokenizer, texts, found.report, temp_path)
    list_files = _write_lists(found.divisions, temp_path)
    context.enter("save")
    metadata = _described(settings, tokenizer, found)
    for warning in _warnings(metadata):
        context.events.notice(warning, "warning")
    write_document(temp_path, METADATA_FILE, metadata)
    tokenizer_files = leave_text_tokenizer(settings, tokenizer, temp_path)
    files = (f"{TEXTS_NAME}.jsonl", f"{TEXTS_NAME}.arrow", *list_files, METADATA_FILE, *tokenizer_files)
    (context.run_path / PROJECTS_FOLDER).mkdir(exist_ok=True)
    put_in_place(temp_path, context.run_path, files)
    rate = round(len(found.file.patches) / (time.monotonic() - started), 1)
    return JobResult(_small_numbers(metadata), files, {"patches_per_second": rate})


def _find(settings: CandidatesSettings, context: JobContext) -> _Found:
    """All that is told of the patches; what is wrong with them is found here."""
    context.enter("read")
    file = read_patches(settings.data)
    context.enter("compare")
    grouped = group_by_bug(_edits(settings, context, file))
    bugs = list(_bugs(settings, context, grouped))
    if not bugs:
        raise DataInvalid(settings.data, "no patch is left: each changes nothing, or is called both correct and wrong")
    divisions = {
        project: leave_out(bugs, project, valid_share=settings.valid_share, seed=settings.seed, path=settings.data)
        for project in projects_of(bugs, settings.data)
    }
    return _Found(file, grouped, bugs, divisions, TextReport())


def _edits(settings: CandidatesSettings, context: JobContext, file: PatchFile) -> Iterator[Edit]:
    """Of all bugs, or in a quick test of a hundred; which they are does not depend on the order of the file."""
    names = sorted({patch.bug for patch in file.patches}, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    chosen = set(names[: QUICK_TEST_BUGS if settings.quick_test else None])
    patches = [patch for patch in file.patches if patch.bug in chosen]
    progress = Progress(context, len(patches), "patches")
    for patch in patches:
        context.leave_if_asked(progress.done)
        yield edit_of(patch)
        progress.step(1)


def _bugs(settings: CandidatesSettings, context: JobContext, grouped: GroupedEdits) -> Iterator[Bug]:
    progress = Progress(context, len(grouped.by_bug), "bugs")
    for name, edits in grouped.by_bug.items():
        context.leave_if_asked(progress.done)
        yield bug_of(name, edits, settings.context_lines)
        progress.step(1)


def _text_of(bug: Bug, at: int) -> NamedText:
    candidate = bug.candidates[at]
    metadata = {
        "source": "patches",
        "split": SPLIT_NAME,
        "match": candidate.text_id,
        "project": bug.project,
        "file": "",
        "function": "",
        "language": candidate.language,
        "kind": "original",
    }
    return NamedText(candidate.text_id, bug.name, candidate.text, candidate.language, candidate.label, metadata)


def _until_asked(context: JobContext, texts: Sequence[NamedText]) -> Iterator[str]:
    for text in texts:
        context.leave_if_asked()
        yield text.text


def _write_texts(
    settings: CandidatesSettings,
    context: JobContext,
    tokenizer: SafeTokenizer,
    texts: Sequence[NamedText],
    report: TextReport,
    temp_path: Path,
) -> None:
    maker = TextMaker(tokenizer, settings.max_seq_len)
    with SplitFiles(temp_path, (TEXTS_NAME,)) as files:
        for first in range(0, len(texts), TEXTS_AT_ONCE):
            context.leave_if_asked(first)
            made = maker.make(texts[first : first + TEXTS_AT_ONCE], report)
            if made.empty:
                problem = f"the tokenizer makes no token of the edit {made.empty[0]}; give another tokenizer"
                raise DataInvalid(settings.data, problem)
            files.add(TEXTS_NAME, made.lines, made.columns)
        files.finish()


def _write_lists(divisions: Mapping[str, Division], temp_path: Path) -> list[str]:
    """The lists of each left-out project; gives the names of the files."""
    names = []
    for project, division in divisions.items():
        splits = ("train", "valid", project)
        for name, bugs, split in zip(LIST_FILES, division[:3], splits, strict=True):
            path = temp_path / PROJECTS_FOLDER / project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(list_line(bug.as_list(split)) for bug in bugs))
            names.append(path.relative_to(temp_path).as_posix())
    return names


def _described(settings: CandidatesSettings, tokenizer: SafeTokenizer, found: _Found) -> dict[str, Any]:
    return {
        "features": FEATURES,
        "size_feature": tuple(FEATURES)[SIZE_FEATURE],
        "num_patches": len(found.file.patches),
        "num_rejected": dict(sorted(found.file.rejected.items())),
        "num_dropped": dict(sorted(found.grouped.dropped.items())),
        **counts_of(found.bugs),
        "texts": found.report.described(),
        "projects": {
            project: {
                "train": counts_of(division.train),
                "valid": counts_of(division.valid),
                "held_out": counts_of(division.held_out),
                "num_copies_of_held_out": division.num_copies,
                "num_copies_of_valid": division.num_copies_of_valid,
            }
            for project, division in found.divisions.items()
        },
        "tokenizer": {
            **describe_tokenizer(settings, tokenizer),
            **({} if settings.tokenizer else {"name": "trained on the edits", "learnt_from": LEARNT_FROM}),
        },
        LEARNT_FLAG: settings.tokenizer is None,
        "num_unread": sum(not candidate.language for bug in found.bugs for candidate in bug.candidates),
        "context_lines": settings.context_lines,
        "max_seq_len": settings.max_seq_len,
        "trimming": TRIMMING_NAME,
        "valid_share": settings.valid_share,
        "seed": settings.seed,
        "quick_test": settings.quick_test,
    }


def _warnings(metadata: Mapping[str, Any]) -> Iterator[str]:
    """What a person must be told of the data."""
    for reason, count in metadata["num_rejected"].items():
        yield f"{count} patches passed over: {reason}"
    if count := metadata["num_dropped"].get("contradicted"):
        yield f"{count} patches dropped: the same result is called correct and wrong"
    if metadata[LEARNT_FLAG]:
        yield f"the tokenizer was learnt from {LEARNT_FROM}; give a tokenizer to judge projects it never saw"
    if count := metadata["num_unread"]:
        yield f"{count} patches are of code that no grammar reads: their comments stay, and may say who made them"
    for project, division in metadata["projects"].items():
        if count := division["num_copies_of_held_out"]:
            yield f"{count} patches of other projects read exactly as patches of {project} and do not teach about it"
        if count := division["num_copies_of_valid"]:
            yield f"{count} patches that read exactly as one that chooses the epoch do not teach about {project}"
        if not division["held_out"]["num_mixed"]:
            yield f"{project} has no bug with both correct and wrong patches: nothing can be judged on it"


def _small_numbers(metadata: Mapping[str, Any]) -> dict[str, Any]:
    names = ("num_patches", "num_rejected", "num_dropped", "num_bugs", "num_mixed", "num_one_label", "num_candidates")
    mixed = {project: division["held_out"]["num_mixed"] for project, division in metadata["projects"].items()}
    return {
        **{name: metadata[name] for name in (*names, "num_correct", "num_unread", LEARNT_FLAG, "quick_test")},
        "num_features": len(metadata["features"]),
        "share_cut": metadata["texts"]["share_cut"],
        "num_mixed_of_project": mixed,
    }
