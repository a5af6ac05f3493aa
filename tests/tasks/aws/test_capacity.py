"""What follows a launch that got no machine."""

from __future__ import annotations

import pytest

from tasks.aws.capacity import NextLaunch, next_launch
from tasks.aws.settings import SageMakerSettings


def following(num_failures: int, *, waited: float = 0.0, on_demand: bool = False, **settings: object) -> NextLaunch:
    made = SageMakerSettings(capacity_pause_seconds=10, capacity_attempts=4, **settings)
    return next_launch(made, num_failures=num_failures, waited_seconds=waited, on_demand=on_demand)


def test_pauses_double_until_it_is_given_up_and_begin_anew_when_it_is_run_again():
    pauses = [following(number).again_in_seconds for number in range(1, 7)]
    assert pauses == [10, 20, 40, None, 10, 20]


def test_spot_is_given_up_after_so_many_failures_or_so_long_a_wait():
    assert following(2, on_demand_after_failures=3) == NextLaunch(20, on_demand=False)
    assert following(3, on_demand_after_failures=3) == NextLaunch(0, on_demand=True)
    assert following(1, waited=59, on_demand_after_seconds=60) == NextLaunch(10, on_demand=False)
    assert following(1, waited=60, on_demand_after_seconds=60) == NextLaunch(0, on_demand=True)


@pytest.mark.parametrize("settings", [{"use_spot": False}, {}])
def test_on_demand_lacks_machines_too_and_nothing_is_switched_unless_settings_say_so(settings):
    asked = {"on_demand_after_failures": 1} if settings else {}
    assert following(4, **settings, **asked) == NextLaunch(None, on_demand=False)
    assert following(1, on_demand=True, on_demand_after_failures=1) == NextLaunch(10, on_demand=True)
