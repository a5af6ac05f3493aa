"""What the four flows of retrieval have in common: the plan, the run from first job to report, and the program.

A flow says what it is (``RetrievalFlow``); the programs start from the defaults of its settings, the flows themselves,
where nobody gives settings, from a file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from models.errors import EXIT_REFUSED
from models.jobs.keys import missing_paths
from models.settings.command_line import Aliases, Environment, parse_command, settings_in_place
from models.settings.documents import dotted
from models.settings.fields import Settings
from models.settings.flags import flag_name
from tasks.flow_jobs import flow_jobs
from tasks.launchers.places import placed_by_environment
from tasks.planned_program import run_planned_program
from tasks.program import ProgramOptions, say_own_errors_in_a_line
from tasks.publication import Publication
from tasks.retrieval_artifacts import put_artifacts
from tasks.retrieval_places import ForeseeJobs, JobPlace, RunJobs
from tasks.retrieval_publication import publish_retrieval
from tasks.retrieval_runs import RetrievalRuns
from tasks.retrieval_settings import TrainedFlowSettings
from tasks.retrieval_steps import export_steps, trainings
from tasks.run_settings import PLACE_ENVIRONMENT
from tasks.termination import noting_termination

S = TypeVar("S", bound=TrainedFlowSettings)
SAMPLE_FOLDER = Path("runs/retrieval-data")
"""Where the sample's settings look for data that a program generates."""


@dataclass(frozen=True)
class RetrievalFlow(Generic[S]):
    """A flow of retrieval.

    Args:
        program: As it is called, such as ``python -m flows.embeddings``.
        title: Heading of its report.
        settings_class: What it is told.
        steps: What it runs.
        aliases: Flat flags of its program.
        variables: Variables that it reads.
    """

    program: str
    title: str
    settings_class: type[S]
    steps: Callable[[S, JobPlace], RetrievalRuns]
    aliases: Aliases
    variables: Environment


@dataclass(frozen=True)
class Finished:
    """What a flow leaves.

    Args:
        runs: Its runs.
        artifacts: Files that were put into artifacts_dir.
        report: Table and page.
    """

    runs: RetrievalRuns
    artifacts: list[Path]
    report: Publication


def run_flow(flow: RetrievalFlow[S], settings: S | None, config: Path) -> Finished:
    """Every job of a flow, or the runs where they were finished before; then artifacts and report.

    Args:
        flow: "
        settings: All settings; ``None``: those of ``config``, with the flow's variables above them.
        config: YAML file of the settings.

    Raises:
        CodewardenError: what the first job that failed said; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        settings = settings or settings_in_place(flow.settings_class, config, flow.variables)
        settings = placed_by_environment(settings)
        with flow_jobs(settings) as jobs:
            jobs.preflight(*trainings(foreseen_jobs(flow, settings)))
            place = RunJobs(jobs, settings.slots)
            runs = flow.steps(settings, place)
            exported = export_steps(settings, place, runs)
            written = put_artifacts(settings.artifacts_dir, runs, exported)
            report = publish_retrieval(jobs.runs_path, flow.title, runs)
        return Finished(runs, written, report)


def foreseen_jobs(flow: RetrievalFlow[S], settings: S) -> list[Settings]:
    """Every job in order; one project stands for all that are left out, before the candidates are made."""
    place = ForeseeJobs(settings)
    export_steps(settings, place, flow.steps(settings, place))
    return place.jobs


def run_program(flow: RetrievalFlow[S], argv: Sequence[str] | None, run: Callable[[S], str]) -> int:
    """The program: settings from flags, variables and file, the flow, its text; gives the exit code.

    Args:
        flow: "
        argv: Arguments; ``None``: those of the process.
        run: Runs the flow and gives what is printed at its end.
    """
    settings, options = parse_command(
        flow.settings_class,
        ProgramOptions,
        list(sys.argv[1:] if argv is None else argv),
        prog=flow.program,
        aliases=flow.aliases,
        environment={**PLACE_ENVIRONMENT, **flow.variables},
    )
    missing = missing_paths(settings)
    for field, path in missing.items():
        sys.stderr.write(f"{flow.program}: {flag_of(field, flow.aliases)}: {missing_line(path)}\n")
    if missing:
        return EXIT_REFUSED
    return run_planned_program(settings, options, lambda: foreseen_jobs(flow, settings), lambda: run(settings))


def flag_of(field: tuple[str, ...], aliases: Aliases) -> str:
    """The flag of a field, by its flat name where it has one."""
    flat: Mapping[str, str] = {path: alias for alias, path in aliases.items() if isinstance(path, str)}
    return flag_name([flat.get(dotted(field), dotted(field))])


def missing_line(path: Path) -> str:
    """What to do about data that are not there."""
    remedy = "give the path of existing data"
    if path.is_relative_to(SAMPLE_FOLDER):
        remedy = f"make the sample's data with: python -m models.data.generated_repositories {SAMPLE_FOLDER}"
    return f"no file or folder at {path}; {remedy}"


def shown(table: str, report_path: Path) -> str:
    """What a program prints at its end."""
    return f"{table}\nreport: {report_path}\n"
