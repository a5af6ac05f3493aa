"""The first budget at today's prices: its own figures reproduced, today's computed, bookings at their item once."""

from __future__ import annotations

import json
import math
import re

import pytest

from models.jobs.registry import ENTRY_MODULES
from tasks.aws.price_table import STORAGE
from tasks.aws.prices import Rate
from tasks.aws.settings import BudgetSettings
from tasks.budget_bookings import bookings_of
from tasks.budget_items import ITEMS, KINDS, OTHER, STORED, items_of, key_of, phase_of
from tasks.budget_table import Prices, Quantity, budget_table, budget_text, planned_table, quantity_of
from tasks.estimates import ASSUMED_RECORDS, estimate_flow
from tasks.ledger import End, Launch, Ledger, main
from tasks.measured_runs import Measurement
from tasks.planned_jobs import ASSUMED_SETUP_SECONDS, Assumptions, PlannedJob, PlannedMachine

RATE = Rate(0.7364, "table of this package (a test); not asked", "2026-01-02", is_fallback=True)
T4 = "cuda Tesla T4 7.5"
MACHINE = PlannedMachine("ml.g4dn.xlarge", T4, 1, 1, True, 14_400, RATE)
QUIET = Assumptions(interruptions_per_hour=0.0, spot_saving=0.6, checkpoint_interval_seconds=60.0)
PRICES = Prices(RATE, 0.6)
ASSUMED = {item: Quantity(item.quantity) for item in ITEMS}


def cells(text, head):
    line = next(line for line in text.splitlines() if line.strip().startswith(head))
    return re.split(r"\s{2,}", line.strip())


def test_the_first_budget_is_reproduced_to_the_cent():
    for phase, usd in (("1", 1.37), ("2", 2.80)):
        assert math.fsum(item.usd for item in items_of(phase)) == pytest.approx(usd)
    for item in ITEMS:
        first_price = 0.20 if item.unit == "h" else STORAGE.usd_per_gb_month
        assert item.usd == pytest.approx(first_price * item.quantity, abs=0.0051)
    rows = {row[0]: row for row in budget_table(ASSUMED, PRICES, {}).rows}
    assert rows["Total"][5] == "$5.66"
    assert rows["Remaining (from $100.00)"][5] == "$94.34"


def test_today_is_quantity_times_the_price_of_today_less_what_spot_saves():
    rows = {row[0]: row for row in budget_table(ASSUMED, PRICES, {}).rows}
    hour = 0.7364 * 0.4
    assert rows["2: GNN retrain"][1:5] == ("5 h", "assumed", f"{hour:.4g}", f"${5 * hour:.2f}")
    assert rows["1: S3 Storage (data)"][1:5] == ("5 GB-month", "", "0.023", "$0.11")
    assert rows["Phase 2"][4] == f"${14 * hour:.2f}"
    assert rows["Total"][4] == f"${20 * hour + 7 * 0.023 + 1.49:.2f}"
    on_demand = {row[0]: row for row in budget_table(ASSUMED, Prices(RATE, 0.0), {}).rows}
    assert on_demand["2: GNN retrain"][4] == f"${5 * 0.7364:.2f}"


def test_an_unknown_price_is_said_and_never_summed():
    unknown = Prices(Rate(None, "nobody knows it", "2026-01-02", is_fallback=True), 0.6)
    rows = {row[0]: row for row in budget_table(ASSUMED, unknown, {}).rows}
    assert rows["2: GNN retrain"][3:5] == ("–", "–")
    assert rows["Total"][4] == "price unknown"


def measured(*seconds, model="gnn gcn 256 4", device_class=T4):
    return [Measurement(model, device_class, 1, each, 0.5) for each in seconds]


