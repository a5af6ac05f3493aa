"""A generated sample in CodeXGLUE fields, for demonstrations and tests without any download.

Functions come in twins, one vulnerable and one safe, that share commit, names and surroundings and hold the same tokens
(`models.data.flaw_templates`); half of all labels are 1. Length and single words tell nothing, runs of
words much. It shows that the chain works and that a graph network can learn from shape alone; a score on it says
nothing about real code.

    python -m models.data.generated FOLDER --num-functions 1800 --seed 7
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.data.c_drawing import INTEGER_TYPES, Draw, harmless_statement
from models.data.flaw_templates import TEMPLATES, Core, Template
from models.errors import SettingsInvalid

MIN_FUNCTIONS = 60
MAX_PAIRS_PER_COMMIT = 3
SPLIT_SHARES = (("train", 0.8), ("valid", 0.1), ("test", 0.1))
_PROJECTS = ("brookwire", "cinderfs", "halyard", "larkmux", "pebblenet", "quillcast", "tarnbox", "wickerdb")
_SEED_STRIDE = 1_000_003


def write_sample(folder: Path, num_functions: int = 1800, seed: int = 7) -> None:
    """Write ``train.jsonl``, ``valid.jsonl`` and ``test.jsonl`` (about 80, 10 and 10 %, commits kept together).

    A line has ``project``, ``commit_id``, ``target``, ``func`` and ``idx``. The bytes depend on the arguments only.

    Raises:
        SettingsInvalid: If ``num_functions`` is odd or below 60. Not retried.
    """
    if num_functions < MIN_FUNCTIONS or num_functions % 2:
        raise SettingsInvalid(
            f"num_functions must be even (functions come in twins) and at least {MIN_FUNCTIONS}, got {num_functions}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in _splits(num_functions, seed).items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8", newline="\n")


def twin_functions(pair: int, seed: int = 7) -> tuple[str, str, str]:
    """The ``pair``-th pair of a sample: weakness (a CWE number), safe function, vulnerable function."""
    weakness, template = TEMPLATES[pair % len(TEMPLATES)]
    draw_seed = seed * _SEED_STRIDE + pair
    return weakness, _function(template, draw_seed, False), _function(template, draw_seed, True)


def _splits(num_functions: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    draw = Draw(seed)
    order = draw.shuffled(range(num_functions // 2))
    commits = list(_commits(draw, order))
    idx = draw.shuffled(range(num_functions))
    splits: dict[str, list[dict[str, Any]]] = {split: [] for split, _ in SPLIT_SHARES}
    limits = {"train": SPLIT_SHARES[0][1] * num_functions, "valid": (1 - SPLIT_SHARES[2][1]) * num_functions}
    num_written = 0
    for commit_id, pairs in commits:
        split = next((name for name, limit in limits.items() if num_written < limit), "test")
        project = draw.pick(_PROJECTS)
        for pair in pairs:
            _, safe, vulnerable = twin_functions(pair, seed)
            for target, func in ((0, safe), (1, vulnerable)):
                row = {
                    "project": project,
                    "commit_id": commit_id,
                    "target": target,
                    "func": func,
                    "idx": idx[num_written],
                }
                splits[split].append(row)
                num_written += 1
    return {split: draw.shuffled(rows) for split, rows in splits.items()}


def _commits(draw: Draw, pairs: list[int]) -> Iterator[tuple[str, list[int]]]:
    at = 0
    while at < len(pairs):
        size = draw.between(1, MAX_PAIRS_PER_COMMIT)
        yield draw.hex(40), pairs[at : at + size]
        at += size


def _function(template: Template, draw_seed: int, flawed: bool) -> str:
    """One function; every draw is made whether ``flawed`` or not, so that twins differ only in the flaw."""
    draw = Draw(draw_seed)
    failure = draw.pick(("-1", "-EINVAL", "0", "1", f"-{draw.between(2, 40)}", draw.macro()))
    core = template(draw, flawed)
    numbers = draw.names(draw.between(2, 4))
    num_parameters = draw.between(1, len(numbers) - 1)
    parameters = draw.shuffled(
        [*core.parameters, *(f"{draw.pick(INTEGER_TYPES)} {name}" for name in numbers[:num_parameters])]
    )
    declarations = [*core.declarations]
    declarations += [f"{draw.pick(INTEGER_TYPES)} {name} = {draw.between(0, 99)};" for name in numbers[num_parameters:]]
    return_type = draw.pick(("int", "static int", "long", "static long", "int32_t", "static inline int"))
    head = f"{return_type} {draw.function()}({', '.join(parameters)})"
    body = [*draw.shuffled(declarations), *_body(draw, core, numbers, failure), f"return {draw.pick(numbers)};"]
    return _laid_out(head, body, indent=draw.pick(("    ", "  ", "\t")), brace_alone=draw.chance(0.5))


def _body(draw: Draw, core: Core, numbers: list[str], failure: str) -> list[str]:
    """The core with its decoy before or after it, among harmless statements."""
    before, after = draw.between(0, 2), draw.between(0, 2)
    filler = [harmless_statement(draw, numbers, failure) for _ in range(before + after)]
    core_first = draw.chance(0.5)
    decoy = [core.decoy] if core.decoy else []
    middle = [*core.statements, *decoy] if core_first else [*decoy, *core.statements]
    return [*filler[:before], *middle, *filler[before:]]


def _laid_out(head: str, statements: list[str], indent: str, brace_alone: bool) -> str:
    lines, depth = [f"{head}\n{{" if brace_alone else f"{head} {{"], 1
    for line in "\n".join(statements).split("\n"):
        closes = line.startswith("}")
        is_label = line.startswith(("case ", "default:"))
        lines.append(indent * (depth - closes - is_label) + line)
        depth += line.endswith("{") - closes
    return "\n".join([*lines, "}"]) + "\n"


def main() -> None:
    """Write a sample from the command line."""
    parser = argparse.ArgumentParser(prog="python -m models.data.generated", description="Write a generated sample.")
    parser.add_argument("folder", type=Path, help="where train.jsonl, valid.jsonl and test.jsonl are written")
    parser.add_argument("--num-functions", type=int, default=1800, help="functions in all splits together [functions]")
    parser.add_argument("--seed", type=int, default=7, help="another seed gives another sample")
    arguments = parser.parse_args()
    write_sample(arguments.folder, arguments.num_functions, arguments.seed)


if __name__ == "__main__":
    main()
