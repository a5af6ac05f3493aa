"""The ``probe`` job: records that ask one question of a model, made as the preprocess run makes its own.

The test functions renamed or laid out anew (the same ids, labels and groups, in the same order), or before/after pairs.
The tokenizer and the settings are those of the preprocess run, so a model reads a probe as it reads the test split, and
what a transform leaves alone gives the record it came from, byte for byte.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from models.data.job_progress import Progress, put_in_place
from models.data.probe_rows import TEST, functions_of_test, pair_functions, transformed
from models.data.raw_functions import Rejection
from models.data.records import NamedFunction, RecordMaker, RecordPlan
from models.data.split_files import SplitFiles
from models.data.tokenizer_files import CONFIG_FILE, READING_FILE, TOKENIZER_FILE
from models.data.transforms.checked import Transform
from models.data.transforms.reformatting import reformat
from models.data.transforms.renaming import rename_identifiers
from models.errors import DataInvalid, SettingsInvalid
from models.jobs.contract import SETTINGS_FILE, JobContext, JobResult
from models.jobs.keys import run_key, sha256_of
from models.jobs.registry import parse_job
from models.settings.preprocess import PreprocessSettings
from models.settings.probe import BeforeAfter, ProbeSettings, Reformatted, Renamed
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.store.filesystem import LocalFilesystem, write_synced
from models.store.manifest import digest_file
from models.store.openings import append_opening

SUMMARY_FILE = "probe.json"
PAIRS_FILE = "pairs.jsonl"
TEMP_FOLDER = ".probe"
CHUNK_FUNCTIONS = 64
TRANSFORMS: dict[str, Transform] = {"rename": rename_identifiers, "reformat": reformat}
"""By the kind of the settings."""


def run(settings: ProbeSettings, context: JobContext) -> JobResult:
    """Write ``test.jsonl``, ``test.arrow``, their tokenizer and ``probe.json`` into the run directory.

    Raises:
        SettingsInvalid: ``records`` is no finished preprocess run of functions. Not retried.
        DataInvalid: The records or pairs are missing, damaged or none. Not retried.
        StoreUnavailable: The opening of the test split could not be logged; it stays closed. Retried.
        Interrupted: Asked to stop; the job starts over. Retried.
    """
    context.leave_if_asked()
    context.events.phase("load")
    made_by = preprocess_settings_of(settings.records)
    plan = _plan(settings.records, made_by)
    temp_path = context.run_path / TEMP_FOLDER
    shutil.rmtree(temp_path, ignore_errors=True)
    temp_path.mkdir(parents=True)
    counts: Counter[str] = Counter()
    functions = _functions(settings, made_by, context, counts)
    context.events.phase("write")
    summary = _write_records(functions, plan, temp_path, context)
    if not summary["num_records"]:
        raise DataInvalid(_source_path(settings), "gave no record; there is nothing to probe with")
    summary |= {"kind": settings.what.kind, "seed": getattr(settings.what, "seed", None), **_counted(settings, counts)}
    for message, level in _notices(summary):
        context.events.notice(message, level)
    tokenizer_files = _copy_tokenizer(settings.records, temp_path)
    content = json.dumps(summary, indent=1, sort_keys=True).encode() + b"\n"
    write_synced(LocalFilesystem(), temp_path / SUMMARY_FILE, content, temp_folder=temp_path)
    files = (f"{TEST}.jsonl", f"{TEST}.arrow", SUMMARY_FILE, *tokenizer_files)
    put_in_place(temp_path, context.run_path, files)
    return JobResult(numbers=summary, files=files)


def preprocess_settings_of(records: Path) -> PreprocessSettings:
    """What the records at ``records`` were made by.

    Raises:
        SettingsInvalid: That is no run of the preprocess job. Not retried.
    """
    path = records / SETTINGS_FILE
    if not path.is_file():
        raise SettingsInvalid(
            f"records: {records} has no {SETTINGS_FILE}; give the directory of a finished preprocess run"
        )
    made_by = parse_job(path.read_bytes())
    if not isinstance(made_by, PreprocessSettings):
        raise SettingsInvalid(f"records: {records} is no preprocess run; probes are made of functions")
    return made_by


def _plan(records: Path, made_by: PreprocessSettings) -> RecordPlan:
    tokenizer_path = records / TOKENIZER_FOLDER / TOKENIZER_FILE
    if not tokenizer_path.is_file():
        raise SettingsInvalid(f"records: no tokenizer at {tokenizer_path}; give a finished preprocess run")
    return RecordPlan(
        tokenizer=tokenizer_path.read_text(encoding="utf-8"),
        source=made_by.source,
        max_seq_len=made_by.max_seq_len,
        collapse_whitespace=made_by.collapse_whitespace,
        trimming=made_by.trimming,
        max_nodes=made_by.max_nodes,
    )


def _source_path(settings: ProbeSettings) -> Path:
    if isinstance(settings.what, BeforeAfter):
        return settings.what.data / PAIRS_FILE
    return settings.records / f"{TEST}.jsonl"


def _functions(
    settings: ProbeSettings, made_by: PreprocessSettings, context: JobContext, counts: Counter[str]
) -> Iterator[NamedFunction]:
    path, what = _source_path(settings), settings.what
    if not path.is_file():
        run_name = "collect run with pairs" if isinstance(what, BeforeAfter) else "preprocess run"
        raise DataInvalid(path, f"no such file; give the directory of a finished {run_name}")
    if isinstance(what, BeforeAfter):
        return _sides(path, made_by.max_code_bytes, counts)
    _log_opening(settings, what, path, context)
    return _changed(path, partial(TRANSFORMS[what.kind], seed=what.seed), counts)


def _log_opening(settings: ProbeSettings, what: Renamed | Reformatted, path: Path, context: JobContext) -> None:
    append_opening(
        context.openings_log,
        model_sha256=sha256_of(
            {"probe": what.model_dump(mode="json")}
        ),  # no weights see it: the transform names itself
        data_sha256=digest_file(path).sha256,
        split=TEST,
        purpose=f"the {what.kind} probe is made of it; no model sees it here",
        run_key=run_key(settings),
        attempt=context.attempt,
    )


def _changed(path: Path, change: Callable[[str], Any], counts: Counter[str]) -> Iterator[NamedFunction]:
    for named in functions_of_test(path):
        changed, outcome = transformed(named, change)
        counts["changed" if outcome.changed else "undone" if outcome.undone else "unchanged"] += 1
        yield changed


def _sides(path: Path, max_code_bytes: int, counts: Counter[str]) -> Iterator[NamedFunction]:
    for pair in pair_functions(path, max_code_bytes):
        counts["left_out" if isinstance(pair, Rejection) else "pairs"] += 1
        if not isinstance(pair, Rejection):
            yield from pair


def _write_records(
    functions: Iterator[NamedFunction], plan: RecordPlan, temp_path: Path, context: JobContext
) -> dict[str, Any]:
    """Records of all functions; counts by label, groups and how they were parsed."""
    maker, progress = RecordMaker(plan), Progress(context, None, "functions")
    labels, tiers, groups = Counter({"0": 0, "1": 0}), Counter[str](), set[str]()
    with SplitFiles(temp_path, (TEST,)) as files:
        for chunk in _chunks(functions):
            context.leave_if_asked(progress.done)
            made = maker.make(chunk)
            files.add(TEST, made.lines, made.columns)
            labels.update(str(fact.label) for fact in made.facts)
            tiers.update(fact.tier for fact in made.facts)
            groups.update(named.group for named in chunk)
            progress.step(len(chunk))
        files.finish()
    return {
        "num_records": labels.total(),
        "num_groups": len(groups),
        "labels": dict(labels),
        "ast_tiers": dict(tiers),
    }


def _chunks(functions: Iterator[NamedFunction]) -> Iterator[list[NamedFunction]]:
    chunk: list[NamedFunction] = []
    for named in functions:
        chunk.append(named)
        if len(chunk) == CHUNK_FUNCTIONS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _counted(settings: ProbeSettings, counts: Counter[str]) -> dict[str, Any]:
    if isinstance(settings.what, BeforeAfter):
        return {
            "changed": None,
            "unchanged": None,
            "undone": None,
            "num_pairs": counts["pairs"],
            "pairs_left_out": counts["left_out"],
        }
    outcomes = {name: counts[name] for name in ("changed", "unchanged", "undone")}
    return {**outcomes, "num_pairs": None, "pairs_left_out": None}


def _notices(summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a person should know, each with its level."""
    kind = summary["kind"]
    if summary["num_pairs"] is not None:
        if summary["pairs_left_out"]:
            yield f"{summary['pairs_left_out']} pairs are left out: a side is longer than max_code_bytes", "warning"
        return
    total, undone = summary["num_records"], summary["undone"]
    if not summary["changed"]:
        yield f"{kind} changed none of {total} functions: as a probe they say nothing beside the test split", "warning"
    else:
        told = f"{kind} changed {summary['changed']} of {total} functions; in {summary['unchanged']} there was nothing "
        yield f"{told}to change, {undone} changes were undone because the parser read the result otherwise", "info"


def _copy_tokenizer(records: Path, temp_path: Path) -> tuple[str, ...]:
    """The tokenizer's files, byte for byte: a model checks that it reads by the same one."""
    folder = temp_path / TOKENIZER_FOLDER
    folder.mkdir()
    present = [
        name for name in (TOKENIZER_FILE, CONFIG_FILE, READING_FILE) if (records / TOKENIZER_FOLDER / name).is_file()
    ]
    for name in present:
        shutil.copyfile(records / TOKENIZER_FOLDER / name, folder / name)
    return tuple(f"{TOKENIZER_FOLDER}/{name}" for name in present)
