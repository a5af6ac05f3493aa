"""Thresholds on their way from stage 3 to stage 4: a pointer per model to the ranking whose sweep chose them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prefect.logging import get_run_logger

from models.errors import SettingsInvalid
from models.settings.selection import SELECTION_FILE
from models.store.manifest import digest_file
from models.store.objects import ObjectStore
from models.store.pointers import PointerTarget, final_sweep_pointer, move_pointer, resolve_pointer
from models.store.run_identity import identity_of
from tasks.pointer_store import pointers_of
from tasks.stages import StageResult
from tasks.sweep_settings import SweepSettings


def point_to_thresholds(pointers: ObjectStore, result: StageResult) -> None:
    """Let ``<model>_final_sweep_latest`` name this ranking, for every model that was ranked; again changes nothing."""
    run = identity_of(result.ranking.run_path)
    best: dict[str, dict[str, str | float]] = {}
    for entry in result.read_ranking()["configurations"]:
        threshold = entry["thresholds"][str(entry["median_seed"])]
        best.setdefault(entry["model"], {"configuration": entry["configuration"], "threshold": threshold})
    for model, facts in best.items():
        name = final_sweep_pointer(model)
        move_pointer(pointers, name, PointerTarget(run, facts))
        get_run_logger().info("pointer %s: %s at threshold %s", name, facts["configuration"], facts["threshold"])


def frozen_ranking(settings: SweepSettings, pointer: str, models: Iterable[str]) -> Path:
    """The ranking whose sweep chose the thresholds of these models.

    Args:
        settings: Of the stage; where they give a selection, the pointer must name the ranking that made it.
        pointer: Name of the pointer; ``{model}`` stands for a model's name.
        models: Models that are tried.

    Raises:
        SettingsInvalid: no such pointer, two models point to two rankings, or another sweep moved the pointer since
            the selection was made. Not retried.
        ObjectCorrupt: the ranking is not the one that the pointer meant. Not retried.
    """
    named = {model: pointer.replace("{model}", model) for model in models}
    runs_path = settings.runs.resolve()
    pointers = pointers_of(runs_path, settings.sagemaker)
    found = {name: resolve_pointer(runs_path, name, pointers=pointers) for name in named.values()}
    if len(set(found.values())) > 1:
        places = ", ".join(f"{name}: {path}" for name, path in found.items())
        raise SettingsInvalid(
            f"threshold_from: the models' thresholds come from several sweeps ({places}); run stage 3 on all of them"
        )
    name, path = next(iter(found.items()))
    if settings.selection is not None and not _made(path, settings.selection):
        raise SettingsInvalid(
            f"threshold_from: {name} names {path}, and selection {settings.selection} is of another sweep; another "
            "stage 3 was run since: run stage 3 again, or give the selection of the newer one"
        )
    return path


def _made(ranking_path: Path, selection: Path) -> bool:
    """Whether a selection is the one that this ranking made."""
    given = selection / SELECTION_FILE if selection.is_dir() else selection
    return digest_file(given).sha256 == digest_file(ranking_path / SELECTION_FILE).sha256
