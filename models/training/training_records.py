"""Which records a training learns from, and how much of each: all but a fold that is left out, weighted or drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.data.fold_file import FOLDS_FILE, Folds, read_folds, refuse_group_in_two_folds
from models.data.sample_weights import read_weights
from models.errors import DataInvalid, SettingsInvalid
from models.settings.train import TrainSettings
from models.store.manifest import digest_file
from models.training.objective import Examples
from models.training.order import Floats

Labels = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Learnt:
    """What training learns from.

    Args:
        examples: The records; their weights are those of the loss.
        draw_weights: ``(len(examples),)`` by which an epoch draws them; ``None``: each once.
        numbers: What the result says of the choice.
    """

    examples: Examples
    draw_weights: Floats | None
    numbers: dict[str, Any]


def learnt_from(settings: TrainSettings, loaded: Examples) -> Learnt:
    """The records to learn from, of all that were loaded from ``settings.train_data``.

    A record of weight 0 teaches nothing: with weighted losses it is left out, or it would take a place in a step (and
    a step of such records only would have no loss to move along); with sampling it is never drawn.

    Raises:
        SettingsInvalid: There is no such fold. Not retried.
        DataInvalid: Folds or weights are not those of these records, a commit lies in two folds, or no record is left.
            Not retried.
    """
    examples, left_out = _without_fold(settings, loaded)
    numbers: dict[str, Any] = {"left_out": left_out, "num_weightless": 0}
    if settings.weights is None:
        return Learnt(examples, None, numbers)
    weights = read_weights(settings.weights, examples.ids)
    (weighty,) = np.nonzero(weights)
    numbers["num_weightless"] = len(weights) - len(weighty)
    _refuse_one_label(settings.weights, examples.labels, examples.labels[weighty], "have a weight above 0")
    if settings.weighting == "sampling":
        return Learnt(examples, weights, numbers)
    examples = examples.only(weighty)
    examples.weights = weights[weighty]
    return Learnt(examples, None, numbers)


def _without_fold(settings: TrainSettings, loaded: Examples) -> tuple[Examples, dict[str, Any] | None]:
    """The records of other folds and those never held out, and what the result says of the fold that is left out."""
    if settings.folds is None:
        return loaded, None
    folds = read_folds(settings.folds, loaded.ids)
    left_out = settings.left_out_fold
    if left_out is None or left_out >= folds.num_folds:
        raise SettingsInvalid(
            f"left_out_fold: there is no fold {left_out}; {settings.folds} has folds 0 to {folds.num_folds - 1}"
        )
    refuse_group_in_two_folds(settings.folds / FOLDS_FILE, loaded.groups, folds.fold)
    (learnt,) = np.nonzero(folds.fold != left_out)
    if not len(learnt):
        raise DataInvalid(settings.train_data, f"every record is in fold {left_out}: nothing is left to learn from")
    refused = f"are outside fold {left_out}"
    _refuse_one_label(settings.folds / FOLDS_FILE, loaded.labels, loaded.labels[learnt], refused)
    told = {
        **facts_of_fold(folds, left_out),
        "num_records": len(loaded) - len(learnt),
        "records_sha256": digest_file(settings.train_data).sha256,
    }
    return loaded.only(learnt), told


def _refuse_one_label(path: Path, labels: Labels, learnt: Labels, which: str) -> None:
    """Refuse a choice of records after which a label is gone that the records have."""
    for label in sorted(set(labels.tolist()) - set(learnt.tolist())):
        raise DataInvalid(path, f"no record of label {label} is left among those that {which}; nothing tells it apart")


def facts_of_fold(folds: Folds, fold: int) -> dict[str, Any]:
    """By what a fold is known again."""
    return {"fold": fold, "num_folds": folds.num_folds, "folds_sha256": folds.sha256}
