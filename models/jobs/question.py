"""Which question a run directory answers: kept beside the build, so that a directory given by hand holds one only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from models.errors import SettingsInvalid
from models.jobs.json_files import read_json
from models.jobs.keys import deciding, sha256_of
from models.settings.fields import Settings
from models.store.manifest import read_manifest

QUESTION_FILE = "question.json"
ABSENT = "absent"
CUT = "…"


def question_of(settings: Settings) -> dict[str, Any]:
    """The run key and all that it is made of, as written to ``question.json``.

    Raises:
        SettingsInvalid: an input does not exist. Not retried.
    """
    decides = deciding(settings)
    return {"run_key": sha256_of(decides), "deciding": decides}


def question_differences(run_path: Path, question: Mapping[str, Any]) -> list[str]:
    """One phrase for each setting or input by which the run begun in ``run_path`` differs from ``question``.

    Empty where they are the same, or nothing was begun there.
    """
    path = run_path / QUESTION_FILE
    if path.exists():
        begun = json.loads(path.read_bytes())
        if begun["run_key"] == question["run_key"]:
            return []
        then, now = dict(_flat(begun["deciding"])), dict(_flat(question["deciding"]))
        names = [name for name in sorted(then.keys() | now.keys()) if then.get(name) != now.get(name)]
        return [f"{name}: {_short(then.get(name, ABSENT))} then, {_short(now.get(name, ABSENT))} now" for name in names]
    manifest = read_manifest(run_path)
    if manifest is not None and manifest.run_key != question["run_key"]:
        return ["its manifest has another run key"]
    return []


def require_planned(question: Mapping[str, Any], planned_key: str | None, run_path: Path) -> None:
    """Refuse a question that is not the one the run was named by: an input may have changed on its way here.

    Args:
        question: As ``question_of`` says.
        planned_key: The run key of the plan; ``None``: not known.
        run_path: The run directory; if it was begun as planned, it says what differs.

    Raises:
        SettingsInvalid: it is another. Not retried.
    """
    if planned_key is None or question["run_key"] == planned_key:
        return
    begun = read_json(run_path / QUESTION_FILE)
    if begun is not None and begun["run_key"] == planned_key:
        told = "; ".join(question_differences(run_path, question))
    else:
        leaves = ((name, _short(value)) for name, value in _flat(question["deciding"]))
        told = "inputs here: " + ", ".join(f"{name} {text}" for name, text in leaves if text.endswith(CUT))
    raise SettingsInvalid(
        f"settings or inputs are not those that the run was planned for: {planned_key[:12]} planned, "
        f"{question['run_key'][:12]} here ({told}). An input was changed or damaged on its way here: compare it with "
        "the original, and send it again"
    )


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves by dotted name; a list is a leaf."""
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, item in value.items():
        yield from _flat(item, f"{name}.{key}" if name else str(key))


def _short(value: Any) -> str:
    """A value as text; of a digest the first twelve digits."""
    text = str(value)
    return f"{text[:12]}{CUT}" if len(text) == 64 and set(text) <= set("0123456789abcdef") else text