def test_hours_of_finished_runs_take_the_place_of_the_planned_ones_and_grow_with_the_phase():
    first, second = (next(i for i in ITEMS if (i.phase, i.key) == (phase, "gnn")) for phase in "12")
    runs = [
        *measured(0.001, 0.001, 0.001),
        *measured(9.0, model="gnn rgcn 64 2"),
        *measured(1.0, model="transformer x"),
    ]
    found = quantity_of(first, MACHINE, QUIET, runs)
    setup = ASSUMED_SETUP_SECONDS / 3600
    assert found.num_measured == 3
    assert found.amount == pytest.approx(0.001 * ASSUMED_RECORDS * 100 / 3600 + setup)
    more = quantity_of(second, MACHINE, QUIET, runs).amount
    assert (more - setup) / (found.amount - setup) == pytest.approx(5 / 4, rel=1e-3)
    assert quantity_of(first, MACHINE, QUIET, measured(0.001, device_class="cpu ml.c5")) == Quantity(4)
    rows = {row[0]: row for row in budget_table({first: found}, PRICES, {}).rows}
    assert rows["1: GNN (SageMaker)"][2] == "measured (3)"


def test_storage_and_other_items_keep_their_quantity_whatever_was_measured():
    for item in ITEMS:
        if item.key not in ("gnn", "transformer"):
            assert quantity_of(item, MACHINE, QUIET, measured(0.1)) == Quantity(item.quantity)


@pytest.mark.parametrize("kind", sorted(ENTRY_MODULES))
def test_every_kind_of_job_is_known(kind):
    retrieval = ("balance", "pairs", "candidates", "embed", "mine", "retrieve", "score", "boost", "judge", "export")
    known = {"train": "transformer"} | dict.fromkeys(("findings", "rank", *retrieval), OTHER)
    assert key_of(kind, "label") == (known[kind] if kind in known else KINDS[kind])
    planned = [PlannedJob(kind=kind, label="label", is_cached=False, machine=MACHINE)]
    assert estimate_flow(planned, QUIET).usd.expected > 0


def test_trainings_are_told_apart_by_their_label():
    assert key_of("train", "gnn_lr0.001_s42") == "gnn"
    assert key_of("train", "roberta2x64_lr0.001_s42_without_fold3", "transformer") == "noise"
    assert key_of("train", "CodeBERT_s1") == "transformer"


def test_phases_are_told_by_their_kinds():
    assert phase_of(["preprocess", "train", "predict", "evaluate"]) == "1"
    assert phase_of(["collect", "preprocess", "train"]) == "2"
    assert phase_of(["findings", "train", "rank"]) is None
    assert phase_of(["preprocess"]) is None


def launch(name, key, **fields):
    given = {"kind": "train", "label": f"gnn_{key}", "instance_type": "ml.g4dn.xlarge", "num_instances": 2}
    given |= {"use_spot": True, "max_run_seconds": 14400, "rate": RATE, "flow_run": "amber-fox"}
    return Launch(name, key.ljust(20, "0"), **(given | fields))


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path)
    settings = {"weighted": {"weights": "w", "model": {"kind": "transformer"}}, "plain": {"model": {"kind": "gnn"}}}
    settings |= {"stage": {"model": {"kind": "transformer"}, "train_data": "/runs/findings/a/b/train.jsonl"}}
    for key, content in settings.items():
        path = tmp_path / "train" / f"label-{key.ljust(12, '0')}" / "01234567"
        path.mkdir(parents=True)
        (path / "settings.json").write_text(json.dumps(content))
    labels = {"weighted": "x_s1", "plain": "gnn_s1", "stage": "codet5p_s1", "fold": "gnn_s42_without_fold0"}
    for key, label in labels.items():
        ledger.book_launch(launch(key, key, label=label), BudgetSettings())
        ledger.book_end(End(key, "Completed", 7200.0, 3600.0))
    ledger.book_launch(launch("open", "open"), BudgetSettings())
    ledger.book_launch(launch("p", "p", kind="predict", label="test"), BudgetSettings())
    ledger.book_end(End("p", "Completed", 1800.0, 1800.0))
    ledger.book_storage("s3://bucket/codewarden", 7 * 2**30, 0.023, "2026-01-02")
    return ledger


