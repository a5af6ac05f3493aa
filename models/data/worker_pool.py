"""Chunks of functions through worker processes and back in order; memory holds a few chunks at a time.

Workers are spawned, not forked: the Rust tokenizer has threads. They end with the process that started them, however
that ends, and leave being asked to stop to it.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import NamedTuple, TypeVar

from models.data.records import MadeRecords, NamedFunction, RecordMaker, RecordPlan

CHUNKS_PER_WORKER = 2
BYTES_WORTH_A_WORKER = 2 << 20
"""A worker takes most of a second to start: with less text than this for each, fewer are quicker."""

Chunk = list[NamedFunction]
T = TypeVar("T")
R = TypeVar("R")

_PR_SET_PDEATHSIG = 1
_makers: list[RecordMaker] = []  # of this process, when it is a worker


class MadeChunk(NamedTuple):
    """A chunk and what was made of it."""

    functions: Chunk
    records: MadeRecords


def worker_count(asked: int, num_bytes: int) -> int:
    """Processes to use; 1 means none beside this one.

    Args:
        asked: As in the settings; 0: as many as there are cores and as the data is worth.
        num_bytes: Size of the data, uncompressed or nearly so.
    """
    if asked:
        return asked
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, num_bytes // BYTES_WORTH_A_WORKER))


def make_chunks(plan: RecordPlan, chunks: Iterable[Chunk], num_workers: int) -> Iterator[MadeChunk]:
    """Records of all chunks, in order and the same for any number of workers.

    Args:
        plan: What decides the bytes.
        chunks: Read as they are needed.
        num_workers: Processes; 1 works in this one.
    """
    if num_workers == 1:
        maker = RecordMaker(plan)
        yield from (MadeChunk(chunk, maker.make(chunk)) for chunk in chunks)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_workers, context, initializer=_begin_worker, initargs=(plan, os.getpid()))
    try:
        for chunk, records in in_order(pool, _make, chunks, num_workers * CHUNKS_PER_WORKER):
            yield MadeChunk(chunk, records)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def in_order(
    pool: ProcessPoolExecutor, work: Callable[[T], R], chunks: Iterable[T], num_in_flight: int
) -> Iterator[tuple[T, R]]:
    """Each chunk with what ``work`` makes of it in the pool, in order, never more than ``num_in_flight`` at once."""
    source = iter(chunks)
    waiting: deque[tuple[T, Future[R]]] = deque()
    while True:
        for chunk in islice(source, num_in_flight - len(waiting)):
            waiting.append((chunk, pool.submit(work, chunk)))
        if not waiting:
            return
        chunk, future = waiting.popleft()
        yield chunk, future.result()


def _begin_worker(plan: RecordPlan, parent_pid: int) -> None:
    _end_with(parent_pid)
    for number in (signal.SIGINT, signal.SIGTERM):  # a whole process group is signalled; the parent ends us in order
        signal.signal(number, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # processes are the parallelism here
    _makers.append(RecordMaker(plan))


def _end_with(parent_pid: int) -> None:
    """Ask the kernel (Linux) to kill this process with its parent; elsewhere the closed pipe ends it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def _make(functions: Sequence[NamedFunction]) -> MadeRecords:
    return _makers[0].make(functions)
