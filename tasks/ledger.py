"""What training jobs and storage of a run root cost, and what a budget leaves.

    python -m tasks.ledger report [--flow-run ID] [--format text|json|markdown] [--total USD --buffer USD]
    python -m tasks.ledger settle [--region REGION] [--credentials-block NAME]
    python -m tasks.ledger storage --store s3://BUCKET/PREFIX
    python -m tasks.ledger budget [--phase 1|2] [--total USD]

``report`` shows the ledger; ``settle`` asks SageMaker about jobs that have no end there, and books those that have
ended; ``storage`` measures a prefix of S3 and books it; ``budget`` holds the project's first budget against today's
prices and what was booked. Jobs book themselves while a flow watches them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, model_validator

from models.errors import EXIT_DONE, EXIT_REFUSED
from models.settings.command_line import parse_settings
from models.settings.fields import INCIDENTAL, Settings
from models.settings.train import CheckpointSettings
from models.store.s3 import S3Uri
from tasks.aws.instances import machine_of
from tasks.aws.price_table import STORAGE
from tasks.aws.prices import on_demand_rate
from tasks.aws.session import open_session
from tasks.aws.settings import BudgetSettings, S3Location, SageMakerSettings
from tasks.aws.training_api import TrainingApi
from tasks.budget_bookings import bookings_of
from tasks.budget_items import PLANNED_TOTAL_USD, items_of
from tasks.budget_table import Prices, budget_table, budget_text, quantity_of
from tasks.estimates import ASSUMED_ON
from tasks.ledger_entries import End, Launch
from tasks.ledger_file import Ledger
from tasks.ledger_json import cost_json
from tasks.ledger_report import cost_markdown, cost_text, usd
from tasks.ledger_settling import settle_open
from tasks.ledger_totals import open_launches
from tasks.measured_runs import measured_runs
from tasks.planned_jobs import Assumptions, PlannedMachine
from tasks.program import run_program
from tasks.store_size import measure_store

__all__ = ["End", "Launch", "Ledger", "cost_markdown", "main"]
ENVIRONMENT = {"CODEWARDEN_RUNS": "runs"}
"""The only variables that are read, beside those of AWS."""
BUDGET_FLAGS = {"total": "budget.total_usd", "buffer": "budget.buffer_usd"}


class ReportSettings(Settings):
    """Show what was spent: attempts, kinds, storage, and the budget."""

    runs: Annotated[Path, INCIDENTAL] = Path("runs")
    """The run root."""
    flow_run: Annotated[str | None, INCIDENTAL] = None
    """Only jobs of this flow run (its id); empty: all, and storage."""
    format: Annotated[Literal["text", "json", "markdown"], INCIDENTAL] = "text"
    """How it is printed."""
    budget: BudgetSettings = BudgetSettings()
    """What to hold the sums against; without a total: the budget that the newest launch was held against."""

    @model_validator(mode="after")
    def _buffer_of_a_total(self) -> ReportSettings:
        if self.budget.buffer_usd and self.budget.total_usd is None:
            raise ValueError("budget.buffer_usd is part of a total; give budget.total_usd (--total) too")
        return self


class StorageSettings(Settings):
    """Measure what lies under a prefix of S3, and book what it costs."""

    store: Annotated[S3Location, INCIDENTAL]
    """The prefix, such as s3://bucket/codewarden; always the same one, or parts are counted twice."""
    runs: Annotated[Path, INCIDENTAL] = Path("runs")
    """The run root whose ledger it is booked in."""
    region: Annotated[str | None, INCIDENTAL] = None
    """AWS region of the bucket; empty: that of the standard chain."""
    usd_per_gb_month: Annotated[PositiveFloat, INCIDENTAL] = STORAGE.usd_per_gb_month
    """Price of keeping 2^30 bytes for a month [USD]."""


class SettleSettings(Settings):
    """Book the ends of training jobs that nobody watches any more."""

    runs: Annotated[Path, INCIDENTAL] = Path("runs")
    """The run root whose ledger it is."""
    region: Annotated[str | None, INCIDENTAL] = None
    """AWS region of the jobs; empty: that of the block or of the standard chain."""
    credentials_block: Annotated[str | None, INCIDENTAL] = None
    """Prefect block (aws-credentials) to speak to AWS with; empty: the standard chain."""


class FirstBudgetSettings(Settings):
    """Show the project's first budget at today's prices, beside what was booked."""

    runs: Annotated[Path, INCIDENTAL] = Path("runs")
    """The run root."""
    phase: Annotated[Literal["1", "2"] | None, INCIDENTAL] = None
    """Only this phase; empty: both."""
    instance_type: Annotated[str, INCIDENTAL] = ASSUMED_ON
    """Instance type that hours are priced by."""
    region: Annotated[str, INCIDENTAL] = "us-east-1"
    """AWS region of the prices."""
    use_spot: Annotated[bool, INCIDENTAL] = True
    """Price hours as managed Spot, with spot_saving."""
    spot_saving: Annotated[float, Field(ge=0, lt=1), INCIDENTAL] = SageMakerSettings().spot_saving
    """Expected share saved by Spot."""
    total: Annotated[PositiveFloat, INCIDENTAL] = PLANNED_TOTAL_USD
    """What there is to spend [USD]."""


