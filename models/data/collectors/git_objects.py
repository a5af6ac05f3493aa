"""Files that a commit changed, from a git repository nobody has to trust.

Only plumbing commands that read objects (``rev-parse``, ``diff-tree``, ``cat-file``): they run no hook, no pager, no
text conversion and no outside diff, write nothing and check nothing out. Besides, hooks and the file system monitor are
turned off, nothing may be fetched (a partial clone would), replaced objects are not followed, and git looks for the
repository nowhere but in the folder that is named. What is asked for are hashes, which cannot be options.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_HASH = re.compile(r"[0-9a-f]{7,64}")
_GIT_SECONDS = 120.0
_FILE_MODES = frozenset({"100644", "100755"})
_OFF = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.allow=never", "core.pager=cat")


class GitRefused(Exception):
    """Git did not give what was asked for; a row of the list becomes a rejection.

    Args:
        reason: One word from a fixed set.
        detail: For a person.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(detail)


class ChangedFile(NamedTuple):
    """A file that is there before and after a commit, and differs.

    Args:
        name: In the repository.
        before: Name of the object before.
        after: Name of the object after.
    """

    name: str
    before: str
    after: str


def full_hash(repository: Path, commit: str) -> str:
    """The whole hash of a commit.

    Raises:
        GitRefused: it is none, or the repository does not have it.
    """
    if not _HASH.fullmatch(commit.lower()):
        raise GitRefused("broken_commit", f"expected 7 to 64 hexadecimal digits, found {commit[:80]!r}")
    if not repository.is_dir():
        raise GitRefused("missing_repository", "no such folder beside the list of fixes")
    found = _git(repository, "rev-parse", "--is-inside-git-dir", check=False)
    if found.returncode != 0:
        raise GitRefused("missing_repository", _told(found) or "not a git repository")
    found = _git(repository, "rev-parse", "--verify", "--quiet", f"{commit.lower()}^{{commit}}", check=False)
    if found.returncode != 0:
        raise GitRefused("missing_commit", f"the repository has no commit {commit}; fetch it")
    return found.stdout.decode().strip()


def changed_files(repository: Path, commit: str) -> Iterator[ChangedFile]:
    """Files that a commit changed against its first parent; those added, deleted or renamed are not given.

    Args:
        repository: Folder of a repository, bare or not.
        commit: Its whole hash.

    Raises:
        GitRefused: the commit is a first one (``no_parent``), or the repository is damaged or lacks the parent.
    """
    parent = _git(repository, "rev-parse", "--verify", "--quiet", f"{commit}^1", check=False)
    if parent.returncode != 0:
        # A shallow clone cuts parents off; the commit itself still names them.
        if b"\nparent " in _git(repository, "cat-file", "commit", commit).stdout.partition(b"\n\n")[0]:
            raise GitRefused("missing_commit", "its parent is not there (a shallow clone); fetch the whole history")
        raise GitRefused("no_parent", "it is the first commit and mends nothing")
    listed = _git(repository, "diff-tree", "-r", "-z", "--raw", "--no-renames", parent.stdout.decode().strip(), commit)
    cells = listed.stdout.split(b"\0")
    for told, name in zip(cells[0::2], cells[1::2], strict=False):
        old_mode, new_mode, before, after, status = told.decode().lstrip(":").split(" ")
        if status == "M" and {old_mode, new_mode} <= _FILE_MODES:
            yield ChangedFile(name.decode(errors="replace"), before, after)


def read_object(repository: Path, name: str, max_bytes: int) -> bytes:
    """Content of a file's object; one that is too long is not read.

    Raises:
        GitRefused: it is not there, or too long.
    """
    num_bytes = int(_git(repository, "cat-file", "-s", name).stdout)
    if num_bytes > max_bytes:
        raise GitRefused("file_too_long", f"{num_bytes} bytes; with this max_code_bytes at most {max_bytes}")
    return _git(repository, "cat-file", "blob", name).stdout


def _git(repository: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    inner = repository.resolve()
    # Of the environment nothing that points git elsewhere (GIT_DIR is set within hooks).
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
        "GIT_CEILING_DIRECTORIES": str(inner.parent),
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }
    options = [part for setting in _OFF for part in ("-c", setting)]
    command = ["git", "-C", str(inner), "--no-pager", *options, *arguments]
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise GitRefused("no_git", "git is not installed; install it, or give before/after folders") from error
    except subprocess.TimeoutExpired as error:
        raise GitRefused("git_timeout", f"git {arguments[0]} took longer than {_GIT_SECONDS:g} s") from error
    if check and done.returncode != 0:
        raise GitRefused("damaged_repository", _told(done) or f"git {arguments[0]} failed")
    return done


def _told(done: subprocess.CompletedProcess[bytes]) -> str:
    """First line of what git says, without folders of this machine."""
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return re.sub(r"'?/\S+", "...", lines[0])[:200] if lines else ""
