"""A plan for people: one line a step, with how many jobs it is and what they wait for, then the jobs by kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from tasks.foreseen_jobs import UNKNOWN_KEY, ForeseenJob
from tasks.step_labels import shape_of, spoken, undated, varying, without
from tasks.tables import PlainTable, as_text

MOST_WAITED_FOR = 3
"""Runs that a step waits for: named are the first."""
PLACE_IN_PLAN = re.compile(r"-\d+$")
KEY = re.compile(r"-[0-9a-f]{12}$")
Fate = Literal["here", "away", "found"]
HEADS: dict[Fate, str] = {"here": "Run here", "away": "On SageMaker", "found": "Found finished"}


@dataclass(frozen=True)
class PlannedRun:
    """A job as a line of a plan shows it.

    Args:
        kind: Of the job.
        label: Of the run.
        fate: What happens to it.
        waits_for: Runs by kind and label, and files by name, that are not there yet.
    """

    kind: str
    label: str
    fate: Fate
    waits_for: tuple[str, ...]

    @property
    def step(self) -> tuple[str, ...]:
        """Equal for runs that differ by seed or fold alone."""
        return (self.kind, self.fate, shape_of(self.label), *map(shape_of, self.waits_for))


def plan_text(jobs: Sequence[ForeseenJob], runs_path: Path) -> str:
    """The steps, and the totals where there is more than one job."""
    runs = _direct([_planned_run(job, runs_path) for job in jobs])
    lines = "\n".join(_line(list(step)) for _, step in groupby(runs, key=lambda run: run.step))
    return lines if len(runs) == 1 else f"{lines}\n\n{as_text([_totals(runs)])}".rstrip()


def _planned_run(job: ForeseenJob, runs_path: Path) -> PlannedRun:
    fate: Fate = "found" if job.is_finished else "away" if job.is_away else "here"
    names = dict.fromkeys(_name_of(path, runs_path) for path in job.missing.values())
    return PlannedRun(job.plan.kind, job.plan.label, fate, tuple(names))


def _direct(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs without what they wait for only because something else that they wait for does."""
    needs: dict[str, set[str]] = {}
    for run in runs:
        needs.setdefault(f"{run.kind} {undated(run.label)}", set()).update(run.waits_for)
    return [PlannedRun(run.kind, run.label, run.fate, _not_implied(run.waits_for, needs)) for run in runs]


def _not_implied(names: Sequence[str], needs: Mapping[str, set[str]]) -> tuple[str, ...]:
    implied = {name for waited in names for name in needs.get(waited, ())}
    return tuple(name for name in names if name not in implied)


def _line(step: Sequence[PlannedRun]) -> str:
    first, several = step[0], len(step) > 1
    differing = varying([run.label for run in step]) | varying([name for run in step for name in run.waits_for])
    label = ", ".join([without(first.label, differing), *spoken(differing)]) if several else first.label
    place = {"here": "here", "away": "on SageMaker"}.get(first.fate)
    state = "finished before: found, not run" if place is None else f"{'run' if several else 'runs'} {place}"
    count = f": {len(step)} jobs" if several else ""
    return f"{first.kind:<10} {label}{count}  {state}{_waits(first, differing, 'wait' if several else 'waits')}"


def _waits(run: PlannedRun, differing: Mapping[str, Sequence[int]], word: str) -> str:
    names = list(dict.fromkeys(without(name, differing) for name in run.waits_for))
    rest = f" and {len(names) - MOST_WAITED_FOR} more" if len(names) > MOST_WAITED_FOR else ""
    return f"; {word} for {', '.join(names[:MOST_WAITED_FOR])}{rest}" if names else ""


def _name_of(path: Path, runs_path: Path) -> str:
    """Kind and label of the run that a file or folder is of; its own name where it is of none."""
    inside = path.relative_to(runs_path).parts if path.is_relative_to(runs_path) else ()
    if len(inside) < 2:
        return path.name
    kind, folder, *rest = inside
    if folder == UNKNOWN_KEY:  # next comes a plan's own name for the run, or nothing tells which it is
        label = PLACE_IN_PLAN.sub("", rest[0]) if rest and PLACE_IN_PLAN.search(rest[0]) else ""
    else:
        label = KEY.sub("", folder)
    return f"{kind} {undated(label)}".rstrip()


def _totals(runs: Sequence[PlannedRun]) -> PlainTable:
    counts = Counter((run.kind, run.fate) for run in runs)
    kinds = list(dict.fromkeys(run.kind for run in runs))
    fates = [fate for fate in HEADS if any(run.fate == fate for run in runs)]
    rows = [(kind, *_cells([counts[kind, fate] for fate in fates])) for kind in kinds]
    sums = ("All", *_cells([sum(counts[kind, fate] for kind in kinds) for fate in fates]))
    return PlainTable("Jobs by kind", ("Kind",), (*(HEADS[fate] for fate in fates), "Jobs"), (*rows, sums), num_sums=1)


def _cells(counts: Sequence[int]) -> tuple[str, ...]:
    return (*map(str, counts), str(sum(counts)))
