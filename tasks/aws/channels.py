"""What of a job's inputs travels with it: files by channel, and the same settings with the paths of the container.

The content decides a run's name, so it must be the same here and there: exactly what ``models.jobs.keys`` digests
travels, and what a job reads beside it. Sealed test records travel only with a job that is asked to open them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from models.errors import SettingsInvalid
from models.jobs.contract import MANIFEST_FILE, SETTINGS_FILE
from models.jobs.keys import role_of, sha256_of
from models.settings.fields import Settings
from models.settings.predict import PredictSettings
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.settings.train import READ_TEXTS, READ_TOKENS, TrainSettings
from models.store.manifest import FileDigest, digest_file, read_manifest
from tasks.aws.hub_channel import backbone_files, foreseen_backbone_files

DATA_FOLDER = PurePosixPath("/opt/ml/input/data")
INPUTS_FOLDER = "inputs"
HUB_CHANNEL = "hub"
HUB_CACHE_VARIABLE = "HF_HUB_CACHE"
RECORD_FIELDS = ("train_data", "val_data", "test_data")
RUN_FIELDS = ("model_run", "folds", "probes", "encoder")
"""Inputs that are finished runs; what their manifests do not list stays here."""
MAX_CHANNELS = 18
"""SageMaker takes 20, and code and job have one each."""


@dataclass(frozen=True)
class Parcel:
    """The files of one channel.

    Args:
        channel: Its name.
        files: The file of each name in it.
        missing: Where those will lie that are to be made or fetched first, by name; none in what is sent.
    """

    channel: str
    files: dict[str, Path]
    missing: dict[str, Path] = field(default_factory=dict)

    @property
    def digests(self) -> dict[str, FileDigest]:
        """Size and sha256 of each file by name."""
        return {name: _digest(path, *_stamp(path)) for name, path in sorted(self.files.items())}

    @property
    def sha256(self) -> str:
        """Hex digest of all names and contents; where it lies in the store."""
        return sha256_of({name: digest.sha256 for name, digest in self.digests.items()})

    @property
    def prefix(self) -> str:
        """Where it lies in the store; a placeholder while its content is not known."""
        return f"{INPUTS_FOLDER}/{f'CONTENT-OF-{self.channel}' if self.missing else self.sha256}"


@dataclass(frozen=True)
class Cargo:
    """A job made ready to travel.

    Args:
        settings: The job with the paths of the container.
        parcels: What must lie there.
        environment: Variables by which the job finds what is asked for by name.
    """

    settings: Settings
    parcels: tuple[Parcel, ...]
    environment: dict[str, str] = field(default_factory=dict)


def foreseen_cargo(settings: Settings) -> Cargo:
    """What would travel with a job; nothing is written or fetched, and what is missing is told by its parcel.

    Raises:
        SettingsInvalid: an input cannot travel without sealed records, or a backbone cannot be used. Not retried.
    """
    return _packed(settings, foreseen_backbone_files(settings))


def cargo_of(settings: Settings) -> Cargo:
    """What travels with a job. Missing columnar copies are made, and a backbone is fetched where settings allow it.

    Raises:
        SettingsInvalid: an input cannot travel without sealed records, or is not whole. Not retried.
        StoreUnavailable: a backbone is to be fetched, and the hub does not answer. Retried.
    """
    from models.data.columnar import arrow_path, open_records

    hub = backbone_files(settings)
    for parcel in _packed(settings, hub).parcels:
        for record_path in parcel.files.values():
            if arrow_path(record_path) in parcel.missing.values():
                open_records(record_path)
    cargo = _packed(settings, hub)
    for parcel in cargo.parcels:
        for path in parcel.missing.values():
            raise SettingsInvalid(f"{parcel.channel}: {path} is missing, and belongs to it; make it again")
    return cargo


def _packed(settings: Settings, hub: dict[str, Path] | None) -> Cargo:
    parcels: list[Parcel] = []
    travelling = _rewritten(settings, settings, (), parcels)
    environment = {}
    if hub is not None:
        parcels.append(_parcel(HUB_CHANNEL, hub))
        environment[HUB_CACHE_VARIABLE] = str(DATA_FOLDER / HUB_CHANNEL)
    if len(parcels) > MAX_CHANNELS:
        raise SettingsInvalid(f"the job has {len(parcels)} inputs, and a training job takes {MAX_CHANNELS}; merge some")
    return Cargo(travelling, tuple(parcels), environment)


def _rewritten(job: Settings, part: Settings, path: tuple[str, ...], parcels: list[Parcel]) -> Settings:
    """``part`` with each local input replaced by its place in the container; what it needs is added to ``parcels``."""
    changes: dict[str, Any] = {}
    for name, description in type(part).model_fields.items():
        value = getattr(part, name)
        if isinstance(value, Settings):
            changes[name] = _rewritten(job, value, (*path, name), parcels)
        elif role_of(description) in ("input", "named input"):
            changes[name] = _placed(job, name, value, (*path, name), parcels)
    return part.model_copy(update=changes)


def _placed(job: Settings, name: str, value: Any, path: tuple[str, ...], parcels: list[Parcel]) -> Any:
    """The place of an input in the container, of each in a mapping or tuple; as it is where nothing lies there."""
    if isinstance(value, Mapping):
        return {key: _placed(job, name, item, (*path, str(key)), parcels) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_placed(job, name, item, (*path, str(at)), parcels) for at, item in enumerate(value))
    if value is None or not Path(value).exists():
        return value
    channel = "-".join(path)
    inner, files = _files_of(job, name, Path(value))
    parcels.append(_parcel(channel, files))
    place = DATA_FOLDER / channel / inner
    return Path(place) if isinstance(value, Path) else str(place)


def _parcel(channel: str, files: dict[str, Path]) -> Parcel:
    there = {name: path for name, path in files.items() if path.is_file()}
    return Parcel(channel, there, {name: path for name, path in files.items() if name not in there})


def _files_of(job: Settings, name: str, path: Path) -> tuple[str, dict[str, Path]]:
    """The input's name in its channel (empty: the channel itself), and the files that travel, once they are made."""
    if isinstance(job, TrainSettings) and name == "texts":
        return path.name, _records(path, with_tokenizer=True)
    if isinstance(job, TrainSettings) and name in RECORD_FIELDS and job.model.kind not in READ_TEXTS:
        return path.name, _records(path, with_tokenizer=job.model.kind in READ_TOKENS)
    if name == "data" and isinstance(job, PredictSettings):
        return "", _splits(job)
    if name in RUN_FIELDS:
        return "", _finished_run(path, name)
    return ("", _visible_files(path)) if path.is_dir() else (path.name, {path.name: path})


