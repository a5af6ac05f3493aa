"""What a flow would do, in words: each step and where, the exact requests, the code that travels, what it could cost.

Nothing is made, and nobody is asked: it works without credentials, and says what stands for what is not known then.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from models.errors import SettingsInvalid
from models.jobs.provenance import git_state
from models.settings.fields import Settings
from models.settings.train import TrainSettings
from tasks.aws.bundle import CodeBundle, code_bundle
from tasks.aws.channels import Cargo, Parcel, foreseen_cargo
from tasks.aws.findings import Findings
from tasks.aws.preflight import preflight
from tasks.aws.session import AwsPlace, placeholder_place
from tasks.budget_table import planned_table
from tasks.estimate_report import estimate_text
from tasks.estimates import estimate_flow
from tasks.foreseen_jobs import UNKNOWN_BUILD, UNKNOWN_KEY, ForeseenJob, foresee, planned, remaining_usd
from tasks.launch_checks import launch_checks, refuse_sealed_without_network
from tasks.launchers.dispatch import Dispatch
from tasks.ledger_file import Ledger
from tasks.measured_runs import measured_runs
from tasks.planned_jobs import Assumptions
from tasks.planned_steps import plan_text
from tasks.run_settings import RunSettings, ignored_place
from tasks.tables import as_text

MOST_REQUESTS = 3
"""Of a sweep the first is shown: the others differ by name, settings and tags."""
WIDTH = 118


def dry_run(settings: RunSettings, jobs: Sequence[Settings]) -> str:
    """Print what would be done.

    Args:
        settings: Of the flow.
        jobs: Its jobs in order, as far as they are known before it runs.

    Raises:
        SettingsInvalid: a job cannot be run as it is, or a check forbids the launch; told after the rest. Not retried.
        BuildDiffers: other code began it. Not retried.
    """
    foreseen = foresee(settings, list(jobs))
    ignored = ignored_place(settings)
    parts = [] if ignored is None else [f"Warning: {ignored}."]
    parts.append(plan_text(foreseen, settings.runs.resolve()))
    away = [job for job in foreseen if job.is_away and not job.is_finished]
    found = preflight(settings.sagemaker, [job.settings for job in away], None)
    if away:
        place = placeholder_place(settings.sagemaker)
        parts += [*_requests(settings, away, place), _bundle(code_bundle()), _preflight(found)]
    if settings.where == "sagemaker":
        parts.append(_estimate(settings, foreseen))
    sys.stdout.write("\n\n".join(parts) + "\n")
    if away:
        refuse_sealed_without_network(settings.sagemaker, [job.settings for job in away])
        found.raise_refusals()
    return ""


def check(settings: RunSettings, jobs: Sequence[Settings]) -> str:
    """All that is looked at before the jobs are launched, asked of AWS now; nothing is launched.

    Raises:
        SettingsInvalid: jobs run here, or something forbids the launch. Not retried.
        CloudRefused: AWS forbids it. Not retried.
        StoreUnavailable: AWS does not answer. Retried.
    """
    if settings.where != "sagemaker":
        raise SettingsInvalid("--check asks AWS about jobs that are sent away; say --where sagemaker too")
    away = [job.settings for job in foresee(settings, list(jobs)) if job.is_away]
    for _, line in launch_checks(settings.sagemaker, away, settings.runs.resolve()):
        sys.stdout.write(f"{line}\n")
    return ""


def dispatch_of(job: ForeseenJob, settings: RunSettings, place: AwsPlace) -> Dispatch:
    """The job made ready to be sent, with placeholders for inputs that are not made yet."""
    cargo = foreseen_cargo(job.settings)
    unmade = tuple(Parcel(channel, {}, {path.name: path}) for channel, path in job.missing.items())
    cargo = Cargo(cargo.settings, (*cargo.parcels, *unmade), cargo.environment)
    return Dispatch(settings.sagemaker, place, job.plan, cargo, code_bundle(), git_state())


def _requests(settings: RunSettings, away: Sequence[ForeseenJob], place: AwsPlace) -> Iterator[str]:
    if place.placeholders:
        yield "Nobody was asked, so these are placeholders: " + "; ".join(place.placeholders) + "."
    if any(job.missing for job in away):
        yield textwrap.fill(
            "Inputs that are not here yet (an earlier job makes them, or they are fetched) are named by their content: "
            f"{UNKNOWN_KEY}, {UNKNOWN_BUILD} and CONTENT-OF-… stand for that. Once they are here, the names are shown.",
            WIDTH,
        )
    shown = away if len(away) <= MOST_REQUESTS else away[:1]
    for job in shown:
        dispatch = dispatch_of(job, settings, place)
        request = dispatch.request(dispatch.job_name(1), use_spot=settings.sagemaker.use_spot, flow_run=None)
        yield f"CreateTrainingJob for {job.plan.label}:\n{json.dumps(request, indent=2)}"
    if len(shown) < len(away):
        yield f"The other {len(away) - len(shown)} requests differ in name, run, settings and tags."


def _bundle(bundle: CodeBundle) -> str:
    size_kb = len(bundle.content) / 1000
    lines = [f"Code bundle {bundle.sha256[:12]}…: {len(bundle.members)} files, {size_kb:.0f} kB packed, sent once:"]
    for folder, names in groupby(sorted(bundle.members, key=_folder), key=_folder):
        listed = ", ".join(f"{name.rpartition('/')[2]} {bundle.members[name]}" for name in names)
        lines.append(textwrap.fill(f"{folder}/ {listed}", WIDTH, initial_indent="  ", subsequent_indent="    "))
    return "\n".join(lines)


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _preflight(found: Findings) -> str:
    return "Before anything is launched:\n" + "\n".join(
        textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ") for line in found.lines()
    )


def _estimate(settings: RunSettings, foreseen: Sequence[ForeseenJob]) -> str:
    runs_path = settings.runs.resolve()
    place = placeholder_place(settings.sagemaker)
    intervals = [job.settings.checkpoints.every_seconds for job in foreseen if isinstance(job.settings, TrainSettings)]
    estimate = estimate_flow(
        [planned(job, settings.sagemaker, place, runs_path) for job in foreseen],
        Assumptions(
            interruptions_per_hour=settings.sagemaker.interruptions_per_hour,
            spot_saving=settings.sagemaker.spot_saving,
            checkpoint_interval_seconds=max(intervals, default=0.0),
        ),
        measurements=measured_runs(runs_path, Ledger(runs_path).entries()),
        remaining_usd=remaining_usd(settings.sagemaker, runs_path),
    )
    first_budget = planned_table(estimate)
    return estimate_text(estimate) + (f"\n{as_text([first_budget])}" if first_budget is not None else "")
