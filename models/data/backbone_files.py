"""Where a pretrained backbone comes from: a folder, or the hub's cache, or (asked for) the hub.

What is settled here is settled before anything is hashed, from names, ``config.json`` and the local cache alone: no
weights are read and no learning library is loaded. Whether it fits is in ``backbone_config.py`` and
``tokenizer_agreement.py``, loading in ``models.nn.backbones``.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from models.data.backbone_config import FAMILIES_WITH_DECODER, check_config
from models.data.model_hub import ModelHub, is_hub_name
from models.data.tokenizer_files import TOKENIZER_FILE
from models.errors import SettingsInvalid, StoreUnavailable, WeightsMissing
from models.settings.text_encoder import PINNED_REVISIONS, TextEncoder

CONFIG_FILE = "config.json"
OFF = "pretrained is off"
NOT_AT_HAND = "the pretrained weights were not at hand"
WEIGHTS_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""What weights are called, the first that is there is taken; an index names the files that they are cut into."""
TOKENIZER_FORMS = (
    (TOKENIZER_FILE,),
    ("vocab.json", "merges.txt"),
    ("vocab.txt",),
    ("tokenizer_config.json",),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
)
"""Files of which a tokenizer can be made; whether it is a fast one shows when it is."""
FURTHER_TOKENIZER_FILES = ("special_tokens_map.json", "added_tokens.json")


@dataclass(frozen=True)
class BackboneFiles:
    """A pretrained backbone that can be had.

    Args:
        name: As asked, a folder or a name on the hub.
        folder: Holds config.json; weights and tokenizer of a name on the hub may still have to be fetched.
        revision: Commit on the hub; ``None`` for a folder.
        config: Content of config.json.
    """

    name: str
    folder: Path
    revision: str | None
    config: dict[str, Any]


@dataclass(frozen=True)
class BackboneChoice:
    """What a run trains.

    Args:
        files: ``None``: the small encoder, from nothing.
        reason: Why the small encoder, in one of two phrases that hold no path: it is in hashed files; empty where there
            are files.
        detail: The same with what was looked for where, for people.
        family: The config's model_type, such as roberta or t5.
        identity: For the build key: name and commit, ``folder`` (its content is in the run key), or the small encoder.
    """

    files: BackboneFiles | None
    reason: str
    detail: str
    family: str
    identity: str


class WeightsFiles(NamedTuple):
    """Files that hold a backbone's weights.

    Args:
        entry: One of ``WEIGHTS_FILES``.
        parts: The files with tensors, of which ``entry`` is the only one or the index.
    """

    entry: str
    parts: tuple[str, ...]

    @property
    def are_pickled(self) -> bool:
        """Whether they must be converted before they are loaded."""
        return self.entry.startswith("pytorch_model")


def choose_backbone(settings: TextEncoder, hub: ModelHub | None = None) -> BackboneChoice:
    """Settle what a run begins from. Of a name on the hub only config.json is fetched, and only if that is allowed.

    Args:
        settings: Backbone, revision, and what may be done to have them.
        hub: Where names are looked up; ``None``: the hub's cache of this user, and the public hub.

    Raises:
        SettingsInvalid: nothing is found where it is required, a folder is broken, the name has no commit to fetch, or
            the backbone cannot be used with these settings. Not retried.
        StoreUnavailable: the backbone is required and the hub does not answer. Retried.
    """
    if settings.pretrained == "off":
        return _small(settings, OFF, OFF)
    if Path(settings.backbone).is_dir():
        files = _in_folder(settings)
    else:
        found = _on_hub(settings, hub if hub is not None else ModelHub())
        if isinstance(found, str):
            return _small(settings, NOT_AT_HAND, found)
        files = found
    check_config(files.config, files.folder / CONFIG_FILE, settings)
    identity = "folder" if files.revision is None else f"{files.name}@{files.revision}"
    return BackboneChoice(files, "", "", files.config["model_type"], identity)


def _small(settings: TextEncoder, reason: str, detail: str) -> BackboneChoice:
    family = settings.small.family
    if settings.reads_with == "encoder_decoder" and family not in FAMILIES_WITH_DECODER:
        raise SettingsInvalid(
            f"reads_with encoder_decoder needs a decoder, {detail}, and the small encoder is a {family}: set "
            "model.small.family to t5, or model.reads_with to encoder"
        )
    return BackboneChoice(None, reason, detail, family, f"small {family}, trained from nothing")


def _in_folder(settings: TextEncoder) -> BackboneFiles:
    folder = Path(settings.backbone)
    if settings.revision is not None:
        raise SettingsInvalid(f"revision belongs to a name on the hub, and backbone {folder} is a folder")
    lack = _lack(folder)
    if lack:
        raise SettingsInvalid(f"backbone: the folder {folder} has {lack}")
    return BackboneFiles(settings.backbone, folder, None, _read_json(folder / CONFIG_FILE))


