"""The kill certificate: ``python -m benchmarks.resume [--store s3] --kills N --seed S``.

Trains each registered model kind undisturbed, then again and again while killing it at named points, and compares
everything the promise names byte by byte: weights, optimiser, schedule, random states, position, best weights,
history and the digest of the ordered sample log. Prints where each kill hit, how many steps were done twice, and how
many bytes differ.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.killing import Attempt, Ended, Kill, forked_attempt, fresh_attempt, without_threads
from benchmarks.local_aws import LocalAws
from benchmarks.resume_cases import CHECKPOINT_STEPS, cases, tiny_run
from benchmarks.resume_stores import DiskStore, ResumeStore, S3Store
from benchmarks.tiny_data import write_tiny_data
from models.jobs.build import build_of
from models.jobs.placement import Placement
from models.jobs.registry import ENTRY_MODULES, OBJECTIVE_MODULES
from models.settings.train import TrainSettings
from models.store.crash_points import CRASH_POINTS, REMOTE_CRASH_POINTS
from models.store.s3 import S3Uri, open_s3

FRESH_EVERY = 24
"""One attempt in so many is a fresh interpreter with its own hash seed; the others are forks of this warm process."""
LEAST_HIT_SHARE = 0.8
"""Share of drawn kills that must hit: a certificate whose kills come after the end of the run proves nothing."""
TERM_SHARE = 0.15
"""Share of attempts that are asked to leave (SIGTERM) instead of being killed."""
ALLOWED_REPEATED_STEPS = CHECKPOINT_STEPS + 1
IMPORTED_BY_FIRST_USE = ("torch._dynamo", "pandas")
"""What torch's optimisers and Arrow's arrays import when first used."""
POINTS_OF_OTHER_RANKS = ("temp-write", "mid-step", "evaluation")
"""Rank 0 publishes and so reaches every point; the others write their parts only."""
KILL_EXIT_CODES = {"SIGKILL": (-9, 1), "SIGTERM": (75, 0)}
"""Exit codes of the job that belong to a hit: 1 when a rank was killed, 0 when SIGTERM came with the last step."""


@dataclass
class Certificate:
    """What was found for one case at one number of ranks."""

    case: str
    num_ranks: int
    num_drawn: int = 0
    num_kills: int = 0
    num_runs: int = 0
    num_steps: int = 0
    differing_bytes: int = 0
    differing_files: list[str] = field(default_factory=list)
    hits: Counter[str] = field(default_factory=Counter)
    num_fresh: int = 0
    num_terms: int = 0
    num_lost_disks: int = 0
    max_repeated_steps: int = 0
    seconds_to_step: list[float] = field(default_factory=list, repr=False)
    seconds: float = 0.0
    decks: dict[bool, list[str]] = field(default_factory=dict, repr=False)

    @property
    def holds(self) -> bool:
        """Whether no byte differs, no kill cost more than one interval and a step, and the kills did hit."""
        return (
            self.differing_bytes == 0
            and self.max_repeated_steps <= ALLOWED_REPEATED_STEPS
            and self.num_kills >= LEAST_HIT_SHARE * self.num_drawn
        )

    def count(self, ended: Ended) -> None:
        """Book one attempt that was hit."""
        assert ended.hit is not None
        self.num_kills += 1
        self.hits[ended.hit.point] += 1
        self.num_fresh += ended.fresh
        self.num_terms += ended.hit.signal_name == "SIGTERM"


def certify(
    case: str,
    settings: TrainSettings,
    num_kills: int,
    rng: random.Random,
    folder: Path,
    *,
    allow_fresh: bool = True,
    store: ResumeStore | None = None,
) -> Certificate:
    """Kill ``settings``' run ``num_kills`` times, over as many runs as that takes, and compare each with the first.

    The first one is never disturbed, and knows of the disk only.
    """
    started = time.monotonic()
    store = store if store is not None else DiskStore()
    certificate = Certificate(case, settings.compute.num_ranks)
    undisturbed = folder / "undisturbed"
    ended = forked_attempt(Attempt(settings, undisturbed, folder / "note", Placement(), 0), None)
    if ended.exit_code != 0:
        raise RuntimeError(f"the undisturbed run ended with {ended.exit_code}; run it alone to see why")
    expected = final_files(undisturbed)
    certificate.num_steps = json.loads((undisturbed / "result.json").read_text())["numbers"]["num_steps"]
    while certificate.num_kills < num_kills:
        run_path = folder / f"run-{certificate.num_runs}"
        kill_until_done(
            store.settings(settings), run_path, certificate, num_kills, rng, allow_fresh=allow_fresh, store=store
        )
        certificate.num_runs += 1
        compare(expected, final_files(run_path), certificate)
        elsewhere = store.kept_elsewhere(run_path)
        if elsewhere is not None:
            compare(expected, elsewhere, certificate)
        shutil.rmtree(run_path)
        say(
            f"{certificate.case}, {certificate.num_ranks} rank(s): {certificate.num_kills}/{num_kills} kills, "
            f"{certificate.num_runs} runs compared, {certificate.differing_bytes} bytes differ"
        )
    certificate.seconds = time.monotonic() - started
    return certificate


def kill_until_done(
    settings: TrainSettings,
    run_path: Path,
    certificate: Certificate,
    num_kills: int,
    rng: random.Random,
    *,
    allow_fresh: bool,
    store: ResumeStore,
) -> None:
    """Attempts at one run until it is finished; each is hit where it was drawn, while kills are left."""
    reached_step = 0
    decks = certificate.decks
    while True:
        kill = None
        if certificate.num_kills < num_kills:
            num_ranks = settings.compute.num_ranks
            kill = draw_kill(rng, reached_step, certificate.num_steps, num_ranks, decks, store.points)
            certificate.num_drawn += 1
        is_fresh = allow_fresh and certificate.num_drawn % FRESH_EVERY == 2
        note_path = run_path.with_suffix(".note")
        attempt = Attempt(settings, run_path, note_path, store.placement(run_path), store.newest_step(run_path))
        if kill is not None and is_fresh:
            ended = fresh_attempt(attempt, kill, hash_seed=rng.randrange(2))
        else:
            ended = forked_attempt(attempt, kill)
        if ended.seconds_to_step is not None and ended.started_at_step > 0:
            certificate.seconds_to_step.append(ended.seconds_to_step)
        certificate.max_repeated_steps = max(certificate.max_repeated_steps, reached_step - ended.started_at_step)
        if ended.hit is None:
            if ended.exit_code != 0:
                raise RuntimeError(f"an attempt that was not hit ended with {ended.exit_code}: {run_path}")
            return
        if ended.exit_code not in KILL_EXIT_CODES[ended.hit.signal_name]:
            raise RuntimeError(f"hit by {ended.hit}, the job ended with {ended.exit_code}: {run_path}")
        certificate.count(ended)
        if ended.exit_code == 0:
            return
        reached_step = ended.hit.step
        certificate.num_lost_disks += store.lose_disk(run_path, rng)


def draw_kill(
    rng: random.Random,
    reached_step: int,
    num_steps: int,
    num_ranks: int,
    decks: dict[bool, list[str]],
    points: Sequence[str] = CRASH_POINTS,
) -> Kill:
    """A step ahead, a named point, a rank, and rarely a polite signal.

    Points come from a shuffled deck, so that each is drawn before one is drawn again.
    """
    step = rng.randrange(reached_step, max(num_steps, reached_step + 1))
    step = min(step, reached_step + rng.randrange(2 * CHECKPOINT_STEPS + 1))
    rank = rng.randrange(num_ranks)
    deck = decks.setdefault(rank == 0, [])
    if not deck:
        deck.extend(points if rank == 0 else POINTS_OF_OTHER_RANKS)
        rng.shuffle(deck)
    signal_name = "SIGTERM" if rng.random() < TERM_SHARE else "SIGKILL"
    return Kill(step, deck.pop(), signal_name, rank)


def final_files(run_path: Path) -> dict[str, bytes]:
    """Everything the promise names, as bytes: the run's listed files and the last checkpoint's parts."""
    manifest = json.loads((run_path / "manifest.json").read_bytes())
    files = {name: (run_path / name).read_bytes() for name in [*manifest["files"], "manifest.json"]}
    head = json.loads((run_path / "checkpoints" / "head.json").read_bytes())
    newest = run_path / "checkpoints" / head["newest"]
    parts = [path for path in sorted(newest.iterdir()) if path.name != "manifest.json"]
    return files | {f"last checkpoint/{path.name}": path.read_bytes() for path in parts}


def compare(expected: dict[str, bytes], found: dict[str, bytes], certificate: Certificate) -> None:
    """Count the bytes that differ; a missing file differs by all of its own."""
    for name in sorted(expected.keys() | found.keys()):
        one, other = expected.get(name, b""), found.get(name, b"")
        num_bytes = sum(a != b for a, b in zip(one, other, strict=False)) + abs(len(one) - len(other))
        if num_bytes:
            certificate.differing_bytes += num_bytes
            certificate.differing_files.append(name)


def warm_up(settings: TrainSettings) -> None:
    """Import and compute, once, in the parent of all forks, what each attempt would do before it trains."""
    for module in (ENTRY_MODULES["train"], *OBJECTIVE_MODULES.values(), *IMPORTED_BY_FIRST_USE):
        importlib.import_module(module)
    build_of(settings)


def say(line: str) -> None:
    """Progress, apart from the result."""
    print(line, file=sys.stderr, flush=True)


def report(certificates: Sequence[Certificate]) -> str:
    """A table for people."""
    header = (
        "| model | ranks | kills drawn | that hit | of them SIGTERM | disks lost | fresh processes | runs compared "
    )
    header += "| steps a run | steps done twice per kill, at most | bytes that differ "
    header += "| seconds to the first resumed step, median (most) | minutes |"
    lines = [header, "|---" * 13 + "|"]
    lines += [
        f"| {c.case} | {c.num_ranks} | {c.num_drawn} | {c.num_kills} | {c.num_terms} | {c.num_lost_disks} "
        f"| {c.num_fresh} | {c.num_runs} | {c.num_steps} | {c.max_repeated_steps} | {c.differing_bytes} "
        f"| {_median_and_most(c.seconds_to_step)} | {c.seconds / 60:.1f} |"
        for c in certificates
    ]
    total = sum((c.hits for c in certificates), Counter[str]())
    named = [point for point in (*CRASH_POINTS, *REMOTE_CRASH_POINTS) if point in CRASH_POINTS or total[point]]
    hits = ", ".join(f"{point} {total[point]}" for point in named)
    return "\n".join([*lines, "", f"Where they hit: {hits}."])


def _median_and_most(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} ({max(seconds):.2f})" if seconds else "–"


def shares(num_kills: int, ranks: Sequence[int]) -> list[int]:
    """Kills for each number of ranks: the first takes what the others, a fifth each, leave."""
    others = [num_kills // 5] * (len(ranks) - 1)
    return [num_kills - sum(others), *others]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the certificate; 0 when it holds for all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resume", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--kills", type=int, default=200, help="kills per case, over all numbers of ranks")
    parser.add_argument("--seed", type=int, default=0, help="seed of the kills")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 3], help="processes that train together")
    parser.add_argument("--cases", nargs="+", default=list(cases()), choices=cases(), help="which small runs")
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument(
        "--store",
        choices=("disk", "s3"),
        default="disk",
        help="s3: mirrored to S3 (moto); most attempts lose their disk",
    )
    arguments = parser.parse_args(argv)
    certificates = []
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="codewarden-resume-")))
        store = opened.enter_context(s3_store(folder)) if arguments.store == "s3" else DiskStore()
        write_tiny_data(folder / "data")
        warm_up(tiny_run(arguments.cases[0], folder / "data", num_ranks=1))
        for case in arguments.cases:
            for num_ranks, num_kills in zip(arguments.ranks, shares(arguments.kills, arguments.ranks), strict=True):
                settings = tiny_run(case, folder / "data", num_ranks=num_ranks)
                rng = random.Random(f"{arguments.seed}:{case}:{num_ranks}")
                certificates.append(
                    certify(case, settings, num_kills, rng, folder / f"{case}-{num_ranks}", store=store)
                )
    print(report(certificates))
    holds = all(certificate.holds for certificate in certificates)
    print("The certificate holds." if holds else "THE CERTIFICATE DOES NOT HOLD.")
    if arguments.json:
        arguments.json.write_text(json.dumps([_plain(c) for c in certificates], indent=1))
    return 0 if holds else 1


@contextlib.contextmanager
def s3_store(folder: Path) -> Iterator[S3Store]:
    """A bucket of a moto process; this process and its forks speak to it."""
    with LocalAws(folder / "aws", twin=False) as aws:
        os.environ.update(aws.environment)
        region = aws.environment["AWS_DEFAULT_REGION"]
        yield S3Store(open_s3(S3Uri(aws.bucket, "runs"), region=region), region)


def _plain(certificate: Certificate) -> dict[str, Any]:
    plain = {name: value for name, value in vars(certificate).items() if name != "decks"}
    return {**plain, "hits": dict(certificate.hits), "holds": certificate.holds}


if __name__ == "__main__":
    without_threads("benchmarks.resume")
    sys.exit(main())
