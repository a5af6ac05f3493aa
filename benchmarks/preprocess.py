"""Speed and memory of preprocessing beside its peers: ``python -m benchmarks.preprocess [--data PATH]``.

Core is parse, walk (nodes and child edges), tokenise, write JSON lines. On one core the routes take turns in a pinned
process and are measured in CPU seconds, which a busy machine disturbs least; on two cores wall seconds are compared,
workers started, their tables empty. Ratios are taken within a turn and their median is printed. Bounds: at least 1.5×
as fast as the plain way, at most 1.5× of bare tokenising and parsing, at least 1.7× more on two cores, and less than
10 % more memory for ten times the input (duplicate signatures, 1.5 kB a row, aside). Extras are reported, not bound.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.preprocess_routes import Core, bare, chunks_of, extras, ours, plain, same_content, whole_records
from models.data.generated import write_sample
from models.data.preprocessing import METADATA_FILE, run
from models.data.raw_functions import SPLITS, RawFunction, find_split, read_function, read_lines
from models.data.tokenizer_files import train_tokenizer
from models.data.worker_pool import in_order
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.preprocess import PreprocessSettings

MIN_SPEED_UP = 1.5
MAX_OVER_BARE = 1.5
MIN_TWO_CORES = 1.7
MAX_GROWTH = 1.10
SIGNATURE_BYTES = 1500
MAX_CODE_BYTES = 1_000_000
COPIES = 10
VOCAB_SIZE = 6000
GENERATED = 1800
MAX_LOAD = 0.5
BUSY = " (others are using this machine: the ratio above is too low)"

_cores: list[Core] = []  # of this process, when it is a worker


def main(argv: Sequence[str] | None = None) -> int:
    """Print the ratios; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preprocess", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of raw functions; a generated sample where none is given")
    parser.add_argument("--turns", type=int, default=5, help="turns of each comparison [turns]")
    parser.add_argument("--part", choices=("one-core", "memory"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.part == "one-core":
        return _tell(measure_one_core(options.data, options.turns))
    if options.part == "memory":
        return _tell(measure_peak(options.data))
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or Path(folder) / "sample"
        if options.data is None:
            write_sample(data, num_functions=GENERATED)
        return report(data, options.turns, Path(folder), is_generated=options.data is None)


def report(data: Path, turns: int, folder: Path, *, is_generated: bool) -> int:
    """All parts, one after the other; the exit code."""
    codes = read_codes(data)
    print(f"preprocess: {len(codes)} functions, {sum(map(len, codes)) / 1e6:.2f} M characters, {turns} turns")
    one = _in_child("one-core", data, turns)
    load = os.getloadavg()[0]
    two, overhead = two_cores(codes, turns)
    missed = [
        not _line("one core: core, beside the plain way", one["speed_up"], MIN_SPEED_UP, at_least=True),
        not _line("one core: core, of bare tokenising and parsing", one["over_bare"], MAX_OVER_BARE, at_least=False),
        not _line("two cores: core, beside one", two, MIN_TWO_CORES, at_least=True),
    ]
    print(f"    two workers need {overhead:.2f} of one's CPU; load before: {load:.1f}" + BUSY * (load > MAX_LOAD))
    print(f"  core {one['core_seconds']:.2f} s of CPU; whole records take {one['whole']:.2f} of it; each extra alone:")
    print("    " + ", ".join(f"{name} +{100 * share:.0f} %" for name, share in one["extras"].items()))
    once, ten = _in_child("memory", data, 1), _in_child("memory", _ten_times(data, folder, is_generated), 1)
    signatures = SIGNATURE_BYTES * (ten["distinct"] - once["distinct"])
    print(f"  peak memory {once['peak'] / 1e6:.0f} MB; with {COPIES}x the input {ten['peak'] / 1e6:.0f} MB")
    growth = (ten["peak"] - signatures) / once["peak"]
    missed.append(not _line("memory: ten times the input, signatures aside", growth, MAX_GROWTH, at_least=False))
    return int(any(missed))


def _line(what: str, ratio: float, bound: float, *, at_least: bool) -> bool:
    held = ratio >= bound if at_least else ratio <= bound
    print(f"  {what:<50} ratio {ratio:5.2f}  ({'>=' if at_least else '<='} {bound})  {'ok' if held else 'MISSED'}")
    return held


def read_codes(data: Path) -> list[str]:
    """All usable functions of all splits."""
    lines = (
        line for split in SPLITS for line in read_lines(find_split(data, split), max_line_bytes=8 * MAX_CODE_BYTES)
    )
    rows = (read_function(line, MAX_CODE_BYTES) for line in lines if line.content != b"")
    return [row.code for row in rows if isinstance(row, RawFunction)]


def _tokenizer(codes: Sequence[str]) -> str:
    return str(train_tokenizer((" ".join(code.split()) for code in codes), VOCAB_SIZE).to_str())


def measure_one_core(data: Path, turns: int) -> dict[str, Any]:
    """Core beside the plain way and the bare libraries, and the extras; in CPU seconds of this pinned process."""
    codes = read_codes(data)
    tokenizer = _tokenizer(codes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        routes = {"ours": ours, "plain": plain, "bare": bare, "whole": whole_records}
        seconds: dict[str, list[float]] = {route: [] for route in routes}
        for _ in range(turns):
            for route, function in routes.items():
                seconds[route].append(cpu_seconds(partial(function, codes, tokenizer, folder / route)))
        assert same_content(folder / "ours", folder / "plain"), "the two routes differ"
        core = seconds["ours"]
        alone = {
            name: median(cpu_seconds(work) for _ in range(3)) / median(core)
            for name, work in extras(codes, tokenizer, folder).items()
        }
    return {
        "speed_up": median(p / c for p, c in zip(seconds["plain"], core, strict=True)),
        "over_bare": median(c / b for c, b in zip(core, seconds["bare"], strict=True)),
        "whole": median(w / c for w, c in zip(seconds["whole"], core, strict=True)),
        "core_seconds": median(core),
        "extras": alone,
    }


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def two_cores(codes: Sequence[str], turns: int) -> tuple[float, float]:
    """Wall seconds of one worker over those of two, and CPU seconds in two workers over those in one; medians."""
    tokenizer = _tokenizer(codes)
    pairs = [[_pool_seconds(codes, tokenizer, count) for count in (1, 2)] for _ in range(turns)]
    wall = median(one[0] / two[0] for one, two in pairs)
    return wall, median(two[1] / one[1] for one, two in pairs)


def _pool_seconds(codes: Sequence[str], tokenizer: str, num_workers: int) -> tuple[float, float]:
    """Wall seconds from the first chunk to the last, and CPU seconds of the workers in them."""
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(num_workers, context, initializer=_begin, initargs=(tokenizer,)) as pool,
        tempfile.TemporaryFile() as file,
    ):
        list(pool.map(time.sleep, [0.5] * num_workers))  # until all have started
        start, in_workers = time.perf_counter(), 0.0
        for _, (lines, seconds) in in_order(pool, _core_lines, chunks_of(codes), 2 * num_workers):
            file.write(lines)
            in_workers += seconds
        return time.perf_counter() - start, in_workers


def _begin(tokenizer: str) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _cores.append(Core(tokenizer))


def _core_lines(codes: list[str]) -> tuple[bytes, float]:
    start = time.process_time()
    lines = _cores[0].lines(codes)
    return lines, time.process_time() - start


def _ten_times(data: Path, folder: Path, is_generated: bool) -> Path:
    """Ten times the functions: that many generated ones, or ten copies of those given under new ids and commits."""
    large = folder / "large"
    if is_generated:
        write_sample(large, num_functions=COPIES * GENERATED)
        return large
    large.mkdir()
    for split in SPLITS:
        with (large / f"{split}.jsonl").open("w") as file:
            for copy in range(COPIES):
                for line in read_lines(find_split(data, split), max_line_bytes=8 * MAX_CODE_BYTES):
                    row = json.loads(line.content or b"{}")
                    changes = {"idx": f"{row.get('idx')}-{copy}", "commit_id": f"{row.get('commit_id')}-{copy}"}
                    file.write(json.dumps(row | changes) + "\n")
    return large


def measure_peak(data: Path) -> dict[str, Any]:
    """Peak resident memory of the whole job in this process [bytes], and the distinct functions it took."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        settings = PreprocessSettings(data=data, num_workers=1, max_rejected_fraction=1.0)
        run(settings, JobContext(path, path, EventStream(echo=None)))
        metadata = json.loads((path / METADATA_FILE).read_bytes())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"peak": peak, "distinct": metadata["duplicates"]["num_distinct"]}


def _in_child(part: str, data: Path, turns: int) -> dict[str, Any]:
    """A part in its own process on one core, so that no library has more threads than that."""
    core = min(os.sched_getaffinity(0))
    command = [
        sys.executable,
        "-m",
        "benchmarks.preprocess",
        "--part",
        part,
        "--data",
        str(data),
        "--turns",
        str(turns),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, {core})
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _tell(answer: dict[str, Any]) -> int:
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
