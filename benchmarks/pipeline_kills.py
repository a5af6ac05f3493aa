"""The encoder pipeline killed again and again: ``python -m benchmarks.pipeline_kills --kills 10 --seed 1``.

One pipeline runs undisturbed; another, in a run root of its own, is killed at moments drawn over the phases of its jobs
(SIGKILL of everything, SIGKILL of the flow alone, SIGTERM) and started again each time, then runs to its end. The
frozen champion, the manifest of every job, pointers, links, openings (but for times and attempts) and the
printed tables (but for the run root) must be the same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pipeline_moments import Moment, drawn_moments
from models.data.generated_findings import write_sample
from models.store.openings import read_openings
from tasks.champion_manifest import canonical_openings

POLL_SECONDS = 0.02
PATIENCE_SECONDS = 1800.0
PRINTED_FILE = "printed.txt"
WAYS = ("everything", "flow alone", "SIGTERM")


@dataclass(frozen=True)
class Kill:
    """A kill that was tried.

    Args:
        moment: When.
        way: One of ``WAYS``.
        hit: Whether the pipeline was at work then.
    """

    moment: Moment
    way: str
    hit: bool


def main(argv: Sequence[str] | None = None) -> int:
    """Kill, compare, print a table; 1 where a byte differs or fewer kills hit than were asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline_kills", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--kills", type=int, default=10, help="kills that must hit")
    parser.add_argument("--seed", type=int, default=1, help="of moments and ways")
    parser.add_argument("--config", type=Path, default=Path("configs/encoder/pipeline_small.yaml"), help="pipeline")
    parser.add_argument("--num-findings", type=int, default=1800, help="findings generated")
    parser.add_argument("--keep", type=Path, help="folder in which both run roots stay")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="codewarden-kills-") as scratch:
        folder = arguments.keep or Path(scratch)
        write_sample(folder / "data", arguments.num_findings)
        command = [sys.executable, "-m", "flows.pipeline", "--config", str(arguments.config)]
        command += ["--data", str(folder / "data")]
        started = time.monotonic()
        _finish(_start(command, folder / "calm"))
        print(f"undisturbed: {time.monotonic() - started:.0f} s", flush=True)
        moments = drawn_moments(folder / "calm", arguments.kills, arguments.seed)
        draw = random.Random(arguments.seed)
        kills = [_kill(command, folder / "killed", moment, draw) for moment in moments]
        _finish(_start(command, folder / "killed"))
        differing = differences(folder / "calm", folder / "killed")
    return _report(kills, differing)


def differences(calm_path: Path, killed_path: Path) -> list[str]:
    """What is not the same bytes in two run roots: frozen champions, and the manifest of every job."""
    found = [_frozen(path) for path in (calm_path, killed_path)]
    return sorted(name for name in found[0].keys() | found[1].keys() if found[0].get(name) != found[1].get(name))


def _frozen(runs_path: Path) -> dict[str, bytes]:
    """Bytes by name; names without the dates that labels carry."""
    champions = {path.parent.name: path.read_bytes() for path in runs_path.glob("champions/*/champion.json")}
    pointers = {path.name: path.read_bytes() for path in runs_path.glob("pointers/*.json")}
    links = {
        path.relative_to(runs_path).as_posix(): str(path.readlink()).encode()
        for folder in ("encoder", "evaluation")
        for path in (runs_path / folder).rglob("*")
        if path.is_symlink()
    }
    openings = {json.dumps(opening): b"" for opening in canonical_openings(read_openings(runs_path))}
    printed = (runs_path / PRINTED_FILE).read_bytes().replace(str(runs_path).encode(), b"RUNS")
    manifests = {
        f"{path.parts[-4]} {path.parts[-3].rpartition('-')[2]} {path.parts[-2]}": path.read_bytes()
        for path in runs_path.glob("*/*/*/manifest.json")
    }
    if not champions:
        raise RuntimeError(f"{runs_path} holds no frozen champion: the pipeline did not come to its end")
    return champions | manifests | pointers | links | openings | {"the printed tables": printed}


def _start(command: list[str], runs_path: Path) -> subprocess.Popen[bytes]:
    runs_path.mkdir(parents=True, exist_ok=True)
    with (runs_path / "pipeline.log").open("ab") as log, (runs_path / PRINTED_FILE).open("wb") as printed:
        return subprocess.Popen(
            [*command, "--runs", str(runs_path)], stdout=printed, stderr=log, start_new_session=True, env={**os.environ}
        )


def _finish(process: subprocess.Popen[bytes]) -> None:
    code = process.wait(PATIENCE_SECONDS)
    if code != 0:
        raise RuntimeError(f"the pipeline ended with {code}; its log is pipeline.log in its run root")


def _kill(command: list[str], runs_path: Path, moment: Moment, draw: random.Random) -> Kill:
    """Run until the moment has come, wait a little, kill."""
    way = draw.choice(WAYS)
    wait_seconds = draw.uniform(0.0, 0.3)
    process = _start(command, runs_path)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and not moment.has_come(runs_path):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{moment} did not come within {PATIENCE_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    time.sleep(wait_seconds)
    hit = process.poll() is None
    if hit and way == "everything":
        os.killpg(process.pid, signal.SIGKILL)
    elif hit:
        process.send_signal(signal.SIGKILL if way == "flow alone" else signal.SIGTERM)
    process.wait(120)
    print(f"{'hit' if hit else 'missed'}: {way}, {moment.kind} {moment.run_key} in {moment.phase}", flush=True)
    return Kill(moment, way, hit)


def _report(kills: list[Kill], differing: list[str]) -> int:
    hits = [kill for kill in kills if kill.hit]
    phases = sorted({f"{kill.moment.kind}/{kill.moment.phase}" for kill in hits})
    ways = ", ".join(f"{way} {sum(kill.way == way for kill in hits)}" for way in WAYS)
    print(f"{len(hits)} of {len(kills)} kills hit ({ways}) in {', '.join(phases)}")
    print(
        f"differing: {', '.join(differing)}"
        if differing
        else "champion, manifests, pointers, links, openings and tables: the same bytes"
    )
    return int(bool(differing) or len(hits) < len(kills))


if __name__ == "__main__":
    sys.exit(main())
