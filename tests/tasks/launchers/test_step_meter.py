"""Steps that were made again are counted, and a step is timed between two that were told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.launchers.step_meter import StepMeter


def step(number: int, time_seconds: float) -> dict:
    return {"event": "step", "step": number, "time": time_seconds}


def resumed(number: int) -> dict:
    return {"event": "notice", "message": f"resumed at step {number} from step-{number:09d}-a1", "time": 0.0}


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), max_size=8))
def test_repeated_steps_are_those_made_beyond_each_point_of_resume(attempts):
    meter, at, repeated = StepMeter(), 0, 0
    for made, kept in attempts:
        for number in range(at + 1, at + made + 1):
            meter.hear(step(number, float(number)))
        following = min(kept, at + made)
        meter.hear(resumed(following))
        repeated += at + made - following
        at = following

    assert meter.num_repeated == repeated


def test_pauses_for_evaluations_and_machines_are_no_part_of_a_step():
    meter = StepMeter()
    assert meter.seconds_per_step is None
    told = [step(1, 10.0), step(3, 11.0), {"event": "phase", "phase": "eval", "time": 11.0}, step(4, 60.0)]
    for event in [*told, step(6, 61.0), resumed(2), step(3, 99.0), step(4, 99.5)]:
        meter.hear(event)

    assert meter.seconds_per_step == 0.5
