from __future__ import annotations

import ast
import gc
import importlib.metadata
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from models.jobs import build, hardware
from models.jobs.registry import ENTRY_MODULES, OBJECTIVE_MODULES, parse_job
from models.settings.predict import PredictSettings

TREE = {
    "models/__init__.py": "",
    "models/train/__init__.py": "",
    "models/train/job.py": '''
"""Train."""
import numpy as np
from models.train import loop
from models.settings.train import TrainSettings

def run():
    """Run."""
    from models.train.lazy import late
    return late(np, loop, TrainSettings)
''',
    "models/train/loop.py": "import models.shared.order\n",
    "models/train/lazy.py": "import torch\n\ndef late(*parts):\n    return parts\n",
    "models/shared/__init__.py": "",
    "models/shared/order.py": "STEP = 1\n",
    "models/evaluate/__init__.py": "",
    "models/evaluate/job.py": "import sklearn\nfrom models.shared.order import STEP\n",
    "models/settings/__init__.py": "",
    "models/settings/train.py": "import yaml\nclass TrainSettings: ...\n",
}
"""A program of two kinds of jobs."""


@pytest.fixture
def files_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """Digests by file of what the training of the tree above imports, after some files were edited."""

    def digests(edits: dict[str, str] | None = None) -> dict[str, str]:
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, text in (TREE | (edits or {})).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.setattr(build, "ROOT_PATH", root)
        monkeypatch.setattr(build, "BY_VALUE", root / "models" / "settings")
        return {
            path.relative_to(root).as_posix(): build.code_digest(path) for path in build.closure(["models.train.job"])
        }

    return digests


def test_the_closure_follows_imports_also_those_inside_functions(files_of: Callable[..., dict[str, str]]):
    assert set(files_of()) == {
        "models/__init__.py",
        "models/train/__init__.py",
        "models/train/job.py",
        "models/train/loop.py",
        "models/train/lazy.py",
        "models/shared/__init__.py",
        "models/shared/order.py",
    }


@pytest.mark.parametrize(
    "edits",
    [
        {"models/shared/order.py": "# a comment\nSTEP   =  1  # layout\n\n"},
        {"models/shared/order.py": '"""A docstring."""\n\nSTEP = 1\n"""What it is."""\n'},
        {"models/train/job.py": TREE["models/train/job.py"].replace('"""Run."""', '"""Runs it all."""')},
        {"models/evaluate/job.py": "import sklearn\nNEW = 2\n"},
        {"models/settings/train.py": "class TrainSettings:\n    added = 1\n"},
    ],
    ids=["comment", "docstring", "docstring of a function", "code of another kind", "settings"],
)
def test_what_decides_no_byte_changes_no_digest(files_of: Callable[..., dict[str, str]], edits: dict[str, str]):
    assert files_of(edits) == files_of()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("models/shared/order.py", "STEP = 2\n"),
        ("models/train/lazy.py", "import torch\n\ndef late(*parts):\n    return parts[:1]\n"),
        ("models/train/__init__.py", "NEW = 1\n"),
    ],
    ids=["imported by an import", "imported inside a function", "package above a module"],
)
def test_an_edit_in_the_closure_changes_the_digest_of_that_file_alone(
    files_of: Callable[..., dict[str, str]], name: str, text: str
):
    before, after = files_of(), files_of({name: text})
    assert {found for found in before if before[found] != after[found]} == {name}


def test_a_string_that_is_used_is_code(files_of: Callable[..., dict[str, str]]):
    one, other = (files_of({"models/shared/order.py": f"STEP = {text!r}\n"}) for text in ("a", "b"))
    assert one != other


