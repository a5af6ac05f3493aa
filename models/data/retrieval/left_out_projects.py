"""One project left out at a time: its bugs are judged, those of all others teach and choose the epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from models.data.retrieval.candidate_bugs import Bug
from models.errors import DataInvalid

MIN_MIXED = 2
"""Bugs with both labels that the other projects must have: one to learn from, one to choose by."""


class Division(NamedTuple):
    """Bugs by what they are for.

    Args:
        train: To learn from; bugs with one label are all here, without candidates that read as one that chooses.
        valid: To choose the epoch by; each has both labels.
        held_out: Those of the project that is left out, whole.
        num_copies: Candidates of other projects that were left out, for their edit reads exactly as one that is held
            out.
        num_copies_of_valid: Candidates that were left out of ``train``, for their edit reads exactly as one of
            ``valid``.
    """

    train: list[Bug]
    valid: list[Bug]
    held_out: list[Bug]
    num_copies: int
    num_copies_of_valid: int


def projects_of(bugs: Sequence[Bug], path: Path) -> list[str]:
    """Names of the projects, in order.

    Raises:
        DataInvalid: There is one only. Not retried.
    """
    projects = sorted({bug.project for bug in bugs})
    if len(projects) < 2:
        raise DataInvalid(
            path,
            f"all patches are of {projects[0]}; one project is left out at a time and learnt about from the others, so "
            "give patches of two at least",
        )
    return projects


def leave_out(bugs: Sequence[Bug], project: str, *, valid_share: float, seed: int, path: Path) -> Division:
    """What is learnt from, chosen by and judged where ``project`` is left out.

    Args:
        bugs: All of them, in order.
        project: The one left out.
        valid_share: Share of the others' bugs with both labels that choose the epoch, one at least.
        seed: Of that choice. A bug that chooses where one project is left out does so where another is, if it can.
        path: Where the patches came from.

    Raises:
        DataInvalid: The other projects have too few bugs with both labels. Not retried.
    """
    held_out = [bug for bug in bugs if bug.project == project]
    others, num_copies = _without_copies([bug for bug in bugs if bug.project != project], held_out)
    mixed = sorted((bug for bug in others if bug.is_mixed), key=lambda bug: _drawn(seed, bug.name))
    if len(mixed) < MIN_MIXED:
        raise DataInvalid(
            path,
            f"leaving {project} out leaves {len(mixed)} bugs with both correct and wrong patches; {MIN_MIXED} at least "
            "are needed, one to learn from and one to choose the epoch by. Give patches of more bugs",
        )
    num_valid = min(max(1, round(valid_share * len(mixed))), len(mixed) - 1)
    chosen = {bug.name for bug in mixed[:num_valid]}
    valid = [bug for bug in others if bug.name in chosen]
    train, num_copies_of_valid = _without_copies([bug for bug in others if bug.name not in chosen], valid)
    if not any(bug.is_mixed for bug in train):
        raise DataInvalid(
            path,
            f"leaving {project} out leaves no bug with both labels to learn from: {num_copies_of_valid} edits read as "
            "those that choose the epoch. Give patches of more bugs",
        )
    return Division(train, valid, held_out, num_copies, num_copies_of_valid)


def _without_copies(bugs: Sequence[Bug], of: Sequence[Bug]) -> tuple[list[Bug], int]:
    """Bugs without the candidates whose edit reads exactly as one of ``of``, and how many these were."""
    texts = {candidate.text for bug in of for candidate in bug.candidates}
    kept = [bug._replace(candidates=tuple(each for each in bug.candidates if each.text not in texts)) for bug in bugs]
    num_copies = sum(map(_size, bugs)) - sum(map(_size, kept))
    return [bug for bug in kept if bug.candidates], num_copies


def _size(bug: Bug) -> int:
    return len(bug.candidates)


def _drawn(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def counts_of(bugs: Sequence[Bug]) -> dict[str, Any]:
    """How many bugs and candidates there are, and of which kind; bugs with one label are never judged."""
    labels = [candidate.label for bug in bugs for candidate in bug.candidates]
    num_mixed = sum(bug.is_mixed for bug in bugs)
    return {
        "num_bugs": len(bugs),
        "num_mixed": num_mixed,
        "num_one_label": len(bugs) - num_mixed,
        "num_candidates": len(labels),
        "num_correct": sum(labels),
    }
