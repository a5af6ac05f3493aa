"""The pairs job: a balanced data set in, token records of its texts and the pairs of training and validation out.

Texts stream through: in memory is of each its id, split and what it does the same as. All faults of rows and pairs are
found before anything is written. Everything is written under temporary names and takes its place at the end; a killed
job starts over.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from models.data.chosen_tokenizer import describe_tokenizer
from models.data.job_progress import Progress, put_in_place
from models.data.retrieval.balanced_rows import (
    PAIRS_FILE,
    SPLIT_NAMES,
    BalancedSplit,
    KnownText,
    read_balanced_pairs,
    read_texts,
)
from models.data.retrieval.balanced_rows import known_texts as read_known
from models.data.retrieval.text_pairs import pair_line
from models.data.retrieval.text_records import (
    COLLAPSES_WHITESPACE,
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
from models.settings.retrieval import PairsSettings

METADATA_FILE = "pairs_metadata.json"
TEMP_FOLDER = ".pairs"
QUICK_TEST_TEXTS = 100
TEXTS_AT_ONCE = 64
FILE_OF: dict[BalancedSplit, str] = {"train": "texts", "val": "texts", "test": "test_texts"}
"""Where the texts of each split go: what training sees into one file, what is sealed into another."""
PAIR_FILES = {"train": "train_pairs.jsonl", "valid": "valid_pairs.jsonl"}

Item = TypeVar("Item")


@dataclass
class _Found:
    """What was counted, by split as records call it."""

    num_pairs: Counter[str]
    texts: dict[str, TextReport] = field(default_factory=dict)
    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    matches: dict[str, set[str]] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)


def run(settings: PairsSettings, context: JobContext) -> JobResult:
    """Write texts, their columnar copies, tokenizer, pairs and metadata into the run directory.

    Raises:
        DataInvalid: A file is missing, a row or pair is wrong (``balanced_rows``), an id is there twice, there is no
            pair in train or val, or the tokenizer makes nothing of a text. Not retried.
        SettingsInvalid: The tokenizer cannot be had, or ``max_seq_len`` leaves no room. Not retried.
        Interrupted: The job was asked to stop; it starts over. Retried.
    """
    started = time.monotonic()
    context.enter("read")
    limit = QUICK_TEST_TEXTS if settings.quick_test else None
    known = read_known(settings.data, limit)
    found = _Found(_count_pairs(settings, known))
    context.enter("tokenizer")
    tokenizer = text_tokenizer(settings, lambda: _texts_until_asked(settings, context, limit))
    temp_path = context.run_path / TEMP_FOLDER
    shutil.rmtree(temp_path, ignore_errors=True)
    temp_path.mkdir(parents=True)
    context.enter("write")
    _write_texts(settings, context, tokenizer, found, len(known), temp_path)
    context.enter("save")
    _write_pairs(settings, known, temp_path)
    metadata = _described(settings, tokenizer, found)
    if not found.texts["test"].num_texts:
        context.events.notice("test holds no text: nothing can be measured on it", "warning")
    write_document(temp_path, METADATA_FILE, metadata)
    files = (
        *(f"{name}.{suffix}" for name in dict.fromkeys(FILE_OF.values()) for suffix in ("jsonl", "arrow")),
        *PAIR_FILES.values(),
        METADATA_FILE,
        *leave_text_tokenizer(settings, tokenizer, temp_path),
    )
    put_in_place(temp_path, context.run_path, files)
    texts_per_second = round(len(known) / (time.monotonic() - started), 1)
    return JobResult(_small_numbers(metadata), files, {"texts_per_second": texts_per_second})


def _count_pairs(settings: PairsSettings, known: dict[str, KnownText]) -> Counter[str]:
    """Pairs of each split; all are checked.

    Raises:
        DataInvalid: A pair is wrong, or train or val has none. Not retried.
    """
    is_whole = not settings.quick_test
    counts = Counter(split for split, _ in read_balanced_pairs(settings.data, known, is_whole=is_whole))
    for split in PAIR_FILES:
        if not counts[split]:
            which = "" if is_whole else f" among the first {QUICK_TEST_TEXTS} texts (quick_test)"
            raise DataInvalid(
                settings.data / PAIRS_FILE,
                f"holds no pair of {split}{which}; nothing could be learnt or chosen by. Give the balance job texts "
                "that do the same as others (tasks in its labels, or augment_k for training)",
            )
    return counts


def _texts_until_asked(settings: PairsSettings, context: JobContext, limit: int | None) -> Iterator[str]:
    for text in read_texts(settings.data, "train", limit):
        context.leave_if_asked()
        yield text.text


def _write_texts(
    settings: PairsSettings,
    context: JobContext,
    tokenizer: SafeTokenizer,
    found: _Found,
    num_texts: int,
    temp_path: Path,
) -> None:
    maker = TextMaker(tokenizer, settings.max_seq_len)
    progress = Progress(context, num_texts, "texts")
    limit = QUICK_TEST_TEXTS if settings.quick_test else None
    with SplitFiles(temp_path, tuple(dict.fromkeys(FILE_OF.values()))) as files:
        for split, name in SPLIT_NAMES.items():
            report = found.texts.setdefault(name, TextReport())
            for texts in _chunks(read_texts(settings.data, split, limit)):
                context.leave_if_asked(progress.done)
                made = maker.make(texts, report)
                if made.empty:
                    raise DataInvalid(
                        settings.data / f"{split}.jsonl",
                        f"the tokenizer makes no token of the text {made.empty[0]}; leave such texts out, or give "
                        "another tokenizer",
                    )
                files.add(FILE_OF[split], made.lines, made.columns)
                _count(found, name, texts)
                progress.step(len(texts))
        files.finish()


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    left = iter(items)
    while chunk := list(islice(left, TEXTS_AT_ONCE)):
        yield chunk


def _count(found: _Found, split: str, texts: list[NamedText]) -> None:
    found.kinds.setdefault(split, Counter()).update(text.metadata["kind"] for text in texts)
    found.matches.setdefault(split, set()).update(text.metadata["match"] for text in texts)
    found.groups.setdefault(split, set()).update(text.group for text in texts)


def _write_pairs(settings: PairsSettings, known: dict[str, KnownText], temp_path: Path) -> None:
    outputs = {split: (temp_path / name).open("wb") for split, name in PAIR_FILES.items()}
    try:
        for split, pair in read_balanced_pairs(settings.data, known, is_whole=not settings.quick_test):
            if split in outputs:
                outputs[split].write(pair_line(pair))
    finally:
        for output in outputs.values():
            output.close()


def _described(settings: PairsSettings, tokenizer: SafeTokenizer, found: _Found) -> dict[str, Any]:
    splits = {
        split: {
            **report.described(),
            "kinds": dict(sorted(found.kinds.get(split, Counter()).items())),
            "num_matches": len(found.matches.get(split, ())),
            "num_groups": len(found.groups.get(split, ())),
            "num_pairs": found.num_pairs[split],
        }
        for split, report in found.texts.items()
    }
    return {
        "tokenizer": describe_tokenizer(settings, tokenizer),
        "max_seq_len": settings.max_seq_len,
        "trimming": TRIMMING_NAME,
        "collapse_whitespace": COLLAPSES_WHITESPACE,
        "quick_test": settings.quick_test,
        "splits": splits,
    }


def _small_numbers(metadata: dict[str, Any]) -> dict[str, Any]:
    names = ("num_texts", "num_pairs", "num_matches", "share_cut")
    numbers = {split: {name: report[name] for name in names} for split, report in metadata["splits"].items()}
    return {"vocab_size": metadata["tokenizer"]["vocab_size"], "quick_test": metadata["quick_test"], "splits": numbers}
