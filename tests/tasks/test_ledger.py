"""The ledger: sums are those of its parts, the budget is never passed, whoever launches when; damage is told."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import BudgetExceeded, ObjectCorrupt
from tasks.aws.prices import Rate
from tasks.aws.settings import BudgetSettings
from tasks.ledger_entries import End, Launch, StorageMeasure, as_line, entry_of
from tasks.ledger_file import LEDGER_FILE, Ledger
from tasks.ledger_totals import MONTH_SECONDS, totals_of

ROOT = Path(__file__).resolve().parents[2]
RATE = Rate(0.72, "a test", "2026-01-02")  # 0.0002 USD/s
NO_LIMIT = BudgetSettings()


def launch(name="train-ab-cd-1", **fields):
    given = {
        "run_key": "ab" * 32,
        "kind": "train",
        "label": "gnn",
        "instance_type": "ml.g4dn.xlarge",
        "num_instances": 1,
        "use_spot": True,
        "max_run_seconds": 5000,
        "rate": RATE,
        "flow_run": "flow-1",
    }
    return Launch(name, **(given | fields))


def end(name="train-ab-cd-1", training=1000.0, billable=400.0, **fields):
    return End(name, "Completed", training, billable, **fields)


def lines(runs_path):
    return (runs_path / LEDGER_FILE).read_text().splitlines()


def test_an_attempt_costs_its_billable_seconds_and_spot_is_never_taken_off_twice(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.book_launch(launch(num_instances=2), NO_LIMIT)
    ledger.book_end(end(repeated_steps=50, seconds_per_step=2.0, num_interruptions=3))
    (attempt,) = ledger.totals().attempts
    assert attempt.spent_usd == pytest.approx(400 * 2 / 3600 * 0.72)
    assert attempt.on_demand_usd == pytest.approx(1000 * 2 / 3600 * 0.72)
    assert attempt.saved_usd == pytest.approx(600 * 2 / 3600 * 0.72)
    # 100 of its 1000 seconds were done again: a tenth of what it cost.
    assert attempt.repeated_usd == pytest.approx(attempt.spent_usd / 10)
    assert attempt.reserved_usd == 0
    assert ledger.totals().num_interruptions == 3


def test_an_open_launch_is_held_at_its_bound_which_for_spot_is_the_price_on_demand(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.book_launch(launch(num_instances=3), NO_LIMIT)
    totals = ledger.totals()
    assert (totals.spent_usd, totals.reserved_usd) == (0, pytest.approx(3 * 5000 / 3600 * 0.72))


def test_a_job_that_got_no_machine_frees_its_reservation_and_costs_nothing(tmp_path):
    ledger, budget = Ledger(tmp_path), BudgetSettings(total_usd=1.5)
    for _ in range(3):  # its name is free again, as no job was made
        ledger.book_launch(launch(), budget)
        ledger.book_end(End("train-ab-cd-1", "NotCreated", None, None))
    assert ledger.totals().spent_usd == ledger.totals().reserved_usd == 0
    assert len(ledger.totals().attempts) == 3


def test_without_billable_seconds_the_training_time_is_paid(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.book_launch(launch(use_spot=False), NO_LIMIT)
    ledger.book_end(end(billable=None))
    (attempt,) = ledger.totals().attempts
    assert attempt.spent_usd == pytest.approx(0.2)
    assert attempt.saved_usd == 0


def test_booking_again_changes_nothing(tmp_path):
    ledger = Ledger(tmp_path)
    for _ in range(2):
        ledger.book_launch(launch(), NO_LIMIT)
    for _ in range(2):
        ledger.book_end(end())
    assert len(lines(tmp_path)) == 2


def test_the_end_of_a_job_of_another_run_root_is_kept_and_costs_nothing_here(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.book_end(end("train-elsewhere"))
    totals = ledger.totals()
    assert [each.job_name for each in totals.unknown_ends] == ["train-elsewhere"]
    assert totals.spent_usd == 0


def test_a_launch_that_could_pass_the_budget_is_refused_and_nothing_is_booked(tmp_path):
    ledger, budget = Ledger(tmp_path), BudgetSettings(total_usd=2.5, buffer_usd=0.4)
    ledger.book_launch(launch("a"), budget)
    with pytest.raises(BudgetExceeded, match=r"b \(2 × ml.g4dn.xlarge.*\$2.00, and the budget leaves \$1.10") as caught:
        ledger.book_launch(launch("b", num_instances=2), budget)
    assert caught.value.bound_usd == pytest.approx(2.0)
    assert caught.value.remaining_usd == pytest.approx(1.1)
    assert len(lines(tmp_path)) == 1
    ledger.book_end(end("a"))
    ledger.book_launch(launch("b", num_instances=2), budget)  # what a did not use is free again


def test_storage_counts_against_the_budget(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.book_storage("s3://b/p", 100 * 2**30, 0.023, "2026-01-02")
    with pytest.raises(BudgetExceeded, match=r"leaves \$0.70"):
        ledger.book_launch(launch(), BudgetSettings(total_usd=3.0))


def test_storage_is_what_was_kept_between_measures_and_a_month_ahead():
    small = StorageMeasure("s3://b/p", 2**30, 1, 0.02, "2026-01-02", time_seconds=1e9)
    large = replace(small, size_bytes=5 * 2**30, time_seconds=1e9 + MONTH_SECONDS / 2)
    other = replace(small, prefix="s3://b/q")
    assert totals_of([small]).storage_usd == pytest.approx(0.02)
    assert totals_of([small, large]).storage_usd == pytest.approx(0.02 / 2 + 0.1)
    assert totals_of([small, other]).storage_usd == pytest.approx(0.04)


def test_on_demand_instead_of_spot_is_dearer_by_what_spot_saved_here(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.book_launch(launch("a", use_spot=False, instead_of_spot=True), NO_LIMIT)
    ledger.book_end(end("a", billable=1000.0))
    assert ledger.totals().dearer_usd is None  # no Spot job has shown what it saves
    ledger.book_launch(launch("b"), NO_LIMIT)
    ledger.book_end(end("b"))
    assert ledger.totals().spot_saving == pytest.approx(0.6)
    assert ledger.totals().dearer_usd == pytest.approx(0.2 * 0.6)


def test_a_flow_run_is_summed_alone_and_without_storage(tmp_path):
    ledger = Ledger(tmp_path)
    for number, flow_run in enumerate(["x", "x", "y", None]):
        ledger.book_launch(launch(f"j{number}", flow_run=flow_run), NO_LIMIT)
        ledger.book_end(end(f"j{number}"))
    ledger.book_storage("s3://b/p", 2**30, 0.023, "2026-01-02")
    assert [len(ledger.totals(flow_run).attempts) for flow_run in ("x", "y", None)] == [2, 1, 4]
    assert ledger.totals("x").spent_usd == pytest.approx(0.16)
    assert ledger.totals().spent_usd == pytest.approx(4 * 0.08 + 0.023)


# -- the file


def test_a_last_line_without_its_end_is_left_out_and_written_over(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.book_launch(launch("a"), NO_LIMIT)
    path = tmp_path / LEDGER_FILE
    path.write_bytes(path.read_bytes() + as_line(launch("b"))[:50])
    assert len(ledger.entries()) == 1
    ledger.book_launch(launch("c"), NO_LIMIT)
    assert [each.job_name for each in ledger.entries()] == ["a", "c"]


@pytest.mark.parametrize(
    "damage",
    [
        b"{",
        b"[1]",
        b'{"entry": "gift"}',
        b'{"entry": "end"}',
        as_line(launch()).replace(b'"rate": {', b'"rate": {"x": 1, '),
    ],
)
def test_a_damaged_line_is_told_by_its_number_and_stops_launches(tmp_path, damage):
    ledger = Ledger(tmp_path)
    ledger.book_launch(launch("a"), NO_LIMIT)
    ledger.book_launch(launch("b"), NO_LIMIT)
    first, second = lines(tmp_path)
    (tmp_path / LEDGER_FILE).write_bytes(f"{first}\n".encode() + damage + f"\n{second}\n".encode())
    with pytest.raises(ObjectCorrupt, match=r"ledger.jsonl:2"):
        ledger.totals()
    with pytest.raises(ObjectCorrupt, match=r"ledger.jsonl:2"):
        ledger.book_launch(launch("c"), NO_LIMIT)


def test_a_rate_that_is_none_is_damage():
    told = json.loads(as_line(launch())) | {"rate": 3}
    with pytest.raises(ObjectCorrupt, match=r"ledger\.jsonl:7"):
        entry_of(json.dumps(told).encode(), "ledger.jsonl:7")


@pytest.mark.parametrize(
    "entry", [launch(flow_run=None), end(), StorageMeasure("s3://b/p", 1, 1, 0.02, "2026-01-02")], ids=type
)
def test_what_is_written_is_read(entry):
    assert entry_of(as_line(entry), "here") == entry


# -- many at once


def test_threads_never_pass_the_budget_together(tmp_path):
    budget = BudgetSettings(total_usd=10.5, buffer_usd=0.4)

    def book(number):
        try:
            Ledger(tmp_path).book_launch(launch(f"j{number}"), budget)
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        accepted = sum(threads.map(book, range(50)))
    assert accepted == 10  # of $1 each, and not one less
    assert Ledger(tmp_path).totals().remaining_usd(budget) == pytest.approx(0.1)


BOOK = """
import sys
from pathlib import Path
from models.errors import BudgetExceeded
from tasks.aws.prices import Rate
from tasks.aws.settings import BudgetSettings
from tasks.ledger import End, Launch, Ledger
ledger, who = Ledger(Path(sys.argv[1])), sys.argv[2]
rate, budget = Rate(0.72, "a test", "2026-01-02"), BudgetSettings(total_usd=20.0)
sys.stdin.readline()
for number in range(25):
    name = f"{who}-{number}"
    try:
        ledger.book_launch(Launch(name, who, "train", "x", "ml.m5.xlarge", 1, True, 5000, rate), budget)
    except BudgetExceeded:
        continue
    assert ledger.totals().remaining_usd(budget) > -1e-9
    if number % 2:
        ledger.book_end(End(name, "Completed", 2500.0, 2500.0))
