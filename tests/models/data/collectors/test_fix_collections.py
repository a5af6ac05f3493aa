"""Fixes as folders and as commits: the functions that changed, and repositories nobody has to trust."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.data.collectors.git_objects import GitRefused, changed_files, full_hash, read_object
from models.errors import DataInvalid

SAME = "static int same(int a)\n{\n  return a;\n}\n"
BEFORE = SAME + "int f(char *s)\n{\n  return *s;\n}\nint gone(void) { return 1; }\n"
AFTER = SAME.replace("  ", "\t") + "int f(char *s)\n{\n  return s ? *s : 0;\n}\nint come(void) { return 1; }\n"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def git(repository: Path, *arguments: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    person = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    command = ["git", "-C", str(repository), "-c", "commit.gpgSign=false", *arguments]
    return subprocess.run(command, env=clean | person, capture_output=True, check=True).stdout.decode().strip()


def commit(repository: Path, files: dict[str, str | bytes | None]) -> str:
    for name, content in files.items():
        if content is None:
            (repository / name).unlink()
        else:
            write(repository / name, content)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "--allow-empty", "-m", "change")
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "repos" / "zlib"
    path.mkdir(parents=True)
    git(path, "init", "-q")
    return path


def test_of_before_and_after_only_functions_that_changed_give_pairs(read: Callable[..., Any], tmp_path: Path) -> None:
    data = tmp_path / "fixes"
    write(data / "zlib-CWE-787" / "before" / "src" / "a.c", BEFORE)
    write(data / "zlib-CWE-787" / "after" / "src" / "a.c", AFTER)
    write(data / "zlib-CWE-787" / "before" / "removed.c", BEFORE)
    write(data / "nothing" / "before" / "a.c", BEFORE)
    write(data / "nothing" / "after" / "a.c", BEFORE)
    found = read(data)
    before, after = found.functions
    assert (before.label, before.code, after.label) == (1, "int f(char *s)\n{\n  return *s;\n}", 0)
    assert before.pair == after.pair == "zlib-CWE-787/src/a.c:f"
    assert (before.file, before.line) == ("zlib-CWE-787/before/src/a.c", 5)
    assert (before.project, before.commit_id, before.cwe) == ("fixes", "zlib-CWE-787", "CWE-787")
    assert [(row.file, row.reason) for row in found.rejected] == [("nothing", "no_changed_function")]


def test_a_commit_gives_its_changed_functions_against_the_first_parent(
    read: Callable[..., Any], repository: Path
) -> None:
    commit(repository, {"a.c": BEFORE, "b.cpp": BEFORE, "c.py": "x = 1\n"})
    fix = commit(repository, {"a.c": AFTER, "b.cpp": None, "new.h": AFTER, "c.py": "x = 2\n"})
    data = repository.parent.parent
    write(data / "fixes.csv", f"repository,commit,cwe\nrepos/zlib,{fix[:12]},cwe-787\n# a comment\n\n")
    before, after = read(data).functions
    assert (before.label, before.code, after.label) == (1, "int f(char *s)\n{\n  return *s;\n}", 0)
    assert before.pair == after.pair == f"zlib@{fix[:12]}:a.c:f"
    assert (before.project, before.commit_id, before.cwe) == ("zlib", fix, "CWE-787")
    assert (before.file, before.line) == ("fixes.csv", 2)
    assert not list(repository.glob("*.cpp"))


def test_what_a_list_names_wrongly_costs_its_line_only(read: Callable[..., Any], repository: Path) -> None:
    first = commit(repository, {"a.c": BEFORE, "c.py": "x = 1\n"})
    python = commit(repository, {"c.py": "x = 2\n"})
    spaces = commit(repository, {"a.c": BEFORE.replace("  ", "\t")})
    binary = commit(repository, {"a.c": BEFORE.encode().replace(b"*s", b"'\xff'")})
    long = commit(repository, {"a.c": BEFORE.replace("*s;", "*s; " + "x;" * 50_000)})
    commit(repository, {"a.c": BEFORE})
    fix = commit(repository, {"a.c": AFTER})
    lines = [
        "repos/zlib,--output=/tmp/owned",
        f"repos/zlib,{first}",
        f"repos/zlib,{python}",
        f"repos/zlib,{spaces}",
        f"repos/zlib,{binary}",
        f"repos/zlib,{long}",
        "repos/zlib",
        f"repos/zlib,{fix}",
    ]
    data = repository.parent.parent
    found = read(write(data / "fixes.txt", "\n".join(lines)))
    assert found.reasons == [
        (1, "broken_commit"),
        (2, "no_parent"),
        (3, "wrong_language"),
        (4, "no_changed_function"),
        (5, "invalid_utf8"),
        (6, "file_too_long"),
        (7, "missing_columns"),
    ]
    assert {row.line for row in found.functions} == {8}
    assert not any(str(data) in row.detail for row in found.rejected)


@pytest.mark.parametrize(
    ("listed", "problem"),
    [
        ("repos/zlib,{none}", "missing_commit: the repository has no commit"),
        ("repos/none,{fix}", "commit .* of repos/none cannot be read .missing_repository"),
        ("repos/zlib/inner,{fix}", "missing_repository"),
        ("repos/shallow,{fix}", "missing_commit: its parent is not there .a shallow clone"),
    ],
)
def test_what_may_be_fetched_later_ends_the_job_and_names_its_line(
    read: Callable[..., Any], repository: Path, listed: str, problem: str
) -> None:
    """No digest counts the repositories: an answer without this fix would be given again once it is there."""
    commit(repository, {"a.c": BEFORE})
    fix = commit(repository, {"a.c": AFTER})
    (repository / "inner").mkdir()
    git(repository.parent, "clone", "-q", "--depth=1", repository.as_uri(), "shallow")
    data = repository.parent.parent
    lines = f"repos/zlib,{fix}\n" + listed.format(fix=fix, none="0" * 40)
    with pytest.raises(DataInvalid, match=problem) as refused:
        read(write(data / "fixes.txt", lines))
    assert refused.value.line == 2
    assert len(read(write(data / "fixes.txt", lines.replace("\n", "\n#"))).functions) == 2


def test_a_repository_runs_nothing_of_its_own(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repository, {"a.c": BEFORE, ".gitattributes": "*.c diff=evil filter=evil\n"})
    fix = commit(repository, {"a.c": AFTER})
    owned = tmp_path / "owned"
    evil = write(tmp_path / "evil.sh", f"#!/bin/sh\ntouch {owned}\ncat\n")
    evil.chmod(0o755)
    write(repository / ".git" / "hooks" / "post-checkout", evil.read_bytes()).chmod(0o755)
    for name in (
        "core.fsmonitor",
        "core.pager",
        "diff.external",
        "diff.evil.textconv",
        "filter.evil.smudge",
        "gpg.program",
    ):
        git(repository, "config", name, str(evil))
    git(repository, "config", "log.showSignature", "true")
    git(repository, "config", "remote.origin.url", f"ext::{evil}")
    git(repository, "config", "remote.origin.promisor", "true")
    git(repository, "config", "extensions.partialClone", "origin")
    git(repository, "config", "core.repositoryFormatVersion", "1")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    (file,) = changed_files(repository, full_hash(repository, fix[:10]))
    assert read_object(repository, file.after, 10_000).decode() == AFTER
    (repository / ".git" / "objects" / file.before[:2] / file.before[2:]).unlink()
    with pytest.raises(GitRefused, match=r".") as refused:  # a partial clone would fetch it, by the command above
        read_object(repository, file.before, 10_000)
    assert refused.value.reason == "damaged_repository"
    assert not owned.exists()


def test_a_folder_without_fixes_and_two_lists_are_refused(read: Callable[..., Any], tmp_path: Path) -> None:
    write(tmp_path / "none" / "a" / "before" / "a.c", BEFORE)
    with pytest.raises(DataInvalid, match="holds no fixes: expected"):
        read(tmp_path / "none", "fixes")
    write(tmp_path / "two" / "fixes.txt", "")
    write(tmp_path / "two" / "fixes.csv", "")
    with pytest.raises(DataInvalid, match=r"fixes\.csv is there too"):
        read(tmp_path / "two")
