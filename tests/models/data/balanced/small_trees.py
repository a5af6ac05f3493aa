"""Small trees of repositories, and the types of the fixtures that write and build them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from models.data.balanced.dataset import BalancedDataset
from models.data.generated_repositories import write_sample

Tree = Callable[[Mapping[str, str | bytes]], Path]
Build = Callable[..., BalancedDataset]


def c_function(name: str, number: int, body: str = "") -> str:
    """A function of C that is no near copy of another."""
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
    lines = "".join(f"  {words[(number * 7 + k * 3) % 8]}{number}_{k}(b{k}, {number * 31 + k});\n" for k in range(9))
    return f"int {name}(int b)\n{{\n{lines}{body}  return b;\n}}\n"


def as_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def labelled_tree(num_repositories: int = 4, per_repository: int = 10) -> dict[str, str]:
    """Repositories whose functions are labelled 0 and 1 in turn."""
    files, labels = {}, []
    for number in range(num_repositories * per_repository):
        file = f"r{number % num_repositories}/f{number}.c"
        files[file] = c_function(f"f{number}", number)
        labels.append({"file": file, "function": f"f{number}", "label": number // num_repositories % 2})
    return {**files, "labels.jsonl": as_lines(labels)}


def write_small_sample(folder: Path, num_tasks: int = 45) -> Path:
    """The generated sample with some of its tasks, and of its fixes all; returns the folder of the repositories."""
    write_sample(folder)
    repos = folder / "repos"
    labels = [json.loads(line) for line in (repos / "labels.jsonl").read_text().splitlines()]
    tasks = sorted({label["task"] for label in labels})[::2][:num_tasks]
    for label in labels:
        if label["task"] not in tasks:
            (repos / label["file"]).unlink()
    (repos / "labels.jsonl").write_text(as_lines(label for label in labels if label["task"] in tasks))
    return repos