def _on_hub(settings: TextEncoder, hub: ModelHub) -> BackboneFiles | str:
    """The backbone by its name, or why it cannot be had where that is no error."""
    name = settings.backbone
    if not is_hub_name(name):
        raise SettingsInvalid(f"backbone: no folder at {name}, and no model on the hub could be called so")
    pinned = settings.revision or PINNED_REVISIONS.get(name)
    config_path = hub.cached_path(name, CONFIG_FILE, pinned)
    lack = _lack(config_path.parent) if config_path is not None else "nothing of it"
    if config_path is None or lack:
        if not settings.allow_network:
            where = f"{name}{'@' + pinned if pinned else ''} in the local cache ({hub.cache_path} has {lack})"
            return _not_had(settings, f"no weights of {where}", is_pinned=pinned is not None)
        if pinned is None:
            raise WeightsMissing(name, _name_a_commit(name))
        try:
            config_path = config_path or _config_on_hub(name, pinned, hub)
        except StoreUnavailable as error:
            if settings.pretrained == "required":
                raise
            return str(error)
    return BackboneFiles(name, config_path.parent, config_path.parent.name, _read_json(config_path))


def _config_on_hub(name: str, commit: str, hub: ModelHub) -> Path:
    lack = _lack_among(hub.file_names(name, commit))
    if lack:
        raise SettingsInvalid(f"backbone: {name} at {commit} on the hub has {lack}")
    return hub.fetch(name, CONFIG_FILE, commit)


def _not_had(settings: TextEncoder, reason: str, *, is_pinned: bool) -> str:
    if settings.pretrained == "required":
        commit = "" if is_pinned else " and --model.revision COMMIT"
        raise WeightsMissing(
            settings.backbone,
            f"backbone: {reason}, and it is required. Fetch it once with --model.allow-network true{commit} (or give "
            "the path of a folder with config.json, weights and tokenizer), or train a small encoder from nothing with "
            "--model.pretrained off",
        )
    return reason


def _name_a_commit(name: str) -> str:
    return (
        f"backbone: {name} is only fetched at a commit that is named: take one from "
        f"https://huggingface.co/{name}/commits/main (40 hex digits) and give it as --model.revision"
    )


def fetch_backbone(files: BackboneFiles, settings: TextEncoder, hub: ModelHub | None = None) -> None:
    """Bring weights and tokenizer of a name on the hub into the cache; nothing happens where they are there.

    Raises:
        SettingsInvalid: the repository has no weights or tokenizer that can be used, or the network is not allowed.
            Not retried.
        StoreUnavailable: the hub does not answer. Retried.
    """
    if files.revision is None or not (lack := _lack(files.folder)):
        return
    if not settings.allow_network:
        raise SettingsInvalid(f"backbone: {files.folder} has {lack}; --model.allow-network true fetches it")
    hub = hub if hub is not None else ModelHub()
    names = hub.file_names(files.name, files.revision)
    tokenizer_files = {file for form in TOKENIZER_FORMS for file in form}.union(FURTHER_TOKENIZER_FILES)
    for file_name in sorted(tokenizer_files.intersection(names)):
        hub.fetch(files.name, file_name, files.revision)
    entry = _entry_among(names)
    if entry is not None:
        hub.fetch(files.name, entry, files.revision)
        for part in _parts(files.folder, entry):
            hub.fetch(files.name, part, files.revision)
    lack = _lack(files.folder)
    if lack:
        raise SettingsInvalid(f"backbone: {files.name} at {files.revision} on the hub has {lack}")


def weights_files(folder: Path) -> WeightsFiles:
    """The weights in a folder that was found complete.

    Raises:
        SettingsInvalid: there are none, or their index is damaged. Not retried.
    """
    entry = _entry_among({path.name for path in folder.iterdir() if path.is_file()})
    if entry is None:
        raise SettingsInvalid(f"backbone: the folder {folder} has {_NO_WEIGHTS}")
    return WeightsFiles(entry, _parts(folder, entry))


def _lack(folder: Path) -> str:
    """What a folder has not that a backbone needs, to be read after "has"; empty where it is complete."""
    names = {path.name for path in folder.iterdir() if path.is_file()}  # a link of the cache that leads nowhere is none
    lack = _lack_among(names)
    if lack:
        return lack
    entry = _entry_among(names)
    missing = [part for part in _parts(folder, entry) if part not in names] if entry is not None else []
    return f"no {missing[0]}, which {entry} names ({len(missing)} of its files are missing)" if missing else ""


def _lack_among(names: Collection[str]) -> str:
    if CONFIG_FILE not in names:
        return f"no {CONFIG_FILE}; give the folder that save_pretrained wrote"
    if _entry_among(names) is None:
        return _NO_WEIGHTS
    if not any(set(form) <= set(names) for form in TOKENIZER_FORMS):
        return f"no tokenizer ({TOKENIZER_FILE}, or vocab.json and merges.txt); put in the one it was trained with"
    return ""


_NO_WEIGHTS = f"no weights ({', '.join(WEIGHTS_FILES)})"


def _entry_among(names: Collection[str]) -> str | None:
    return next((name for name in WEIGHTS_FILES if name in names), None)


def _parts(folder: Path, entry: str) -> tuple[str, ...]:
    if not entry.endswith(".json"):
        return (entry,)
    weight_map = _read_json(folder / entry).get("weight_map")
    parts = set(weight_map.values()) if isinstance(weight_map, dict) else set()
    # Files beside the index only: a name must not lead elsewhere.
    if not parts or not all(isinstance(part, str) and Path(part).name == part for part in parts):
        raise SettingsInvalid(f"backbone: {folder / entry} is no index of weights in files beside it")
    return tuple(sorted(parts))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsInvalid(f"backbone: {path} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise SettingsInvalid(f"backbone: {path} must hold a JSON object, and holds a {type(content).__name__}")
    return content
