"""The ``boost`` job: trees learn from lists, and score lists of groups that they never saw."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from models.data.retrieval.candidate_lists import CandidateList, read_lists
from models.errors import DataInvalid
from models.evaluation.metrics import as_json
from models.evaluation.result_files import write_content, write_rows
from models.evaluation.retrieval.list_scores import SCORES_FILE, score_row
from models.evaluation.retrieval.trees import Trees, train_trees
from models.jobs.contract import JobContext, JobResult
from models.jobs.keys import run_key
from models.settings.retrieval import BoostSettings
from models.store.manifest import digest_file
from models.store.openings import append_opening

MODEL_FILE = "trees.txt"


def run(settings: BoostSettings, context: JobContext) -> JobResult:
    """Train, then score the lists that were held out; write ``scores.jsonl`` and the trees as plain text.

    Lists with one label teach no order and are passed over in training; all that are held out are scored.

    Raises:
        DataInvalid: Lists are damaged, none to learn from or to stop by has both labels, a group is in two of the
            files, or features differ in number. Not retried.
        StoreUnavailable: The opening of what was held out could not be logged, or the disk refuses. Retried.
        Interrupted: Asked to stop; nothing was written. Retried.
    """
    context.enter("load")
    train, valid = read_lists(settings.train_lists), read_lists(settings.valid_lists)
    _refuse_shared(train, valid, settings.valid_lists, "to learn from")
    mixed_train = _mixed(train, settings.train_lists)
    mixed_valid = _mixed(valid, settings.valid_lists)
    _refuse_other_features(mixed_train, mixed_valid, settings.valid_lists)
    context.enter("train")
    trees = train_trees(settings, mixed_train, mixed_valid)
    context.enter("predict")
    _log_opening(settings, context, trees)
    held_out = read_lists(settings.held_out_lists)
    _refuse_shared(train, held_out, settings.held_out_lists, "to learn from")
    _refuse_shared(valid, held_out, settings.held_out_lists, "to stop by")
    _refuse_other_features(mixed_train, held_out, settings.held_out_lists)
    rows = [score_row(entry, trees.scores(entry)) for entry in held_out]
    files = (
        write_rows(context.run_path, SCORES_FILE, rows),
        write_content(context.run_path, MODEL_FILE, trees.text()),
    )
    return JobResult(_numbers(settings, trees, train, valid, held_out), files)


def _log_opening(settings: BoostSettings, context: JobContext, trees: Trees) -> None:
    append_opening(
        context.openings_log,
        model_sha256=hashlib.sha256(trees.text().encode()).hexdigest(),
        data_sha256=digest_file(settings.held_out_lists).sha256,
        split=settings.held_out_lists.stem,
        purpose="scores of trees over features of the edit, a baseline of patch ranking",
        run_key=run_key(settings),
        attempt=context.attempt,
    )


def _mixed(lists: Sequence[CandidateList], path: Path) -> list[CandidateList]:
    mixed = [entry for entry in lists if entry.is_mixed]
    if not mixed:
        raise DataInvalid(path, "no list has both right and wrong candidates, so none can be ordered; give more")
    return mixed


def _refuse_shared(learnt: Sequence[CandidateList], others: Sequence[CandidateList], path: Path, what: str) -> None:
    shared = {entry.group for entry in learnt} & {entry.group for entry in others}
    if shared:
        raise DataInvalid(
            path, f"{len(shared)} groups are also among the lists {what} (first: {min(shared)}); give other lists"
        )


def _refuse_other_features(learnt: Sequence[CandidateList], others: Sequence[CandidateList], path: Path) -> None:
    expected, found = len(learnt[0].features[0]), len(others[0].features[0])
    if expected != found or not found:
        raise DataInvalid(path, f"{found} features a candidate, {expected} in the lists to learn from; give 1 or more")


def _numbers(
    settings: BoostSettings,
    trees: Trees,
    train: Sequence[CandidateList],
    valid: Sequence[CandidateList],
    held_out: Sequence[CandidateList],
) -> dict[str, object]:
    gains = trees.booster.feature_importance("gain", iteration=trees.num_trees)
    return {
        "num_trees": trees.num_trees,
        "valid_mrr": as_json(trees.valid_mrr),
        "num_train_lists": len(train),
        "num_train_lists_with_one_label": sum(not entry.is_mixed for entry in train),
        "num_valid_lists": sum(entry.is_mixed for entry in valid),
        "num_lists": len(held_out),
        "num_mixed_lists": sum(entry.is_mixed for entry in held_out),
        "num_candidates": sum(len(entry.candidates) for entry in held_out),
        "gain_by_feature": as_json([float(gain) for gain in gains]),
        "seed": settings.seed,
    }
