"""The run key: which question a job answers.

Kind + the settings that decide the result + the digests of its inputs. Paths, intervals and workers do not enter;
ranks, threads and precision are in the build key (``models.jobs.build``).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from models.errors import SettingsInvalid, StoreUnavailable
from models.settings.fields import Role, Settings
from models.store.manifest import MANIFEST_FILE, digest_file, read_manifest


def canonical_json(value: Any) -> bytes:
    """The one byte form of a JSON value, for hashing."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain).encode()


def sha256_of(value: Any) -> str:
    """Hex digest of a JSON value."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def run_key(settings: Settings) -> str:
    """Hex digest that names the run of ``settings``.

    Raises:
        SettingsInvalid: an input does not exist. Not retried.
    """
    return sha256_of(deciding(settings))


def deciding(settings: Settings) -> dict[str, Any]:
    """The settings that decide the result, with each input replaced by the digest of its content."""
    kept: dict[str, Any] = {}
    for name, field, value in _fields(settings):
        role = role_of(field)
        if role == "decides":
            kept[name] = deciding(value) if isinstance(value, Settings) else _plain(value)
            if kept[name] == {}:
                del kept[name]
        elif role == "named input" and (value is None or not Path(value).exists()):
            kept[name] = value
        elif role in ("input", "named input") and value is not None:
            kept[name] = _digests(value, name)
    return kept


def build_settings(settings: Settings) -> dict[str, Any]:
    """The settings that belong to the build key, flat by name."""
    found: dict[str, Any] = {}
    for name, field, value in _fields(settings):
        if isinstance(value, Settings):
            found.update(build_settings(value))
        elif role_of(field) == "build":
            found[name] = _plain(value)
    return found


def input_digests(settings: Settings) -> dict[str, Any]:
    """Digests of all inputs by field name, those inside nested settings too, for the record."""
    found = {name: _digests_inside(value, name, role_of(field)) for name, field, value in _fields(settings)}
    return {name: digests for name, digests in found.items() if digests is not None}


def _digests_inside(value: Any, name: str, role: str) -> Any:
    """Of an input its digests; of settings, or a mapping of settings, those of their inputs; else ``None``."""
    if role == "input":
        return None if value is None else _digests(value, name)
    if isinstance(value, Settings):
        return input_digests(value) or None
    if isinstance(value, Mapping):
        inside = {str(key): _digests_inside(item, f"{name}.{key}", role) for key, item in value.items()}
        return {key: digests for key, digests in inside.items() if digests is not None} or None
    return None


def content_digest(path: Path) -> str:
    """Digest of a file's bytes, of a finished run's listed files, or of a folder's files with their names.

    A folder is a run where its manifest has the fields of ours; a ``manifest.json`` of any other kind is a file like
    others. Folders behind links are not entered; a file behind one counts by its bytes, as those who read it see it. A
    file or folder that may not be read counts as just that: where it is needed, whoever reads it says so.

    Raises:
        FileNotFoundError: nothing is there.
        ObjectCorrupt: the manifest of a run is damaged. Not retried.
        StoreUnavailable: the disk does not answer. Retried.
    """
    if path.is_file():
        return digest_file(path).sha256
    if not path.is_dir():
        raise FileNotFoundError(path)
    manifest = read_manifest(path) if _is_run(path) else None
    if manifest is not None:
        return sha256_of({name: digest.sha256 for name, digest in manifest.files.items()})
    digests = dict(_digests_below(path))
    named = json.dumps(digests, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(named.encode("utf-8", "surrogateescape")).hexdigest()  # names count by their bytes


_RUN_FIELDS = (b'"sealed_sha256"', b'"run_key"', b'"build_key"')
_UNREADABLE = "unreadable"


def _is_run(folder: Path) -> bool:
    """Whether the manifest names the fields of ours; a damaged one that does is an error, not another folder."""
    try:
        content = (folder / MANIFEST_FILE).read_bytes() if (folder / MANIFEST_FILE).is_file() else b""
    except PermissionError:
        return False
    return all(field in content for field in _RUN_FIELDS)


def _digests_below(folder: Path) -> Iterator[tuple[str, str]]:
    """Names below a folder, relative to it, with the digests of their bytes; hidden ones are left out."""
    unreadable: list[OSError] = []
    for inside, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(inside, name) for name in files if not name.startswith(".")):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), _digest_or_unreadable(path)
    for error in unreadable:
        if not isinstance(error, PermissionError):
            raise StoreUnavailable(f"{error.filename}: {error.strerror}; start again once it can be read") from error
        yield Path(error.filename).relative_to(folder).as_posix() + "/", _UNREADABLE


def _digest_or_unreadable(path: Path) -> str:
    try:
        return digest_file(path).sha256
    except StoreUnavailable as error:
        if isinstance(error.__cause__, PermissionError):
            return _UNREADABLE
        raise


def missing_inputs(settings: Settings) -> dict[str, Path]:
    """Inputs that are named and not there, by channel: an earlier job of a flow makes them."""
    return {"-".join(field): path for field, path in missing_paths(settings).items()}


def missing_paths(settings: Settings, prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], Path]:
    """The same by field, from the settings down."""
    found: dict[tuple[str, ...], Path] = {}
    for name, field, value in _fields(settings):
        found |= _missing(value, (*prefix, name), is_input=role_of(field) == "input")
    return found


def _missing(value: Any, name: tuple[str, ...], *, is_input: bool) -> dict[tuple[str, ...], Path]:
    """Those of a field's value, inside mappings, tuples and settings too."""
    if isinstance(value, Settings):
        return missing_paths(value, name)
    if isinstance(value, Mapping):
        parts = [_missing(item, (*name, str(key)), is_input=is_input) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        parts = [_missing(item, (*name, str(at)), is_input=is_input) for at, item in enumerate(value)]
    else:
        return {name: value} if is_input and isinstance(value, Path) and not value.exists() else {}
    return {key: path for part in parts for key, path in part.items()}


def role_of(field: Any) -> str:
    """The role of a pydantic field: decides, input, named input, build or incidental."""
    for item in field.metadata:
        if isinstance(item, Role):
            return item.name
    return next((role.name for role in _roles_in(field.annotation)), "decides")


def _roles_in(annotation: Any) -> Iterator[Role]:
    """Roles inside ``X | None``, ``dict[str, X]`` and the like, which pydantic does not lift to the field."""
    for item in getattr(annotation, "__metadata__", ()):
        if isinstance(item, Role):
            yield item
    for argument in get_args(annotation):
        yield from _roles_in(argument)


def _fields(settings: Settings) -> Iterator[tuple[str, Any, Any]]:
    for name, field in type(settings).model_fields.items():
        yield name, field, getattr(settings, name)


def _digests(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _digests(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_digests(item, name) for item in value]
    try:
        return content_digest(Path(value))
    except FileNotFoundError:
        raise SettingsInvalid(f"{name}: no file or folder at {value}; give the path of an existing one") from None


def _plain(value: Any) -> Any:
    """A JSON form of what settings hold."""
    if isinstance(value, Settings):
        return deciding(value)
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
