"""What a job costs in seconds, as DescribeTrainingJob tells it."""

from __future__ import annotations

import math


def training_seconds(machine_seconds: float) -> int:
    """TrainingTimeInSeconds: whole seconds on machines, at least one."""
    return max(1, math.ceil(machine_seconds))


def billable_seconds(machine_seconds: float, *, spot: bool, spot_discount: float) -> int:
    """BillableTimeInSeconds: for Spot the discount is already taken off, rounded up to whole seconds."""
    trained = training_seconds(machine_seconds)
    return max(1, math.ceil(trained * (1 - spot_discount))) if spot else trained
