"""How fast jobs were, for estimates: read from the records of finished runs, and from the ledger.

What they mean for a plan is in ``estimates.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import DataInvalid
from models.jobs.contract import RECORD_FILE, RESULT_FILE, SETTINGS_FILE
from models.jobs.layout import BUILD_FILE
from models.jobs.question import QUESTION_FILE
from tasks.finished_runs import finished_runs
from tasks.ledger_entries import Entry
from tasks.ledger_totals import Totals, totals_of
from tasks.planned_jobs import ASSUMED_SETUP_SECONDS


@dataclass(frozen=True)
class Measurement:
    """How long a finished training run took.

    Args:
        model: Which model, as ``model_name`` says.
        device_class: What it ran on, as its build says, such as ``cuda Tesla T4 7.5``.
        num_ranks: Processes that trained together.
        seconds_per_record_epoch: Time for each record and each epoch that the settings allow, so that early stopping
            is in it, and the start is not [s].
        checkpoint_seconds: Mean time training stood still for a checkpoint [s]; ``None``: unknown.
    """

    model: str
    device_class: str
    num_ranks: int
    seconds_per_record_epoch: float
    checkpoint_seconds: float | None


def model_name(model_settings: Mapping[str, Any]) -> str:
    """Which models are of about one speed: kind and backbone, or kind, architecture and width.

    Args:
        model_settings: ``model`` of the settings of a train job, dumped.
    """
    kind = str(model_settings["kind"])
    if "pretrained" not in model_settings:
        names = ("architecture", "hidden_dim", "num_layers")
        return " ".join([kind, *(str(model_settings[name]) for name in names if name in model_settings)])
    if model_settings["pretrained"] == "off":
        small = model_settings["small"]
        return f"{kind} small {small['family']} {small['hidden_dim']} {small['num_layers']}"
    return f"{kind} {model_settings['backbone']}"


def measured_runs(runs_path: Path, entries: Sequence[Entry] = ()) -> list[Measurement]:
    """Measurements of all finished training runs under a run root; quick tests are none.

    A run whose jobs are in the ledger counts with the time that SageMaker measured, repeated steps included, less what
    a start is assumed to take for each of them; never with less than by its own clock. Runs that do not tell all that
    is needed are left out.

    Raises:
        DataInvalid: A file of a finished run cannot be read; names it. Not retried.
    """
    by_run = totals_of(entries).by_run()
    found = (_measured(run_path, by_run) for run_path in finished_runs(runs_path, "train"))
    return [measurement for measurement in found if measurement is not None]


def _measured(run_path: Path, by_run: Mapping[str, Totals]) -> Measurement | None:
    numbers = _read(run_path / RESULT_FILE).get("numbers", {})
    settings = _read(run_path / SETTINGS_FILE)
    attempt = (_read(run_path / RECORD_FILE).get("attempts") or [{}])[-1]
    machine = _read(run_path / BUILD_FILE).get("machine", {})
    speed, num_train, num_epochs = (
        attempt.get("samples_per_second"),
        numbers.get("num_train"),
        numbers.get("num_epochs"),
    )
    if not (speed and num_train and num_epochs and "device_class" in machine) or numbers.get("quick_test"):
        return None
    booked = by_run.get(_read(run_path / QUESTION_FILE).get("run_key", ""))
    worked = num_train * num_epochs / speed
    seconds = max(worked, _booked_seconds(booked) or 0.0) if booked is not None else worked
    num_saved = attempt.get("num_checkpoints")
    return Measurement(
        _trained_model(settings["model"], numbers),
        machine["device_class"],
        machine.get("num_ranks", 1),
        seconds / (num_train * settings["model"]["epochs"]),
        attempt["seconds_saving"] / num_saved if num_saved else None,
    )


def _booked_seconds(booked: Totals) -> float | None:
    """Time that all attempts of a run trained, without their starts; ``None`` while one has not ended."""
    ends = [attempt.end for attempt in booked.attempts]
    if None in ends:
        return None
    trained = [end.training_seconds for end in ends if end is not None and end.training_seconds is not None]
    return sum(trained) - ASSUMED_SETUP_SECONDS * len(trained)


def _trained_model(model_settings: Mapping[str, Any], numbers: Mapping[str, Any]) -> str:
    """Which model it was: settings may ask for weights that could not be had."""
    from_nothing = numbers.get("backbone", {}).get("pretrained") is False
    return model_name({**model_settings, "pretrained": "off"} if from_nothing else model_settings)


def _read(path: Path) -> Any:
    """Content of a JSON file; empty where there is none."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataInvalid(path, f"expected JSON of a finished run, found {error}; run it again") from error
