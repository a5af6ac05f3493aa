"""Estimates: sums of their jobs, wider where less is known, and every assumption named where it is used."""

from __future__ import annotations

import math
import statistics

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from tasks.aws.prices import Rate
from tasks.checkpoint_interval import advised_interval_seconds, repeated_seconds
from tasks.estimate_report import estimate_markdown, estimate_text
from tasks.estimates import ASSUMED_CPU_FACTOR, Source, estimate_flow, estimate_job
from tasks.measured_runs import Measurement
from tasks.planned_jobs import ASSUMED_SETUP_SECONDS, Assumptions, PlannedJob, PlannedMachine

T4 = "cuda Tesla T4 7.5"
GNN = "gnn gcn 256 4"
SETUP_HOURS = ASSUMED_SETUP_SECONDS / 3600
QUIET = Assumptions(interruptions_per_hour=0.0, spot_saving=0.6, checkpoint_interval_seconds=60.0)
STORMY = Assumptions(interruptions_per_hour=0.5, spot_saving=0.6, checkpoint_interval_seconds=60.0)


def machine(**fields):
    given = {"num_instances": 1, "num_ranks": 1, "use_spot": True, "max_run_seconds": 4 * 3600}
    rate = Rate(0.7364, "table of this package (a test); not asked", "2026-01-02", is_fallback=True)
    return PlannedMachine("ml.g4dn.xlarge", T4, **(given | {"rate": rate} | fields))


def planned(**fields):
    given = {"kind": "train", "label": "gnn_s42", "is_cached": False, "machine": machine(), "model_kind": "gnn"}
    return PlannedJob(**(given | {"model": GNN, "num_records": 21_854, "epochs": 100} | fields))


def measured(*seconds, model=GNN, device_class=T4, num_ranks=1):
    return [Measurement(model, device_class, num_ranks, each, 0.5) for each in seconds]


def test_without_measurements_the_planning_figures_are_taken_by_records_and_epochs():
    hours = estimate_job(planned(), QUIET).hours
    assert (hours.low, hours.expected, hours.high) == pytest.approx([2 + SETUP_HOURS, 4 + SETUP_HOURS, 8 + SETUP_HOURS])
    half = estimate_job(planned(num_records=10_927, epochs=100), QUIET).hours
    assert half.expected - SETUP_HOURS == pytest.approx(2)
    transformer = estimate_job(planned(model_kind="transformer", epochs=10), QUIET)
    assert transformer.hours.expected - SETUP_HOURS == pytest.approx(4)
    assert transformer.source is Source.ASSUMED


def test_assumed_hours_follow_the_size_of_the_model_and_measured_ones_do_not():
    full, tiny = estimate_job(planned(), QUIET), estimate_job(planned(relative_cost=0.02), QUIET)
    assert tiny.hours.expected - SETUP_HOURS == pytest.approx(0.02 * (full.hours.expected - SETUP_HOURS))
    runs = measured(0.01)
    assert estimate_job(planned(relative_cost=0.02), QUIET, runs).hours == estimate_job(planned(), QUIET, runs).hours


def test_an_instance_without_a_gpu_is_assumed_to_be_slower_which_is_told():
    cpu = PlannedMachine("ml.c5.xlarge", "cpu ml.c5", 1, 1, True, 14_400, Rate(0.204, "a test", "2026-01-02"))
    slow, fast = estimate_job(planned(machine=cpu), QUIET), estimate_job(planned(), QUIET)
    assert slow.hours.expected - SETUP_HOURS == pytest.approx(ASSUMED_CPU_FACTOR * (fast.hours.expected - SETUP_HOURS))
    assert "Without a GPU it takes 20 times as long" in estimate_text(estimate_flow([planned(machine=cpu)], QUIET))
    assert "Without a GPU" not in estimate_text(estimate_flow([planned()], QUIET))


def test_jobs_that_may_pass_the_longest_run_are_named():
    long = " ".join(estimate_text(estimate_flow([planned(), planned(label="other", epochs=99)], QUIET)).split())
    assert "Longer than max_run_seconds at the high hours: train gnn_s42 (up to 8.1 h) and 1 job more" in long
    assert "up to 3 in all" in long
    assert "max_run_seconds" not in estimate_text(estimate_flow([planned(relative_cost=0.02)], QUIET))


