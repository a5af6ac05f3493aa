"""Chains of jobs side by side: never more than the slots, each as fast as it can, none lost to another's failure."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import CodewardenError, JobCrashed, JobRefused
from tasks.slots import run_chains
from tasks.supervision import SupervisorEnding


class Job:
    """Settings of a job, as far as these tests need them."""

    def __init__(self, name: str) -> None:
        self.name = name


class Hand:
    """Starts jobs and ends them when told to, in the order that ``choose`` says; remembers what happened."""

    def __init__(self, failing=()):
        self.failing = dict(failing)
        self.running: dict[str, Future] = {}
        self.most = 0
        self.log: list[str] = []
        self.changed = threading.Condition()

    def submit(self, job, after):
        assert all(future.done() for future in after)
        with self.changed:
            self.running[job.name] = Future()
            self.most = max(self.most, len(self.running))
            self.log.append(f"+{job.name}")
            self.changed.notify_all()
            return self.running[job.name]

    def end(self, name):
        with self.changed:
            assert self.changed.wait_for(lambda: name in self.running, timeout=5), f"{name} was not started"
            future = self.running.pop(name)
            self.log.append(f"-{name}")
        if name in self.failing:
            future.set_exception(self.failing[name])
        else:
            future.set_result(name)


def chain(name, num_jobs, heard):
    for number in range(num_jobs):
        heard.append((yield Job(f"{name}{number}")))
    return f"result of {name}"


def run(hand, lengths, num_slots, heard=None):
    chains = {name: chain(name, num_jobs, [] if heard is None else heard) for name, num_jobs in lengths.items()}
    return run_chains(chains, hand.submit, num_slots=num_slots).of_all()


def in_thread(function, *arguments):
    """Runs beside the test, which ends the jobs; gives a future of what comes out."""
    outcome: Future = Future()

    def work():
        try:
            outcome.set_result(function(*arguments))
        except (CodewardenError, ValueError) as error:
            outcome.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return outcome


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.integers(1, 4), st.randoms(use_true_random=False))
def test_any_chains_in_any_number_of_slots_end_with_their_results_in_order(lengths, num_slots, random):
    hand, named = Hand(), {f"chain{at}-": length for at, length in enumerate(lengths)}
    outcome = in_thread(run, hand, named, num_slots)
    for _ in range(sum(lengths)):
        with hand.changed:
            assert hand.changed.wait_for(lambda: hand.running, timeout=5)
            name = random.choice(sorted(hand.running))
        hand.end(name)

    assert list(outcome.result(timeout=5).items()) == [(name, f"result of {name}") for name in named]
    assert hand.most <= num_slots
    for name, length in named.items():  # the jobs of a chain, one after another
        own = [entry for entry in hand.log if entry[1:].startswith(name)]
        assert own == [f"{sign}{name}{number}" for number in range(length) for sign in "+-"]


def test_the_next_job_of_a_chain_does_not_wait_for_the_other_chain():
    hand, heard = Hand(), []
    outcome = in_thread(run, hand, {"quick": 2, "slow": 1}, 2, heard)
    hand.end("quick0")
    hand.end("quick1")
    assert "slow0" in hand.running
    hand.end("slow0")

    outcome.result(timeout=5)
    assert heard == ["quick0", "quick1", "slow0"]  # each was sent what its own job gave


def test_in_one_slot_a_chain_is_finished_before_the_next_begins():
    hand = Hand()
    outcome = in_thread(run, hand, {"a": 2, "b": 2}, 1)
    for name in ("a0", "a1", "b0", "b1"):
        hand.end(name)

    outcome.result(timeout=5)
    assert hand.log == ["+a0", "-a0", "+a1", "-a1", "+b0", "-b0", "+b1", "-b1"]


def test_a_failing_chain_ends_alone_and_the_first_failure_is_raised():
    first, second = JobRefused("first"), JobCrashed("second")
    hand = Hand({"a0": first, "c0": second})
    outcome = in_thread(run, hand, {"a": 2, "b": 2, "c": 1}, 3)
    for name in ("a0", "c0", "b0", "b1"):  # b goes on to its end
        hand.end(name)

    with pytest.raises(JobRefused) as raised:
        outcome.result(timeout=5)
    assert raised.value is first
    assert "+a1" not in hand.log


def test_a_failure_that_is_not_ours_is_not_held_back():
    hand = Hand({"a0": ValueError("a bug")})
    outcome = in_thread(run, hand, {"a": 1, "b": 1}, 2)
    hand.end("a0")

    with pytest.raises(ValueError, match="a bug"):
        outcome.result(timeout=5)


def test_failures_are_kept_beside_the_results_and_each_end_is_told():
    failure, hand, told = JobCrashed("a bug"), Hand(), []
    hand.failing["b0"] = failure
    chains = {name: chain(name, 1, []) for name in ("a", "b", "c")}

    def listen(name, outcomes):
        told.append((name, sorted(outcomes.results), sorted(outcomes.failures)))

    outcome = in_thread(lambda: run_chains(chains, hand.submit, num_slots=1, on_end=listen))
    for name in ("a0", "b0", "c0"):
        hand.end(name)

    outcomes = outcome.result(timeout=5)
    assert (list(outcomes.results), outcomes.failures) == (["a", "c"], {"b": failure})
    assert told == [("a", ["a"], []), ("b", ["a"], ["b"]), ("c", ["a", "c"], ["b"])]


def test_no_chain_is_begun_once_this_process_is_being_ended():
    hand = Hand({"a0": SupervisorEnding("told to end")})
    outcome = in_thread(run, hand, {"a": 1, "b": 1, "c": 1}, 1)
    hand.end("a0")

    with pytest.raises(SupervisorEnding):
        outcome.result(timeout=5)
    assert hand.log == ["+a0", "-a0"]
