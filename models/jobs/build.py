"""The build key: with which code and machine a question is answered.

Digest of the import closure of the kind's entry modules (syntax trees without docstrings, so that a comment costs
nothing), the versions of the libraries they use, and device class, precision, ranks and threads; where they decide,
also the device's memory (batch size) and the weights that the model begins from.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import platform
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from models.jobs.compute import Computed, planned_facts
from models.jobs.hardware import this_machine
from models.jobs.keys import build_settings, sha256_of
from models.jobs.placement import Machine
from models.jobs.registry import entry_modules
from models.settings.fields import Settings

ROOT_PATH = Path(__file__).resolve().parents[2]
OWN_PACKAGES = ("models",)
DISTRIBUTIONS = {"faiss": "faiss-cpu", "sklearn": "scikit-learn", "yaml": "PyYAML"}
"""Where a distribution is not called as its module."""
WORKS_THROUGH = {"sklearn": ("scipy",)}
"""Libraries that compute our results by way of another one."""
DECIDES_NOTHING = {"pydantic", "pydantic_settings", "boto3", "botocore"}
"""Libraries that check settings or carry bytes but compute no result."""
ABSENT = "absent"
"""Version of a library that is not installed: the job fails at its import, and a plan for elsewhere names it."""
BY_VALUE = ROOT_PATH / "models" / "settings"
"""Settings enter the run key by value, so their code is left out: a new field of one kind rebuilds no other."""

_parsing = threading.Lock()
"""Flows plan several jobs at once, and CPython (3.11.7 was seen to) raises SystemError when two threads parse at once:
it counts the depth of both trees in one place."""


@dataclass(frozen=True)
class Build:
    """The parts of a build key, kept so that a difference can be named."""

    files: dict[str, str]
    libraries: dict[str, str]
    machine: dict[str, Any]

    @property
    def key(self) -> str:
        """Hex digest of all parts."""
        return sha256_of(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """As written to ``build.json``."""
        return {"files": self.files, "libraries": self.libraries, "machine": self.machine}

    def differences(self, other: dict[str, Any], *, other_is: str = "then", this_is: str = "now") -> list[str]:
        """One phrase for each file, version or fact that differs from ``other`` (a ``build.json``).

        Args:
            other: The parts of the other build.
            other_is: What its values are called.
            this_is: What the values of this build are called.
        """
        phrases: list[str] = []
        for part, mine in self.to_json().items():
            theirs = other.get(part, {})
            names = [name for name in sorted(mine.keys() | theirs.keys()) if mine.get(name) != theirs.get(name)]
            if part == "files":
                phrases += [f"{name} changed" for name in names]
            else:
                phrases += [f"{n}: {theirs.get(n, ABSENT)} {other_is}, {mine.get(n, ABSENT)} {this_is}" for n in names]
        return phrases


def build_of(settings: Settings, machine: Machine | None = None, python: str | None = None) -> Build:
    """The build that would answer ``settings`` with the code and libraries of here and now.

    Loads no learning library.

    Args:
        settings: Settings of the job.
        machine: The machine that it is planned for; ``None``: this one.
        python: Version of Python that it is planned for, such as 3.11.7; ``None``: this one.

    Raises:
        SettingsInvalid: the backbone cannot be had, or the machine lacks what is asked. Not retried.
    """
    paths = closure(entry_modules(settings))
    facts = build_settings(settings)
    if isinstance(settings, Computed):
        facts |= planned_facts(settings, machine)
    else:
        facts["device_class"] = (machine or this_machine("cpu")).device_class
    libraries = library_versions(paths)
    return Build(
        files={path.relative_to(ROOT_PATH).as_posix(): code_digest(path) for path in paths},
        libraries=libraries if python is None else {**libraries, "python": python},
        machine=facts,
    )


def closure(modules: Iterable[str]) -> list[Path]:
    """Own files that ``modules`` import, directly or not, at the top or inside functions; sorted."""
    waiting = [path for module in modules for path in _module_paths(module)]
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in found or BY_VALUE in path.parents:
            continue
        found.add(path)
        for name in imported_modules(path):
            if name.split(".")[0] in OWN_PACKAGES:
                waiting.extend(_module_paths(name))
    return sorted(found)


@cache
def imported_modules(path: Path) -> tuple[str, ...]:
    """Dotted names a file imports; ``from a import b`` gives both ``a`` and ``a.b``, for b may be a module."""
    names: list[str] = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.append(node.module)
            names.extend(f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(names)


@cache
def code_digest(path: Path) -> str:
    """Digest of a file's syntax tree without docstrings; comments, blank lines and layout do not count."""
    tree = _tree(path)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [statement for statement in body if not _is_bare_string(statement)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def library_versions(paths: Iterable[Path]) -> dict[str, str]:
    """Versions of Python and of the third parties that ``paths`` import, without local tags such as ``+cpu``."""
    modules = {name.split(".")[0] for path in paths for name in imported_modules(path)}
    third = modules - set(sys.stdlib_module_names) - set(OWN_PACKAGES) - DECIDES_NOTHING
    third |= {name for module in third for name in WORKS_THROUGH.get(module, ())}
    versions = {"python": platform.python_version()}
    for module in sorted(third):
        distribution = DISTRIBUTIONS.get(module, module)
        try:
            versions[distribution] = importlib.metadata.version(distribution).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            versions[distribution] = ABSENT
    return versions


def _tree(path: Path) -> ast.Module:
    source = path.read_text(encoding="utf-8")
    with _parsing:
        return ast.parse(source)


def _is_bare_string(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _module_paths(module: str) -> Iterator[Path]:
    """The file of a module and the ``__init__`` of each package above it; nothing for what is no module."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        folder = ROOT_PATH.joinpath(*parts[:depth])
        for candidate in (folder.with_suffix(".py"), folder / "__init__.py"):
            if candidate.is_file():
                yield candidate
