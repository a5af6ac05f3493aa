"""The Makefile explains itself, and sets up what it needs."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.search(r"^\.PHONY: (.*)$", TEXT, re.M)[1].split()
BARE = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
"""As on a user's command line, also when these tests were started by make."""


def make(*arguments: str) -> str:
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments], capture_output=True, text=True, cwd=ROOT, check=True, env=BARE
    )
    return done.stdout


def test_make_alone_tells_every_target_in_one_line() -> None:
    assert [line.split()[0] for line in make().splitlines()] == TARGETS


@pytest.mark.parametrize("target", sorted(set(TARGETS) - {"help", "clean", "setup"}))
def test_every_target_installs_the_lock_first(target: str) -> None:
    # --what-if: as if the lock had just changed; -n: says what it would do.
    planned = make("-n", "--what-if=requirements.lock", target)
    assert planned.index("pip install --quiet --disable-pip-version-check -r requirements.lock") >= 0


def test_the_tests_of_make_test_are_all_but_the_long_ones() -> None:
    assert '-m "not long"' in make("-n", "test")
    assert "-m long" in make("-n", "test-long")
