"""A pretrained backbone found by name: its files in the layout of the hub's cache, for a channel of their own."""

from __future__ import annotations

from pathlib import Path

from models.errors import WeightsMissing
from models.settings.fields import Settings
from models.settings.text_encoder import TextEncoder
from models.settings.train import TrainSettings


def foreseen_backbone_files(settings: Settings) -> dict[str, Path] | None:
    """The files as far as the cache has them, by name; nothing is fetched.

    A backbone that would be fetched is one name that stands for all its files, and a path where nothing is yet.

    Raises:
        SettingsInvalid: the backbone cannot be used, or is required and may not be fetched. Not retried.
    """
    model = _transformer(settings)
    if model is None or model.pretrained == "off" or not model.allow_network:
        return backbone_files(settings)  # asks the cache alone
    offline = model.model_copy(update={"allow_network": False, "pretrained": "required"})
    try:
        return backbone_files(settings.model_copy(update={"model": offline}))
    except WeightsMissing:
        from models.data.model_hub import ModelHub

        name = _repository(model.backbone)
        return {name: ModelHub().cache_path / name}


def backbone_files(settings: Settings) -> dict[str, Path] | None:
    """The files by name, fetched where settings allow it; ``None`` where no backbone is taken by name.

    Raises:
        SettingsInvalid: the backbone cannot be used, or is required and may not be fetched. Not retried.
        StoreUnavailable: it is to be fetched, and the hub does not answer. Retried.
    """
    model = _transformer(settings)
    if model is None:
        return None
    from models.data.backbone_files import (
        CONFIG_FILE,
        FURTHER_TOKENIZER_FILES,
        TOKENIZER_FORMS,
        fetch_backbone,
        weights_files,
    )
    from models.jobs.compute import chosen_backbone

    files = chosen_backbone(model).files
    if files is None or files.revision is None:
        return None
    fetch_backbone(files, model)
    weights = weights_files(files.folder)
    tokenizer = {name for form in TOKENIZER_FORMS for name in form}.union(FURTHER_TOKENIZER_FILES)
    names = {CONFIG_FILE, weights.entry, *weights.parts, *tokenizer}
    repository = _repository(files.name)
    carried = {
        f"{repository}/snapshots/{files.revision}/{name}": files.folder / name
        for name in sorted(names)
        if (files.folder / name).is_file()
    }
    main = files.folder.parents[1] / "refs" / "main"
    if main.is_file():  # what a name without a commit means
        carried[f"{repository}/refs/main"] = main
    return carried


def _transformer(settings: Settings) -> TextEncoder | None:
    if isinstance(settings, TrainSettings) and isinstance(settings.model, TextEncoder):
        return settings.model
    return None


def _repository(name: str) -> str:
    """Folder of a name in the hub's cache."""
    return f"models--{name.replace('/', '--')}"
