"""Writes ``requirements.lock`` from the environment it runs in: ``python -m deployments.lock``.

What belongs in the lock is what ``pyproject.toml`` needs, directly or not, at the versions installed here. Change the
bounds in ``pyproject.toml``, install, run the tests and a server, then run this.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
LOCK_PATH = ROOT / "requirements.lock"
PYTHONS = ("3.11", "3.12", "3.13")
# Needed on a Python that the environment is not, so not installed in it: the requirement as the lock says it.
ELSEWHERE = {"whenever": 'whenever==0.10.5; python_version >= "3.13"'}  # Prefect's clock from 3.13 on
HEADER = """\
# Every package of the environment, at the versions that were tested together, for Python {pythons} on Linux.
# Made by `make lock` (deployments/lock.py) from an installed environment: what pyproject.toml needs, directly or not.
# To redo it: change the bounds in pyproject.toml, `.venv/bin/pip install -e '.[dev]'`, `make test`, `make lock`.
# No index is named: it installs from plain PyPI. torch is written without its local tag (+cpu, +cu130): the wheel
# differs by index, which is also why there are no hashes (docs/decisions/0004-lock-without-hashes.md).
"""


def main() -> int:
    """Write the lock and say what it holds."""
    pins = locked_pins()
    LOCK_PATH.write_text(HEADER.format(pythons=", ".join(PYTHONS)) + "".join(f"{pin}\n" for pin in pins))
    sys.stdout.write(f"{LOCK_PATH.name}: {len(pins)} packages\n")
    return 0


def locked_pins() -> list[str]:
    """``name==version`` of every package that the project needs, without local version tags, sorted."""
    needed = needed_packages()
    installed = (metadata.distribution(name) for name in needed - ELSEWHERE.keys())
    pins = [f"{found.metadata['Name']}=={Version(found.version).public}" for found in installed]
    return sorted([*pins, *(ELSEWHERE[name] for name in needed & ELSEWHERE.keys())], key=str.lower)


def needed_packages() -> set[str]:
    """Canonical names of the packages needed, directly or not, on any of ``PYTHONS``.

    Raises:
        PackageNotFoundError: Something needed is not installed; install it first.
    """
    seen: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(r.name), extra) for r in direct_requirements() for extra in ("", *r.extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) not in seen:
            seen.add((name, extra))
            waiting += [
                (canonicalize_name(inner.name), inner_extra)
                for inner in _requirements_of(name, extra)
                for inner_extra in ("", *inner.extras)
            ]
    return {name for name, _ in seen}


def direct_requirements() -> Iterator[Requirement]:
    """What ``pyproject.toml`` asks for, the tools of development included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for group in (project["dependencies"], *project["optional-dependencies"].values()):
        yield from map(Requirement, group)


def _requirements_of(name: str, extra: str) -> Iterable[Requirement]:
    if name in ELSEWHERE:
        return
    for text in metadata.distribution(name).requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None:
            if not extra:
                yield requirement
        elif any(marker.evaluate({"python_version": python, "extra": extra}) for python in PYTHONS):
            yield requirement


if __name__ == "__main__":
    sys.exit(main())
