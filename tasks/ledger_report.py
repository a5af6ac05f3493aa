"""The ledger for people: attempts, kinds, storage and the budget, as text or markdown."""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from collections.abc import Sequence

from tasks.aws.settings import BudgetSettings
from tasks.ledger_entries import SECONDS_PER_HOUR, Entry, Launch
from tasks.ledger_totals import Attempt, Totals, newest_budget, totals_of
from tasks.tables import TERMINAL_WIDTH, PlainTable, as_markdown, as_text

COMPUTED = (
    "Costs are computed, not billed: billable seconds × instances / 3600 × the price on demand. Spot's discount is in "
    "the billable seconds. Not counted: disks of the jobs, requests, logs, transfer, tax."
)
UNPRICED = "Jobs whose price is unknown count as $0.00 in every sum and in the budget: it leaves less than is said."
NONE = "–"
HOW_TO_FILL = (
    "Nothing is booked yet. Jobs sent to SageMaker (--where sagemaker) book themselves when they are launched and when "
    "they end; storage is booked by python -m tasks.ledger storage --store s3://BUCKET/PREFIX."
)


def cost_text(entries: Sequence[Entry], flow_run: str | None, budget: BudgetSettings | None) -> str:
    """The report for a terminal.

    Args:
        entries: All of the ledger.
        flow_run: Only its attempts; ``None``: all, and storage.
        budget: What to hold the sums against; ``None``: the one that the newest launch was held against.
    """
    totals = totals_of(entries, flow_run)
    missing = _nothing(entries, totals, flow_run)
    if missing:
        return f"{textwrap.fill(missing, TERMINAL_WIDTH)}\n"
    text = as_text([*_tables(totals), _balance(entries, totals, flow_run, budget)])
    return "\n".join([text, *(textwrap.fill(note, TERMINAL_WIDTH) for note in _notes(totals))]) + "\n"


def cost_markdown(entries: Sequence[Entry], flow_run: str | None, budget: BudgetSettings | None = None) -> str:
    """The same for an artifact."""
    totals = totals_of(entries, flow_run)
    missing = _nothing(entries, totals, flow_run)
    if missing:
        return f"{missing}\n"
    tables = as_markdown([*_tables(totals), _balance(entries, totals, flow_run, budget)])
    return "\n".join([tables, *(f"{note}\n" for note in _notes(totals))])


def _nothing(entries: Sequence[Entry], totals: Totals, flow_run: str | None) -> str:
    """What to say where there is nothing to show; else empty."""
    if not entries:
        return HOW_TO_FILL
    if flow_run is None or totals.attempts:
        return ""
    known = dict.fromkeys(each.flow_run for each in entries if isinstance(each, Launch) and each.flow_run)
    return f"No job of flow run {flow_run!r} is booked here; there are {', '.join(known) or 'none of any flow run'}."


def _tables(totals: Totals) -> list[PlainTable]:
    tables = []
    if totals.attempts:
        tables += [_attempt_table(totals), _kind_table(totals)]
    if totals.storage:
        tables.append(_storage_table(totals))
    return tables


def _attempt_table(totals: Totals) -> PlainTable:
    seen: Counter[str] = Counter()
    rows = []
    for attempt in totals.attempts:
        launch = attempt.launch
        seen[launch.run_key] += 1
        count = f"{launch.num_instances} × " if launch.num_instances > 1 else ""
        rows.append(
            (
                launch.label,
                str(seen[launch.run_key]),
                f"{count}{launch.instance_type} {_market(launch)}",
                _end(attempt),
                *_attempt_amounts(attempt),
            )
        )
    sums = ("All", "", "", "", *_amounts(totals))
    return PlainTable(
        "Training jobs, one line for each attempt",
        ("Run", "#", "Instance", "End"),
        ("Time", "Billed", "Cost", "Saved", "Repeated", "Intr."),
        (*rows, sums),
        num_sums=1,
    )


def _kind_table(totals: Totals) -> PlainTable:
    rows = [
        (kind, str(len(of_kind.attempts)), str(len(of_kind.by_run())), *_amounts(of_kind))
        for kind, of_kind in totals.by_kind().items()
    ]
    return PlainTable(
        "Kinds of jobs",
        ("Kind",),
        ("Attempts", "Runs", "Time", "Billed", "Cost", "Saved", "Repeated", "Intr."),
        tuple(rows),
    )


def _storage_table(totals: Totals) -> PlainTable:
    rows = [
        (
            cost.newest.prefix,
            time.strftime("%Y-%m-%d", time.gmtime(cost.newest.time_seconds)),
            f"{cost.newest.size_bytes / 2**30:.3f}",
            f"{cost.newest.usd_per_gb_month:.3f}",
            usd(cost.newest.usd_per_month),
            usd(cost.usd),
        )
        for cost in totals.storage
    ]
    return PlainTable(
        "Storage (S3); cost: kept so far, and a month ahead",
        ("Prefix", "Measured"),
        ("GB", "$/GB-month", "Month", "Cost"),
        tuple(rows),
    )


