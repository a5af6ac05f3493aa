"""The fold that a trained model left out: found again among the training records, or refused.

A score of a record that the model has learnt from looks like any other and is worth nothing out of fold. So the model's
own result says what it left out, and folds and records must be byte for byte those that it left it out of.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from models.data.fold_file import FOLDS_FILE, read_folds, refuse_group_in_two_folds
from models.errors import DataInvalid, SettingsInvalid
from models.jobs.layout import read_result
from models.settings.predict import PredictSettings
from models.store.manifest import digest_file
from models.training.objective import Examples
from models.training.training_records import facts_of_fold


class HeldOut(NamedTuple):
    """Records that a model never learnt from.

    Args:
        examples: The records, in the order of their file.
        numbers: What the result says of them.
    """

    examples: Examples
    numbers: dict[str, Any]


def held_out_records(settings: PredictSettings, path: Path, loaded: Examples) -> HeldOut:
    """The records at ``path`` that the model of ``settings.model_run`` left out.

    Args:
        settings: Which model, and by which folds.
        path: Training records.
        loaded: All of them.

    Raises:
        SettingsInvalid: The model left nothing out, or by other folds, or learnt from other records. Not retried.
        DataInvalid: The folds are not of these records, or a commit lies in two of them. Not retried.
    """
    assert settings.folds is not None
    left_out = read_result(settings.model_run)["numbers"].get("left_out")
    if left_out is None:
        raise SettingsInvalid(
            f"splits: {settings.model_run} learnt from all training records, so none is held out; train with folds and "
            "left_out_fold"
        )
    folds = read_folds(settings.folds, loaded.ids)
    facts = facts_of_fold(folds, left_out["fold"])
    if any(left_out[name] != value for name, value in facts.items()):
        raise SettingsInvalid(
            f"folds: {settings.model_run} left out a fold of other folds (sha256 {left_out['folds_sha256'][:12]}…, "
            f"here {folds.sha256[:12]}…); give the folds run that it was trained with"
        )
    if digest_file(path).sha256 != left_out["records_sha256"]:
        raise SettingsInvalid(
            f"data: {path} is not the file that {settings.model_run} learnt from; give the preprocess run that it was "
            "trained with"
        )
    refuse_group_in_two_folds(settings.folds / FOLDS_FILE, loaded.groups, folds.fold)
    (rows,) = np.nonzero(folds.fold == left_out["fold"])
    if not len(rows):
        raise DataInvalid(settings.folds / FOLDS_FILE, f"no record is in fold {left_out['fold']}")
    return HeldOut(loaded.only(rows), {**facts, "num_records": len(rows)})
