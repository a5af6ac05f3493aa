"""Out-of-fold scores of several models, those of different fold models made comparable.

Two ways, each learnt on the validation scores of the fold model itself: calibrated by temperature and bias, where
probabilities are needed (weights of labels), or brought to one scale without labels, where something is learnt on top
(a fusion).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.data.fold_file import FOLDS_FILE, Folds, read_folds, refuse_group_in_two_folds
from models.errors import DataInvalid, FusionLeak, ObjectCorrupt, ObjectMissing
from models.evaluation.metrics import Floats, Integers
from models.evaluation.out_of_fold.score_scale import Scale, scale_of
from models.evaluation.out_of_fold.scores import OutOfFold, held_out_rows, read_out_of_fold
from models.evaluation.out_of_fold.temperature import Temperature, fit_temperature
from models.evaluation.records import SplitRecords, read_split
from models.store.manifest import verify_manifest


@dataclass(frozen=True)
class Calibrated:
    """Models side by side on the held-out records.

    Args:
        train: All training records.
        valid: Validation records.
        folds: Folds of the training records, in their order.
        rows: ``(H,)`` numbers of the training records that are held out, rising.
        models: The ``M`` models, by name, as they were read.
        temperatures: Of each model, one a fold.
        scales: Of each model, one a fold.
        log_odds: ``(H, M)`` calibrated, in the order of ``rows`` and ``models``.
        standardised: ``(H, M)`` log-odds on one scale, in the same order.
    """

    train: SplitRecords
    valid: SplitRecords
    folds: Folds
    rows: Integers
    models: Mapping[str, OutOfFold]
    temperatures: Mapping[str, Sequence[Temperature]]
    scales: Mapping[str, Sequence[Scale]]
    log_odds: Floats
    standardised: Floats

    @property
    def labels(self) -> npt.NDArray[np.int8]:
        """``(H,)`` given labels of the held-out records."""
        return np.asarray(self.train.labels[self.rows])

    @property
    def fold(self) -> Integers:
        """``(H,)`` the fold in which each was held out."""
        return np.asarray(self.folds.fold[self.rows])

    @property
    def groups(self) -> list[str]:
        """``H`` groups that the folds keep together."""
        return [self.folds.groups[row] for row in self.rows.tolist()]

    @property
    def doubts(self) -> list[str]:
        """What makes a temperature weak, for people."""
        return doubts_of(self.temperatures)


def doubts_of(fitted: Mapping[str, Sequence[Temperature | Scale]]) -> list[str]:
    """What is doubtful about what was learnt of the fold models of each model, for people."""
    return [
        f"{model}, fold {fold}: {each.doubt}"
        for model, own in fitted.items()
        for fold, each in enumerate(own)
        if each.doubt
    ]


def read_calibrated(data: Path, folds_run: Path, out_of_fold: Mapping[str, Sequence[Path]]) -> Calibrated:
    """Read and check everything that is learnt across folds.

    Args:
        data: Directory of the preprocess run.
        folds_run: Directory of the folds run.
        out_of_fold: Of each model its predict runs, one a fold.

    Raises:
        FusionLeak: A score may come from a model that learnt from its record, or the folds are not as they were
            written. Not retried.
        DataInvalid: Records, folds and scores do not belong together, a commit lies in two folds, or validation is part
            of training. Not retried.
        SettingsInvalid: The runs of one model are of several kinds. Not retried.
    """
    train, valid = read_split(data / "train.jsonl"), read_split(data / "valid.jsonl")
    refuse_shared_ids(train, valid)
    try:
        verify_manifest(folds_run)
    except (ObjectMissing, ObjectCorrupt) as error:
        raise FusionLeak(folds_run, f"is no finished folds run as it was written ({error}); make it again") from error
    folds = read_folds(folds_run, train.ids)
    refuse_group_in_two_folds(folds_run / FOLDS_FILE, train.groups, folds.fold)
    models = {name: read_out_of_fold(name, runs, train, folds, valid) for name, runs in out_of_fold.items()}
    temperatures = {
        name: [fit_temperature(valid.labels, scores) for scores in model.valid_log_odds]
        for name, model in models.items()
    }
    scales = {name: [scale_of(scores) for scores in model.valid_log_odds] for name, model in models.items()}
    rows = held_out_rows(folds)
    fold = folds.fold[rows]
    log_odds, standardised = (
        np.stack([_by_fold(models[name].log_odds[rows], fold, own) for name, own in fitted.items()], axis=-1)
        for fitted in (temperatures, scales)
    )
    return Calibrated(train, valid, folds, rows, models, temperatures, scales, log_odds, standardised)


def _by_fold(log_odds: Floats, fold: Integers, fitted: Sequence[Temperature | Scale]) -> Floats:
    """``(H,)`` log-odds, each changed by what was learnt of the fold model that made it."""
    changed = np.empty(len(log_odds))
    for number, each in enumerate(fitted):
        changed[fold == number] = each.apply(log_odds[fold == number])
    return changed


def refuse_shared_ids(train: SplitRecords, valid: SplitRecords) -> None:
    """Refuse validation records among those that are weighed or learnt from.

    Raises:
        DataInvalid: A record is in both. Not retried.
    """
    shared = sorted(set(train.ids) & set(valid.ids))
    if shared:
        raise DataInvalid(
            train.path,
            f"{len(shared)} records are also in {valid.path}, such as {shared[0]!r}; validation is never weighed and "
            "nothing is learnt from it but how scores are to be read. Preprocess the data again",
        )
