"""Writes the lock of the training image: ``python -m deployments.sagemaker.lock`` (network, some GB the first time).

In it is what ``models/`` imports, directly or not, and nothing else: no Prefect, no tools of development. pip resolves
it on plain PyPI, where torch is the CUDA wheel that pins NVIDIA's libraries, bound by the root's ``requirements.lock``:
what both locks pin, they pin alike.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

from deployments.lock import LOCK_PATH as TESTED_LOCK_PATH
from models.jobs.build import DISTRIBUTIONS, imported_modules
from tasks.aws.image import LOCK_PATH

ROOT: Final = Path(__file__).resolve().parents[2]
INDEX_URL: Final = "https://pypi.org/simple"
"""Where torch is a CUDA wheel without a local tag; the CPU wheel's index must not answer instead."""
LOCAL_INDEXES: Final = ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_CONSTRAINT")
HEADER: Final = """\
# Every package of the training image (the Dockerfile beside this file), for Python 3.11 to 3.13 on Linux x86_64, CUDA.
# Made by `python -m deployments.sagemaker.lock`: what models/ imports, directly or not, resolved on plain PyPI at the
# versions of ../../requirements.lock; beside them NVIDIA's libraries, as the CUDA wheel of torch pins them.
# The image's tag holds this file's sha256: another lock is another image (docs/image.md).
"""


class ResolutionFailed(RuntimeError):
    """pip found no set of packages; the message is pip's."""


def main() -> int:
    """Write the lock and say what it holds."""
    pins = resolved_pins(root_distributions())
    LOCK_PATH.write_text(HEADER + "".join(f"{pin}\n" for pin in pins))
    sys.stdout.write(f"{LOCK_PATH.relative_to(ROOT)}: {len(pins)} packages\n")
    return 0


def root_distributions() -> list[str]:
    """Distributions whose modules are imported somewhere under ``models/``, also inside functions; sorted."""
    modules = {name.split(".")[0] for path in (ROOT / "models").rglob("*.py") for name in imported_modules(path)}
    third = modules - set(sys.stdlib_module_names) - {"models"}
    return sorted({canonicalize_name(_distribution_of(module)) for module in third})


def resolved_pins(roots: list[str]) -> list[str]:
    """``name==version`` of ``roots`` and all they need on Linux with CUDA, sorted.

    Raises:
        ResolutionFailed: the index is away, or has no such set. Not retried.
    """
    with tempfile.TemporaryDirectory(prefix="codewarden-lock-") as folder:
        report_path = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--only-binary", ":all:", "--index-url", INDEX_URL, "--constraint", str(TESTED_LOCK_PATH)]
        done = subprocess.run(
            [*command, "--report", str(report_path), *roots],
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ResolutionFailed(done.stderr.strip())
        report: dict[str, Any] = json.loads(report_path.read_text())
    found = [item["metadata"] for item in report["install"]]
    return sorted((f"{item['name']}=={item['version']}" for item in found), key=str.lower)


def _distribution_of(module: str) -> str:
    """The distribution that a module comes from, as the environment that was tested has it."""
    return DISTRIBUTIONS.get(module) or metadata.distribution(module).metadata["Name"]


def _environment() -> dict[str, str]:
    """Ours without other indexes and folders of wheels, which may hold torch for CPUs."""
    kept = {name: value for name, value in os.environ.items() if name not in LOCAL_INDEXES}
    return kept | {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


if __name__ == "__main__":
    sys.exit(main())