@pytest.mark.parametrize(
    ("remaining_usd", "told"), [(None, "counted as $0"), (5.0, "which leaves $5.00: it is refused")]
)
def test_a_price_that_is_unknown_is_said_in_row_and_conclusion(remaining_usd, told):
    unknown = machine(rate=Rate(None, "nobody knows it", "2026-01-02", is_fallback=True))
    text = estimate_text(estimate_flow([planned(machine=unknown)], QUIET, remaining_usd=remaining_usd))
    words = " ".join(text.split())
    assert text.count("price unknown") == 3  # in its row, in the sum, and among the assumptions
    assert "costing an unknown sum" in " ".join(
        estimate_text(estimate_flow([planned(machine=unknown)], STORMY, remaining_usd=remaining_usd)).split()
    )
    assert "the price of ml.g4dn.xlarge is unknown" in words
    assert told in words
    assert "Price of ml.g4dn.xlarge: price unknown, nobody knows it" in words


def test_money_is_hours_at_the_price_and_the_bound_is_the_longest_run_on_demand():
    spot = estimate_job(planned(), QUIET)
    assert spot.usd.expected == pytest.approx(spot.hours.expected * 0.7364 * 0.4)
    assert spot.bound_usd == pytest.approx(3 * 4 * 0.7364)  # 8 h at most, and the start: three times the longest run
    on_demand = estimate_job(planned(machine=machine(use_spot=False, num_instances=2)), STORMY)
    assert on_demand.usd.expected == pytest.approx(on_demand.hours.expected * 2 * 0.7364)
    assert on_demand.num_interruptions == on_demand.repeated_usd == 0
    assert on_demand.advised_interval_seconds is None


def test_interruptions_cost_half_an_interval_and_a_new_start_each():
    quiet, stormy = estimate_job(planned(), QUIET), estimate_job(planned(), STORMY)
    assert stormy.num_interruptions == pytest.approx(0.5 * quiet.hours.expected)
    lost_hours = stormy.num_interruptions * (30 + ASSUMED_SETUP_SECONDS) / 3600
    assert stormy.hours.expected == pytest.approx(quiet.hours.expected + lost_hours)
    assert stormy.repeated_usd == pytest.approx(lost_hours * 0.7364 * 0.4)
    twice = estimate_job(planned(machine=machine(num_instances=2)), STORMY)  # a job stops when one machine goes
    assert twice.num_interruptions == pytest.approx(2 * stormy.num_interruptions)


@pytest.mark.parametrize("other", [{"model": "gnn typed 256 4"}, {"device_class": "cpu ml.c5"}, {"num_ranks": 2}])
def test_nothing_is_concluded_from_another_model_device_or_number_of_ranks(other):
    assert estimate_job(planned(), QUIET, measured(0.001, **other)).source is Source.ASSUMED


def test_finished_runs_take_the_place_of_assumptions():
    found = estimate_job(planned(num_records=1000, epochs=36), QUIET, measured(0.1))
    assert (found.source, found.num_measured) == (Source.MEASURED, 1)
    assert found.hours.expected - SETUP_HOURS == pytest.approx(1.0)
    assert found.advised_interval_seconds is None


@given(st.lists(st.floats(1e-3, 0.1), min_size=1, max_size=8))
def test_the_interval_of_finished_runs_is_around_their_geometric_mean(seconds):
    hours = estimate_job(planned(num_records=36_000, epochs=100), QUIET, measured(*seconds)).hours
    low, expected, high = (value - SETUP_HOURS for value in (hours.low, hours.expected, hours.high))
    mean = math.prod(seconds) ** (1 / len(seconds)) * 1000
    assert expected == pytest.approx(mean)
    assert low <= expected * (1 + 1e-9)
    assert expected <= high * (1 + 1e-9)
    if len(seconds) > 2:
        # The interval of a next one by hand: t × sd of the logarithms × √(1 + 1/n).
        t = float(scipy.stats.t.ppf(0.975, len(seconds) - 1))
        spread = t * statistics.stdev(map(math.log, seconds)) * math.sqrt(1 + 1 / len(seconds))
        assert math.log(high / expected) == pytest.approx(spread, abs=1e-6)
    else:
        assert (low, high) == pytest.approx((min(seconds) * 670, max(seconds) * 1500))


def test_several_runs_say_more_than_one_and_one_more_than_an_assumption():
    widths = []
    for runs in ([0.0066], [0.0065, 0.0066, 0.0067, 0.0066], []):
        hours = estimate_job(planned(), QUIET, measured(*runs)).hours
        widths.append(hours.high / hours.low)
    several, one, assumed = widths[1], widths[0], widths[2]
    assert several < one < assumed


def test_finished_jobs_and_those_that_run_here_take_nothing():
    for job in (planned(is_cached=True), planned(machine=None)):
        found = estimate_job(job, STORMY)
        assert found.usd.high == found.bound_usd == found.hours.high == 0


