"""What is to go wrong with a job: machines taken away, missing capacity, refusals."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Refusal = Literal[
    "role", "pass role", "rights", "expired token", "quota", "throttled", "image", "bucket region", "internal error"
]
"""What the API may say no to; ``refusals.py`` holds its words."""


@dataclass(frozen=True)
class Reclaim:
    """Spot takes the machine: SIGTERM to process 1, a notice, SIGKILL; the job starts again on an empty disk.

    Args:
        on_log: Regular expression; the first line of the job's output that matches begins the reclaim, unless the job
            is being taken away or has ended already when the line is read: then it waits for the next such line. A
            job goes on while its line is read, so leave room between two reclaims, or use expressions such as
            ``step=([5-9]|[0-9]{2})``.
        notice_seconds: Time between SIGTERM and SIGKILL [s].
        hard: SIGKILL without a notice; what was not synced is lost.
        final_sync: Whether checkpoints that are written after SIGTERM are still synced, of a job that leaves within
            the notice. What the service does there is not documented.
    """

    on_log: str
    notice_seconds: float = 4.0
    hard: bool = False
    final_sync: bool = True

    def __post_init__(self) -> None:
        re.compile(self.on_log)


@dataclass(frozen=True)
class FaultPlan:
    """What happens to every job whose name begins with ``name_prefix``, until a later plan fits it too.

    Args:
        name_prefix: Beginning of the names it is for.
        reclaims: Each happens once in each job.
        no_capacity: So many jobs, the first ones, fail for lack of capacity [jobs].
        exceed_max_wait: After its reclaims (at once, where there are none) the job gets no machine until its longest
            wait is over, which then takes no time.
        stall_sync_seconds: No checkpoint is uploaded in the first so many seconds of a job's training [s].
        stop_after: Regular expression on the job's output: someone stops the job then.
        crash: Regular expression on the job's output: process 1 is killed then, by no one's order (as when memory is
            exhausted); the job fails.
        refusal: The API says no, when the job is created or by failing it; see ``refusals.py``.
    """

    name_prefix: str = ""
    reclaims: tuple[Reclaim, ...] = ()
    no_capacity: int = 0
    exceed_max_wait: bool = False
    stall_sync_seconds: float = 0.0
    stop_after: str | None = None
    crash: str | None = None
    refusal: Refusal | None = None

    def __post_init__(self) -> None:
        for pattern in (self.stop_after, self.crash):
            if pattern is not None:
                re.compile(pattern)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, read: Mapping[str, Any]) -> FaultPlan:
        """From JSON.

        Raises:
            TypeError: An unknown field.
            re.error: A pattern is no regular expression.
        """
        return cls(**{**read, "reclaims": tuple(Reclaim(**reclaim) for reclaim in read.get("reclaims", ()))})


class FaultBoard:
    """The plans that hold now."""

    def __init__(self) -> None:
        self._plans: list[FaultPlan] = []
        self._lock = threading.Lock()
        self._num_without_capacity: dict[int, int] = {}

    def add(self, plan: FaultPlan) -> None:
        """From now on for the jobs it fits; earlier plans hold for the others."""
        self._plans.append(plan)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._plans.clear()
        self._num_without_capacity.clear()

    def plan_for(self, job_name: str) -> FaultPlan:
        """The latest plan that fits; without one, nothing goes wrong."""
        for plan in reversed(self._plans):
            if job_name.startswith(plan.name_prefix):
                return plan
        return FaultPlan()

    def lacks_capacity(self, plan: FaultPlan) -> bool:
        """Whether this start of a job of ``plan`` gets no machine; counts it."""
        with self._lock:
            used = self._num_without_capacity.get(id(plan), 0)
            if used >= plan.no_capacity:
                return False
            self._num_without_capacity[id(plan)] = used + 1
            return True
