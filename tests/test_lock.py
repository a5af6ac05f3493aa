"""The lock: what it pins satisfies ``pyproject.toml`` and keeps Prefect's server and scheduler alive."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from deployments.lock import direct_requirements, locked_pins

ROOT = Path(__file__).resolve().parents[1]
LOCK_LINES = (ROOT / "requirements.lock").read_text().splitlines()


@pytest.fixture(scope="module")
def pins() -> dict[str, Version]:
    requirements = [Requirement(line) for line in LOCK_LINES if not line.startswith("#")]
    exact = {canonicalize_name(r.name): Version(next(iter(r.specifier)).version) for r in requirements}
    assert len(exact) == len(requirements), "a package is pinned twice"
    return exact


def test_every_direct_requirement_is_pinned_within_its_bounds(pins: dict[str, Version]) -> None:
    outside = [str(r) for r in direct_requirements() if not r.specifier.contains(pins[canonicalize_name(r.name)])]
    assert outside == []


@pytest.mark.parametrize(("name", "bound"), [("fastapi", "<0.151"), ("sqlalchemy", "<2.1")])
def test_what_breaks_the_prefect_server_stays_out(name: str, bound: str, pins: dict[str, Version]) -> None:
    # pip check is content with later ones; reference/prefect.md section 0 tells what then happens.
    assert SpecifierSet(bound).contains(pins[name])
    (direct,) = [r for r in direct_requirements() if canonicalize_name(r.name) == name]
    assert not direct.specifier.contains(bound.removeprefix("<")), f"pyproject.toml must bound {name} itself"


def test_the_lock_installs_from_any_index() -> None:
    for line in LOCK_LINES:
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][^+ ;]*(; python_version .*)?", line), line


def test_the_lock_is_what_is_installed(pins: dict[str, Version]) -> None:
    made = {line.partition(";")[0].strip() for line in locked_pins()}
    told = {line.partition(";")[0].strip() for line in LOCK_LINES if not line.startswith("#")}
    assert made == told, "run make lock (or make setup, if the lock is newer than the environment)"


def test_what_the_pinned_packages_ask_for_is_pinned_too(pins: dict[str, Version]) -> None:
    conflicts = []
    for name in pins:
        try:
            requires = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # needed on another Python only
        for requirement in map(Requirement, requires):
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            pinned = pins.get(canonicalize_name(requirement.name))
            if wanted and (pinned is None or not requirement.specifier.contains(pinned, prereleases=True)):
                conflicts.append(f"{name} needs {requirement}, the lock has {pinned}")
    assert conflicts == []
