"""Which question a run directory answers: kept beside the build, so that a directory given by hand holds one only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from models.jobs.keys import deciding, sha256_of
from models.settings.fields import Settings
from models.store.manifest import read_manifest

QUESTION_FILE = "question.json"
ABSENT = "absent"


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
    return f"{text[:12]}…" if len(text) == 64 and set(text) <= set("0123456789abcdef") else text