"""


def test_processes_never_pass_the_budget_together_and_lose_no_line(tmp_path):
    processes = [
        subprocess.Popen([sys.executable, "-c", BOOK, tmp_path, who], cwd=ROOT, stdin=subprocess.PIPE, text=True)
        for who in ("a", "b", "c")
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    for process in processes:
        process.stdin.close()
    totals, budget = Ledger(tmp_path).totals(), BudgetSettings(total_usd=20.0)
    assert len(lines(tmp_path)) == len(totals.attempts) + sum(attempt.end is not None for attempt in totals.attempts)
    assert -1e-9 < totals.remaining_usd(budget) < 3.0


# -- whatever is booked

NAMES = st.sampled_from([f"j{number}" for number in range(6)])
SECONDS = st.floats(0, 5000)
BOOKINGS = st.lists(
    st.one_of(
        st.builds(
            launch,
            NAMES,
            num_instances=st.integers(1, 3),
            kind=st.sampled_from(["train", "predict"]),
            run_key=st.sampled_from(["k1", "k2"]),
            use_spot=st.booleans(),
        ),
        st.builds(
            lambda name, seconds, share, steps: end(name, seconds, seconds * share, repeated_steps=steps),
            NAMES,
            SECONDS,
            st.floats(0, 1),
            st.integers(0, 9),
        ),
    ),
    max_size=25,
)


def booked(runs_path, bookings, budget):
    """Books all; gives how many launches were refused."""
    ledger, num_refused = Ledger(runs_path), 0
    for booking in bookings:
        if isinstance(booking, End):
            ledger.book_end(booking)
            continue
        try:
            ledger.book_launch(booking, budget)
        except BudgetExceeded:
            num_refused += 1
    return ledger, num_refused


@settings(max_examples=40)
@given(bookings=BOOKINGS, total_usd=st.floats(1, 12))
def test_remaining_is_never_below_nothing_whatever_is_launched_and_ended(bookings, total_usd, tmp_path_factory):
    budget = BudgetSettings(total_usd=total_usd, buffer_usd=0.5)
    ledger, num_refused = booked(tmp_path_factory.mktemp("runs"), bookings, budget)
    totals = ledger.totals()
    assert totals.remaining_usd(budget) >= -1e-9
    assert totals.spent_usd + totals.reserved_usd <= total_usd - 0.5 + 1e-9
    if num_refused:
        assert totals.remaining_usd(budget) < 12


@settings(max_examples=40)
@given(bookings=BOOKINGS, data=st.data())
def test_totals_are_sums_of_their_parts_in_any_order(bookings, data, tmp_path_factory):
    ledger, _ = booked(tmp_path_factory.mktemp("runs"), bookings, NO_LIMIT)
    for size in (3, 9):
        ledger.book_storage("s3://b/p", size * 2**30, 0.023, "2026-01-02")
    entries = list(ledger.entries())
    totals = totals_of(entries)
    for parts in (totals.by_kind(), totals.by_run()):
        assert sum(len(part.attempts) for part in parts.values()) == len(totals.attempts)
        for name in ("attempts_usd", "saved_usd", "repeated_usd", "reserved_usd", "num_interruptions"):
            assert sum(getattr(part, name) for part in parts.values()) == pytest.approx(getattr(totals, name))
    assert totals.spent_usd == pytest.approx(totals.attempts_usd + totals.storage_usd)
    shuffled = totals_of(data.draw(st.permutations(entries)))
    assert (shuffled.attempts, shuffled.storage) == (totals.attempts, totals.storage)
    assert shuffled.spent_usd == totals.spent_usd  # to the last bit
