"""A job of the contract in a few lines, for the tests of launching and watching: steps, saves, obeys, misbehaves.

Steps by itself from its newest checkpoint, one every ``--step-seconds``, saves after each, and counts its attempts.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

STOP = []


def main() -> int:
    arguments = parse()
    run_path = Path(arguments.run_dir)
    lock = (run_path / "lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 73
    attempts_path = run_path / "attempts.txt"
    with attempts_path.open("a") as file:
        file.write(f"{os.getpid()}\n")
    attempt = len(attempts_path.read_text().split())
    (run_path / "environment.json").write_text(json.dumps(dict(os.environ)))
    signal.signal(signal.SIGTERM, signal.SIG_IGN if arguments.ignore_sigterm else lambda *_: STOP.append(1))
    print("a library prints this", flush=True)
    print("and logs this", file=sys.stderr, flush=True)
    if arguments.outcome:
        word, code = arguments.outcome.split(":")
        return leave(run_path, word, int(code), attempt, arguments)
    tell("phase", phase="load")
    tell("phase", phase="train")
    return train(run_path, arguments, attempt)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--step-seconds", type=float, default=0.0)
    parser.add_argument("--kill-each", type=int, default=0, help="SIGKILL itself after so many steps of each attempt")
    parser.add_argument("--kill-at-start", action="store_true")
    parser.add_argument("--hang", action="store_true")
    parser.add_argument("--ignore-sigterm", action="store_true")
    parser.add_argument("--outcome", default="", help="leave at once with this outcome:code")
    parser.add_argument("--error", default="SomeError")
    parser.add_argument("--retryable", action="store_true")
    parser.add_argument("job")
    parser.add_argument("--run-dir")
    parser.add_argument("--runs")
    return parser.parse_args()


def train(run_path: Path, arguments: argparse.Namespace, attempt: int) -> int:
    from models.store.head import Head, published_step

    head_path = run_path / "checkpoints" / "head.json"
    head_path.parent.mkdir(exist_ok=True)
    first_step = (published_step(head_path.parent) or 0) + 1
    for step in range(first_step, arguments.steps + 1):
        time.sleep(arguments.step_seconds)
        if arguments.kill_at_start:
            os.kill(os.getpid(), signal.SIGKILL)
        while arguments.hang and not STOP:
            time.sleep(0.05)
        if STOP:
            tell("phase", phase="save")
            return leave(run_path, "interrupted", 75, attempt, arguments)
        tell("step", step=step, num_steps=arguments.steps, epoch=0, loss=0.5, samples_per_second=10.0)
        name = f"step-{step:09d}-a{attempt}"
        head_path.write_bytes(Head(name, None, (name,), attempt, "stub", {}).to_bytes())
        if arguments.kill_each and step - first_step + 1 >= arguments.kill_each and step < arguments.steps:
            os.kill(os.getpid(), signal.SIGKILL)
    tell("epoch", epoch=0, num_epochs=1, f1=0.5)
    finish(run_path)
    return leave(run_path, "done", 0, attempt, arguments)


def tell(event: str, **values: object) -> None:
    line = json.dumps({"event": event, "time": time.time(), **values})
    with (run_path_of_arguments() / "progress.jsonl").open("a") as file:
        file.write(line + "\n")
    print(line, flush=True)


def run_path_of_arguments() -> Path:
    return Path(sys.argv[sys.argv.index("--run-dir") + 1])


def finish(run_path: Path) -> None:
    from models.store.manifest import write_manifest

    (run_path / "result.json").write_text(json.dumps({"kind": "stub", "numbers": {"f1": 0.5}, "files": []}))
    key = hashlib.sha256(b"stub").hexdigest()
    write_manifest(run_path, ["result.json"], kind="stub", run_key=key, build_key=key)


def leave(run_path: Path, word: str, code: int, attempt: int, arguments: argparse.Namespace) -> int:
    outcome = {"outcome": word, "message": f"said {word}", "step": None, "attempt": attempt}
    error = None if word == "done" else arguments.error
    text = json.dumps({**outcome, "error": error, "retryable": arguments.retryable})
    temporary = run_path / ".outcome"
    temporary.write_text(text)
    temporary.replace(run_path / "outcome.json")
    return code


if __name__ == "__main__":
    sys.exit(main())
