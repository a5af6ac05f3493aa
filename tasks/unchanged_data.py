"""Whether there is anything new to learn: digests of data, settings and code, held against the last finished run.

What a schedule asks before it trains. Three kinds of things count, each by its content: every input that the settings
name (``data.…``), all settings but incidental ones (``settings``; precision and ranks too), and the code and library
versions of all jobs (``code``). A schedule that left code out would go on showing results that today's code does not
give; the machine is left out, or two workers in turn would never be unchanged. What orders the jobs (``flows``,
``tasks``) is not in it.

The last finished run is kept by a pointer, so in the store where there is one: it holds on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from models.errors import SettingsInvalid
from models.jobs.build import ROOT_PATH, closure, code_digest, library_versions
from models.jobs.keys import content_digest, role_of, sha256_of
from models.jobs.registry import ENTRY_MODULES, OBJECTIVE_MODULES
from models.settings.fields import Settings
from models.store.objects import ObjectStore
from models.store.pointers import PointerTarget, find_pointer, move_pointer
from models.store.run_identity import identity_of

DATA = "data."
SETTINGS = "settings"
CODE = "code"
SHOWN_DIGITS = 12


def data_digests(settings: Settings) -> dict[str, str]:
    """Digests of everything that decides what a flow would find, by name.

    Args:
        settings: Of the flow, with all data that it begins from.

    Returns:
        ``data.FIELD`` for each input, ``settings`` and ``code``; hex digests.

    Raises:
        SettingsInvalid: An input does not exist. Not retried.
    """
    inputs = {f"{DATA}{name}": _digest_at(name, path) for name, path in _inputs(settings, "")}
    return {**inputs, SETTINGS: sha256_of(_without_inputs(settings)), CODE: _digest_of_code()}


def last_finished(pointers: ObjectStore, name: str) -> dict[str, Any] | None:
    """The last finished run and the digests it was made of; ``None``: none has finished yet.

    Args:
        pointers: Where pointers are kept (``pointer_store.pointers_of``).
        name: Of the pointer, such as ``phase2_latest``.

    Returns:
        ``run`` (for people) and ``digests``.

    Raises:
        SettingsInvalid: That is no name of a pointer. Not retried.
        ObjectCorrupt: The pointer is damaged. Not retried.
        StoreUnavailable: The store does not answer. Retried.
    """
    target = find_pointer(pointers, name)
    return None if target is None else {"run": str(target.run), "digests": dict(target.facts)}


def remember(pointers: ObjectStore, name: str, digests: Mapping[str, str], run_path: Path) -> None:
    """Let the pointer name a finished run, with the digests that were taken before it began.

    Args:
        pointers: Where pointers are kept.
        name: Of the pointer.
        digests: As ``data_digests`` gave them.
        run_path: The last job of the flow; it must be finished.

    Raises:
        ObjectMissing: The run is not finished; nothing is remembered. Not retried.
        StoreUnavailable: The store does not answer. Retried.
    """
    move_pointer(pointers, name, PointerTarget(identity_of(run_path), dict(digests)))


def unchanged(digests: Mapping[str, str], last: Mapping[str, Any] | None) -> str | None:
    """Why there is nothing to do, as a sentence; ``None``: there is something.

    Args:
        digests: Of now.
        last: As ``last_finished`` gives it.
    """
    if last is None or changes(digests, last):
        return None
    data = sha256_of({name: digest for name, digest in digests.items() if name.startswith(DATA)})
    return (
        f"skipped: data (sha256 {data[:SHOWN_DIGITS]}), settings and code are those of {last['run']}, which is "
        "finished; nothing to learn"
    )


def changes(digests: Mapping[str, str], last: Mapping[str, Any]) -> list[str]:
    """What differs from the last finished run, by name: ``data.FIELD``, ``settings`` or ``code``."""
    known = last["digests"]
    return sorted(name for name in digests.keys() | known.keys() if digests.get(name) != known.get(name))


def _inputs(value: Any, name: str) -> Iterator[tuple[str, Path]]:
    """Every path whose content decides, with the names of its fields."""
    if isinstance(value, Settings):
        for field_name, field in type(value).model_fields.items():
            role, item = role_of(field), getattr(value, field_name)
            inside = f"{name}.{field_name}".lstrip(".")
            if role in ("input", "named input"):
                yield from _paths(item, inside, is_named=role == "named input")
            elif role != "incidental":
                yield from _inputs(item, inside)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _inputs(item, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            yield from _inputs(item, f"{name}.{at}")


def _paths(value: Any, name: str, *, is_named: bool) -> Iterator[tuple[str, Path]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _paths(item, f"{name}.{key}", is_named=is_named)
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            yield from _paths(item, f"{name}.{at}", is_named=is_named)
    elif value is not None and (not is_named or Path(value).exists()):
        yield name, Path(value)


def _without_inputs(value: Any) -> Any:
    """Settings as JSON, incidental ones left out; of an input only its field, for its content is told beside it."""
    if isinstance(value, Settings):
        fields = type(value).model_fields.items()
        kept = {name: (role_of(field), getattr(value, name)) for name, field in fields}
        return {
            name: _told_of_input(role, item) if role in ("input", "named input") else _without_inputs(item)
            for name, (role, item) in kept.items()
            if role != "incidental"
        }
    if isinstance(value, Mapping):
        return {str(key): _without_inputs(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_inputs(item) for item in value]
    return value.as_posix() if isinstance(value, Path) else value


def _told_of_input(role: str, value: Any) -> Any:
    """A name that is no path here decides by itself; anything else by its content."""
    return str(value) if role == "named input" and value is not None and not Path(value).exists() else None


def _digest_at(name: str, path: Path) -> str:
    try:
        return content_digest(path)
    except FileNotFoundError:
        raise SettingsInvalid(f"{name}: no file or folder at {path}; give the path of an existing one") from None


def _digest_of_code() -> str:
    """Of all jobs' code without comments, and of the versions of their libraries."""
    paths = closure((*ENTRY_MODULES.values(), *OBJECTIVE_MODULES.values()))
    files = {path.relative_to(ROOT_PATH).as_posix(): code_digest(path) for path in paths}
    return sha256_of({"files": files, "libraries": library_versions(paths)})