def _balance(
    entries: Sequence[Entry], totals: Totals, flow_run: str | None, budget: BudgetSettings | None
) -> PlainTable:
    """Spent by what is shown; then the budget, which is always that of the whole ledger."""
    held = budget if budget is not None else newest_budget(entries)
    overall = totals_of(entries)
    rows = [(f"{kind} jobs", usd(of_kind.attempts_usd)) for kind, of_kind in totals.by_kind().items()]
    if flow_run is None:
        rows.append(("Storage", usd(totals.storage_usd)))
    else:
        rows.append(("Spent by this flow run", usd(totals.spent_usd)))
    sums = [
        ("Total", "no limit" if held.total_usd is None else usd(held.total_usd)),
        ("Spent", usd(overall.spent_usd)),
        ("Reserved by open jobs", usd(overall.reserved_usd)),
    ]
    remaining_usd = overall.remaining_usd(held)
    if remaining_usd is not None:
        sums += [("Buffer", usd(held.buffer_usd)), ("Remaining", usd(remaining_usd))]
    return PlainTable("Budget of this run root", ("Category",), ("Cost",), (*rows, *sums), num_sums=len(sums))


def _notes(totals: Totals) -> list[str]:
    notes = [COMPUTED]
    notes += [
        f"Price of {name}: {rate}." for name, rate in dict.fromkeys(_rate_of(attempt) for attempt in totals.attempts)
    ]
    if not all(map(_has_price, totals.attempts)):
        notes.append(UNPRICED)
    dearer_usd = totals.dearer_usd
    if dearer_usd is None:
        notes.append("On demand was taken instead of Spot; no Spot job has shown yet how much dearer that was.")
    elif dearer_usd:
        saved = f"Spot saved {totals.spot_saving:.0%} here"
        notes.append(f"On demand taken instead of Spot cost about {usd(dearer_usd)} more ({saved}).")
    notes += [
        f"Not ended: {each.launch.job_name}, launched {_moment(each.launch.time_seconds)}, may cost "
        f"{usd(each.reserved_usd) if _has_price(each) else 'an unknown sum'}."
        for each in totals.attempts
        if each.end is None
    ]
    if any(each.end is None for each in totals.attempts):
        notes.append("python -m tasks.ledger settle asks SageMaker, and books the ends of those that have ended.")
    if totals.unknown_ends:
        names = ", ".join(end.job_name for end in totals.unknown_ends)
        notes.append(f"Launched from another run root, and not counted here: {names}.")
    return notes


def _rate_of(attempt: Attempt) -> tuple[str, str]:
    return attempt.launch.instance_type, str(attempt.launch.rate)


def _end(attempt: Attempt) -> str:
    if attempt.end is not None:
        return attempt.end.status
    return f"open, ≤ {usd(attempt.reserved_usd)}" if _has_price(attempt) else "open, price unknown"


def _has_price(attempt: Attempt) -> bool:
    return attempt.launch.rate.usd_per_hour is not None


def _market(launch: Launch) -> str:
    if launch.use_spot:
        return "Spot"
    return "on demand, for want of Spot" if launch.instead_of_spot else "on demand"


def _attempt_amounts(attempt: Attempt) -> tuple[str, ...]:
    """Times, money and interruptions of one; a dash where there is none to tell: it runs, or had no machine."""
    end = attempt.end
    if end is None:
        return (NONE,) * 6
    had_machine = end.training_seconds is not None
    has_money = _has_price(attempt)
    return (
        _duration(end.training_seconds) if end.training_seconds is not None else NONE,
        _duration(end.billed_seconds) if had_machine or end.billable_seconds is not None else NONE,
        usd(attempt.spent_usd) if has_money else "unknown",
        usd(attempt.saved_usd) if has_money and had_machine else NONE,
        usd(attempt.repeated_usd) if has_money and had_machine else NONE,
        str(end.num_interruptions),
    )


def _amounts(totals: Totals) -> tuple[str, ...]:
    """Times, money and interruptions of attempts."""
    ended = [attempt.end for attempt in totals.attempts if attempt.end]
    return (
        _duration(sum(end.training_seconds or 0.0 for end in ended)),
        _duration(sum(end.billed_seconds for end in ended)),
        usd(totals.attempts_usd),
        usd(totals.saved_usd),
        usd(totals.repeated_usd),
        str(totals.num_interruptions),
    )


def usd(amount: float) -> str:
    """Money for people: cents, and more digits where there are only those."""
    digits = 4 if 0 < abs(amount) < 0.01 else 2
    return f"{'-' if amount < 0 else ''}${abs(amount):,.{digits}f}"


def _duration(seconds: float) -> str:
    """A time for people: hours, and minutes or seconds where it is less."""
    if seconds >= SECONDS_PER_HOUR:
        return f"{seconds / SECONDS_PER_HOUR:.2f} h"
    if seconds >= 60:
        return f"{seconds / 60:.{0 if seconds >= 600 else 1}f} min"
    return f"{seconds:.0f} s"


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
