"""Chains of jobs side by side on one machine, at most so many jobs at a time.

A chain is a generator: it yields the settings of a job, is sent the reference to the job's finished run, and returns
what it was for. So the next job of a chain starts as soon as the one before it has ended, whatever the other chains do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from prefect.futures import PrefectFuture

from models.errors import CodewardenError
from models.settings.fields import Settings
from tasks.jobs import RunReference
from tasks.supervision import SupervisorEnding

T = TypeVar("T")
Chain = Generator[Settings, RunReference, T]
Submit = Callable[[Settings, list[PrefectFuture[Any]]], PrefectFuture[Any]]
"""Starts a job in the flow's task runner; the futures are those of the jobs that it comes after."""


@dataclass
class Outcomes(Generic[T]):
    """How chains ended.

    Args:
        results: What each chain that came to its end returned, in the order the chains were given in.
        failures: What the job that failed said, by chain; the first failure first.
    """

    results: dict[str, T] = field(default_factory=dict)
    failures: dict[str, CodewardenError] = field(default_factory=dict)

    def of_all(self) -> dict[str, T]:
        """The results of all chains.

        Raises:
            CodewardenError: what the first job that failed said; ``retryable`` tells whether running again may help.
        """
        for failure in self.failures.values():
            raise failure
        return self.results


def run_chains(
    chains: Mapping[str, Chain[T]],
    submit: Submit,
    *,
    num_slots: int,
    on_end: Callable[[str, Outcomes[T]], None] = lambda _name, _outcomes: None,
) -> Outcomes[T]:
    """Run every chain to its end, at most ``num_slots`` at a time, begun in the order given.

    A chain whose job fails ends there. The others go on to their ends, so that no work of theirs is lost; only where
    this process is being ended none is begun any more.

    Args:
        chains: The chains by name.
        submit: How a job is started.
        num_slots: Chains at a time.
        on_end: Told of each chain that has ended, with all outcomes so far.
    """
    waiting = deque(chains)
    running: dict[str, PrefectFuture[Any]] = {}
    ended: SimpleQueue[str] = SimpleQueue()
    outcomes: Outcomes[T] = Outcomes()

    def start(name: str, settings: Settings, after: list[PrefectFuture[Any]]) -> None:
        running[name] = submit(settings, after)
        running[name].add_done_callback(lambda _: ended.put(name))

    while waiting or running:
        while waiting and len(running) < num_slots:
            name = waiting.popleft()
            start(name, next(chains[name]), [])
        name = ended.get()
        future = running.pop(name)
        try:
            start(name, chains[name].send(future.result()), [future])
            continue
        except StopIteration as end:
            outcomes.results[name] = end.value
        except CodewardenError as error:
            outcomes.failures[name] = error
            if isinstance(error, SupervisorEnding):
                waiting.clear()
        on_end(name, outcomes)
    outcomes.results = {name: outcomes.results[name] for name in chains if name in outcomes.results}
    return outcomes
