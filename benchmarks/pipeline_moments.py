"""Moments of a pipeline at which it can be killed, drawn over its phases and not over its imports.

A finished pipeline left one ``progress.jsonl`` per job. A moment is "that job has told this much of its progress", or
"that job has just been finished"; it is recognised in another run root by the job's run key.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SILENT = {"notice"}


@dataclass(frozen=True)
class Moment:
    """A moment to kill at.

    Args:
        kind: Kind of the job at work.
        run_key: First digits of its run key.
        phase: What it is doing, or ``done`` for just after its end.
        num_events: Events it has told by then.
        started: When it began in the run it was drawn from, to put moments in order [s since 1970].
    """

    kind: str
    run_key: str
    phase: str
    num_events: int
    started: float

    def has_come(self, runs_path: Path) -> bool:
        """Whether the job has come so far in this run root."""
        for folder in (runs_path / self.kind).glob(f"*-{self.run_key}/*"):
            if (folder / "manifest.json").exists():
                return True
            progress = folder / "progress.jsonl"
            if self.phase != "done" and progress.exists() and progress.read_bytes().count(b"\n") >= self.num_events:
                return True
        return False


def drawn_moments(runs_path: Path, num_moments: int, seed: int) -> list[Moment]:
    """Moments of a finished pipeline in the order they come, spread over its phases: each as often as another.

    Args:
        runs_path: Run root of the finished pipeline.
        num_moments: How many; all in different jobs where there are enough.
        seed: Of the drawing.
    """
    draw = random.Random(seed)
    by_phase: dict[tuple[str, str], list[Moment]] = {}
    for moment in all_moments(runs_path):
        by_phase.setdefault((moment.kind, moment.phase), []).append(moment)
    phases = sorted(by_phase)
    draw.shuffle(phases)
    chosen: dict[tuple[str, str], Moment] = {}
    for number in range(100 * num_moments):
        moment = draw.choice(by_phase[phases[number % len(phases)]])
        chosen.setdefault((moment.kind, moment.run_key), moment)
        if len(chosen) == num_moments:
            break
    return sorted(chosen.values(), key=lambda moment: (moment.started, moment.num_events))


def all_moments(runs_path: Path) -> Iterator[Moment]:
    """Every event that a job of a finished pipeline told, and its end."""
    for manifest in sorted(runs_path.glob("*/*/*/manifest.json")):
        progress = manifest.with_name("progress.jsonl")
        if not progress.exists():
            continue
        kind, run_key = manifest.parts[-4], manifest.parts[-3].rpartition("-")[2]
        events = [json.loads(line) for line in progress.read_bytes().splitlines()]
        phase = "start"
        for number, event in enumerate(events, start=1):
            phase = str(event["phase"]) if event["event"] == "phase" else phase
            if event["event"] not in SILENT:
                yield Moment(kind, run_key, phase, number, float(events[0]["time"]))
        yield Moment(kind, run_key, "done", len(events), float(events[0]["time"]))
