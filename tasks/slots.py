"""Chains of jobs side by side on one machine, at most so many jobs at a time.

A chain is a generator: it yields the settings of a job, is sent the reference to the job's finished run, and returns
what it was for. So the next job of a chain starts as soon as the one before it has ended, whatever the other chains do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping
from queue import SimpleQueue
from typing import Any, TypeVar

from prefect.futures import PrefectFuture

from models.errors import CodewardenError
from models.settings.fields import Settings
from tasks.jobs import RunReference

T = TypeVar("T")
Chain = Generator[Settings, RunReference, T]
Submit = Callable[[Settings, list[PrefectFuture[Any]]], PrefectFuture[Any]]
"""Starts a job in the flow's task runner; the futures are those of the jobs that it comes after."""


def run_chains(chains: Mapping[str, Chain[T]], submit: Submit, *, num_slots: int) -> dict[str, T]:
    """Run every chain to its end, at most ``num_slots`` at a time, begun in the order given.

    A chain whose job fails ends there. The others go on to their ends, so that no work of theirs is lost; then the
    failure that came first is raised.

    Args:
        chains: The chains by name.
        submit: How a job is started.
        num_slots: Chains at a time.

    Returns:
        What each chain returned, in the order given.

    Raises:
        CodewardenError: what the first job that failed said; ``retryable`` tells whether running again may help.
    """
    waiting = deque(chains)
    running: dict[str, PrefectFuture[Any]] = {}
    ended: SimpleQueue[str] = SimpleQueue()
    results: dict[str, T] = {}
    failures: list[CodewardenError] = []

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
        except StopIteration as end:
            results[name] = end.value
        except CodewardenError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return {name: results[name] for name in chains}
