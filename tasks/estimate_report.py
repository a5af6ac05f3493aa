"""An estimate for people: a table of jobs, what it adds up to, whether the budget holds, and what was assumed."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from tasks.aws.price_table import STORAGE
from tasks.checkpoint_interval import MOST_STALL
from tasks.estimates import (
    ASSUMED_CHECKPOINT_SECONDS,
    ASSUMED_CPU_FACTOR,
    ASSUMED_FACTORS,
    ASSUMED_HOURS,
    ASSUMED_ON,
    ASSUMED_RECORDS,
    COVERAGE,
    FEW_RUNS,
    FEW_RUNS_FACTORS,
    PREDICT_SHARE,
    FlowEstimate,
    Interval,
    JobEstimate,
    Source,
)
from tasks.ledger_report import usd
from tasks.planned_jobs import ASSUMED_SETUP_SECONDS, PlannedMachine
from tasks.step_labels import joined, shape_of
from tasks.tables import TERMINAL_WIDTH, PlainTable, as_markdown, as_text


def estimate_text(estimate: FlowEstimate) -> str:
    """The estimate for a terminal."""
    assumed = [textwrap.fill(f"- {line}", TERMINAL_WIDTH, subsequent_indent="  ") for line in assumptions(estimate)]
    said = [textwrap.fill(line, TERMINAL_WIDTH) for line in conclusions(estimate)]
    return "\n".join([as_text([_table(estimate)]), *said, "", "Assumptions, not facts:", *assumed]) + "\n"


def estimate_markdown(estimate: FlowEstimate) -> str:
    """The same for an artifact."""
    said = [f"{line}\n" for line in conclusions(estimate)]
    assumed = [f"- {line}" for line in assumptions(estimate)]
    return "\n".join([as_markdown([_table(estimate)]), *said, "Assumptions, not facts:", "", *assumed]) + "\n"


def conclusions(estimate: FlowEstimate) -> list[str]:
    """What it comes to, and whether the budget would hold."""
    remote = [each for each in estimate.jobs if each.source in (Source.MEASURED, Source.ASSUMED)]
    num_cached = sum(each.source is Source.CACHED for each in estimate.jobs)
    said = [f"{_count(len(estimate.jobs))}: {num_cached} finished already, {len(remote)} to be sent to SageMaker."]
    if not remote:
        return said
    advised = sorted({round(each.advised_interval_seconds) for each in remote if each.advised_interval_seconds})
    if advised:
        span = f"{advised[0]} s" if advised[0] == advised[-1] else f"{advised[0]} to {advised[-1]} s"
        planned = f"{estimate.assumptions.checkpoint_interval_seconds:g} s"
        said.append(
            f"Interruptions: {estimate.num_interruptions:.2f} expected, costing "
            f"{usd(estimate.repeated_usd) if estimate.has_price else 'an unknown sum'} of repeated work and new "
            f"starts. Advised time between checkpoints: {span} (planned: {planned})."
        )
    return [*said, *_about_time(remote), *_about_money(estimate)]


def _about_time(remote: Sequence[JobEstimate]) -> list[str]:
    """Which jobs may pass the longest time of a training job."""
    long = [each for each in remote if each.num_launches > 1 and each.job.machine is not None]
    if not long:
        return []
    slowest = max(long, key=lambda each: each.hours.high)
    others = f" and {_count(len(long) - 1)} more" if len(long) > 1 else ""
    return [
        f"Longer than max_run_seconds at the high hours: {slowest.job.kind} {slowest.job.label} (up to "
        f"{slowest.hours.high:.1f} h){others}. Such a job goes on in a next training job, up to {slowest.num_launches} "
        "in all; a higher max_run_seconds lets it run through, and reserves more of a budget."
    ]


def _about_money(estimate: FlowEstimate) -> list[str]:
    cost, remaining = estimate.usd, estimate.remaining_usd
    unpriced = sorted(
        {each.job.machine.instance_type for each in estimate.jobs if not each.has_price and each.job.machine}
    )
    if unpriced:
        told = f"Cost: the price of {', '.join(unpriced)} is unknown"
        if remaining is None:
            return [f"{told}. No budget is set (budget.total_usd); launches are made, and counted as $0."]
        return [f"{told}. A launch cannot be held against the budget, which leaves {usd(remaining)}: it is refused."]
    launch_usd = max(each.job.machine.reserved_usd for each in estimate.jobs if each.bound_usd and each.job.machine)
    said = [
        f"Cost: {usd(cost.expected)} [{usd(cost.low)}, {usd(cost.high)}]; at most {usd(estimate.bound_usd)}. A launch "
        f"reserves its longest run × the price on demand, up to {usd(launch_usd)}, until its job has ended."
    ]
    if remaining is None:
        return [*said, "No budget is set (budget.total_usd)."]
    if estimate.bound_usd <= remaining:
        verdict = "holds whatever happens"
    elif cost.high + launch_usd <= remaining:
        verdict = "holds by this estimate for jobs one after another; all at once they would reserve more than that"
    elif cost.expected + launch_usd <= remaining:
        verdict = "may not hold: it does at the expected cost, not at the high one"
    else:
        verdict = "does not hold: a launch will be stopped"
    return [*said, f"The budget leaves {usd(remaining)}: it {verdict}."]


def assumptions(estimate: FlowEstimate) -> list[str]:
    """Everything that was taken for granted, as far as it was used."""
    return list(_assumptions(estimate))


def _assumptions(estimate: FlowEstimate) -> Iterator[str]:
    remote = [each for each in estimate.jobs if each.source in (Source.MEASURED, Source.ASSUMED)]
    machines = dict.fromkeys(each.job.machine for each in remote if each.job.machine is not None)
    for machine in machines:
        yield f"Price of {machine.instance_type}: {machine.rate}."
    assumed = [each for each in remote if each.source is Source.ASSUMED]
    if assumed:
        figures = "; ".join(
            f"{kind} {hours:g} h for {epochs} epochs" for kind, (hours, epochs) in ASSUMED_HOURS.items()
        )
        low, high = ASSUMED_FACTORS
        yield (
            f"Hours marked assumed: planning figures of this project for {ASSUMED_RECORDS} records on {ASSUMED_ON} "
            f"({figures}; early stopping included), by records × epochs, ×{low:g} to ×{high:g}. Other GPUs are taken "
            "to be as fast. They are for CodeBERT-base at 512 tokens and the default graph network; for another model, "
            "by its matrix products at its longest record."
        )
        if any(each.job.machine is not None and not each.job.machine.has_gpu for each in assumed):
            yield f"Without a GPU it takes {ASSUMED_CPU_FACTOR:g} times as long."
    if any(each.source is Source.MEASURED for each in remote):
        low, high = FEW_RUNS_FACTORS
        yield (
            "Hours marked measured (n runs): finished runs of the same model and device, by records × epochs; the "
            f"interval is that of the next run at {COVERAGE:.0%}, of log-normal times; up to n = {FEW_RUNS}, ×{low:g} "
            f"of the fastest to ×{high:g} of the slowest."
        )
    if any(each.job.num_records is None for each in remote):
        yield f"Where the number of records is not known yet: {ASSUMED_RECORDS}."
    if any(each.job.kind != "train" for each in remote):
        yield f"Scoring a record takes {PREDICT_SHARE:.2f} of training on it once."
    if remote:
        yield f"Start, image and data: {ASSUMED_SETUP_SECONDS:g} s of each job and after each interruption."
    if any(machine.use_spot for machine in machines):
        given = estimate.assumptions
        yield (
            f"Spot saves {given.spot_saving:.0%} and is taken away {given.interruptions_per_hour:g} times an hour "
            "(settings spot_saving, interruptions_per_hour)."
        )
        yield (
            "Advised time between checkpoints: √(2 × time of a checkpoint × time between interruptions) (Young 1974, "
            f"Daly 2006), with saving below {MOST_STALL:.0%}; a checkpoint stalls training for what finished runs "
            f"show, else {ASSUMED_CHECKPOINT_SECONDS:g} s."
        )
    if remote:
        yield (
            f"Not in it: storage (${STORAGE.usd_per_gb_month:g} per GB-month), requests "
            f"(${STORAGE.usd_per_1000_puts:g} for 1000 writes, ${STORAGE.usd_per_1000_gets:g} for 1000 reads; "
            f"{STORAGE.source}, as of {STORAGE.as_of}), disks, logs, tax."
        )


def _table(estimate: FlowEstimate) -> PlainTable:
    """A row for each step that is sent away; where all go to one sort of machine, that is told once, above."""
    steps = [list(step) for _, step in groupby(estimate.jobs, key=_same_step)]
    away = [step for step in steps if step[0].source in (Source.MEASURED, Source.ASSUMED)]
    places = sorted({_place(step[0].job.machine) for step in away})
    rows = [
        (_label(step), _place(step[0].job.machine), *_figures(replace(estimate, jobs=tuple(step)))) for step in away
    ]
    rest = Counter(str(each.source) for each in estimate.jobs if each.source in (Source.CACHED, Source.HERE))
    rows += [(_count(count), "", source, "", "", "", "") for source, count in rest.items()]
    rows.append(("All", "", "", *_figures(estimate)[1:]))
    told_above = len(places) == 1
    return PlainTable(
        f"Estimate{f', all on {places[0]}' if told_above else ''}; expected [low, high]",
        ("Job", "Hours are") if told_above else ("Job", "Where", "Hours are"),
        ("Hours", "USD", "Intr.", "At most"),
        tuple((row[0], *row[2:]) if told_above else row for row in rows),
        num_sums=1,
    )


def _same_step(each: JobEstimate) -> tuple[object, ...]:
    """Equal for jobs that follow each other, differ by seed or fold alone, and are estimated from the same."""
    return (each.source, each.num_measured, each.job.kind, shape_of(each.job.label), each.job.machine)


def _label(step: Sequence[JobEstimate]) -> str:
    count = f": {_count(len(step))}" if len(step) > 1 else ""
    return f"{step[0].job.kind} {joined([each.job.label for each in step])}{count}"


def _place(machine: PlannedMachine | None) -> str:
    if machine is None:
        return ""
    count = f"{machine.num_instances} × " if machine.num_instances > 1 else ""
    return f"{count}{machine.instance_type} {'Spot' if machine.use_spot else 'on demand'}"


def _figures(part: FlowEstimate) -> tuple[str, ...]:
    """Where hours come from and all numbers, of a step or of the whole flow."""
    sources = {f"{each.source} ({each.num_measured})" if each.num_measured else str(each.source) for each in part.jobs}
    return (
        sources.pop() if len(sources) == 1 else "",
        _span(part.hours, "{:.2f}"),
        _span(part.usd, "{:.2f}") if part.has_price else "price unknown",
        f"{part.num_interruptions:.2f}",
        f"{part.bound_usd:.2f}" if part.has_price else "unknown",
    )


def _span(interval: Interval, form: str) -> str:
    low, expected, high = (form.format(value) for value in (interval.low, interval.expected, interval.high))
    return f"{expected} [{low}, {high}]"


def _count(num_jobs: int) -> str:
    return "1 job" if num_jobs == 1 else f"{num_jobs} jobs"