def _records(path: Path, *, with_tokenizer: bool) -> dict[str, Path]:
    """A record file, its columnar copy, and the tokenizer beside it for models that read tokens.

    The copy travels too: whether a job may write among its inputs is not said anywhere.
    """
    from models.data.columnar import arrow_path

    copy = arrow_path(path)
    tokenizer_path = path.parent / TOKENIZER_FOLDER
    files = {path.name: path, copy.name: copy}
    if with_tokenizer and tokenizer_path.is_dir():
        files |= {f"{TOKENIZER_FOLDER}/{name}": file for name, file in _visible_files(tokenizer_path).items()}
    return files


def _splits(job: PredictSettings) -> dict[str, Path]:
    """Manifest, tokenizer and the asked splits of a data folder, which is known by its manifest alone."""
    asked = ["train" if split == "held_out" else split for split in job.splits]
    splits = dict.fromkeys([*asked, *(["test"] if job.open_test else [])])
    if read_manifest(job.data) is None:
        if not job.open_test and (job.data / "test.jsonl").exists():
            raise SettingsInvalid(
                f"data: {job.data} has no {MANIFEST_FILE}, so all of it would travel, the sealed test records too; "
                "give the directory of a finished preprocess run"
            )
        return _visible_files(job.data)
    files = {MANIFEST_FILE: job.data / MANIFEST_FILE}
    for split in splits:
        files |= _records(job.data / f"{split}.jsonl", with_tokenizer=True)
    return files


def _finished_run(path: Path, name: str) -> dict[str, Path]:
    """A finished run as its manifest lists it, with its settings."""
    manifest = read_manifest(path)
    if manifest is None:
        raise SettingsInvalid(f"{name}: {path} is not finished (no {MANIFEST_FILE}); finish it first")
    return {name: path / name for name in (MANIFEST_FILE, SETTINGS_FILE, *manifest.files)}


def _visible_files(folder: Path) -> dict[str, Path]:
    """All files by name, as ``content_digest`` takes them: hidden ones are left out."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = {path.relative_to(folder): path for path in paths}
    return {name.as_posix(): path for name, path in names.items() if not any(p.startswith(".") for p in name.parts)}


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


@lru_cache(maxsize=4096)
def _digest(path: Path, *_stamp: int) -> FileDigest:
    """Digest of a file; read once for as long as it is not written to."""
    return digest_file(path)
