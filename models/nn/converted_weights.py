"""Weights that came as a pickle (``.bin``), written once as safetensors.

They are read with torch's restricted unpickler, which builds tensors and nothing else. What is written is keyed by
what it was made from, appears by renaming, and is verified whenever it is found again.

    backbones/
      codebert-base-5d3c0f1a9b72/
        config.json               as it came
        model.safetensors         or model-00001-of-00002.safetensors … and their index
        manifest.json             size and sha256 of each
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pickle
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from models.data.backbone_files import CONFIG_FILE, BackboneFiles, WeightsFiles, weights_files
from models.errors import ObjectCorrupt, ObjectMissing, SettingsInvalid
from models.store.filesystem import LocalFilesystem, disk_errors
from models.store.manifest import digest_file, verify_manifest, write_manifest

MANIFEST_KIND = "converted backbone"
_LOCK_FILE = ".lock"
_PARTIAL_SUFFIX = ".partial"
_KEY_DIGITS = 12
_REFUSED = re.compile(r"GLOBAL (\S+)")
"""What torch's long advice names as refused."""


def safe_weights(files: BackboneFiles, converted_path: Path) -> tuple[Path, tuple[str, ...]]:
    """A folder with config.json and safetensors, and what a person should know of how it came about.

    Args:
        files: A complete backbone; where it has safetensors, its own folder is given.
        converted_path: Where conversions are kept; other processes may do the same at the same time.

    Raises:
        SettingsInvalid: a file holds more than tensors, or is damaged. Not retried.
        StoreUnavailable: the disk does not answer. Retried.
    """
    weights = weights_files(files.folder)
    if not weights.are_pickled:
        return files.folder, ()
    source_key = _source_key(files, weights)
    folder = converted_path / f"{Path(files.name).name}-{source_key[:_KEY_DIGITS]}"
    with _only_one(converted_path):
        notices: tuple[str, ...] = ()
        if folder.exists():
            try:
                verify_manifest(folder)
                return folder, ()
            except (ObjectCorrupt, ObjectMissing) as error:
                notices = (f"the conversion in {folder} was damaged and is made anew ({error})",)
        _convert(files, weights, folder, source_key)
    return folder, (*notices, f"{weights.entry} of {files.name} was converted to safetensors in {folder}")


def _source_key(files: BackboneFiles, weights: WeightsFiles) -> str:
    """Digest of what is converted: a commit stands for its content, a folder does not."""
    if files.revision is not None:
        source = [files.name, files.revision]
    else:
        names = (CONFIG_FILE, *sorted({weights.entry, *weights.parts}))
        source = [digest_file(files.folder / name).sha256 for name in names]
    return hashlib.sha256("\n".join(source).encode()).hexdigest()


@contextlib.contextmanager
def _only_one(converted_path: Path) -> Iterator[None]:
    """Others wait; the lock of one who dies is freed by the kernel."""
    path = converted_path / _LOCK_FILE
    LocalFilesystem().make_folder(converted_path)
    with disk_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with disk_errors(path):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _convert(files: BackboneFiles, weights: WeightsFiles, folder: Path, source_key: str) -> None:
    disk = LocalFilesystem()
    partial = folder.with_name(folder.name + _PARTIAL_SUFFIX)
    disk.remove_tree(partial)
    disk.make_folder(partial)
    names = [_safe_name(part) for part in weights.parts]
    for part, name in zip(weights.parts, names, strict=True):
        tensors = _separate(_unpickled(files.folder / part))
        with disk_errors(partial / name):
            save_file(tensors, partial / name, metadata={"format": "pt"})  # one entry: more come in random order
    if weights.entry not in weights.parts:
        names.append(_safe_name(weights.entry))
        index = json.loads((files.folder / weights.entry).read_bytes())
        index["weight_map"] = {key: _safe_name(part) for key, part in index["weight_map"].items()}
        disk.write(partial / names[-1], json.dumps(index, indent=1, sort_keys=True).encode())
    with disk_errors(partial / CONFIG_FILE):
        shutil.copyfile(files.folder / CONFIG_FILE, partial / CONFIG_FILE)
    write_manifest(
        partial, [CONFIG_FILE, *names], kind=MANIFEST_KIND, run_key=source_key, build_key=f"torch {torch.__version__}"
    )
    disk.remove_tree(folder)
    disk.replace(partial, folder)
    disk.sync_folder(folder.parent)


def _safe_name(name: str) -> str:
    """``pytorch_model-00001-of-00002.bin`` → ``model-00001-of-00002.safetensors``, and the like."""
    return name.removeprefix("pytorch_").replace(".bin", ".safetensors")


def _unpickled(path: Path) -> Mapping[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = _REFUSED.search(str(error))
        found = f"asks for {refused[1]}" if refused else "is no archive of torch"
        raise SettingsInvalid(
            f"backbone: {path} is no file of weights alone (it {found}). It could run code and is not loaded; give one "
            "with safetensors, or another source"
        ) from error
    except (RuntimeError, EOFError, LookupError, ValueError, OSError) as error:  # what torch says of other bytes
        raise SettingsInvalid(
            f"backbone: {path} is damaged or no file of torch ({error or type(error).__name__}); fetch it again"
        ) from error
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    ):
        raise SettingsInvalid(f"backbone: {path} must hold tensors by name, as save_pretrained writes them")
    return content


def _separate(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """Each tensor in memory of its own, as safetensors want it; tied ones are written twice."""
    seen: set[int] = set()
    separate = {}
    for name, tensor in sorted(tensors.items()):
        storage = tensor.untyped_storage().data_ptr()
        separate[name] = tensor.clone() if storage in seen else tensor.contiguous()
        seen.add(storage)
    return separate
