"""The layers: flows → tasks → models, never upward, and nothing heavy where flows are loaded.

Shown twice: over the syntax trees (imports inside functions included), and over ``sys.modules`` of a fresh process.
"""

from __future__ import annotations

import ast
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("models", "tasks", "flows", "deployments", "benchmarks")
TORCH = {"torch", "transformers", "torch_geometric", "accelerate"}
CLOUD = {"prefect_aws", "boto3", "botocore", "sagemaker"}
SCIENCE = {"scipy", "sklearn", "mlflow", "matplotlib", "pandas", "pyarrow", "faiss", "bm25s", "lightgbm"}
HEAVY_BESIDE_A_FLOW = TORCH | CLOUD | {"scipy", "sklearn", "mlflow", "faiss", "bm25s", "lightgbm"}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "misc", "core"}


@dataclass(frozen=True)
class Rule:
    """What a part of the tree may not import.

    Args:
        place: Folder or file, relative to the root; the rules of every enclosing place hold too.
        never: Top-level packages that may not be imported at all, not even inside a function.
        inside_functions_only: Those that may be imported inside a function that needs them.
        advice: Where the thing belongs instead.
    """

    place: str
    never: frozenset[str] = frozenset()
    inside_functions_only: frozenset[str] = frozenset()
    advice: str = ""


RULES = (
    Rule(
        "models",
        never=frozenset({"prefect", "prefect_aws", "sagemaker", "tasks", "flows", "deployments", "serving"}),
        inside_functions_only=frozenset({"boto3", "botocore", "mlflow"}),
        advice="models/ is ML and nothing else: what speaks to Prefect or AWS goes to tasks/ (boto3: lazily in store/)",
    ),
    Rule(
        "models/settings",
        never=frozenset(TORCH | CLOUD | SCIENCE | {"numpy"}),
        advice="settings are loaded by flows: what needs torch or numpy goes to the job that reads the settings",
    ),
    Rule(
        "models/evaluation",
        never=frozenset(TORCH | CLOUD),
        inside_functions_only=frozenset(SCIENCE),
        advice="evaluation is numpy only, so that tasks may import it: torch goes to models/training or models/nn",
    ),
    Rule(
        "tasks",
        never=frozenset(TORCH | {"flows", "deployments", "serving"}),
        inside_functions_only=frozenset(CLOUD | SCIENCE),
        advice="tasks launch jobs: work on tensors goes to models/, order to flows/, cloud imports into the function",
    ),
    Rule(
        "flows",
        never=frozenset(TORCH | {"boto3", "botocore", "sagemaker", "deployments", "serving"}),
        inside_functions_only=frozenset({"prefect_aws"} | SCIENCE),
        advice="flows say order and fan-out: the step itself goes to tasks/, ML to models/",
    ),
)


@dataclass(frozen=True)
class Import:
    """One imported module, and whether the import runs when the file is loaded."""

    module: str
    line: int
    lazy: bool

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]


def imports_of(source: str, package: str) -> Iterator[Import]:
    """Imports of a file; ``package`` resolves relative ones. ``if TYPE_CHECKING`` imports nothing."""

    def visit(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, child.lineno, lazy) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - child.level + 1] if child.level else []
                yield Import(".".join([*above, *filter(None, [child.module])]), child.lineno, lazy)
            elif isinstance(child, ast.Call) and _is_import_call(child):
                yield Import(str(child.args[0].value), child.lineno, lazy)  # type: ignore[attr-defined]
            inner = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from visit(child, lazy or inner)

    return visit(ast.parse(source), lazy=False)


