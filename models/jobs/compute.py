"""What a job really runs on and begins from: device, precision and backbone, settled before anything is hashed."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

from models.errors import SettingsInvalid
from models.jobs.contract import RESULT_FILE
from models.jobs.hardware import machine_for, planned_memory_gib, resolve_precision
from models.jobs.placement import Machine
from models.jobs.registry import train_settings_of
from models.settings.gnn import GnnSettings
from models.settings.predict import PredictSettings
from models.settings.retrieval import EmbedSettings, ScoreSettings
from models.settings.text_encoder import TextEncoder
from models.settings.train import ComputeSettings, TrainSettings

Computed = TrainSettings | PredictSettings | EmbedSettings | ScoreSettings
"""Jobs that say what they run on."""

if TYPE_CHECKING:
    from models.data.backbone_files import BackboneChoice


def resolved_compute(settings: Computed, machine: Machine | None = None) -> ComputeSettings:
    """The job's compute settings with nothing left to ``auto``.

    Args:
        settings: Settings of the job.
        machine: The machine it is planned for; ``None``: this one.

    Raises:
        SettingsInvalid: the machine lacks the device, the precision does not exist on it, or is not for this model.
            Not retried.
    """
    compute = settings.compute
    found = machine_for(compute.device, machine)
    precision = resolve_precision(compute.precision, found)
    family = _backbone_family(settings) if precision == "fp16" else None
    if family is not None and not _by_name("models.data.backbone_config").allows_fp16(family):
        if compute.precision == "fp16":
            raise SettingsInvalid(
                f"compute.precision fp16: activations of {family} models overflow in it; give bf16, off or auto"
            )
        precision = "off"
    return compute.model_copy(update={"device": found.device, "precision": precision})


def planned_facts(settings: Computed, machine: Machine | None = None) -> dict[str, Any]:
    """What the build key says of machine and starting point.

    Args:
        settings: Settings of the job.
        machine: The machine it is planned for; ``None``: this one.

    Raises:
        SettingsInvalid: the backbone cannot be had, or the device lacks what is asked. Not retried.
    """
    compute = resolved_compute(settings, machine)
    found = machine_for(compute.device, machine)
    facts: dict[str, Any] = {
        "device": compute.device,
        "precision": compute.precision,
        "device_class": found.device_class,
    }
    model = settings.model if isinstance(settings, TrainSettings) else None
    if isinstance(model, GnnSettings) and model.auto_batch_size:
        facts["memory_gib"] = planned_memory_gib(found, machine)  # it decides the batch size, and so the result
    if isinstance(model, TextEncoder):
        facts["backbone"] = chosen_backbone(model).identity
    return facts


def chosen_backbone(model: TextEncoder) -> BackboneChoice:
    """What a run of these settings begins from, as it is here and now."""
    choice: BackboneChoice = _by_name("models.data.backbone_files").choose_backbone(model)
    return choice


def _backbone_family(settings: Computed) -> str | None:
    """Class of the backbone, such as t5; ``None`` where there is none."""
    if isinstance(settings, TrainSettings):
        return chosen_backbone(settings.model).family if isinstance(settings.model, TextEncoder) else None
    if not isinstance(train_settings_of(settings).model, TextEncoder):
        return None
    # What was trained, not what the settings would find today.
    path = settings.model_run / RESULT_FILE
    if not path.is_file():
        raise SettingsInvalid(f"model_run: {settings.model_run} is not finished (no {RESULT_FILE}); finish it first")
    return str(json.loads(path.read_bytes())["numbers"]["backbone"]["family"])


def _by_name(module: str) -> Any:
    """A module of backbones, as kinds are in the registry: an edit there must not rebuild graph networks."""
    return importlib.import_module(module)
