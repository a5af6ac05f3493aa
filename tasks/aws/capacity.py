"""When to ask again after there was no machine, and when to take one on demand instead of Spot. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.aws.settings import SageMakerSettings

LONGEST_PAUSE_SECONDS = 3600.0


@dataclass(frozen=True)
class NextLaunch:
    """What follows a launch that got no machine.

    Args:
        again_in_seconds: When to launch again [s]; ``None``: not now, whoever retries may.
        on_demand: Whether the next launch takes an on-demand machine although Spot is asked for.
    """

    again_in_seconds: float | None
    on_demand: bool


def next_launch(
    settings: SageMakerSettings, *, num_failures: int, waited_seconds: float, on_demand: bool
) -> NextLaunch:
    """What follows.

    Args:
        settings: How often and how long to wait.
        num_failures: Launches in a row without a machine, this one included.
        waited_seconds: How long the run has been without one [s].
        on_demand: Whether this launch was on demand instead of Spot.
    """
    if settings.use_spot and not on_demand and _spot_is_given_up(settings, num_failures, waited_seconds):
        return NextLaunch(0.0, on_demand=True)
    in_row = (num_failures - 1) % settings.capacity_attempts + 1
    if in_row == settings.capacity_attempts:
        return NextLaunch(None, on_demand)
    return NextLaunch(min(settings.capacity_pause_seconds * 2.0 ** (in_row - 1), LONGEST_PAUSE_SECONDS), on_demand)


def _spot_is_given_up(settings: SageMakerSettings, num_failures: int, waited_seconds: float) -> bool:
    most, longest = settings.on_demand_after_failures, settings.on_demand_after_seconds
    return (most is not None and num_failures >= most) or (longest is not None and waited_seconds >= longest)