def test_libraries_are_those_of_the_closure_without_local_tags(
    files_of: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(importlib.metadata, "version", {"torch": "2.13.0+cpu", "numpy": "2.2.1"}.__getitem__)
    files_of()
    versions = build.library_versions(build.closure(["models.train.job"]))
    assert versions.keys() == {"python", "numpy", "torch"}  # neither sklearn of another kind nor yaml of settings
    assert versions["torch"] == "2.13.0"


def test_a_difference_names_the_file_the_version_and_the_fact():
    mine = build.Build({"a.py": "1", "b.py": "2"}, {"torch": "2.13.0"}, {"num_ranks": 2})
    theirs = build.Build({"a.py": "1", "b.py": "3", "c.py": "4"}, {"torch": "2.12.1"}, {"num_ranks": 1})
    assert mine.differences(theirs.to_json()) == [
        "b.py changed",
        "c.py changed",
        "torch: 2.12.1 then, 2.13.0 now",
        "num_ranks: 1 then, 2 now",
    ]
    assert mine.differences(mine.to_json()) == []
    assert mine.key != theirs.key


@pytest.mark.parametrize("compute", [{"device": "cuda"}, {"precision": "bf16"}, {"num_threads": 2}, {"num_ranks": 2}])
def test_what_a_prediction_runs_on_is_in_its_build(
    compute: dict[str, Any], train_document: Callable[..., dict[str, Any]], tmp_path: Path
):
    (tmp_path / "settings.json").write_text(json.dumps(train_document()))
    plain = {"device": "cpu", "precision": "off"}
    base, other = (
        build.build_of(PredictSettings.model_validate({"model_run": tmp_path, "data": tmp_path, "compute": each}))
        for each in (plain, plain | compute)
    )
    assert base.key != other.key
    differing = {name for name in base.machine if base.machine[name] != other.machine[name]}
    assert differing - {"device_class"} == compute.keys()  # the class of a GPU differs only where there is one


def test_the_memory_of_the_machine_is_in_the_build_where_it_decides_the_batch_size(
    train_document: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    def built(memory_gib: int, *, auto: bool) -> build.Build:
        monkeypatch.setattr(hardware, "memory_gib", lambda device: memory_gib)
        return build.build_of(parse_job(json.dumps(train_document({"auto_batch_size": auto}))))

    assert built(8, auto=True).machine["memory_gib"] == 8
    assert built(8, auto=True).key != built(16, auto=True).key
    assert built(8, auto=False).key == built(16, auto=False).key


def relative_files(*modules: str) -> set[str]:
    return {path.relative_to(build.ROOT_PATH).as_posix() for path in build.closure(modules)}


def test_the_closures_of_the_real_kinds_hold_what_they_run_and_not_each_other():
    train = relative_files(ENTRY_MODULES["train"], OBJECTIVE_MODULES["gnn"])
    evaluate = relative_files(ENTRY_MODULES["evaluate"])
    assert {"models/training/trainer.py", "models/nn/gcn.py", "models/store/checkpoints.py"} <= train
    assert {"models/evaluation/job.py", "models/evaluation/metrics.py"} <= evaluate
    assert not {"models/evaluation/job.py", "models/data/preprocessing.py"} & train
    assert not any(name.startswith(("models/training/", "models/nn/")) for name in evaluate)
    assert not any(name.startswith("models/settings/") for name in train | evaluate)


def test_no_module_imports_relatively_because_the_closure_would_miss_it():
    found = [
        path
        for path in (build.ROOT_PATH / "models").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]
    assert found == []


def test_builds_are_worked_out_in_several_threads_at_once():
    """CPython may raise SystemError where two threads parse: within a tree, the collector lets other threads run."""
    paths = sorted((build.ROOT_PATH / "models").rglob("*.py"))

    def switch(*_: object) -> None:
        time.sleep(0.0001)

    gc.callbacks.append(switch)
    try:
        with ThreadPoolExecutor(max_workers=4) as pool:
            trees = list(pool.map(build._tree, paths * 2))
    finally:
        gc.callbacks.remove(switch)

    assert len(trees) == 2 * len(paths)
