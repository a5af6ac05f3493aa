"""What the near-duplicate search costs beside bare MinHash signatures: ``python -m benchmarks.near_duplicates``.

The search is everything: comments, tokens, shingles, signatures, bands, verification and the report. It is set against
rensa's signatures alone, of shingles that are ready (128 values, one thread), in four forms:

* strings: ``RMinHash.update`` with a list of shingle strings, then ``digest``: the library as its manual shows it;
* strings in bulk: all lists in one call, the values left inside the library, where nobody can compare them;
* hashes, read: its fastest form, a flat array of 64-bit hashes, and the values handed out (``to_rows``);
* hashes: the same, with the values left inside.

Bounds: the search of 100,000 generated functions takes ≤ 2.5× the first form and < 500 MB; 400,000 take ≤ 4.5× the time
of 100,000. Against the others there is no bound: the last form costs less than cutting the text into tokens, without
any signature, and what that costs is printed too.

Functions are generated as they are needed and timed in chunks, CPU seconds of the faster of two turns, so that a busy
machine decides little; each measurement is a process of its own, and each side has the chunks that suit it. A third of
the functions carry comments, a third have a near copy, 2 % an exact one laid out anew.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rensa import RMinHash

from models.data.duplicates import DuplicateSearch
from models.data.generated import twin_functions
from models.data.minhash import Words, shingle_hashes, token_hashes

ROOT = Path(__file__).resolve().parents[1]
MAX_RATIO = 2.5
MAX_GROWTH = 4.5
MAX_MEGABYTES = 500
GROWTH = 4
SEARCH_CHUNK = 2_000
PEER_CHUNK = 150
"""What is ready for the library then stays in the processor's cache."""
NUM_PERMUTATIONS = 128
SIMILARITY = 0.7
RENSA_SEED = 42
ONE_THREAD = {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def main(argv: Sequence[str] | None = None) -> int:
    """Print times, ratios and memory; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.near_duplicates", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--num-functions", type=int, default=100_000, help="the smaller size [functions]")
    parser.add_argument("--turns", type=int, default=2, help="processes of each measurement [turns]")
    parser.add_argument("--measure", choices=sorted(MEASUREMENTS), help="one measurement in this process, as JSON")
    options = parser.parse_args(argv)
    if options.measure:
        print(json.dumps(MEASUREMENTS[options.measure](options.num_functions)))
        return 0
    from benchmarks.side_by_side import held  # brings PyTorch, whose memory is not the search's

    num_functions, turns = options.num_functions, options.turns
    small = fastest("search", num_functions, turns)
    large = fastest("search", GROWTH * num_functions, turns)
    return 0 if held(compared(small, large, fastest("peers", num_functions, turns))) else 1


def fastest(measurement: str, num_functions: int, turns: int) -> dict[str, Any]:
    """What one measurement says, each time the least of some processes."""
    found = [in_new_process(measurement, num_functions) for _ in range(turns)]
    least = {name: min(turn["seconds"][name] for turn in found) for name in found[0]["seconds"]}
    return {**found[0], "seconds": least}


def in_new_process(measurement: str, num_functions: int) -> dict[str, Any]:
    """What one measurement prints in a fresh process with one thread."""
    command = [sys.executable, "-m", "benchmarks.near_duplicates", "--measure", measurement]
    command += ["--num-functions", str(num_functions)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, check=True, env={**os.environ, **ONE_THREAD}
    )
    numbers: dict[str, Any] = json.loads(done.stdout)
    return numbers


def compared(small: dict[str, Any], large: dict[str, Any], peers: dict[str, Any]) -> dict[str, bool]:
    """Print what was measured; the bounds."""
    num_functions = small["num_functions"]
    for size in (small, large):
        took = 1e6 * size["seconds"]["search"] / size["num_functions"]
        print(
            f"search of {size['num_functions']:,} functions: {size['seconds']['search']:.2f} s, {took:.1f} us each, "
            f"{size['megabytes']:.0f} MB; {size['exact_pairs']:,} exact and {size['near_pairs']:,} near pairs"
        )
    print(f"rensa's signatures alone, of {peers['num_shingles'] / num_functions:.0f} ready shingles each")
    search = small["seconds"]["search"]
    for name, seconds in peers["seconds"].items():
        if name != "tokens":
            took = 1e6 * seconds / num_functions
            print(f"  {name:<16} {seconds:6.2f} s, {took:4.1f} us each: the search takes {search / seconds:.2f}x")
    tokens = peers["seconds"]["tokens"] / peers["seconds"]["hashes"]
    print(f"  cutting into tokens alone, without any signature, takes {tokens:.2f}x the last form")
    ratio = search / peers["seconds"]["strings"]
    growth = large["seconds"]["search"] / search
    return {
        f"search: {ratio:.2f}x of signatures from strings (<= {MAX_RATIO}x)": ratio <= MAX_RATIO,
        f"search: {small['megabytes']:.0f} MB (< {MAX_MEGABYTES} MB)": small["megabytes"] < MAX_MEGABYTES,
        f"search: {GROWTH}x the functions in {growth:.2f}x the time (<= {MAX_GROWTH}x)": growth <= MAX_GROWTH,
    }


def functions(num_functions: int) -> Iterator[str]:
    """Generated functions; never all in memory."""

    def endless() -> Iterator[str]:
        pair = 0
        while True:
            _, safe, vulnerable = twin_functions(pair)
            yield f"/* case {pair}: see the caller */\n{safe}" if pair % 3 == 0 else safe
            if pair % 5 == 0:
                yield vulnerable
            if pair % 50 == 0:
                yield safe.replace("\n", "\n\n").replace("(", "( ")
            pair += 1

    return islice(endless(), num_functions)


def chunks(num_functions: int, size: int) -> Iterator[list[str]]:
    """The same, ``size`` at a time, so that generating them is not timed."""
    source = functions(num_functions)
    while chunk := list(islice(source, size)):
        yield chunk


def measure_search(num_functions: int) -> dict[str, Any]:
    """CPU seconds and peak memory of the whole search."""
    search, seconds, number = DuplicateSearch(SIMILARITY, NUM_PERMUTATIONS), 0.0, 0
    for chunk in chunks(num_functions, SEARCH_CHUNK):
        names = [(f"record-{row}", f"commit-{row // 3}", row % 2) for row in range(number, number + len(chunk))]
        number += len(chunk)
        start = time.process_time()
        for (record_id, group, label), code in zip(names, chunk, strict=True):
            search.add("train", record_id, group, label, code)
        seconds += time.process_time() - start
    start = time.process_time()
    report = search.report()
    seconds += time.process_time() - start
    return {
        "num_functions": num_functions,
        "seconds": {"search": seconds},
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "exact_pairs": report["exact"]["within"]["train"]["pairs"],
        "near_pairs": report["near"]["within"]["train"]["pairs"],
    }


def measure_peers(num_functions: int) -> dict[str, Any]:
    """CPU seconds of the library's signatures on shingles that are ready, and of tokens alone."""
    seconds = {"strings": 0.0, "strings in bulk": 0.0, "hashes, read": 0.0, "hashes": 0.0, "tokens": 0.0}
    num_shingles = 0
    for chunk in chunks(num_functions, PEER_CHUNK):
        took, (tokens, pointer) = timed(partial(token_hashes, [code.encode() for code in chunk]))
        seconds["tokens"] += took
        shingles, offsets = shingle_hashes(tokens, pointer)
        num_shingles += len(shingles)
        strings = [shingle_strings(code) for code in chunk]
        seconds["strings"] += timed(partial(from_strings, strings))[0]
        in_bulk = partial(RMinHash.digest_matrix_from_token_sets, strings, NUM_PERMUTATIONS, RENSA_SEED)
        seconds["strings in bulk"] += timed(in_bulk)[0]
        took, matrix = timed(partial(from_hashes, shingles, offsets.astype(np.uint64)))
        seconds["hashes"] += took
        seconds["hashes, read"] += took + timed(matrix.to_rows)[0]
    return {"seconds": seconds, "num_shingles": num_shingles}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of one call, and its answer."""
    start = time.process_time()
    answer = work()
    return time.process_time() - start, answer


def shingle_strings(code: str) -> list[str]:
    """Three tokens in a row, as text."""
    tokens = re.findall(r"\w+|[^\w\s]", code)
    return [" ".join(shingle) for shingle in zip(tokens, tokens[1:], tokens[2:], strict=False)]


def from_strings(shingles_of_each: Sequence[list[str]]) -> list[list[int]]:
    """The signatures of functions whose shingles are ready as Python strings."""
    signatures = []
    for shingles in shingles_of_each:
        sketch = RMinHash(NUM_PERMUTATIONS, RENSA_SEED)
        sketch.update(shingles)
        signatures.append(sketch.digest())
    return signatures


def from_hashes(shingles: Words, offsets: Words) -> Any:
    """The signatures of functions whose shingles are ready as one array of hashes."""
    return RMinHash.digest_matrix_from_flat_token_hashes(shingles, offsets, num_perm=NUM_PERMUTATIONS, seed=RENSA_SEED)


MEASUREMENTS = {"search": measure_search, "peers": measure_peers}

if __name__ == "__main__":
    sys.exit(main())
