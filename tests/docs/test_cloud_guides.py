"""The guides of training on SageMaker: their commands, flags, links and promises are those of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from deployments.sagemaker.image import commands
from tasks.aws.image import LOCK_PATH
from tasks.aws.settings import SageMakerSettings
from tasks.aws.settings_checks import LOST_WITH_ISOLATION

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = ("aws-setup", "image", "sagemaker", "end-to-end", "operations")
TEXT = {name: (DOCS / f"{name}.md").read_text(encoding="utf-8") for name in PAGES}
BLOCKS = {name: "\n".join(re.findall(r"```bash\n(.*?)```", text, re.S)) for name, text in TEXT.items()}
COMMANDS = sorted(
    {
        " ".join(line.partition("#")[0].partition(" > ")[0].split())
        for block in BLOCKS.values()
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("python -m ")
    }
)


@cache
def help_of(program: tuple[str, ...]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *program, "--help"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_commands_to_look_at() -> None:
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize("command", COMMANDS)
def test_every_program_and_flag_exists(command: str) -> None:
    _, _, module, *words = command.split()
    verbs = [word for word in words[:1] if module == "tasks.ledger"]

    assert find_spec(module) is not None
    told = help_of((module, *verbs)) if any(word.startswith("--") for word in words) else ""
    assert [word for word in words if word.startswith("--") and not re.search(rf"{word}(?![\w-])", told)] == []
    assert [word for word in words if word.startswith("configs/") and not (ROOT / word).is_file()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for target, heading in re.findall(r"\]\(([\w./-]+\.md)(?:#([\w-]+))?\)", TEXT[page]):
        there = DOCS / target
        assert there.is_file(), target
        slugs = [re.sub(r"[^\w -]", "", line[2:].strip("# ").lower()).replace(" ", "-") for line in _headings(there)]
        assert not heading or heading in slugs, heading


def test_every_deployment_and_setting_that_is_named_exists() -> None:
    text = "\n".join(TEXT.values())
    deployed = {entry["name"] for entry in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}
    assert set(re.findall(r"prefect deployment run ([\w-]+)", text)) <= deployed
    named = set(re.findall(r"(?<!flows\.)(?<!/)\bsagemaker\.([a-z]+_[a-z_]+)", text))
    assert len(named) >= 5
    assert named <= SageMakerSettings.model_fields.keys()


def test_what_isolation_loses_is_told_in_the_words_of_the_preflight() -> None:
    told = re.sub(r"\s+", " ", TEXT["sagemaker"])
    assert [lost for lost in LOST_WITH_ISOLATION if lost not in told] == []


def test_what_was_not_run_says_so() -> None:
    for page, block in BLOCKS.items():
        if re.search(r"^(aws|docker) ", block, re.M):
            assert re.search(r"not run by us|was run by us", TEXT[page]), page
    assert all(part.split()[0] in ("aws", "docker") for part in commands("123456789012", "eu-west-1"))
    num_packages = sum(not line.startswith("#") for line in LOCK_PATH.read_text().splitlines())
    assert f"the {num_packages} packages" in TEXT["image"]


def _headings(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
