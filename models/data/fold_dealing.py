"""Which training records stay together, and which fold each goes to: rows in, fold numbers out.

What is kept together is joined first: rows of one commit, and exact and near copies, through each other too. Whole
joined groups, or whole projects, are then dealt out by scikit-learn's ``StratifiedGroupKFold`` (those of the widest
spread of labels first, each to the fold that it leaves most even).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.data.commit_keys import project_key, spelling_of
from models.data.fold_file import NEVER
from models.data.joined_groups import joined_groups
from models.errors import DataInvalid

LABELS = (0, 1)

Ints = npt.NDArray[np.int64]


@dataclass
class TrainingRows:
    """What decides the fold of each training record, in the order of the file.

    Args:
        path: The file.
        ids: ``N`` record ids.
        labels: ``N`` labels, 0 or 1.
        groups: ``N`` commits, or what stands for one.
        projects: ``N`` projects; empty where none is known.
    """

    path: Path
    ids: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    projects: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)


class Deal(NamedTuple):
    """Folds as they were dealt.

    Args:
        fold: ``(N,)`` fold of each record; ``NEVER`` where it is never held out.
        num_folds: Folds there are.
    """

    fold: Ints
    num_folds: int


def joined_rows(groups: Sequence[str], copies: Iterable[tuple[int, int]]) -> Ints:
    """``(N,)`` the first row of the joined group of each row.

    Args:
        groups: Commit of each row; one hash in upper and lower case is one commit.
        copies: Pairs of rows that are exact or near copies.
    """
    first_of: dict[str, int] = {}
    commits = [(first_of.setdefault(spelling_of(group), row), row) for row, group in enumerate(groups)]
    return np.array(joined_groups(len(groups), [*commits, *copies]), dtype=np.int64)


def deal_by_group(rows: TrainingRows, joined: Ints, *, num_folds: int, seed: int) -> Deal:
    """Every record in exactly one fold, whole joined groups in one.

    Raises:
        DataInvalid: Fewer groups than folds, or a fold has one label only. Not retried.
    """
    num_groups = len(np.unique(joined))
    if num_groups < num_folds:
        raise DataInvalid(
            rows.path,
            f"{num_groups} groups (commits and near copies) cannot fill num_folds={num_folds} folds; give "
            f"{_fewer(num_groups)}",
        )
    fold = _dealt(rows, joined, np.arange(len(rows)), num_folds=num_folds, seed=seed)
    return _with_both_labels(rows, Deal(fold, num_folds))


def deal_by_project(rows: TrainingRows, joined: Ints, *, num_folds: int, seed: int) -> Deal:
    """Whole projects in one fold, at most ``num_folds`` of them.

    A record without a project is never held out, nor is one whose commit or near copy is in another project or in
    none: learnt from always, it is scored nowhere, and no record that is scored is like it. A project is the same with
    its owner or without, in any case (``torvalds/linux``, ``Linux``).

    Raises:
        DataInvalid: There is one project or none, or a fold has one label only. Not retried.
    """
    projects = [project_key(project) for project in rows.projects]
    projects_of: dict[int, set[str]] = {}
    for first, project in zip(joined.tolist(), projects, strict=True):
        projects_of.setdefault(first, set()).add(project)
    own = [len(projects_of[first]) == 1 and projects[first] != "" for first in joined.tolist()]
    held_out = np.flatnonzero(own)
    names = sorted({projects[row] for row in held_out.tolist()})
    if len(names) < 2:
        found = f"only {names[0]!r}" if names else "none"
        raise DataInvalid(
            rows.path, f"folds by project need records of two projects or more, and there is {found}; cut them by group"
        )
    number_of = {name: number for number, name in enumerate(names)}
    units = np.array([number_of.get(project, NEVER) for project in projects], dtype=np.int64)
    num_taken = min(num_folds, len(names))
    fold = _dealt(rows, units, held_out, num_folds=num_taken, seed=seed)
    return _with_both_labels(rows, Deal(fold, num_taken))


def _dealt(rows: TrainingRows, units: Ints, held_out: Ints, *, num_folds: int, seed: int) -> Ints:
    """``(N,)`` folds of the rows ``held_out``, those of one unit in one; ``NEVER`` for the others."""
    from sklearn.model_selection import StratifiedGroupKFold

    labels = np.array(rows.labels, dtype=np.int64)[held_out]
    least = min(int((labels == label).sum()) for label in LABELS)
    if least < num_folds:  # scikit-learn would go on
        raise DataInvalid(
            rows.path,
            f"only {least} records of one label for {num_folds} folds: one fold would have none; give {_fewer(least)}",
        )
    fold = np.full(len(rows), NEVER, dtype=np.int64)
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed % 2**32)
    for number, (_, part) in enumerate(splitter.split(labels, labels, units[held_out])):
        fold[held_out[part]] = number
    return fold


def _with_both_labels(rows: TrainingRows, deal: Deal) -> Deal:
    labels = np.array(rows.labels, dtype=np.int64)
    for number in range(deal.num_folds):
        found = np.unique(labels[deal.fold == number])
        if len(found) < len(LABELS):
            what = f"only label {found[0]}" if len(found) else "no record"
            raise DataInvalid(
                rows.path,
                f"fold {number} of {deal.num_folds} has {what}: what is kept together holds too many records of one "
                "label; give fewer num_folds, or more records",
            )
    return deal


def _fewer(most: int) -> str:
    return f"num_folds={most} or fewer" if most >= 2 else "more records"
