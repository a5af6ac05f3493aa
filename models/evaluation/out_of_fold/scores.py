"""Out-of-fold scores of a model, read so that none is by a model that learnt from its record.

A model has one predict run a fold: it scored what its training left out. What is learnt from these scores (weights of
labels, a fusion) is only as honest as that, so nothing here is believed that can be checked: the run's manifest, the
fold and the folds file that the run recorded, the fold of each row, and that each record is scored once. Any doubt is
refused with ``FusionLeak``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.data.fold_file import FOLDS_FILE, NEVER, Folds
from models.errors import DataInvalid, FusionLeak, ObjectCorrupt, ObjectMissing, SettingsInvalid
from models.evaluation.metrics import Floats, Integers
from models.evaluation.out_of_fold.scored_rows import ScoredRows, log_odds_of, read_scored_rows
from models.evaluation.records import SplitRecords
from models.jobs.contract import RESULT_FILE
from models.store.manifest import read_manifest, verify_manifest

HELD_OUT_FILE = "predictions_held_out.jsonl"
VALID_FILE = "predictions_valid.jsonl"


@dataclass(frozen=True)
class OutOfFold:
    """What the fold models of one model say.

    Args:
        model: Its name.
        model_kind: Kind of its fold models, ``None`` where their runs tell none.
        log_odds: ``(N,)`` of the training records, each by the model that left its fold out; NaN where the record is
            never held out.
        valid_log_odds: ``K`` arrays ``(V,)`` of the validation records, one of each fold's model.
    """

    model: str
    model_kind: str | None
    log_odds: Floats
    valid_log_odds: tuple[Floats, ...]


def read_out_of_fold(
    model: str, runs: Sequence[Path], train: SplitRecords, folds: Folds, valid: SplitRecords
) -> OutOfFold:
    """Scores of the training records by the models that left them out.

    Args:
        model: Name of the model.
        runs: Directories of its predict runs, one a fold, in any order.
        train: Training records.
        folds: Their folds, in the same order.
        valid: Validation records.

    Raises:
        FusionLeak: A run is not finished or not what it was, left out another fold or by other folds than it says,
            or a record is scored by no model, by two, or by one that has learnt from it. Not retried.
        DataInvalid: A fold has one label only, or validation is not scored as it is. Not retried.
        SettingsInvalid: The runs are of several kinds of model. Not retried.
    """
    refuse_one_label(train, folds)
    numbers = {run: read_predict_numbers(run, HELD_OUT_FILE) for run in runs}
    run_of = _run_of_each_fold(model, runs, numbers, folds)
    kinds = {numbers[run].get("model_kind") for run in runs}
    if len(kinds) > 1:
        raise SettingsInvalid(
            f"out_of_fold: the runs of {model!r} are of several kinds of model: {sorted(map(str, kinds))}"
        )
    log_odds = np.full(len(train), np.nan)
    row_of = {record_id: row for row, record_id in enumerate(train.ids)}
    for fold in range(folds.num_folds):
        _fill(log_odds, run_of[fold], fold, train, folds, row_of)
    scored_by_valid = tuple(log_odds_of(run_of[fold] / VALID_FILE, valid) for fold in range(folds.num_folds))
    return OutOfFold(model, kinds.pop(), log_odds, scored_by_valid)


def held_out_rows(folds: Folds) -> Integers:
    """Numbers of the records that are held out in some fold, rising."""
    return np.flatnonzero(folds.fold != NEVER)


def refuse_one_label(train: SplitRecords, folds: Folds) -> None:
    """Refuse folds of which one holds a single label, or nothing.

    Raises:
        DataInvalid: There is such a fold. Not retried.
    """
    for fold in range(folds.num_folds):
        found = sorted(set(train.labels[folds.fold == fold].tolist()))
        if len(found) < 2:
            told = f"only label {found[0]}" if found else "no record"
            raise DataInvalid(
                train.path,
                f"fold {fold} of {folds.num_folds} has {told}; what is learnt across folds needs both labels in each. "
                "Make fewer folds, or fold by group",
            )


def read_predict_numbers(run: Path, *files: str) -> Mapping[str, Any]:
    """The result of a predict run that is whole: its manifest holds, and lists ``result.json`` and ``files``.

    Raises:
        FusionLeak: It is not finished, damaged, of another kind, or lacks a file. Not retried.
    """
    try:
        verify_manifest(run)
    except (ObjectMissing, ObjectCorrupt) as error:
        raise FusionLeak(run, f"is no finished predict run as it was written ({error}); make it again") from error
    manifest = read_manifest(run)
    assert manifest is not None
    if manifest.kind != "predict":
        raise FusionLeak(run, f"is a {manifest.kind} run; expected a predict run")
    for name in (RESULT_FILE, *files):
        if name not in manifest.files:
            raise FusionLeak(run, f"its manifest lists no {name}; predict again, with what is asked for here")
    numbers = json.loads((run / RESULT_FILE).read_bytes())["numbers"]
    if not isinstance(numbers, dict):
        raise FusionLeak(run, f"{RESULT_FILE} tells no numbers; predict again")
    return numbers


def _run_of_each_fold(
    model: str, runs: Sequence[Path], numbers: Mapping[Path, Mapping[str, Any]], folds: Folds
) -> dict[int, Path]:
    """The run of each fold, by what the runs themselves recorded."""
    run_of: dict[int, Path] = {}
    for run in runs:
        fold = _fold_left_out(run, numbers[run].get("held_out"), folds)
        if fold in run_of:
            raise FusionLeak(run, f"fold {fold} of {model!r} is scored twice, here and by {run_of[fold]}; name one")
        run_of[fold] = run
    lacking = sorted(set(range(folds.num_folds)) - run_of.keys())
    if lacking:
        told = ", ".join(str(fold) for fold in lacking)
        raise FusionLeak(
            runs[0].parent if runs else Path(),
            f"no run of {model!r} left out fold {told} of {folds.num_folds}: those records have no score by a model "
            "that never saw them. Name one predict run for each fold",
        )
    return run_of


def _fold_left_out(run: Path, held_out: Any, folds: Folds) -> int:
    if not isinstance(held_out, dict):
        raise FusionLeak(run, "its model left no fold out, so it learnt from every record; train with left_out_fold")
    if held_out.get("folds_sha256") != folds.sha256 or held_out.get("num_folds") != folds.num_folds:
        raise FusionLeak(
            run,
            f"its model left out fold {held_out.get('fold')!r} of other folds (sha256 "
            f"{held_out.get('folds_sha256')!r}, here {folds.sha256}), so it may have learnt from any record. Train and "
            "predict by these folds",
        )
    fold = held_out.get("fold")
    if isinstance(fold, bool) or not isinstance(fold, int) or not 0 <= fold < folds.num_folds:
        raise FusionLeak(run, f"left out fold {fold!r}, which is none of 0 to {folds.num_folds - 1}")
    return fold


def _fill(log_odds: Floats, run: Path, fold: int, train: SplitRecords, folds: Folds, row_of: Mapping[str, int]) -> None:
    """Put the scores of one run in their places, each row checked."""
    path = run / HELD_OUT_FILE
    try:
        rows = read_scored_rows(path)
    except DataInvalid as error:
        raise FusionLeak(path, f"{error.problem} (run of fold {fold})", line=error.line) from error
    places = np.array([row_of.get(record_id, -1) for record_id in rows.ids])
    _refuse_doubtful_rows(rows, places, fold, train, folds)
    log_odds[places] = rows.log_odds
    unscored = np.flatnonzero((folds.fold == fold) & np.isnan(log_odds))
    if len(unscored):
        raise FusionLeak(
            path,
            f"{len(unscored)} of {int((folds.fold == fold).sum())} records of fold {fold} have no score, such as "
            f"{train.ids[int(unscored[0])]!r}; predict held_out again from {train.path}",
        )


def _refuse_doubtful_rows(rows: ScoredRows, places: Integers, fold: int, train: SplitRecords, folds: Folds) -> None:
    """Refuse the first row that is not of a record of this fold, as training has it.

    Args:
        rows: What the run scored.
        places: ``(R,)`` number of each row's record in ``train``, -1 where it is not there.
        fold: The fold that the run's model left out.
        train: Training records.
        folds: Their folds.
    """
    same_group = [group == train.groups[place] for group, place in zip(rows.groups, places, strict=True)]
    told_so = [type(told) is int and told == fold for told in rows.folds]
    doubts = {
        f"is not in {train.path}: the run scored other data": places < 0,
        f"is of another fold by {FOLDS_FILE}, so this run's model has learnt from it": folds.fold[places] != fold,
        "carries another fold, so another model made its score": ~np.array(told_so),
        f"has another label than in {train.path}": rows.labels != train.labels[places],
        f"has another group than in {train.path}": ~np.array(same_group),
    }
    for words, doubtful in doubts.items():
        if doubtful.any():
            at = int(np.flatnonzero(doubtful)[0])
            own = folds.fold[places[at]]
            raise FusionLeak(
                rows.path,
                f"record {rows.ids[at]!r} {words} (the run is of fold {fold}, the record of "
                f"{_words_of(int(own)) if places[at] >= 0 else 'none'}); name the predict run of the model that left "
                "out its fold, on these data",
                line=at + 1,
            )


def _words_of(fold: int) -> str:
    return "what is always learnt from" if fold == NEVER else f"fold {fold}"
