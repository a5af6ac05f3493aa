"""The first program of a container: really started, with a bundle of its own and a temp root for /opt/ml."""

from __future__ import annotations

import ast
import io
import json
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_REFUSED
from models.jobs.build import build_of
from models.jobs.failure_file import parse_failure
from models.jobs.registry import parse_job

ROOT = Path(__file__).resolve().parents[2]
START = ROOT / "models" / "start_in_container.py"
SAYS_WHERE_IT_IS = """
import json, os, signal, sys
blocked = signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, [])
pending = signal.SIGTERM in signal.sigpending()
print(json.dumps({"pid": os.getpid(), "cwd": os.getcwd(), "arguments": sys.argv[1:], "blocked": blocked,
                  "pending": pending}))
"""


def bundle(path: Path, files: dict[str, str], *members: tarfile.TarInfo) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content.encode())
            tar.addfile(member, io.BytesIO(content.encode()))
        for member in members:
            tar.addfile(member)


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts it with arguments; ``first`` is code that runs before."""

    def begin(*arguments: str, first: str = "") -> subprocess.Popen[str]:
        program = f"""
import sys
sys.path.insert(0, {str(START.parent)!r})
from pathlib import Path
import start_in_container
sys.path.pop(0)
{first}
root = Path({str(tmp_path)!r})
sys.exit(start_in_container.start(
    sys.argv[1:], bundle_path=root / "bundle.tar.gz", code_path=root / "code", failure_path=root / "output/failure"
))
"""
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return begin


def said(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    found: dict[str, Any] = json.loads(output)
    return found


def test_it_becomes_the_job_itself_with_its_arguments_unchanged(start: Callable[..., Any], tmp_path: Path):
    bundle(tmp_path / "bundle.tar.gz", {"models/__init__.py": "", "models/__main__.py": SAYS_WHERE_IT_IS})
    arguments = ["job.json", "--run-dir=/a b/$(touch x)", "it's; `x`"]
    process = start(*arguments)
    assert said(process) == {
        "pid": process.pid,
        "cwd": str(tmp_path / "code"),
        "arguments": arguments,
        "blocked": True,
        "pending": False,
    }


def test_being_told_to_leave_before_the_job_listens_is_not_lost(start: Callable[..., Any], tmp_path: Path):
    listens = "import sys, time\nfrom pathlib import Path\nPath('begun').touch()\n" + SAYS_WHERE_IT_IS.replace(
        "blocked =", "while signal.SIGTERM not in signal.sigpending(): pass\nblocked =", 1
    )
    bundle(tmp_path / "bundle.tar.gz", {"models/__init__.py": "", "models/__main__.py": listens})
    process = start()
    while not (tmp_path / "code" / "begun").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert said(process)["pending"]


def test_a_real_job_told_to_leave_while_it_is_loaded_leaves_cleanly_and_goes_on_at_the_next_start(
    start: Callable[..., Any], train_document: Callable[..., dict[str, Any]], tmp_path: Path
):
    code = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "models").rglob("*.py")}
    bundle(tmp_path / "bundle.tar.gz", code)
    document = train_document({"epochs": 1})
    (tmp_path / "job.json").write_text(json.dumps(document))
    failure_path, run_path = tmp_path / "output" / "failure", tmp_path / "run"
    (tmp_path / "placement.json").write_text(json.dumps({"failure_path": str(failure_path)}))
    arguments = [f"{tmp_path}/job.json", f"--run-dir={run_path}", f"--placement={tmp_path}/placement.json"]
    arguments.append(f"--runs={tmp_path}")

    process = start(*arguments)
    while not (tmp_path / "code").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == EXIT_INTERRUPTED, errors
    told = parse_failure(failure_path.read_text())
    assert told is not None
    assert (told["outcome"], told["retryable"], told["step"]) == ("interrupted", True, 1)

    process = start(*arguments)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == EXIT_DONE, errors
    assert not failure_path.exists()
    manifest = json.loads((run_path / "manifest.json").read_text())
    assert manifest["build_key"] == build_of(parse_job(json.dumps(document))).key


def test_what_an_earlier_start_left_is_replaced(start: Callable[..., Any], tmp_path: Path):
    for folder in ("code", ".code.new"):
        (tmp_path / folder / "models").mkdir(parents=True)
        (tmp_path / folder / "models" / "json.py").write_text("raise SystemExit('old')")
        (tmp_path / folder / "json.py").write_text("raise SystemExit('old')")
    bundle(tmp_path / "bundle.tar.gz", {"models/__init__.py": "", "models/__main__.py": SAYS_WHERE_IT_IS})
    assert said(start())["arguments"] == []
    assert not (tmp_path / "code" / "json.py").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        member("../outside"),
        member("models/../../outside"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.SYMTYPE, "models/__main__.py"),
        member("hard", tarfile.LNKTYPE, "models/__main__.py"),
        member("device", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda wrong: f"{wrong.name} {wrong.linkname}",
)
def test_what_could_leave_the_folder_is_refused_and_nothing_runs(
    wrong: tarfile.TarInfo, start: Callable[..., Any], tmp_path: Path
):
    bundle(tmp_path / "bundle.tar.gz", {"models/__main__.py": SAYS_WHERE_IT_IS}, wrong)
    is_refused(start(), tmp_path)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("damage", [lambda _: b"no archive", lambda content: content[:-40], None])
def test_a_bundle_that_is_damaged_or_gone_is_refused(
    damage: Callable[[bytes], bytes] | None, start: Callable[..., Any], tmp_path: Path
):
    path = tmp_path / "bundle.tar.gz"
    bundle(path, {"models/__main__.py": SAYS_WHERE_IT_IS})
    if damage is not None:
        path.write_bytes(damage(path.read_bytes()))
    else:
        path.unlink()
    is_refused(start(), tmp_path)


def is_refused(process: subprocess.Popen[str], tmp_path: Path) -> None:
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (EXIT_REFUSED, "")
    assert errors.startswith("SettingsInvalid: the code in ")
    assert "Traceback" not in errors
    told = parse_failure((tmp_path / "output" / "failure").read_text())
    assert told is not None
    assert (told["outcome"], told["retryable"]) == ("refused", False)
    assert not (tmp_path / "code").exists()


def test_it_needs_nothing_but_python():
    imported = {
        name.name.partition(".")[0] if isinstance(node, ast.Import) else str(node.module).partition(".")[0]
        for node in ast.walk(ast.parse(START.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported <= set(sys.stdlib_module_names)
