"""The training image as far as it can be shown without building it: its lock, its Dockerfile, its commands."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from deployments.lock import PYTHONS, _requirements_of
from deployments.sagemaker.image import commands, main
from deployments.sagemaker.lock import root_distributions
from tasks.aws.image import IMAGE_FOLDER, LOCK_PATH, default_image_uri

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = IMAGE_FOLDER / "Dockerfile"
CUDA = re.compile(r"(nvidia|cuda)-|triton$")
NEVER = {
    "prefect",
    "prefect-aws",
    "sagemaker",
    "fastapi",
    "moto",
    "pytest",
    "ruff",
    "mypy",
    "mlflow",
    "jinja2-humanize",
}


def pins_of(path: Path) -> dict[str, str]:
    requirements = [Requirement(line) for line in path.read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(r.name): next(iter(r.specifier)).version for r in requirements}


TESTED, IMAGE = pins_of(ROOT / "requirements.lock"), pins_of(LOCK_PATH)


def test_what_both_locks_pin_they_pin_alike() -> None:
    assert len(IMAGE) >= 60
    assert {name: pin for name, pin in IMAGE.items() if TESTED.get(name, pin) != pin} == {}


def test_beside_what_was_tested_there_are_only_the_libraries_of_cuda() -> None:
    only_there = IMAGE.keys() - TESTED.keys()
    assert [name for name in sorted(only_there) if not CUDA.match(name)] == []
    assert {"nvidia-cudnn-cu13", "nvidia-nccl-cu13", "nvidia-cublas", "triton"} <= only_there


def test_everything_that_models_import_is_in_it_and_no_orchestration_or_tools() -> None:
    """Where this fails after an import was added: python -m deployments.sagemaker.lock."""
    assert set(root_distributions()) <= IMAGE.keys()
    assert {"torch", "torch-geometric", "transformers", "tree-sitter", "tree-sitter-c", "boto3"} <= IMAGE.keys()
    assert NEVER & IMAGE.keys() == set()


def test_nothing_is_missing_on_any_python_and_nothing_is_there_for_nobody() -> None:
    """By what the installed distributions ask for; torch here is a CPU wheel and asks for no CUDA."""
    needed, waiting = set[str](), list(root_distributions())
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [canonicalize_name(inner.name) for inner in _requirements_of(name, "")]
    assert len(PYTHONS) == 3
    assert needed - IMAGE.keys() == set()
    assert {name for name in IMAGE.keys() - needed if not CUDA.match(name)} == set()


def test_torch_is_the_one_whose_cuda_the_lock_holds() -> None:
    assert IMAGE["torch"] == Version(metadata.version("torch")).public
    assert IMAGE["cuda-toolkit"].startswith("13.")


def test_hadolint_finds_nothing() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([linter, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_dockerfile_pins_its_base_takes_the_lock_and_nothing_else() -> None:
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.M)).splitlines()
    orders = [line.split(None, 1) for line in lines if line]
    by_name = {name: [rest for other, rest in orders if other == name] for name, _ in orders}

    assert by_name["FROM"] == ["python:${PYTHON_VERSION}-slim-bookworm"]
    (argument,) = by_name["ARG"]
    assert re.fullmatch(r"PYTHON_VERSION=(3\.\d+)\.\d+", argument)[1] in PYTHONS
    assert by_name["COPY"] == ["requirements.lock /opt/codewarden/requirements.lock"]
    (installed,) = by_name["RUN"]
    for part in ("--no-deps", "--only-binary :all:", "--no-cache-dir", "pip check", "assert torch.version.cuda"):
        assert part in installed
    assert not {"ENTRYPOINT", "CMD", "SHELL", "ADD", "USER"} & by_name.keys()
    assert not re.search(r"latest|curl|wget|apt-get", installed)


def test_its_commands_name_the_image_that_a_launch_asks_for() -> None:
    create, login, build, push = commands("123456789012", "eu-west-1")
    uri = default_image_uri("123456789012", "eu-west-1")

    assert "--repository-name codewarden " in create
    assert login.endswith(uri.partition("/")[0])
    assert f"--tag {uri} {IMAGE_FOLDER}" in build
    assert f"PYTHON_VERSION={sys.version.split()[0]} " in build
    assert push == f"docker push {uri}"


@pytest.mark.parametrize("arguments", [["--account", "1"], []])
def test_the_program_says_what_it_lacks(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "deployments.sagemaker.image", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.returncode == 2
    assert "--region" in done.stderr


@pytest.mark.parametrize(
    ("account", "region"), [("1", "eu-west-1"), ("123456789012", "moon"), ("1" * 12 + "; ls", "x")]
)
def test_what_is_no_account_or_region_gets_no_commands(
    account: str, region: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--account", account, "--region", region])
    said = capsys.readouterr()
    assert (said.out, "is not of the form" in said.err) == ("", True)
