"""A generated sample for retrieval: a small tree of repositories with labels and fixes, and candidate patches.

``python -m models.data.generated_repositories FOLDER`` writes

- ``repos/``: 8 repositories in six languages, with ``labels.jsonl`` (file, function, label, task) and
  ``before_after.jsonl`` (16 fixes) where the balance job looks for them;
- ``patches.jsonl``: candidate patches of 120 bugs in 4 projects.

With seed 7: 638 functions in 638 files, 606 of them with one of 120 tasks (2 to 9 do the same each, in up to six
languages, styles and sets of names) and the label of a planted flaw or its safe twin, 32 in fixes of tasks of their
own. 73 of the tasks differ from another in one condition or step alone (``composed_tasks``). 625 patches, 185 right; 11
of the 120 bugs have patches of one label only.

Groups that must stay together are a task or a fix: a test share of 0.2 has 27 of them, with 128 functions.

How hard it is for trivial baselines: of 600 functions each asked for those that do the same among the 631 others (after
balancing), BM25 over words and punctuation has a right one first for 0.07 (MRR 0.15), random order for 0.01; among the
128 of the test share of 0.2, for 0.26 (MRR 0.38), random order for 0.04. The first patch is right for 0.31 of the 109
mixed bugs in random order, for 0.13 by the fewest and 0.31 by the most changed lines. All functions are short (files
have a median of 13 lines) and none calls another: real code is harder in every way.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from models.data.c_drawing import Draw
from models.data.generated_code.composed_tasks import COMPOSED_TASKS
from models.data.generated_code.patches import generated_patches
from models.data.generated_code.rendering import render
from models.data.generated_code.sinks import SINK_TASKS, SinkTask, drawn_sink_style, render_sink
from models.data.generated_code.styles import drawn_style
from models.data.generated_code.tasks import TASKS
from models.data.generated_code.twins import twin
from models.settings.languages import LanguageName

REPOSITORIES: tuple[tuple[str, tuple[LanguageName, LanguageName]], ...] = (
    ("brookwire", ("c", "python")),
    ("cinderfs", ("cpp", "c")),
    ("halyard", ("python", "javascript")),
    ("larkmux", ("java", "go")),
    ("pebblenet", ("go", "cpp")),
    ("quillcast", ("javascript", "java")),
    ("tarnbox", ("python", "cpp")),
    ("wickerdb", ("java", "go")),
)
_ALL_TASKS = TASKS | COMPOSED_TASKS
TASK_SHARE = 0.42
"""Of all tasks, how many a repository holds in its first language; half as many in its second."""
NUM_FIX_TASKS = 8
"""Tasks that are in fixes only: what a fix mends does the same as nothing else."""
FIXES_PER_TASK = 2
NUM_BUGS = 120
SUFFIXES: dict[LanguageName, str] = {
    "c": ".c", "cpp": ".cpp", "python": ".py", "java": ".java", "javascript": ".js", "go": ".go"
}  # fmt: skip
_HEADS: dict[LanguageName, str] = {
    "c": "#include <stdio.h>\n#include <string.h>\n\n",
    "cpp": "#include <string>\n#include <vector>\n\n",
    "python": "import os\n\n\n",
    "java": "import java.util.List;\n\n",
    "javascript": "'use strict';\n\n",
    "go": "package main\n\n",
}
_SEED_STRIDE = 1_000_003


class GeneratedFunction(NamedTuple):
    """A function in a file of its own.

    Args:
        file: Relative to the repositories.
        function: Its name.
        text: Of the file.
    """

    file: str
    function: str
    text: str


def write_sample(folder: Path, seed: int = 7) -> None:
    """Write the sample; the bytes depend on the seed only."""
    repos = folder / "repos"
    labels = [_written(repos, entry) for entry in _labelled(seed)]
    fixes = [_written_fix(repos, sides) for sides in _fixes(seed)]
    _write_rows(repos / "labels.jsonl", labels)
    _write_rows(repos / "before_after.jsonl", fixes)
    _write_rows(folder / "patches.jsonl", generated_patches(NUM_BUGS, seed))


def _labelled(seed: int) -> Iterator[tuple[GeneratedFunction, dict[str, Any]]]:
    """Functions with what the labels file says of them beside file and name."""
    tasks: list[str | SinkTask] = [*list(_ALL_TASKS)[NUM_FIX_TASKS:], *SINK_TASKS]
    number = 0
    for repo, languages in REPOSITORIES:
        for share, language in zip((TASK_SHARE, TASK_SHARE / 2), languages, strict=True):
            for task in tasks:
                number += 1
                draw = Draw(seed * _SEED_STRIDE + number)
                if not draw.chance(share):
                    continue
                flawed = draw.chance(0.5)
                safe_or_not = _twins(draw, language, task, repo)[flawed]
                name = task if isinstance(task, str) else task.name
                yield safe_or_not, {"label": int(flawed), "task": name}


def _fixes(seed: int) -> Iterator[tuple[GeneratedFunction, GeneratedFunction]]:
    """Flawed and safe twins of tasks that are nowhere else."""
    for number in range(NUM_FIX_TASKS * FIXES_PER_TASK):
        draw = Draw((seed + 1) * _SEED_STRIDE - number)
        repo, languages = REPOSITORIES[number % len(REPOSITORIES)]
        task = list(TASKS)[number % NUM_FIX_TASKS]
        safe, flawed = _twins(draw, languages[number // NUM_FIX_TASKS], task, repo)
        yield flawed, safe


def _twins(
    draw: Draw, language: LanguageName, task: str | SinkTask, repo: str
) -> tuple[GeneratedFunction, GeneratedFunction]:
    """Safe and flawed, in one style."""
    file = f"{repo}/{draw.name()}/{draw.name()}{draw.below(1000)}"
    if isinstance(task, SinkTask):
        sink_style = drawn_sink_style(draw, language)
        texts = [render_sink(task, language, sink_style, flawed=flawed) for flawed in (False, True)]
        function = sink_style.function
    else:
        style = drawn_style(draw, language, _ALL_TASKS[task])
        texts = [render(twin(_ALL_TASKS[task], flawed=flawed), style) for flawed in (False, True)]
        function = style.function
    suffix = SUFFIXES[language]
    safe, flawed = (GeneratedFunction(file + suffix, function, _file_text(language, text, file)) for text in texts)
    return safe, flawed


def _file_text(language: LanguageName, function: str, file: str) -> str:
    if language != "java":
        return _HEADS[language] + function
    name = file.rsplit("/", 1)[-1].replace("_", "").capitalize()
    inside = "".join(f"    {line}\n" for line in function.splitlines())
    return f"{_HEADS[language]}public class {name} {{\n{inside}}}\n"


def _written(repos: Path, entry: tuple[GeneratedFunction, dict[str, Any]]) -> dict[str, Any]:
    function, label = entry
    _write_text(repos / function.file, function.text)
    return {"file": function.file, "function": function.function, **label}


def _written_fix(repos: Path, sides: tuple[GeneratedFunction, GeneratedFunction]) -> dict[str, Any]:
    named = {}
    for side, function in zip(("before", "after"), sides, strict=True):
        repo, rest = function.file.split("/", 1)
        named[side] = f"{repo}/fixes/{side}/{rest.replace('/', '_')}"
        _write_text(repos / named[side], function.text)
    return named


def _write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    _write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    """Write a sample from the command line."""
    prog = "python -m models.data.generated_repositories"
    parser = argparse.ArgumentParser(prog=prog, description="Write generated repositories, labels, fixes and patches.")
    parser.add_argument("folder", type=Path, help="where repos/ and patches.jsonl are written")
    parser.add_argument("--seed", type=int, default=7, help="another seed gives another sample")
    arguments = parser.parse_args()
    write_sample(arguments.folder, arguments.seed)


if __name__ == "__main__":
    main()
