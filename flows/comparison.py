"""Compare two finished runs of phases, over their seeds: on one test split, paired, corrected for their number.

    python -m flows.comparison --first runs/systems/phase1-….json --second runs/systems/phase2-….json
    prefect deployment run comparison -p …
    from flows.comparison import ComparisonSettings, comparison

Phase 1 and phase 2 print the names of their files. Several files of one phase are its seeds. Nothing is trained, and
nothing is scored: what is compared are predictions that were made.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from models.settings.command_line import parse_command
from models.settings.compare import ComparedSystem, CompareSettings
from tasks.comparison_publication import publish_comparison
from tasks.finished_systems import FinishedSystems, joined_over_seeds, pairs_between, read_systems
from tasks.flow_jobs import flow_jobs
from tasks.jobs import RunReference
from tasks.launchers.places import placed_by_environment
from tasks.planned_program import run_planned_program
from tasks.program import ProgramOptions, say_own_errors_in_a_line
from tasks.run_settings import PLACE_ENVIRONMENT, RunSettings
from tasks.termination import noting_termination


class ComparisonSettings(RunSettings):
    """Compare two finished runs of phases on the same test split."""

    first: Annotated[tuple[Path, ...], Field(min_length=1)]
    """Files of finished systems (runs/systems/….json) of the run that is compared against; several: its seeds."""
    second: Annotated[tuple[Path, ...], Field(min_length=1)]
    """The same of the run that is asked about."""
    num_resamples: PositiveInt = 10_000
    """Bootstrap resamples over seeds and groups."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Coverage of the intervals."""
    seed: NonNegativeInt = 42
    """Seed of resampling and baselines."""


class ComparisonResult(BaseModel):
    """What the comparison leaves."""

    model_config = ConfigDict(frozen=True)

    compare: RunReference
    table: str
    """All systems and what was shown, as text."""
    report_path: Path
    """A self-contained HTML page."""


@flow(name="comparison", flow_run_name="comparison")
def comparison(settings: ComparisonSettings) -> ComparisonResult:
    """Compare two finished runs of phases on the same test split.

    Raises:
        CodewardenError: what the job said; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        settings = placed_by_environment(settings)
        job = compare_job(settings)
        with flow_jobs(settings) as jobs:
            compared = jobs.run(job)
            report = publish_comparison(
                jobs.runs_path,
                compare=compared.run_path,
                records=job.data,
                title="Comparison of two finished runs",
            )
        return ComparisonResult(compare=compared, table=report.table, report_path=report.path)


def compare_job(settings: ComparisonSettings) -> CompareSettings:
    """Systems of the second run against their namesakes of the first, or what there is of their kind.

    Raises:
        SettingsInvalid: a file is not there or none of ours, a seed is there twice, or nothing can be compared. Not
            retried.
    """
    runs_path = settings.runs.resolve()
    sides = [{path: read_systems(path, runs_path) for path in paths} for paths in (settings.first, settings.second)]
    first, second = (joined_over_seeds(side) for side in sides)
    pairs = pairs_between(first, second)
    shared = first.keys() & second.keys()
    names = {"first": _names_apart(first, shared, "first"), "second": _names_apart(second, shared, "second")}
    newest = next(iter(sides[1].values()))
    return CompareSettings(
        data=newest.records,
        same_data=_other_records(sides, newest),
        systems={
            **{names["first"][name]: _titled(system, name in shared, "first") for name, system in first.items()},
            **{names["second"][name]: _titled(system, name in shared, "second") for name, system in second.items()},
        },
        comparisons=tuple((names["second"][name], names["first"][against]) for name, against in pairs),
        probes=newest.probes,
        num_resamples=settings.num_resamples,
        confidence=settings.confidence,
        seed=settings.seed,
    )


def _names_apart(names: Iterable[str], shared: Collection[str], word: str) -> dict[str, str]:
    """Names of their own for systems that are called alike, as those of two runs of one phase are."""
    return {name: f"{word}_{name}" if name in shared else name for name in names}


def _titled(system: ComparedSystem, is_shared: bool, word: str) -> ComparedSystem:
    """The system under a title that says which run it is of, where both have it."""
    return system.model_copy(update={"title": f"{system.title} ({word})"}) if is_shared else system


def _other_records(sides: Sequence[Mapping[Path, FinishedSystems]], newest: FinishedSystems) -> tuple[Path, ...]:
    """All records that predictions were made from, beside the newest, each once."""
    named = [path for side in sides for part in side.values() for path in (part.records, *part.other_records)]
    return tuple(path for path in dict.fromkeys(named) if path != newest.records)


def main(argv: Sequence[str] | None = None) -> int:
    """The program: settings from flags and file, the flow, its table; gives the exit code."""
    settings, options = parse_command(
        ComparisonSettings,
        ProgramOptions,
        sys.argv[1:] if argv is None else argv,
        prog="python -m flows.comparison",
        aliases={},
        environment=PLACE_ENVIRONMENT,
    )
    return run_planned_program(settings, options, lambda: [compare_job(settings)], lambda: show(comparison(settings)))


def show(result: ComparisonResult) -> str:
    """What the program prints at its end."""
    return f"{result.table}\n\nreport: {result.report_path}\n"


if __name__ == "__main__":
    sys.exit(main())
