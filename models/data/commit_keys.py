"""When two rows are of one commit or one project, however a collection spells it."""

from __future__ import annotations

import re

_HASH = re.compile(r"[0-9a-f]{12,64}", re.IGNORECASE)


def commit_key(source: str, project: str, commit_id: str) -> str:
    """What two rows of one commit have in common; empty where the commit is unknown.

    A hash names its commit whatever a collection calls the project (``linux``, ``torvalds/linux``); a shortened one is
    another. Anything else, such as a file or a number, means something within its project only, or within its source
    where that is unknown.
    """
    if not commit_id:
        return ""
    spelt = spelling_of(commit_id)
    if _HASH.fullmatch(commit_id):
        return spelt
    return f"{project_key(project)}\0{spelt}" if project else f"\0{source}\0{spelt}"


def spelling_of(commit_id: str) -> str:
    """A commit in the one spelling it is compared in: a hash in lower case, anything else as it is."""
    return commit_id.lower() if _HASH.fullmatch(commit_id) else commit_id


def project_key(project: str) -> str:
    """A project's name as it is compared: without owner, address and case (``torvalds/linux``, ``Linux``)."""
    return project.strip().rstrip("/").rsplit("/", 1)[-1].lower().removesuffix(".git")
