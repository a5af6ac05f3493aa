"""Where a pretrained backbone comes from: a folder, or the hub's cache, or (asked for) the hub; and whether it fits.

What is settled here is settled before anything is hashed, from names, ``config.json`` and the local cache alone: no
weights are read and no learning library is loaded. Loading is in ``models.nn.backbones``.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from models.data.model_hub import ModelHub, is_hub_name
from models.data.tokenizer_files import TOKENIZER_FILE, init_safe_tokenizer
from models.errors import SettingsInvalid, StoreUnavailable
from models.settings.transformer import PINNED_REVISIONS, TransformerSettings

if TYPE_CHECKING:
    from tokenizers import Tokenizer

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
POSITIONS_AFTER_PADDING = frozenset(
    {"camembert", "data2vec-text", "ibert", "longformer", "mpnet", "roberta", "roberta-prelayernorm"}
    | {"xlm-roberta", "xlm-roberta-xl"}
)
"""Families that number positions from the padding id on, so that the first few of the table are never used."""
OVERFLOWING_FAMILIES = frozenset({"mt5", "t5", "t5gemma", "umt5"})
"""Families whose activations are known to leave the range of fp16."""
PROBES = (
    "int main(void) { return 0; }",
    'static char *Name_2(const unsigned char *s, size_t n)\n{\n\tif (!s || n <= 0x7fUL)\n\t\treturn "a\\n%d";\n}',
    "for (i = 0; i < len; i++) buf[i] ^= ~(mask >> 3) & 0xFFu;  /* déjà vu, 中文 */",
)
"""What two tokenizers must read alike to be taken for the same."""


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


def choose_backbone(settings: TransformerSettings, hub: ModelHub | None = None) -> BackboneChoice:
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
    _check_config(files)
    _check_length(files, settings)
    identity = "folder" if files.revision is None else f"{files.name}@{files.revision}"
    return BackboneChoice(files, "", "", files.config["model_type"], identity)


def _small(settings: TransformerSettings, reason: str, detail: str) -> BackboneChoice:
    family = settings.small.family
    return BackboneChoice(None, reason, detail, family, f"small {family}, trained from nothing")


def _in_folder(settings: TransformerSettings) -> BackboneFiles:
    folder = Path(settings.backbone)
    if settings.revision is not None:
        raise SettingsInvalid(f"revision belongs to a name on the hub, and backbone {folder} is a folder")
    lack = _lack(folder)
    if lack:
        raise SettingsInvalid(f"backbone: the folder {folder} has {lack}")
    return BackboneFiles(settings.backbone, folder, None, _read_json(folder / CONFIG_FILE))


def _on_hub(settings: TransformerSettings, hub: ModelHub) -> BackboneFiles | str:
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
            return _not_had(settings, f"no weights of {where}")
        if pinned is None:
            raise SettingsInvalid(_name_a_commit(name))
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


def _not_had(settings: TransformerSettings, reason: str) -> str:
    if settings.pretrained == "required":
        raise SettingsInvalid(
            f"backbone: {reason}, and it is required. Give the path of a folder with config.json, weights and "
            "tokenizer, or --model.allow-network true once to fetch it, or --model.pretrained auto or off to train a "
            "small encoder from nothing"
        )
    return reason


def _name_a_commit(name: str) -> str:
    return (
        f"backbone: {name} is only fetched at a commit that is named: take one from "
        f"https://huggingface.co/{name}/commits/main (40 hex digits) and give it as --model.revision"
    )


def fetch_backbone(files: BackboneFiles, settings: TransformerSettings, hub: ModelHub | None = None) -> None:
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


def _check_config(files: BackboneFiles) -> None:
    path, family = files.folder / CONFIG_FILE, files.config.get("model_type")
    if not isinstance(family, str):
        raise SettingsInvalid(f"backbone: {path} has no model_type; give a folder that save_pretrained wrote")
    if "auto_map" in files.config and not _is_known(family):
        raise SettingsInvalid(
            f"backbone: {files.name} (model_type {family}) brings its own code, and code of others is never run here; "
            "give a backbone whose class is in transformers"
        )
    for key in ("quantization_config", "transformers_weights"):
        if files.config.get(key) is not None:
            raise SettingsInvalid(
                f"backbone: {path} sets {key}; give one with plain weights in a file of the usual name"
            )


def _is_known(family: str) -> bool:
    from transformers import CONFIG_MAPPING  # seconds, for the few configurations that name code

    return family in CONFIG_MAPPING


def _check_length(files: BackboneFiles, settings: TransformerSettings) -> None:
    largest = max_positions(files.config)
    if largest is not None and settings.max_seq_len > largest:
        raise SettingsInvalid(
            f"max_seq_len {settings.max_seq_len} is beyond the positions of {files.name}; give {largest} or less"
        )


def max_positions(config: dict[str, Any]) -> int | None:
    """Longest sequence that a backbone reads, special tokens included [tokens]; ``None``: no limit.

    Args:
        config: Content of config.json.
    """
    largest = config.get("max_position_embeddings")
    if not isinstance(largest, int):
        return None
    if config.get("model_type") not in POSITIONS_AFTER_PADDING:
        return largest
    padding = config.get("pad_token_id")
    return largest - (1 if padding is None else int(padding)) - 1


def allows_fp16(family: str) -> bool:
    """Whether a family of encoders can be trained in fp16; activations of T5's overflow.

    Args:
        family: A config's model_type.
    """
    return family not in OVERFLOWING_FAMILIES


def check_tokenizer(files: BackboneFiles, records_tokenizer: Path) -> None:
    """Check that the tokenizer of the records is the backbone's: the same ids for the same code.

    Tokens that only one of them has (fillers, markers for other tasks) do not count, as long as their ids are free in
    the other.

    Args:
        files: The backbone, with its tokenizer fetched.
        records_tokenizer: Folder with the tokenizer.json of the records.

    Raises:
        SettingsInvalid: they differ, the backbone has fewer ids, or no fast tokenizer. Not retried.
    """
    from tokenizers import Tokenizer

    theirs = Tokenizer.from_str(init_safe_tokenizer(str(files.folder)).backend_tokenizer.to_str())
    ours = Tokenizer.from_file(str(records_tokenizer / TOKENIZER_FILE))
    difference = _difference(ours, theirs)
    if not difference:
        _check_vocabulary(ours, files)
    if difference:
        revision = f" --tokenizer-revision {files.revision}" if files.revision else ""
        raise SettingsInvalid(
            f"the records were tokenised by {records_tokenizer}, which is not the tokenizer of backbone {files.name}: "
            f"{difference}. Preprocess with --tokenizer {files.name}{revision}"
        )


def _difference(ours: Tokenizer, theirs: Tokenizer) -> str:
    """How two tokenizers differ; empty where they give the same ids."""
    our_ids, their_ids = ours.get_vocab(), theirs.get_vocab()
    shared = sorted(our_ids.keys() & their_ids.keys(), key=our_ids.__getitem__)
    moved = [token for token in shared if our_ids[token] != their_ids[token]]
    if moved:
        first = moved[0]
        return (
            f"{len(moved):,} of {len(shared):,} tokens that both know have another id (the first is {first!r}: "
            f"{our_ids[first]} in the records, {their_ids[first]} in the backbone)"
        )
    their_tokens = {number: token for token, number in their_ids.items()}
    taken = [token for token, number in our_ids.items() if their_tokens.get(number, token) != token]
    if taken:
        first = min(taken, key=our_ids.__getitem__)
        return (
            f"{len(taken):,} ids mean another token (the first is {our_ids[first]}: {first!r} in the records, "
            f"{their_tokens[our_ids[first]]!r} in the backbone)"
        )
    for probe in PROBES:
        our_reading, their_reading = _read(ours, probe), _read(theirs, probe)
        if our_reading != their_reading:
            return f"{probe!r} is {our_reading} in the records and {their_reading} in the backbone"
    return ""


def _read(tokenizer: Tokenizer, text: str) -> list[int]:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids: list[int] = tokenizer.encode(text).ids
    return ids


def _check_vocabulary(ours: Tokenizer, files: BackboneFiles) -> None:
    """Refuse a backbone that lacks embeddings for ids of its own tokenizer."""
    largest, vocab_size = max(ours.get_vocab().values()), files.config.get("vocab_size")
    if vocab_size is not None and largest >= vocab_size:
        raise SettingsInvalid(
            f"backbone: {files.name} has embeddings for {vocab_size} ids, and its tokenizer's go up to {largest}; its "
            "weights and its tokenizer do not belong together: give a matching pair"
        )