def _is_import_call(call: ast.Call) -> bool:
    """``importlib.import_module("x")`` or ``__import__("x")`` with a constant."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    constant = bool(call.args) and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    return name in ("import_module", "__import__") and constant


def broken_rules(path: Path, root: Path = ROOT) -> list[str]:
    """What a file imports against the rules, each with where it should go."""
    relative = path.relative_to(root)
    package = ".".join(relative.parent.parts)
    found = []
    for rule in RULES:
        if relative != Path(rule.place) and Path(rule.place) not in relative.parents:
            continue
        for item in imports_of(path.read_text(encoding="utf-8"), package):
            at_load = item.package in rule.inside_functions_only and not item.lazy
            if item.package in rule.never or at_load:
                how = "at import" if at_load else "at all"
                found.append(f"{relative}:{item.line}: may not import {item.module} {how}; {rule.advice}")
    return found


def files_of(*layers: str) -> list[Path]:
    return sorted(path for layer in layers for path in (ROOT / layer).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def loaded_by(module: str) -> set[str]:
    """Top-level packages in ``sys.modules`` of a fresh process that imported only this module."""
    code = f"import sys, json, {module}; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, f"import {module} failed:\n{done.stderr}"
    return set(json.loads(done.stdout.splitlines()[-1]))


def modules_of(*layers: str) -> list[str]:
    return [module_name(path) for path in files_of(*layers) if path.stem not in ("__init__", "__main__")]


def test_every_layer_imports_only_downwards() -> None:
    assert [line for path in files_of(*LAYERS) for line in broken_rules(path)] == []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("models/nn/planted.py", "import prefect\n"),
        ("models/data/planted.py", "def late():\n    from tasks import jobs\n"),
        ("models/store/planted.py", "import boto3\n"),
        ("models/settings/planted.py", "def late():\n    import torch\n"),
        ("models/evaluation/planted.py", "from sklearn.metrics import f1_score\n"),
        ("tasks/planted.py", "class Lazy:\n    def run(self):\n        import torch.nn\n"),
        ("tasks/planted.py", "import boto3\n"),
        ("tasks/launchers/planted.py", "from ...flows import phase1\n"),
        ("flows/planted.py", "from importlib import import_module\nimport_module('torch')\n"),
        ("flows/planted.py", "import mlflow\n"),
    ],
)
def test_a_planted_violation_is_found_and_told_where_to_go(place: str, source: str, tmp_path: Path) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(source)
    (line,) = broken_rules(path, root=tmp_path)
    assert line.startswith(f"{place}:")
    assert line.rpartition("; ")[2] in {rule.advice for rule in RULES}


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("tasks/planted.py", "def late():\n    import boto3\n"),
        ("models/store/planted.py", "def late():\n    import boto3\n"),
        ("models/nn/planted.py", "import torch\n"),
        ("tasks/planted.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n"),
    ],
)
def test_what_is_allowed_is_left_alone(place: str, source: str, tmp_path: Path) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert broken_rules(path, root=tmp_path) == []


def test_loading_a_flow_or_task_loads_nothing_heavy() -> None:
    # One process for all, not one for each: only where it loads something heavy does it matter which module did.
    modules = modules_of("flows", "tasks")
    if loaded_by(", ".join(modules)) & HEAVY_BESIDE_A_FLOW:
        heavy = {module: sorted(loaded_by(module) & HEAVY_BESIDE_A_FLOW) for module in modules}
        guilty = {module: names for module, names in heavy.items() if names}
        raise AssertionError(f"imports are heavy, move them into the functions that need them: {guilty}")


def test_settings_and_evaluation_load_no_torch_and_models_no_prefect() -> None:
    # One process for each part, not for each module: a module that pulls in torch is named by the syntax trees.
    light = modules_of("models/settings", "models/evaluation")
    heavy = loaded_by(", ".join(light)) & (TORCH | CLOUD | {"sklearn", "scipy", "mlflow"})
    assert not heavy, f"models/settings and models/evaluation load {sorted(heavy)}: flows and tasks import them"
    # boto3 is left to the syntax trees: accelerate loads it by itself wherever it is installed.
    orchestration = loaded_by(", ".join(modules_of("models"))) & {"prefect", "prefect_aws", "sagemaker"}
    assert not orchestration, f"models/ loads {sorted(orchestration)}: jobs run in bare containers; move it to tasks/"


def test_no_flow_is_named_like_an_installed_package() -> None:
    # A file entrypoint puts flows/ in front of the path: flows/datasets.py would shadow the library.
    taken = set(importlib.metadata.packages_distributions()) | set(sys.stdlib_module_names)
    own = {path.name for path in ROOT.iterdir() if path.is_dir()}
    shadowing = {path.stem for path in files_of("flows")} & (taken - own)
    assert not shadowing - {"__init__"}, f"rename flows/{sorted(shadowing)}: a library has this name"


def test_tests_are_no_package() -> None:
    inits = [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("__init__.py")]
    assert inits == [], "delete these: the name `tests` is taken in many environments"


def test_nothing_imports_deployments() -> None:
    others = files_of("models", "tasks", "flows", "serving", "benchmarks")
    found = [
        f"{path.relative_to(ROOT)}:{item.line}"
        for path in others
        for item in imports_of(path.read_text(encoding="utf-8"), ".".join(path.relative_to(ROOT).parent.parts))
        if item.package == "deployments"
    ]
    assert found == [], "what others need from deployments/ belongs in tasks/ or flows/"


def test_files_are_named_by_what_they_hold() -> None:
    vague = [str(path.relative_to(ROOT)) for path in files_of(*LAYERS) if path.stem in VAGUE_NAMES]
    assert vague == [], "name the file by what it holds"


def test_packages_load_nothing_by_themselves() -> None:
    inits = [path for path in files_of("models", "tasks", "flows") if path.name == "__init__.py"]
    loading = [str(p.relative_to(ROOT)) for p in inits if list(imports_of(p.read_text(encoding="utf-8"), "x"))]
    assert loading == [], "an __init__ that imports makes every user pay: import where it is used"


def test_loading_a_module_only_defines() -> None:
    """No loops, no opened files, no bare calls at module level."""
    found = []
    for path in files_of("models", "tasks", "flows", "deployments"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
            if is_call or isinstance(node, (ast.For, ast.While, ast.With)):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == [], "move into a function what runs at import"