def report(settings: ReportSettings) -> str:
    """The ledger as text, JSON or markdown.

    Raises:
        ObjectCorrupt: A line of the ledger is damaged; names it. Not retried.
    """
    formats = {"text": cost_text, "json": cost_json, "markdown": cost_markdown}
    budget = settings.budget if settings.budget.total_usd is not None else None
    return formats[settings.format](Ledger(settings.runs.resolve()).entries(), settings.flow_run, budget)


def book_measured_storage(settings: StorageSettings, client: Any) -> str:
    """Measure and book; gives a line about it.

    Raises:
        CloudRefused: No rights, or no such bucket. Not retried.
        StoreUnavailable: S3 does not answer, or the ledger's disk. Retried.
    """
    uri = S3Uri.parse(settings.store)
    size = measure_store(uri, client)
    given = settings.usd_per_gb_month != STORAGE.usd_per_gb_month
    as_of = time.strftime("%Y-%m-%d", time.gmtime()) if given else STORAGE.as_of
    booked = Ledger(settings.runs.resolve()).book_storage(
        str(uri), size.size_bytes, settings.usd_per_gb_month, as_of, num_objects=size.num_objects
    )
    source = "as given" if given else f"{STORAGE.source}, as of {as_of}"
    return (
        f"{uri}: {size.num_objects} objects, {size.size_bytes / 2**30:.3f} GB, {usd(booked.usd_per_month)} a month "
        f"(${settings.usd_per_gb_month:g} per GB-month, {source}); booked\n"
    )


def settle(settings: SettleSettings) -> str:
    """Ask about open launches and book what has ended; gives a line about it, and asks nobody where none is open.

    Raises:
        CloudRefused: No credentials, or no rights. Not retried.
        StoreUnavailable: SageMaker does not answer, or the ledger's disk. Retried.
    """
    ledger = Ledger(settings.runs.resolve())
    num_open = len(open_launches(ledger.entries()))
    if not num_open:
        return "no launch is open\n"
    place = SageMakerSettings.model_validate(
        {"region": settings.region, "credentials_block": settings.credentials_block}
    )
    client = open_session(place).client("sagemaker")
    num_settled = settle_open(ledger, TrainingApi(client, client).describe)
    return f"{num_settled} of {num_open} open launches have ended, and are booked\n"


def first_budget(settings: FirstBudgetSettings) -> str:
    """The first budget's items at today's prices; AWS is not asked: what it told before, or the table of the package.

    Raises:
        SettingsInvalid: Such an instance is not known. Not retried.
        ObjectCorrupt: A line of the ledger is damaged; names it. Not retried.
        DataInvalid: A file of a finished run cannot be read; names it. Not retried.
    """
    runs_path = settings.runs.resolve()
    ledger = Ledger(runs_path)
    entries = ledger.entries()
    saving = settings.spot_saving if settings.use_spot else 0.0
    rate = on_demand_rate(settings.instance_type, settings.region, runs_path=runs_path)
    machine = PlannedMachine(
        instance_type=settings.instance_type,
        device_class=machine_of(settings.instance_type).device_class,
        num_instances=1,
        num_ranks=1,
        use_spot=settings.use_spot,
        max_run_seconds=SageMakerSettings().max_run_seconds,
        rate=rate,
    )
    assumed = Assumptions(SageMakerSettings().interruptions_per_hour, saving, CheckpointSettings().every_seconds)
    measured = measured_runs(runs_path, entries)
    quantities = {item: quantity_of(item, machine, assumed, measured) for item in items_of(settings.phase)}
    prices = Prices(rate, saving)
    table = budget_table(quantities, prices, bookings_of(ledger.totals(), runs_path), total_usd=settings.total)
    return budget_text(table, prices)


def main(argv: Sequence[str] | None = None) -> int:
    """The program; gives the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments[0] if arguments else ""
    if command == "report":
        given = parse_settings(
            ReportSettings,
            arguments[1:],
            prog="python -m tasks.ledger report",
            aliases=BUDGET_FLAGS,
            environment=ENVIRONMENT,
        )
        return run_program(lambda: report(given))
    if command == "storage":
        asked = parse_settings(
            StorageSettings, arguments[1:], prog="python -m tasks.ledger storage", environment=ENVIRONMENT
        )
        return run_program(lambda: book_measured_storage(asked, _s3_client(asked)))
    if command == "settle":
        wanted = parse_settings(
            SettleSettings, arguments[1:], prog="python -m tasks.ledger settle", environment=ENVIRONMENT
        )
        return run_program(lambda: settle(wanted))
    if command == "budget":
        first = parse_settings(
            FirstBudgetSettings, arguments[1:], prog="python -m tasks.ledger budget", environment=ENVIRONMENT
        )
        return run_program(lambda: first_budget(first))
    wants_help = command in ("-h", "--help")
    (sys.stdout if wants_help else sys.stderr).write(f"{__doc__}\n")
    return EXIT_DONE if wants_help else EXIT_REFUSED


def _s3_client(settings: StorageSettings) -> Any:
    return open_session(SageMakerSettings.model_validate({"store": settings.store, "region": settings.region})).client(
        "s3"
    )


if __name__ == "__main__":
    sys.exit(main())
