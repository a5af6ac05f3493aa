"""The first budget of the project at the prices of today: its items beside what is planned and what was booked.

Two tables. ``budget_table`` takes the quantities of the first budget (hours for which nothing was measured) or those
that finished runs show; ``planned_table`` takes a flow as ``--dry-run`` plans it, with all its seeds and folds.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.aws.price_table import STORAGE
from tasks.aws.prices import Rate
from tasks.budget_bookings import Booking, Bookings
from tasks.budget_items import (
    ITEMS,
    OTHER,
    PLANNED_BUFFER_USD,
    PLANNED_TOTAL_USD,
    STORED,
    BudgetItem,
    Phase,
    items_of,
    key_of,
    phase_of,
)
from tasks.estimates import ASSUMED_HOURS, ASSUMED_RECORDS, FlowEstimate, Interval, JobEstimate, estimate_job
from tasks.ledger_report import usd
from tasks.measured_runs import Measurement
from tasks.planned_jobs import Assumptions, PlannedJob, PlannedMachine
from tasks.tables import TERMINAL_WIDTH, PlainTable, as_text

NONE = "–"


@dataclass(frozen=True)
class Quantity:
    """How much of an item there is.

    Args:
        amount: Hours, or GB-months.
        num_measured: Finished runs it comes from; 0: it is that of the first budget.
    """

    amount: float
    num_measured: int = 0


@dataclass(frozen=True)
class Prices:
    """What a unit costs now.

    Args:
        rate: Of an hour of the instance, on demand.
        spot_saving: Share of it that Spot is expected to save; 0 on demand.
    """

    rate: Rate
    spot_saving: float

    def of(self, item: BudgetItem) -> float | None:
        """Price of a unit; ``None``: unknown [USD]."""
        if item.unit == "GB-month":
            return STORAGE.usd_per_gb_month
        return None if self.rate.usd_per_hour is None else self.rate.usd_per_hour * (1.0 - self.spot_saving)


def quantity_of(
    item: BudgetItem, machine: PlannedMachine, assumptions: Assumptions, measurements: Sequence[Measurement]
) -> Quantity:
    """Of a training by finished runs of its model kind on such a machine, where there are some; else as first planned.

    Runs of the commonest model count. For Phase 2 they are scaled by the records that the first budget took there: as
    its hours are to those of Phase 1.
    """
    like = [each for each in measurements if each.model.split()[0] == item.key]
    like = [each for each in like if (each.device_class, each.num_ranks) == (machine.device_class, machine.num_ranks)]
    if item.key not in ASSUMED_HOURS or not like:
        return Quantity(item.quantity)
    names = [each.model for each in like]
    first = next(each for each in ITEMS if each.key == item.key)
    job = PlannedJob(
        kind="train",
        label=item.title,
        is_cached=False,
        machine=machine,
        model_kind=item.key,
        model=max(dict.fromkeys(names), key=names.count),
        num_records=round(ASSUMED_RECORDS * item.quantity / first.quantity),
        epochs=ASSUMED_HOURS[item.key][1],
    )
    found = estimate_job(job, assumptions, measurements)
    return Quantity(found.hours.expected, found.num_measured)


def budget_table(
    quantities: Mapping[BudgetItem, Quantity],
    prices: Prices,
    bookings: Bookings,
    *,
    total_usd: float = PLANNED_TOTAL_USD,
) -> PlainTable:
    """Every item: quantity, unit price and cost now, beside the first budget's figure and what was booked.

    Args:
        quantities: Of the items that are shown, in order.
        prices: Of now.
        bookings: By the ledger.
        total_usd: What there is to spend [USD].
    """
    rows = [_row(item, quantity, prices, bookings.get((item.phase, item.key))) for item, quantity in quantities.items()]
    for key, title in {OTHER: "Other jobs", STORED: "Storage as measured"}.items():
        if (None, key) in bookings:
            rows.append((title, "", "", "", "", "", _booked(bookings[None, key])))
    sums = _sums(quantities, prices, bookings, total_usd)
    return PlainTable(
        f"The first budget at today's prices ({prices.rate.as_of})",
        ("Item",),
        ("Quantity", "Hours are", "$ a unit", "Now", "First budget", "Booked"),
        (*rows, *sums),
        num_sums=len(sums),
    )


def _row(item: BudgetItem, quantity: Quantity, prices: Prices, booked: Booking | None) -> tuple[str, ...]:
    price = prices.of(item)
    told = "" if item.unit != "h" else f"measured ({quantity.num_measured})" if quantity.num_measured else "assumed"
    return (
        f"{item.phase}: {item.title}",
        f"{quantity.amount:.3g} {item.unit}",
        told,
        NONE if price is None else f"{price:.4g}",
        NONE if price is None else usd(price * quantity.amount),
        usd(item.usd),
        NONE if booked is None else _booked(booked),
    )


def _booked(booked: Booking) -> str:
    return f"{usd(booked.usd)} ({booked.hours:.2f} h)" if booked.hours else usd(booked.usd)


def _sums(
    quantities: Mapping[BudgetItem, Quantity], prices: Prices, bookings: Bookings, total_usd: float
) -> list[tuple[str, ...]]:
    """Of each phase, of all with the buffer, and what is left; of an unknown price nothing is summed."""
    sums, now, first, booked = [], 0.0, 0.0, 0.0
    for phase in dict.fromkeys(item.phase for item in quantities):
        own = [(item, quantity) for item, quantity in quantities.items() if item.phase == phase]
        phase_now = math.fsum((prices.of(item) or 0.0) * quantity.amount for item, quantity in own)
        phase_first = math.fsum(item.usd for item, _ in own)
        phase_booked = math.fsum(found.usd for place, found in bookings.items() if place[0] == phase)
        now, first, booked = now + phase_now, first + phase_first, booked + phase_booked
        sums.append(_sum_row(f"Phase {phase}", phase_now, phase_first, phase_booked, prices))
    booked += math.fsum(found.usd for (phase, _), found in bookings.items() if phase is None)
    all_now, all_first = now + PLANNED_BUFFER_USD, first + PLANNED_BUFFER_USD
    sums.append(("Buffer (experiments)", "", "", "", usd(PLANNED_BUFFER_USD), usd(PLANNED_BUFFER_USD), ""))
    sums.append(_sum_row("Total", all_now, all_first, booked, prices))
    left = f"Remaining (from {usd(total_usd)})"
    sums.append(_sum_row(left, total_usd - all_now, PLANNED_TOTAL_USD - all_first, total_usd - booked, prices))
    return sums


def _sum_row(name: str, now: float, first: float, booked: float, prices: Prices) -> tuple[str, ...]:
    shown = usd(now) if prices.rate.usd_per_hour is not None else "price unknown"
    return (name, "", "", "", shown, usd(first), usd(booked))


def budget_text(table: PlainTable, prices: Prices) -> str:
    """The table for a terminal, with what it takes for granted."""
    spot = f", less {prices.spot_saving:.0%} that Spot is expected to save" if prices.spot_saving else ", on demand"
    notes = [
        f"Price of an hour: {prices.rate}{spot}. Storage: {STORAGE.source}, as of {STORAGE.as_of}.",
        "Assumed hours are those of the first budget, for one training of each model. Phase 2 trains each model once a "
        "fold and each system once a seed: python -m flows.phase2 --dry-run --where sagemaker tells what that takes.",
        "Booked: what ended jobs of this run root's ledger cost. Trainings with weights or without a fold are Phase "
        "2's, others Phase 1's. Jobs that run here cost nothing.",
    ]
    return "\n".join([as_text([table]), *(textwrap.fill(note, TERMINAL_WIDTH) for note in notes)]) + "\n"


def planned_table(estimate: FlowEstimate) -> PlainTable | None:
    """A planned flow by the items of the first budget; ``None``: it is no flow of Phase 1 or 2."""
    phase = phase_of(each.job.kind for each in estimate.jobs)
    if phase is None:
        return None
    by_key = _by_key(estimate.jobs, phase)
    items = {item.key: item for item in items_of(phase)}
    rows = [
        _planned_row(items[key].title if key in items else "Other jobs", by_key[key], items.get(key)) for key in by_key
    ]
    everything = [each for jobs in by_key.values() for each in jobs]
    first_usd = math.fsum(item.usd for key, item in items.items() if key in by_key)
    sums = ("All", str(len(everything)), *_planned_amounts(everything), "", usd(first_usd))
    return PlainTable(
        f"Phase {phase} by the items of the first budget (storage left out); expected [low, high]",
        ("Item",),
        ("Jobs", "Hours", "USD", "First hours", "First USD"),
        (*rows, sums),
        num_sums=1,
    )


def _by_key(jobs: Sequence[JobEstimate], phase: Phase) -> dict[str, list[JobEstimate]]:
    """Jobs by item in the order of the budget; what Phase 1's budget does not have is other."""
    known = [item.key for item in items_of(phase)]
    found: dict[str, list[JobEstimate]] = {}
    for each in jobs:
        key = key_of(each.job.kind, each.job.label, each.job.model_kind)
        found.setdefault(key if key in known else OTHER, []).append(each)
    return {key: found[key] for key in (*known, OTHER) if key in found}


def _planned_row(title: str, jobs: Sequence[JobEstimate], item: BudgetItem | None) -> tuple[str, ...]:
    first = (f"{item.quantity:g}", usd(item.usd)) if item is not None else (NONE, NONE)
    return (title, str(len(jobs)), *_planned_amounts(jobs), *first)


def _planned_amounts(jobs: Sequence[JobEstimate]) -> tuple[str, str]:
    """Hours and money of those that are sent away; the others run here, at no price."""
    away = [each for each in jobs if each.job.machine is not None and not each.job.is_cached]
    if not away:
        return "here", usd(0.0)
    hours = _added([each.hours for each in away])
    has_price = all(each.has_price for each in away)
    return _span(hours), _span(_added([each.usd for each in away])) if has_price else "price unknown"


def _added(intervals: Sequence[Interval]) -> Interval:
    return Interval(*(math.fsum(getattr(each, end) for each in intervals) for end in ("low", "expected", "high")))


def _span(interval: Interval) -> str:
    return f"{interval.expected:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
