"""The ``mine`` job: hard negatives for each training pair, and lists for rerankers, by a trained encoder.

Lists of training mix texts that do the same with hard negatives. Lists of validation are what the encoder finds, as a
reranker will meet them, those without a relevant text included. The test texts are not opened.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.data.job_progress import Progress
from models.data.retrieval.candidate_lists import CandidateList, list_line
from models.data.retrieval.text_pairs import TextPair, pair_line, read_pairs
from models.errors import DataInvalid
from models.evaluation.metrics import as_json
from models.evaluation.result_files import write_content, write_document
from models.evaluation.retrieval.embedded import Sides, read_sides, refuse_other_texts
from models.evaluation.retrieval.found_lists import nearest_lists
from models.evaluation.retrieval.negatives import Miner, training_list
from models.evaluation.retrieval.search import Pool
from models.evaluation.retrieval.searches import ALL, drawn_rows, queries_of
from models.evaluation.retrieval.texts import Integers, Texts, read_texts
from models.jobs.contract import JobContext, JobResult
from models.settings.retrieval import MineSettings

TRAIN_PAIRS_FILE, VALID_PAIRS_FILE = "train_pairs.jsonl", "valid_pairs.jsonl"
TRAIN_LISTS_FILE, VALID_LISTS_FILE = "train_lists.jsonl", "valid_lists.jsonl"
MINING_FILE = "mining.json"
TEXTS_FILE = "texts.jsonl"
VECTORS_FILE = "texts.safetensors"


@dataclass
class Mined:
    """What was found for training.

    Args:
        negatives: Of each anchor (row) its negatives (rows).
        lists: "
        num_one_label: Anchors without a list: nothing relevant, or no negative.
    """

    negatives: dict[int, Integers] = field(default_factory=dict)
    lists: list[CandidateList] = field(default_factory=list)
    num_one_label: int = 0


def run(settings: MineSettings, context: JobContext) -> JobResult:
    """Mine; write pairs with negatives, the pairs of validation, lists of both, and ``mining.json``.

    Raises:
        DataInvalid: Pairs, texts or vectors are damaged or not of each other, no pair finds a negative, or no text of
            validation does the same as another. Not retried.
        StoreUnavailable: The disk refuses. Retried.
        Interrupted: Asked to stop; nothing was written. Retried.
    """
    started = time.monotonic()
    context.enter("load")
    refuse_other_texts(settings.vectors, settings.data)
    texts = read_texts(settings.data / TEXTS_FILE)
    sides = read_sides(settings.vectors / VECTORS_FILE, num_texts=len(texts))
    pairs = read_pairs(settings.data / TRAIN_PAIRS_FILE)
    valid_pairs = read_pairs(settings.data / VALID_PAIRS_FILE)
    train, valid = texts.rows_of("train"), texts.rows_of("valid")
    train_texts = texts.only(train)
    row_of = {text_id: row for row, text_id in enumerate(train_texts.ids)}
    _refuse_unknown(pairs, row_of, settings.data / TRAIN_PAIRS_FILE)
    context.enter("search")
    mined = _mine(settings, train_texts, sides.only(train), [row_of[pair.anchor] for pair in pairs], context)
    negatives = [tuple(train_texts.ids[row] for row in mined.negatives[row_of[pair.anchor]]) for pair in pairs]
    if not any(negatives) or not mined.lists:
        problem = (
            f"no pair finds a negative beyond skip_nearest={settings.skip_nearest}: every text does the same as the "
            "anchor or is of its group; give more texts, or skip fewer"
        )
        raise DataInvalid(settings.data / TRAIN_PAIRS_FILE, problem)
    valid_lists = _valid_lists(settings, texts.only(valid), sides.only(valid), context)
    document = _describe(settings, pairs, negatives, mined, valid_lists)
    for warning in document["warnings"]:
        context.events.notice(warning, "warning")
    context.enter("write")
    with_negatives = [pair._replace(negatives=own) for pair, own in zip(pairs, negatives, strict=True)]
    files = (
        _write(context.run_path, TRAIN_PAIRS_FILE, [pair_line(pair) for pair in with_negatives]),
        _write(context.run_path, VALID_PAIRS_FILE, [pair_line(pair) for pair in valid_pairs]),
        _write(context.run_path, TRAIN_LISTS_FILE, [list_line(entry) for entry in mined.lists]),
        _write(context.run_path, VALID_LISTS_FILE, [list_line(entry) for entry in valid_lists]),
        write_document(context.run_path, MINING_FILE, document),
    )
    numbers = {name: value for name, value in document.items() if name not in ("settings", "warnings")}
    return JobResult(numbers, files, {"seconds_mining": round(time.monotonic() - started, 3)})


def _refuse_unknown(pairs: Sequence[TextPair], known: dict[str, int], path: Path) -> None:
    for pair in pairs:
        for text_id in (pair.anchor, pair.positive):
            if text_id not in known:
                raise DataInvalid(path, f"pair {pair.pair_id} names {text_id}, which is no text of training")


def _mine(settings: MineSettings, texts: Texts, sides: Sides, anchors: Sequence[int], context: JobContext) -> Mined:
    most = max(settings.num_negatives, settings.list_size)
    miner = Miner(texts, sides, skip_nearest=settings.skip_nearest, most=most)
    queries = np.array(sorted(set(anchors)), dtype=np.int64)
    listed = set(drawn_rows(queries, settings.max_lists, settings.seed).tolist())
    mined = Mined()
    progress = Progress(context, len(queries), "anchors")
    for anchor, negatives in miner.mine(queries):
        context.leave_if_asked(progress.done)
        mined.negatives[anchor] = negatives[: settings.num_negatives]
        if anchor in listed:
            entry = training_list(miner, anchor, negatives, list_size=settings.list_size, seed=settings.seed)
            mined.lists += [entry] if entry is not None else []
            mined.num_one_label += entry is None
        progress.step(1)
    return mined


def _valid_lists(settings: MineSettings, texts: Texts, sides: Sides, context: JobContext) -> list[CandidateList]:
    question, _ = queries_of(texts, max_queries=settings.max_lists, seed=settings.seed) if len(texts) else (None, 0)
    if question is None or not len(question.rows):
        raise DataInvalid(texts.path, "no text of validation does the same as another; expected at least two")
    counted = question.num_relevant(ALL)
    lists: list[CandidateList] = []
    for found in Pool(sides.found).search(sides.asking[question.rows], settings.depth + 1):
        context.leave_if_asked(len(lists))
        lists += nearest_lists(found, question, counted, depth=settings.depth, split="valid")
    return lists


def _describe(
    settings: MineSettings,
    pairs: Sequence[TextPair],
    negatives: Sequence[Sequence[str]],
    mined: Mined,
    valid_lists: Sequence[CandidateList],
) -> dict[str, Any]:
    num_short = sum(len(own) < settings.num_negatives for own in negatives)
    num_found = sum(any(entry.relevant) for entry in valid_lists)
    ceiling = np.mean([sum(entry.relevant) / entry.num_relevant for entry in valid_lists])
    return {
        "settings": settings.model_dump(mode="json", exclude={"data", "vectors"}),
        "num_pairs": len(pairs),
        "num_negatives": sum(map(len, negatives)),
        "num_pairs_with_fewer": num_short,
        "num_pairs_without": sum(not own for own in negatives),
        "num_train_lists": len(mined.lists),
        "num_anchors_without_list": mined.num_one_label,
        "mean_train_list_size": as_json(float(np.mean([len(entry.candidates) for entry in mined.lists]))),
        "num_valid_lists": len(valid_lists),
        "num_valid_lists_without_relevant": len(valid_lists) - num_found,
        "valid_recall_ceiling": as_json(float(ceiling)),
        "warnings": _warnings(settings, len(pairs), num_short, mined.num_one_label, valid_lists),
    }


def _warnings(
    settings: MineSettings, num_pairs: int, num_short: int, num_one_label: int, valid_lists: Sequence[CandidateList]
) -> list[str]:
    found = []
    if num_short:
        found.append(
            f"the pool is too small: {num_short} of {num_pairs} pairs have fewer than "
            f"num_negatives={settings.num_negatives} negatives beyond the nearest {settings.skip_nearest}"
        )
    if num_one_label:
        found.append(f"{num_one_label} anchors have no list of training: no negative was found for them")
    longest = max(len(entry.candidates) for entry in valid_lists)
    if longest < settings.depth:
        found.append(f"the pool of validation has {longest} other texts, fewer than depth={settings.depth}")
    return found


def _write(run_path: Path, name: str, lines: Sequence[bytes]) -> str:
    return write_content(run_path, name, b"".join(lines).decode())
