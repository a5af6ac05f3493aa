"""What a finished phase leaves for comparisons: its systems by name, where their predictions lie, and on what data.

A file under ``runs/systems``; paths in it are relative to the run root it lies in, so that the root can be moved.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import SettingsInvalid
from models.jobs.keys import sha256_of
from models.settings.compare import ComparedSystem
from models.store.filesystem import LocalFilesystem, write_synced

SYSTEMS_FOLDER = "systems"


class FinishedSystems(BaseModel):
    """The systems of a finished flow run.

    Args:
        flow: Which flow they come from.
        records: Preprocess run that the test split is of.
        other_records: Other preprocess runs that predictions were made from.
        systems: By name.
        probes: Probe runs by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    flow: str
    records: Path
    other_records: tuple[Path, ...] = ()
    systems: dict[str, ComparedSystem]
    probes: dict[str, Path] = {}


def remember_systems(runs_path: Path, finished: FinishedSystems) -> Path:
    """Write the file; the same systems give the same file.

    Returns:
        Its path, for ``python -m flows.comparison``.
    """
    relative = _with_paths(finished, lambda path: path.resolve().relative_to(runs_path.resolve()))
    content = relative.model_dump(mode="json")
    path = runs_path / SYSTEMS_FOLDER / f"{finished.flow}-{sha256_of(content)[:12]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1) + "\n"
    write_synced(LocalFilesystem(), path, text.encode(), temp_folder=path.parent / ".temp")
    return path


def read_systems(path: Path, runs_path: Path) -> FinishedSystems:
    """The systems of a finished flow run, with absolute paths.

    Args:
        path: The file, in the folder of systems of its run root.
        runs_path: Run root of a file that lies elsewhere.

    Raises:
        SettingsInvalid: there is no such file, or it is none of ours. Not retried.
    """
    try:
        found = FinishedSystems.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise SettingsInvalid(
            f"{path}: no such file; phase 1 and 2 print its name at their end (in {runs_path / SYSTEMS_FOLDER})"
        ) from None
    except ValidationError as error:
        raise SettingsInvalid(f"{path}: not a file of finished systems ({error.error_count()} faults)") from None
    folder = path.resolve().parent
    root = folder.parent if folder.name == SYSTEMS_FOLDER else runs_path.resolve()
    return _with_paths(found, lambda part: root / part)


def joined_over_seeds(parts: Mapping[Path, FinishedSystems]) -> dict[str, ComparedSystem]:
    """Systems of several runs of one phase: those of one name are one system with the seeds of all.

    Raises:
        SettingsInvalid: a seed is in two runs, so that one of them would be left out. Not retried.
    """
    joined: dict[str, ComparedSystem] = {}
    for path, part in parts.items():
        for name, system in part.systems.items():
            known = joined[name].predictions if name in joined else {}
            if shared := sorted(known.keys() & system.predictions.keys()):
                raise SettingsInvalid(f"{path}: {name} has seed {shared[0]}, and so has a run named before it")
            joined[name] = system.model_copy(update={"predictions": {**known, **system.predictions}})
    return joined


def is_main(name: str, system: ComparedSystem) -> bool:
    """Whether it stands for its phase, rather than for another treatment of labels, which a longer name tells."""
    return name in (f"{system.phase}_{system.model_kind}", system.model_kind)


def pairs_between(
    first: Mapping[str, ComparedSystem], second: Mapping[str, ComparedSystem]
) -> tuple[tuple[str, str], ...]:
    """What is compared of two runs, by name in each: a system of the second with what it can be held against.

    That is its namesake of the first; where it has none and stands for its phase, what stands for that of the first
    and is of its kind; a fusion against all of those.

    Raises:
        SettingsInvalid: nothing of the second run can be held against the first. Not retried.
    """
    main = {name: system for name, system in first.items() if is_main(name, system)}
    pairs: list[tuple[str, str]] = []
    for name, system in second.items():
        if name in first:
            pairs.append((name, name))
        elif is_main(name, system):
            pairs += [(name, other) for other in main if system.model_kind in (main[other].model_kind, "fusion")]
    if not pairs:
        raise SettingsInvalid(
            f"nothing to compare: the second run has {', '.join(second)}, the first {', '.join(first)}; "
            "give runs that share a name or a kind of model"
        )
    return tuple(pairs)


def _with_paths(finished: FinishedSystems, placed: Callable[[Path], Path]) -> FinishedSystems:
    systems = {
        name: system.model_copy(
            update={"predictions": {seed: placed(path) for seed, path in system.predictions.items()}}
        )
        for name, system in finished.systems.items()
    }
    return finished.model_copy(
        update={
            "records": placed(finished.records),
            "other_records": tuple(placed(path) for path in finished.other_records),
            "systems": systems,
            "probes": {name: placed(path) for name, path in finished.probes.items()},
        }
    )