JOBS = st.lists(
    st.builds(
        planned,
        is_cached=st.booleans(),
        kind=st.sampled_from(["train", "predict"]),
        num_records=st.none() | st.integers(1, 10**6),
        epochs=st.integers(1, 100),
        machine=st.none()
        | st.builds(machine, use_spot=st.booleans(), num_instances=st.integers(1, 3), max_run_seconds=st.just(10**7)),
    ),
    max_size=6,
)


@given(JOBS, st.floats(0, 1), st.sampled_from([(), (0.01,), (0.01, 0.03, 0.02)]))
def test_a_flow_is_the_sum_of_its_jobs_and_never_above_its_bound(jobs, per_hour, runs):
    assumptions = Assumptions(per_hour, 0.6, 60.0)
    flow = estimate_flow(jobs, assumptions, measurements=measured(*runs))
    assert len(flow.jobs) == len(jobs)
    for name in ("low", "expected", "high"):
        assert getattr(flow.usd, name) == pytest.approx(sum(getattr(each.usd, name) for each in flow.jobs))
    assert flow.usd.low <= flow.usd.expected <= flow.usd.high <= flow.bound_usd + 1e-9
    assert 0 <= flow.repeated_usd <= flow.usd.expected
    estimate_text(flow)


# -- checkpoints


def test_the_interval_is_the_one_of_young_and_daly_by_hand():
    assert advised_interval_seconds(2.0, 0.05) == pytest.approx(math.sqrt(2 * 2.0 * 72_000))


@given(st.floats(0.01, 100), st.floats(1e-3, 100))
def test_saving_takes_less_than_two_percent_and_no_interval_costs_less(checkpoint_seconds, per_hour):
    best = advised_interval_seconds(checkpoint_seconds, per_hour)
    assert checkpoint_seconds / best <= 0.02 + 1e-12

    def lost_share(interval_seconds):
        return checkpoint_seconds / interval_seconds + per_hour / 3600 * repeated_seconds(interval_seconds, 0)

    if best > checkpoint_seconds / 0.02 * (1 + 1e-9):  # not held up by the 2 %
        assert all(lost_share(best) <= lost_share(best * factor) for factor in (0.5, 0.9, 1.1, 2))


def test_without_interruptions_no_interval_is_advised():
    assert advised_interval_seconds(1.0, 0.0) is None
    assert advised_interval_seconds(1.0, 5e-324) is None


# -- for people


def test_the_text_shows_what_is_cached_what_it_costs_and_what_was_assumed():
    jobs = [
        planned(kind="preprocess", label="codexglue", is_cached=True),
        planned(),
        planned(kind="predict", label="p"),
    ]
    text = estimate_text(estimate_flow(jobs, STORMY, remaining_usd=50.0))
    assert max(map(len, text.splitlines())) <= 100
    words = " ".join(text.split())
    assert "3 jobs: 1 finished already, 2 to be sent to SageMaker." in words
    assert "assumed 4.27 [2.18, 8.45]" in words
    assert "(planned: 60 s)" in words
    assert "The budget leaves $50.00: it holds whatever happens." in words
    facts, assumptions = words.split("Assumptions, not facts:")
    assert "table of this package (a test); not asked; as of 2026-01-02" in assumptions  # a fallback is announced
    for said in ("gnn 4 h for 100 epochs", "Spot saves 60%", "0.5 times an hour", "300 s", "Young 1974"):
        assert said in assumptions
        assert said not in facts


def test_assumptions_that_were_not_used_are_not_told():
    measured_on_demand = estimate_flow([planned(machine=machine(use_spot=False))], STORMY, measurements=measured(0.01))
    text = estimate_text(measured_on_demand)
    assert "measured (1)" in text
    for unused in ("assumed:", "Spot saves", "Young"):
        assert unused not in text
    nothing = estimate_text(estimate_flow([planned(is_cached=True)], STORMY))
    assert "1 job: 1 finished already" in nothing
    assert "Price" not in nothing


@pytest.mark.parametrize(
    ("remaining_usd", "verdict"),
    [
        (None, "No budget is set"),
        (100, "holds whatever"),
        (6, "one after another"),
        (4.5, "may not hold"),
        (3, "does not"),
    ],
)
def test_the_budget_is_judged_with_the_reservation_of_a_launch(remaining_usd, verdict):
    # About $1.20 [0.61, 2.38], a launch reserves $2.95, and three of them bound it.
    assert verdict in estimate_text(estimate_flow([planned()], QUIET, remaining_usd=remaining_usd))


def test_markdown_has_the_same_rows():
    markdown = estimate_markdown(estimate_flow([planned()], STORMY))
    assert "all on ml.g4dn.xlarge Spot" in markdown
    assert "| train gnn\\_s42 | assumed |" in markdown
    assert "- Price of ml.g4dn.xlarge" in markdown
