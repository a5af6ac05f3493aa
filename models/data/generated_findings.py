"""Generated findings in the fields of the real ones, for demonstrations and tests without any download.

Findings come in families of ten that share flagged line, smell and technology, three true and seven false, so that none
of these tells anything. A family lies in one split. Whether a finding is true is decided by the title of the block that
the flagged line stands in (``models.data.finding_templates``). Of each family:

- two pairs are twins, the same text with the telling words of two titles exchanged: one true, one false;
- one more is false and has its words as the false twins have them;
- one true and three false ones have a telling word in their own title only, and one false one has two harmless words.

So single words tell part of the truth, and the rest is in the order of the lines. It shows that the chain works and
that a small transformer that begins from nothing learns what its text baseline cannot; a score on it says nothing about
real findings. Unlike in the published sets every line keeps its indentation.

    python -m models.data.generated_findings FOLDER --num-findings 1800 --seed 7
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from models.data.c_drawing import Draw
from models.data.finding_baselines import compare_baselines
from models.data.finding_templates import CONTEXT_LINES, FALSE_WORDS, SMELLS, TECHNOLOGIES, TRUE_WORDS, segment
from models.errors import SettingsInvalid

FAMILY_SIZE = 10
NUM_TWINS = 2
MIN_FINDINGS = len(TECHNOLOGIES) * len(SMELLS) * FAMILY_SIZE
"""A family of each technology and smell."""
SHARES = {"test": 0.16, "val": 0.12}
"""Of all findings; train has the rest."""
SHARE_IN_TRAINING_FILES = 0.06
"""Of the findings of val, those whose file has findings in train too."""
MAX_FINDINGS_PER_FILE = 3
SPLITS = ("train", "val", "test")
_SEED_STRIDE = 1_000_003
_OWNERS = ("brookwire", "cinder", "halyard", "larkmux", "pebble", "quill", "tarnbox", "wicker")
_PROJECTS = ("platform", "infra", "deploy", "cluster", "base", "ops", "stack", "site")
_PARTS = ("web", "db", "cache", "mail", "proxy", "agent", "build", "auth", "store", "queue")


class Member(NamedTuple):
    """One finding that has no file yet.

    Args:
        technology: Key of ``TECHNOLOGIES``.
        smell: Key of ``SMELLS``.
        label: TP or FP.
        lines: Context of the flagged line, which is in the middle.
    """

    technology: str
    smell: str
    label: str
    lines: tuple[str, ...]


def write_sample(folder: Path, num_findings: int = 1800, seed: int = 7) -> None:
    """Write ``train.jsonl``, ``val.jsonl`` and ``test/{ansible,chef,puppet}.jsonl`` (about 72, 12 and 16 %).

    No file has findings in test and elsewhere; a few have findings in train and val, as in the published sets. The
    bytes depend on the arguments only.

    Raises:
        SettingsInvalid: ``num_findings`` is no multiple of 10 or below 120. Not retried.
    """
    if num_findings < MIN_FINDINGS or num_findings % FAMILY_SIZE:
        raise SettingsInvalid(
            f"num_findings must be a multiple of {FAMILY_SIZE} (findings come in families of that size) and at least "
            f"{MIN_FINDINGS}, got {num_findings}"
        )
    draw = Draw(seed)
    names = ("train", "val", *(f"test/{technology}" for technology in TECHNOLOGIES))
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for technology in TECHNOLOGIES:
        members = _members_of_splits(draw, technology, num_findings // FAMILY_SIZE, seed)
        for split, file_rows in _rows_of_files(draw, technology, members).items():
            rows[f"test/{technology}" if split == "test" else split] += file_rows
    (folder / "test").mkdir(parents=True, exist_ok=True)
    for name, found in rows.items():
        lines = "".join(json.dumps(row) + "\n" for row in draw.shuffled(found))
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8", newline="\n")


def family(number: int, seed: int = 7) -> list[Member]:
    """The ``number``-th family: ten findings, the twins first, each true one before its false one."""
    own_seed = seed * _SEED_STRIDE + number
    draw = Draw(own_seed)
    technology = tuple(TECHNOLOGIES)[number % len(TECHNOLOGIES)]
    smell = tuple(SMELLS)[number // len(TECHNOLOGIES) % len(SMELLS)]
    flagged = SMELLS[smell].flagged(draw)

    def flaw() -> str:
        return draw.pick(TRUE_WORDS)

    def harmless() -> str:
        return draw.pick(FALSE_WORDS)

    def member(label: str, piece: int, own_word: str, other_word: str | None) -> Member:
        """One with the surroundings of number ``piece``."""
        draw_lines = Draw(own_seed * FAMILY_SIZE + piece)
        return Member(technology, smell, label, segment(draw_lines, technology, smell, flagged, (own_word, other_word)))

    members = []
    for piece in range(NUM_TWINS):
        true_word, false_word = flaw(), harmless()
        members += [member("TP", piece, true_word, false_word), member("FP", piece, false_word, true_word)]
    return [
        *members,
        member("FP", 2, harmless(), flaw()),
        member("TP", 3, flaw(), None),
        member("FP", 4, harmless(), None),
        member("FP", 5, harmless(), None),
        member("FP", 6, harmless(), None),
        member("FP", 7, harmless(), harmless()),
    ]


def _members_of_splits(draw: Draw, technology: str, num_families: int, seed: int) -> dict[str, list[Member]]:
    """The findings of one technology by split: families whole, smells in turn, members in random order."""
    first, stride = tuple(TECHNOLOGIES).index(technology), len(TECHNOLOGIES)
    of_smells = [
        draw.shuffled(range(first + stride * at, num_families, stride * len(SMELLS))) for at in range(len(SMELLS))
    ]
    numbers = [number for turn in zip_longest(*of_smells) for number in turn if number is not None]
    num_test, num_val = (max(1, round(SHARES[split] * len(numbers))) for split in ("test", "val"))
    of_split = {
        "test": numbers[:num_test],
        "val": numbers[num_test : num_test + num_val],
        "train": numbers[num_test + num_val :],
    }
    return {
        split: draw.shuffled([member for number in of_split[split] for member in family(number, seed)])
        for split in SPLITS
    }


def _rows_of_files(draw: Draw, technology: str, members: dict[str, list[Member]]) -> dict[str, list[dict[str, Any]]]:
    """Rows by split; files hold one to three findings of a split, and some of train one of val too."""
    num_shared = max(1, round(SHARE_IN_TRAINING_FILES * len(members["val"])))
    shared, of_val_alone = members["val"][:num_shared], members["val"][num_shared:]
    files = {
        "train": _cut(draw, members["train"]),
        "val": _cut(draw, of_val_alone),
        "test": _cut(draw, members["test"]),
    }
    rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    number = 0
    for split, contents in files.items():
        for at, content in enumerate(contents):
            placed = [(split, member) for member in content]
            if split == "train" and at < len(shared):
                placed.append(("val", shared[at]))
            for owner, row in _rows_of_file(draw, technology, number, placed):
                rows[owner].append(row)
            number += 1
    return rows


def _cut(draw: Draw, members: Sequence[Member]) -> list[Sequence[Member]]:
    """Into files."""
    pieces, at = [], 0
    while at < len(members):
        size = draw.between(1, MAX_FINDINGS_PER_FILE)
        pieces.append(members[at : at + size])
        at += size
    return pieces


def _rows_of_file(
    draw: Draw, technology: str, number: int, placed: Sequence[tuple[str, Member]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    style = TECHNOLOGIES[technology]
    project = f"{draw.pick(_PROJECTS)}{number}"  # no two files have one name
    file = style.file_name.format(owner=draw.pick(_OWNERS), project=project, part=draw.pick(_PARTS))
    line = 0
    for split, member in placed:
        line += draw.between(2 * CONTEXT_LINES + 1, 40)
        lines = list(member.lines)
        content = lines[CONTEXT_LINES].strip()
        lines[CONTEXT_LINES] = f"{line}: {lines[CONTEXT_LINES]}"
        yield (
            split,
            {
                "smell": member.smell,
                "file": file,
                "content": content,
                "line": line,
                "detection_span": [line - CONTEXT_LINES, line + CONTEXT_LINES],
                "with_context": style.context_head.format(file=file) + "\n".join(lines),
                "label": member.label,
                "source": "generated",
                "tech": technology,
                "in_combined": True,
            },
        )


def main() -> None:
    """Write a sample from the command line and print what simple classifiers make of it."""
    parser = argparse.ArgumentParser(
        prog="python -m models.data.generated_findings", description="Write generated findings."
    )
    parser.add_argument("folder", type=Path, help="where train.jsonl, val.jsonl and test/ are written")
    parser.add_argument("--num-findings", type=int, default=1800, help="in all files together [findings]")
    parser.add_argument("--seed", type=int, default=7, help="another seed gives another sample")
    arguments = parser.parse_args()
    write_sample(arguments.folder, arguments.num_findings, arguments.seed)
    sys.stdout.write(compare_baselines(arguments.folder) + "\n")


if __name__ == "__main__":
    main()