def test_each_ended_job_is_booked_at_one_item_and_nothing_is_lost(ledger, tmp_path):
    totals = ledger.totals()
    found = bookings_of(totals, tmp_path)
    assert set(found) == {
        ("2", "transformer"), ("1", "gnn"), (None, OTHER), ("2", "noise"), ("2", "evaluation"), (None, STORED),
    }  # fmt: skip
    assert found["2", "noise"].hours == 2.0
    assert found["2", "noise"].usd == pytest.approx(2 * 0.7364)
    assert math.fsum(each.usd for each in found.values()) == pytest.approx(totals.spent_usd)


def test_the_command_prints_items_bookings_and_what_they_rest_on(capsys, ledger, tmp_path):
    assert main(["budget", "--runs", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    assert cells(text, "1: GNN")[-1] == "$1.47 (2.00 h)"
    assert cells(text, "Storage as measured")[-1] == "$0.16"
    assert cells(text, "Other jobs")[-1] == "$1.47 (2.00 h)"
    assert "table of this package" in text
    assert "less 60% that Spot is expected to save" in " ".join(text.split())
    assert main(["budget", "--runs", str(tmp_path), "--phase", "1", "--no-use-spot"]) == 0
    only = capsys.readouterr().out
    assert "2: " not in only
    assert "on demand" in only


def test_a_machine_that_is_not_known_is_refused_in_a_line(capsys, tmp_path):
    assert main(["budget", "--runs", str(tmp_path), "--instance-type", "ml.no.such"]) == 2
    assert capsys.readouterr().err.startswith("SettingsInvalid: ")


def job(kind, label="x", model_kind="", *, away=True, cached=False):
    machine = MACHINE if away else None
    return PlannedJob(kind, label, cached, machine, model_kind=model_kind, model=model_kind, epochs=5)


def test_a_planned_flow_is_told_by_the_items_of_its_phase():
    jobs = [
        job("collect", away=False),
        job("folds", away=False),
        job("train", "gnn_without_fold0", "gnn"),
        job("train", "gnn_s1", "gnn"),
        job("train", "gnn_s2", "gnn"),
        job("train", "gnn_s3", "gnn", cached=True),
        job("compare", away=False),
    ]
    estimate = estimate_flow(jobs, QUIET)
    table = planned_table(estimate)
    rows = {row[0]: row for row in table.rows}
    assert [row[0] for row in table.rows] == [
        "Data preprocessing", "Noise reduction", "GNN retrain", "Evaluation (5 seeds)", "All",
    ]  # fmt: skip
    assert rows["GNN retrain"][1] == "3"
    assert rows["GNN retrain"][2].startswith(f"{2 * estimate.jobs[3].hours.expected:.2f} [")
    assert rows["Evaluation (5 seeds)"][1:4] == ("1", "here", "$0.00")
    assert rows["All"][2].startswith(f"{estimate.hours.expected:.2f} [")
    assert rows["All"][5] == "$2.00"


def test_a_flow_of_phase_1_shows_what_its_budget_did_not_have_as_other_and_stages_show_nothing():
    flow = [job("preprocess", away=False), job("train", "gnn_s1", "gnn"), job("predict", away=False), job("evaluate")]
    rows = {row[0]: row for row in planned_table(estimate_flow(flow, QUIET)).rows}
    assert list(rows) == ["GNN (SageMaker)", "Other jobs", "All"]
    assert rows["Other jobs"][-2:] == ("–", "–")
    assert planned_table(estimate_flow([job("findings", away=False), job("train")], QUIET)) is None


def test_the_text_says_what_hours_are(tmp_path):
    assert "one training of each model" in " ".join(budget_text(budget_table(ASSUMED, PRICES, {}), PRICES).split())
