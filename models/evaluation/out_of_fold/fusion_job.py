"""The ``fuse`` job: how models are joined into one, learnt on out-of-fold scores only.

Order of things: read scores and refuse what may have leaked, bring them to one scale, measure the gain cross-fitted,
 learn the fusion on all out-of-fold scores; then, where bases are given, apply it to their predictions.
Test labels are copied from the bases' rows and nothing else: the test split is not opened here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import DataInvalid, SettingsInvalid
from models.evaluation.metrics import Floats, as_json, auroc, ranking_of, steps_of
from models.evaluation.out_of_fold.calibrated_scores import Calibrated, doubts_of, read_calibrated
from models.evaluation.out_of_fold.fused_predictions import Bases, calibrate_fused, fuse_file, read_bases
from models.evaluation.out_of_fold.fusion_gain import FUSION, CrossFit, Fit, cross_fit, describe_out_of_fold
from models.evaluation.out_of_fold.score_scale import Scale
from models.evaluation.out_of_fold.scored_rows import log_losses, sigmoid
from models.evaluation.out_of_fold.stacking import Fuser, fit_fuser
from models.evaluation.out_of_fold.temperature import Temperature
from models.evaluation.result_files import write_document, write_rows
from models.jobs.contract import JobContext, JobResult
from models.jobs.keys import run_key
from models.settings.fuse import FuseSettings

OUT_OF_FOLD_FILE = "predictions_out_of_fold.jsonl"
FUSION_FILE = "fusion.json"
SCORE = "log-odds less the mean, over the standard deviation, of the same model's log-odds of validation"
LEARNT_ON = "out-of-fold scores against the labels of training as they are given, each label counting once"
TRAINED_ON = (
    "the bases learnt from all training records, with weights of labels where the trainings of these run keys had "
    "them; the flow of phase 2 trains fold models without, so that a fusion may meet other models than it was learnt on"
)
OTHER_MODEL = 0.05
"""Difference of AUROC on validation from which a base is another model than its fold models."""


@dataclass(frozen=True)
class Fused:
    """What a fusion is and what it is applied to.

    Args:
        fuser: Learnt on all held-out records.
        fitted: The same for each fold, learnt on the others.
        bases: Models refit on all of training; ``None`` where only the gain is measured.
        temperature: Of the fused bases.
    """

    fuser: Fuser
    fitted: CrossFit
    bases: Bases | None
    temperature: Temperature | None


def run(settings: FuseSettings, context: JobContext) -> JobResult:
    """Learn a fusion; write ``fusion.json``, cross-fitted predictions and, of bases, fused ones.

    Raises:
        FusionLeak: A score may come from a model that learnt from its record. Not retried.
        DataInvalid: Records, folds and scores do not belong together, a fold has one label only, or the fusion
            cannot be learnt from these scores. Not retried.
        SettingsInvalid: Fewer than two models, bases of other models, or a model is named ``fusion``. Not retried.
        Interrupted: Asked to stop; nothing is kept. Retried.
    """
    started = time.monotonic()
    _refuse_models(settings)
    context.enter("load")
    scores = read_calibrated(settings.data, settings.folds, settings.out_of_fold)
    bases = read_bases(settings.bases, scores) if settings.bases else None
    context.enter("cross-fit")
    learn = _learner(settings, scores)
    fitted = cross_fit(scores.standardised, scores.labels, scores.fold, list(scores.models), learn)
    fuser = learn(scores.standardised, scores.labels)
    temperature = calibrate_fused(bases, fuser, scores) if bases is not None else None
    context.enter("measure")
    document = _describe(settings, scores, Fused(fuser, fitted, bases, temperature))
    for warning in document["warnings"]:
        context.events.notice(warning, "warning")
    context.enter("write")
    files = [
        write_rows(context.run_path, OUT_OF_FOLD_FILE, _cross_fitted_rows(scores, fitted)),
        write_document(context.run_path, FUSION_FILE, document),
    ]
    if bases is not None and temperature is not None:
        files += [
            write_rows(context.run_path, name, fuse_file(name, bases, fuser, temperature)) for name in bases.files
        ]
    record = {"seconds_fusing": round(time.monotonic() - started, 3)}
    return JobResult(numbers=_numbers(settings, document), files=tuple(files), record=record)


def _learner(settings: FuseSettings, scores: Calibrated) -> Fit:
    """How a fusion is learnt from some of the scores."""

    def fit(some: Floats, labels: npt.NDArray[np.integer]) -> Fuser:
        try:
            return fit_fuser(settings.method, some, labels, regularisation=settings.regularisation)
        except (ValueError, RuntimeError) as error:
            raise DataInvalid(scores.train.path, f"no fusion can be learnt from these scores: {error}") from error

    return fit


def _describe(settings: FuseSettings, scores: Calibrated, fused: Fused) -> dict[str, Any]:
    """The content of ``fusion.json``. What is needed to fuse again is not rounded."""
    models, fuser, bases = list(scores.models), fused.fuser, fused.bases
    weights = dict(zip(models, fuser.weights.tolist(), strict=True))
    out_of_fold = describe_out_of_fold(
        fused.fitted,
        scores.labels,
        scores.groups,
        num_resamples=settings.num_resamples,
        confidence=settings.confidence,
        seed=settings.seed,
    )
    is_average = settings.method == "average"
    return {
        "method": settings.method,
        "models": models,
        "model_kinds": {name: model.model_kind for name, model in scores.models.items()},
        "weights": weights if is_average else None,
        "scale": fuser.scale if is_average else None,
        "coefficients": None if is_average else weights,
        "intercept": fuser.intercept,
        "regularisation": None if is_average else settings.regularisation,
        "score": SCORE,
        "scales": {
            "folds": {name: [_scale(each) for each in own] for name, own in scores.scales.items()},
            "bases": {name: _scale(each) for name, each in bases.scales.items()} if bases is not None else {},
        },
        "temperature": _temperature(fused.temperature),
        "best_base": _best_base(scores, fused.fitted),
        "learnt_on": LEARNT_ON,
        "applied_to": _applied_to(scores, bases),
        "out_of_fold": as_json(out_of_fold),
        "warnings": _warnings(scores, fused),
    }


def _scale(scale: Scale) -> dict[str, float]:
    return {"mean": scale.mean, "deviation": scale.deviation}


def _temperature(temperature: Temperature | None) -> dict[str, float] | None:
    return None if temperature is None else {"value": temperature.value, "bias": temperature.bias}


def _applied_to(scores: Calibrated, bases: Bases | None) -> dict[str, Any] | None:
    """Models and files that the fusion is applied to, and how they differ from those that it was learnt on.

    ``valid_auroc`` is of each model: the base, and the mean of its fold models.
    """
    if bases is None:
        return None
    aurocs = _valid_aurocs(scores, bases)
    return {
        "files": list(bases.files),
        "model_run_keys": dict(bases.model_run_keys),
        "training": TRAINED_ON,
        "valid_auroc": as_json({name: {"base": base, "folds": folds} for name, (base, folds) in aurocs.items()}),
    }


def _valid_aurocs(scores: Calibrated, bases: Bases) -> dict[str, tuple[float, float]]:
    """Of each model, AUROC on validation of its base and, on average, of its fold models."""

    def of(log_odds: Floats) -> float:
        return float(auroc(steps_of(ranking_of(scores.valid.labels, log_odds))))

    return {
        name: (of(own), float(np.mean([of(each) for each in scores.models[name].valid_log_odds])))
        for name, own in zip(scores.models, bases.valid_log_odds.T, strict=True)
    }


def _best_base(scores: Calibrated, fitted: CrossFit) -> str:
    """The model of least cross-fitted log loss on all held-out records, the first of equals."""
    losses = [float(log_losses(scores.labels, fitted.systems[name].log_odds).mean()) for name in scores.models]
    return list(scores.models)[int(np.argmin(losses))]


def _warnings(scores: Calibrated, fused: Fused) -> list[str]:
    bases, temperature = fused.bases, fused.temperature
    found = [*doubts_of(scores.scales), *fused.fuser.doubts(list(scores.models))]
    never = len(scores.train) - len(scores.rows)
    if never:
        found.append(f"{never} of {len(scores.train)} records were never held out; the fusion learns nothing of them")
    if bases is not None:
        found += [f"{name}, refit: {each.doubt}" for name, each in bases.scales.items() if each.doubt]
        found += [f"{name} is not fused: not every base has it" for name in bases.lacking]
        found += [
            f"{name}: the base has AUROC {base:.3f} on validation, its fold models {folds:.3f} on average; weights "
            "that were learnt on these may not fit it"
            for name, (base, folds) in _valid_aurocs(scores, bases).items()
            if abs(base - folds) > OTHER_MODEL
        ]
    if temperature is not None and temperature.doubt:
        found.append(f"fused bases on validation: {temperature.doubt}")
    return found


def _cross_fitted_rows(scores: Calibrated, fitted: CrossFit) -> Iterator[dict[str, Any]]:
    """Each held-out record with the fold that it is scored for, by what was learnt on the others."""
    probabilities = sigmoid(fitted.systems[FUSION].log_odds).tolist()
    for row, group, probability in zip(scores.rows.tolist(), scores.groups, probabilities, strict=True):
        yield {
            "id": scores.train.ids[row],
            "group": group,
            "label": int(scores.train.labels[row]),
            "probability": probability,
            "fold": int(scores.folds.fold[row]),
        }


def _numbers(settings: FuseSettings, document: Mapping[str, Any]) -> dict[str, Any]:
    """What a predict run tells of its model, so that evaluation reads this run in its place, and the gain."""
    return {
        "model_kind": FUSION,
        "model_run_key": run_key(settings),
        "method": settings.method,
        "weights": document["weights"] or document["coefficients"],
        "best_base": document["best_base"],
        "gain": document["out_of_fold"]["gain"],
    }


def _refuse_models(settings: FuseSettings) -> None:
    if len(settings.out_of_fold) < 2:
        raise SettingsInvalid("out_of_fold: a fusion joins at least two models; name another")
    if FUSION in settings.out_of_fold:
        raise SettingsInvalid(f"out_of_fold: {FUSION!r} is the name of what is made here; name the model otherwise")
