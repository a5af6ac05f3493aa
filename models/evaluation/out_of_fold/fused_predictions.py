"""Predictions of models that were refit on all of training, fused as was learnt out of fold.

Labels are copied from row to row and decide nothing here: weights are learnt on training, and how sure the fusion may
be on validation, as of any model that is calibrated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import DataInvalid, SettingsInvalid
from models.evaluation.metrics import Floats
from models.evaluation.out_of_fold.calibrated_scores import Calibrated
from models.evaluation.out_of_fold.score_scale import Scale, scale_of
from models.evaluation.out_of_fold.scored_rows import ScoredRows, log_odds_of, read_scored_rows, sigmoid
from models.evaluation.out_of_fold.scores import HELD_OUT_FILE, VALID_FILE, read_predict_numbers
from models.evaluation.out_of_fold.stacking import Fuser
from models.evaluation.out_of_fold.temperature import Temperature, fit_temperature
from models.store.manifest import read_manifest

PREFIX = "predictions_"
NEVER_FUSED = {HELD_OUT_FILE, f"{PREFIX}train.jsonl"}
"""Scores of training records: a base has learnt from them."""


@dataclass(frozen=True)
class Bases:
    """Models refit on all of training.

    Args:
        runs: Their predict runs, in the order of the fusion's models.
        model_run_keys: Of each, the run key of its training, as its predict run tells it.
        scales: Of each, by validation.
        valid_log_odds: ``(V, M)`` of the validation records, on one scale.
        files: Names of the predictions that all have: validation first, then by name.
        lacking: Names of those that some have and some lack.
    """

    runs: Mapping[str, Path]
    model_run_keys: Mapping[str, str | None]
    scales: Mapping[str, Scale]
    valid_log_odds: Floats
    files: tuple[str, ...]
    lacking: tuple[str, ...]


def read_bases(runs: Mapping[str, Path], scores: Calibrated) -> Bases:
    """Find what can be fused and bring each base to the one scale.

    Args:
        runs: Predict run of each model.
        scores: The out-of-fold scores; models and validation records must be the same.

    Raises:
        SettingsInvalid: The bases are not the models of ``out_of_fold``, or of another kind. Not retried.
        FusionLeak: A run is not finished or not what it was. Not retried.
        DataInvalid: Validation is not scored as it is. Not retried.
    """
    if set(runs) != set(scores.models):
        raise SettingsInvalid(
            f"bases: expected the models of out_of_fold ({', '.join(scores.models)}), found {', '.join(runs)}"
        )
    ordered = {name: runs[name] for name in scores.models}
    keys = {name: _refuse_other_model(name, run, scores).get("model_run_key") for name, run in ordered.items()}
    valid = {name: log_odds_of(run / VALID_FILE, scores.valid) for name, run in ordered.items()}
    scales = {name: scale_of(own) for name, own in valid.items()}
    columns = np.stack([scales[name].apply(own) for name, own in valid.items()], axis=-1)
    names = {name: _prediction_files(run) for name, run in ordered.items()}
    shared = set.intersection(*names.values())
    files = (VALID_FILE, *sorted(shared - {VALID_FILE}))
    return Bases(ordered, keys, scales, columns, files, tuple(sorted(set.union(*names.values()) - shared)))


def calibrate_fused(bases: Bases, fuser: Fuser, scores: Calibrated) -> Temperature:
    """Temperature and bias of the fused bases on validation.

    The fusion was learnt on labels of training, which may be wrong more often, and of other shares, than those that are
    to be predicted: how sure and how high its probabilities are is validation's to say. The ranking stays.
    """
    return fit_temperature(scores.valid.labels, fuser.log_odds(bases.valid_log_odds))


def fuse_file(name: str, bases: Bases, fuser: Fuser, temperature: Temperature) -> Iterable[dict[str, Any]]:
    """Rows of one file of fused predictions, in the order of the first base.

    Args:
        name: Name of the file.
        bases: Models refit on all of training.
        fuser: Learnt out of fold.
        temperature: Of the fused bases, by ``calibrate_fused``.

    Raises:
        DataInvalid: The bases scored other records, or other labels, than each other. Not retried.
    """
    columns: list[Floats] = []
    first: ScoredRows | None = None
    for model, run in bases.runs.items():
        rows = read_scored_rows(run / name)
        first = first if first is not None else rows
        columns.append(bases.scales[model].apply(_in_order_of(first, rows)))
    assert first is not None
    probabilities = sigmoid(temperature.apply(fuser.log_odds(np.stack(columns, axis=-1)))).tolist()
    return (
        {"id": record_id, "group": group, "label": label, "probability": probability}
        for record_id, group, label, probability in zip(
            first.ids, first.groups, first.labels.tolist(), probabilities, strict=True
        )
    )


def _in_order_of(first: ScoredRows, rows: ScoredRows) -> Floats:
    """Log-odds of ``rows`` in the order of ``first``."""
    if rows.ids == first.ids:
        order = np.arange(len(rows))
    else:
        row_of = {record_id: row for row, record_id in enumerate(rows.ids)}
        different = set(first.ids) ^ row_of.keys()
        if different:
            raise DataInvalid(
                rows.path,
                f"{len(different)} records are scored here or in {first.path} but not in both, such as "
                f"{min(different)!r}; predict the same data with each base",
            )
        order = np.array([row_of[record_id] for record_id in first.ids])
    other = np.flatnonzero(rows.labels[order] != first.labels)
    if len(other):
        raise DataInvalid(
            rows.path,
            f"record {first.ids[int(other[0])]!r} has another label than in {first.path}; predict the same data with "
            "each base",
        )
    return np.asarray(rows.log_odds[order])


def _prediction_files(run: Path) -> set[str]:
    """Names of the predictions that a run's manifest lists."""
    manifest = read_manifest(run)
    assert manifest is not None
    return {name for name in manifest.files if name.startswith(PREFIX) and name.endswith(".jsonl")} - NEVER_FUSED


def _refuse_other_model(name: str, run: Path, scores: Calibrated) -> Mapping[str, Any]:
    """The numbers of a base's run, which must be of a model like the fold models that left nothing out."""
    numbers = read_predict_numbers(run, VALID_FILE)
    if numbers.get("left_out") is not None:
        raise SettingsInvalid(
            f"bases.{name}: the model of {run} left a fold out; give the predict run of the model that was refit on "
            "all training records"
        )
    kind, expected = numbers.get("model_kind"), scores.models[name].model_kind
    if kind != expected:
        raise SettingsInvalid(
            f"bases.{name}: {run} is of a model of kind {kind}, and the fold models of {name!r} are of kind "
            f"{expected}; what was learnt of one does not hold for the other"
        )
    return numbers
