"""Pointers: names that say which run counts now, such as ``codet5p_220m_champion_latest``.

A pointer is one sealed JSON document in an object store, moved by compare-and-set, so that it is never half written and
two movers never mix. It names a run by its keys and the sha256 of its manifest, never by a path. Which run it should
name is decided by who moves it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.errors import HeadConflict, ObjectCorrupt, ObjectMissing, SettingsInvalid
from models.store.filesystem import LocalFilesystem, make_folder_durably
from models.store.objects import LocalObjects, ObjectStore, StoredObject
from models.store.run_identity import RunIdentity, find_run
from models.store.sealed import seal, unseal

POINTERS_FOLDER = "pointers"
FINAL_SWEEP = "_final_sweep_latest"
CHAMPION = "_champion_latest"

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*_latest")
_HOW_TO_GET = {
    FINAL_SWEEP: "stage 3 writes it at its end: run stage 3 on this model (python -m flows.stage3 …)",
    CHAMPION: "stage 4 writes it when it freezes a champion: run stage 4, or python -m tasks.champion --freeze-only",
}
_TRIES = 20


@dataclass(frozen=True)
class PointerTarget:
    """What a pointer names.

    Args:
        run: The run that counts now.
        facts: Small JSON values for people and for who follows it; deterministic (no clocks, no paths).
    """

    run: RunIdentity
    facts: Mapping[str, Any] = field(default_factory=dict)


def final_sweep_pointer(model: str) -> str:
    """Name of the pointer to the ranking of stage 3 for a model; its thresholds are what stage 4 takes over."""
    return f"{model}{FINAL_SWEEP}"


def champion_pointer(model: str) -> str:
    """Name of the pointer to the training run of a model's frozen champion."""
    return f"{model}{CHAMPION}"


def local_pointers(runs_path: Path) -> LocalObjects:
    """Where pointers of a run root on this machine are moved; made where it is missing.

    Raises:
        StoreUnavailable: The disk refuses. Retried.
    """
    folder = runs_path / POINTERS_FOLDER
    make_folder_durably(LocalFilesystem(), folder)
    return LocalObjects(folder)


def move_pointer(store: ObjectStore, name: str, target: PointerTarget) -> None:
    """Let a pointer name another run, atomically; where it names it already nothing is written.

    Of several that move it at the same time, one is the last; the pointer then is whole and as that one said.

    Raises:
        SettingsInvalid: That is no name of a pointer. Not retried.
        HeadConflict: Others keep moving it. Not retried.
        StoreUnavailable: The store does not answer; the pointer may be the old or the new one. Retried.
    """
    key = _key(name)
    content = seal({"name": name, "run": asdict(target.run), "facts": dict(target.facts)})
    for remaining in reversed(range(_TRIES)):
        found = _get(store, key)
        if found is not None and found.content == content:
            return
        try:
            store.compare_and_set(key, content, found.version if found is not None else None)
            return
        except HeadConflict:  # moved since it was read: look again what it says now
            if not remaining:
                raise


def read_pointer(store: ObjectStore, name: str) -> PointerTarget:
    """What a pointer names now.

    Raises:
        SettingsInvalid: That is no name of a pointer, or there is none of this name; says what writes it. Not retried.
        ObjectCorrupt: It is damaged, or another pointer's content. Not retried.
        StoreUnavailable: The store does not answer. Retried.
    """
    target = find_pointer(store, name)
    if target is None:
        raise SettingsInvalid(f"no pointer {name} in this run root: {_how_to_get(name)}{_others(store)}")
    return target


def find_pointer(store: ObjectStore, name: str) -> PointerTarget | None:
    """What a pointer names now; ``None``: nobody has moved it yet.

    Raises:
        SettingsInvalid: That is no name of a pointer. Not retried.
        ObjectCorrupt: It is damaged, or another pointer's content. Not retried.
        StoreUnavailable: The store does not answer. Retried.
    """
    key = _key(name)
    found = _get(store, key)
    if found is None:
        return None
    body = unseal(key, found.content)
    if body.get("name") != name:
        raise ObjectCorrupt(key, f"the pointer {name}", f"the pointer {body.get('name')}")
    if not isinstance(body.get("run"), dict) or not isinstance(body.get("facts"), dict):
        raise ObjectCorrupt(key, "the fields run and facts of a pointer", ", ".join(sorted(body)) or "nothing")
    return PointerTarget(RunIdentity.from_body(key, body["run"]), body["facts"])


def resolve_pointer(runs_path: Path, name: str, *, pointers: ObjectStore | None = None) -> Path:
    """Directory of the run that a pointer names; its manifest is the one that was meant.

    Args:
        runs_path: The run root on this machine that holds the run.
        name: Of the pointer.
        pointers: Where pointers are kept; ``None``: under the run root.

    Raises:
        SettingsInvalid: No such pointer; says what writes it. Not retried.
        ObjectMissing: The run is not there any more. Not retried.
        ObjectCorrupt: The pointer is damaged, or the run's manifest is another one. Not retried.
        StoreUnavailable: Store or disk does not answer. Retried.
    """
    kept = pointers if pointers is not None else LocalObjects(runs_path / POINTERS_FOLDER)
    return find_run(runs_path, read_pointer(kept, name).run)


def _key(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise SettingsInvalid(
            f"pointer {name!r}: expected letters, digits, '_', '.' or '-' that end in _latest, "
            f"such as codet5p_220m{FINAL_SWEEP}"
        )
    return f"{name}.json"


def _get(store: ObjectStore, key: str) -> StoredObject | None:
    try:
        return store.get(key)
    except ObjectMissing:
        return None


def _how_to_get(name: str) -> str:
    for suffix, advice in _HOW_TO_GET.items():
        if name.endswith(suffix):
            return advice
    return "run the stage that writes it"


def _others(store: ObjectStore) -> str:
    """The pointers there are, for who mistyped one."""
    names = [key.removesuffix(".json") for key in store.list()]
    return f" (there are: {', '.join(names)})" if names else ""
