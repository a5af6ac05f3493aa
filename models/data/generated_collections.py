"""A generated sample of clean data beside a noisy collection and before/after pairs, for demonstrations and tests.

The functions are those of ``generated.py``. What a collection has in the wild is planted and counted: wrong labels,
copies of clean functions, leaks of the test split, labels that contradict each other or the clean data, an origin with
a single label. So it can be checked what the collect job drops and which labels noise reduction finds. A score on it
says nothing about real code.

    python -m models.data.generated_collections FOLDER --seed 7 --noise 0.2
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from models.data.c_drawing import Draw
from models.data.flaw_templates import TEMPLATES
from models.data.generated import twin_functions
from models.errors import SettingsInvalid

SPLIT_FUNCTIONS = {"train": 500, "valid": 260, "test": 300}
NUM_FRESH = 860
NUM_EXACT_COPIES = 40
NUM_NEAR_COPIES = 40
NUM_LEAKS = 20
NUM_CONFLICTS = 20
NUM_CONTRADICTIONS = 10
NUM_PAIRS = 80
MAX_TWINS_PER_COMMIT = 3
NUM_TEMPLATES = 4
"""Kinds of flaw: the first of all, few enough that a small graph network learns them from so few functions."""
UNLISTED_SHARE = 0.4
"""Of the rows labelled safe, those of the origin that lists no vulnerable function."""
UNLISTED = "unlisted"
_ORIGINS = ("tracker", "advisories")
_PROJECTS = ("brookwire", "cinderfs", "halyard", "larkmux", "pebblenet", "quillcast", "tarnbox", "wickerdb")
_SEED_STRIDE = 104_729

Json = dict[str, Any]


@dataclass(frozen=True)
class Planted:
    """What a sample holds.

    Args:
        splits: Functions of each clean split.
        num_noisy: Rows of the noisy collection.
        num_fresh: Those of them that are copies of nothing; only they have wrong labels.
        num_flipped: Wrong labels among the fresh ones.
        noise: Their share.
        copies: Planted rows that are not fresh, by kind.
        num_pairs: Before/after pairs.
    """

    splits: dict[str, int]
    num_noisy: int
    num_fresh: int
    num_flipped: int
    noise: float
    copies: dict[str, int]
    num_pairs: int

    def __str__(self) -> str:
        splits = ", ".join(f"{split} {size}" for split, size in self.splits.items())
        copies = ", ".join(f"{size} {kind}" for kind, size in self.copies.items())
        return (
            f"clean: {splits} (half of each vulnerable); pairs: {self.num_pairs} before and after a fix\n"
            f"noisy: {self.num_noisy} rows, {self.num_fresh} of them new ({self.num_flipped} wrong labels, "
            f"{self.noise:.0%}), {copies}; the origin {UNLISTED!r} has label 0 only"
        )


def write_collections(folder: Path, *, noise: float = 0.2, seed: int = 7) -> Planted:
    """Write ``clean/{train,valid,test}.jsonl``, ``noisy.jsonl``, ``planted.jsonl`` and ``pairs.jsonl``.

    The bytes depend on the arguments only.

    Args:
        folder: Where.
        noise: Share of wrong labels among the new rows of the noisy collection, as many of each label.
        seed: Another seed gives other functions.

    Raises:
        SettingsInvalid: ``noise`` is not in [0, 0.5]. Not retried.
    """
    if not 0.0 <= noise <= 0.5:
        raise SettingsInvalid(
            f"noise must be a share from 0 to 0.5 (beyond, labels mean their opposite), got {noise:g}"
        )
    draw = Draw(seed * _SEED_STRIDE)
    twins = count()  # each is used in one place only
    splits = _clean_splits(draw, twins, seed)
    fresh, wrong = _fresh_rows(draw, list(islice(twins, NUM_FRESH)), noise, seed)
    copies = _planted_copies(draw, splits, list(islice(twins, NUM_CONTRADICTIONS)), seed)
    noisy = draw.shuffled([*fresh, *chain.from_iterable(copies.values())])
    for split, rows in splits.items():
        _write(folder / "clean", f"{split}.jsonl", rows)
    _write(folder, "noisy.jsonl", noisy)
    _write(folder, "planted.jsonl", ({"source": "noisy", "idx": row["key"]} for row in noisy if row["key"] in wrong))
    _write(folder, "pairs.jsonl", _pair_rows(draw, list(islice(twins, NUM_PAIRS)), seed))
    return Planted(
        splits={split: len(rows) for split, rows in splits.items()},
        num_noisy=len(noisy),
        num_fresh=len(fresh),
        num_flipped=len(wrong),
        noise=noise,
        copies={kind: len(rows) for kind, rows in copies.items()},
        num_pairs=NUM_PAIRS,
    )


def _twins(number: int, seed: int) -> tuple[str, str, str]:
    """Weakness, safe and vulnerable function, of the first kinds of flaw only."""
    cycle, template = divmod(number, NUM_TEMPLATES)
    return twin_functions(cycle * len(TEMPLATES) + template, seed)


def _clean_splits(draw: Draw, twins: Iterator[int], seed: int) -> dict[str, list[Json]]:
    """Twins of a few commits each, in CodeXGLUE fields; the order of ``idx`` tells nothing."""
    idx = iter(draw.shuffled(range(sum(SPLIT_FUNCTIONS.values()))))
    splits = {}
    for split, num_functions in SPLIT_FUNCTIONS.items():
        rows = _clean_rows(draw, list(islice(twins, num_functions // 2)), seed)
        splits[split] = draw.shuffled([row | {"idx": next(idx)} for row in rows])
    return splits


def _clean_rows(draw: Draw, twins: list[int], seed: int) -> Iterator[Json]:
    at = 0
    while at < len(twins):
        commit = {"project": draw.pick(_PROJECTS), "commit_id": draw.hex(40)}
        size = draw.between(1, MAX_TWINS_PER_COMMIT)
        for twin in twins[at : at + size]:
            _, safe, vulnerable = _twins(twin, seed)
            yield commit | {"target": 0, "func": safe}
            yield commit | {"target": 1, "func": vulnerable}
        at += size


def _fresh_rows(draw: Draw, twins: list[int], noise: float, seed: int) -> tuple[list[Json], set[str]]:
    """One of each twins, so that none is a near copy of another; and the keys of those with the wrong label."""
    half = len(twins) // 2
    num_wrong = round(noise * half)
    labelled = [(truth, 1 - truth if at < num_wrong else truth) for truth in (0, 1) for at in range(half)]
    rows: list[Json] = []
    wrong: set[str] = set()
    for twin, (truth, label) in zip(twins, draw.shuffled(labelled), strict=True):
        row = _noisy_row(draw, _twins(twin, seed)[1 + truth], label)
        rows.append(row)
        if label != truth:
            wrong.add(row["key"])
    return rows, wrong


def _planted_copies(draw: Draw, splits: dict[str, list[Json]], twins: list[int], seed: int) -> dict[str, list[Json]]:
    """Rows that the collect job must drop, by kind; each clean row is used once."""
    train, held_out = iter(draw.shuffled(splits["train"])), iter(draw.shuffled(splits["valid"] + splits["test"]))

    def copies(rows: Iterator[Json], count: int, *, near: bool, right: bool = True) -> list[Json]:
        chosen = [next(rows) for _ in range(count)]
        change = near_copy if near else exact_copy
        return [_noisy_row(draw, change(row["func"]), row["target"] if right else 1 - row["target"]) for row in chosen]

    contradictory = [_twins(twin, seed)[1] for twin in twins]
    return {
        "exact copies of clean rows": copies(train, NUM_EXACT_COPIES, near=False),
        "near copies of clean rows": copies(train, NUM_NEAR_COPIES, near=True),
        "leaks of valid or test": [
            *copies(held_out, NUM_LEAKS // 2, near=False),
            *copies(held_out, NUM_LEAKS // 2, near=True),
        ],
        "against the label of a clean row": copies(train, NUM_CONFLICTS, near=False, right=False),
        "with both labels": [_noisy_row(draw, func, label) for func in contradictory for label in (0, 1)],
    }


def _noisy_row(draw: Draw, func: str, label: int) -> Json:
    unlisted = draw.chance(UNLISTED_SHARE)
    origin = draw.pick(_ORIGINS)
    return {"func": func, "label": label, "src": UNLISTED if unlisted and not label else origin, "key": draw.hex(32)}


def exact_copy(code: str) -> str:
    """The same tokens in another layout, as another collector would have them."""
    return "/* collected */\n" + code.replace("\n", "\n\n")


def near_copy(code: str) -> str:
    """The same function under another name."""
    return re.sub(r"(\w+)\(", r"\1_v2(", code, count=1)


def _pair_rows(draw: Draw, twins: list[int], seed: int) -> Iterator[Json]:
    """Fixes as SVEN has them: the vulnerable twin before, the safe one after."""
    for twin in twins:
        weakness, safe, vulnerable = _twins(twin, seed)
        head = re.search(r"(\w+)\(", safe)
        project = draw.pick(_PROJECTS)
        yield {
            "func_name": head[1] if head else "",
            "func_src_before": vulnerable,
            "func_src_after": safe,
            "vul_type": weakness.lower(),
            "commit_link": f"github.com/example/{project}/commit/{draw.hex(40)}",
            "file_name": f"{draw.name()}.c",
        }


def _write(folder: Path, name: str, rows: Iterable[Json]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8", newline="\n")


def main() -> None:
    """Write a sample from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m models.data.generated_collections",
        description="Write a generated sample: clean splits, a noisy collection with planted faults, and pairs.",
    )
    parser.add_argument(
        "folder", type=Path, help="where clean/, noisy.jsonl, planted.jsonl and pairs.jsonl are written"
    )
    parser.add_argument("--noise", type=float, default=0.2, help="share of wrong labels among the new noisy rows")
    parser.add_argument("--seed", type=int, default=7, help="another seed gives another sample")
    arguments = parser.parse_args()
    print(write_collections(arguments.folder, noise=arguments.noise, seed=arguments.seed))  # noqa: T201


if __name__ == "__main__":
    main()
