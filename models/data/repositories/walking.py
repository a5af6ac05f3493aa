"""Source files of a folder of repositories, one after the other, and what was passed over and why.

Each folder right below the root is a repository; a root with source files of its own is one. Only one file is held at a
time, and only the names of the folders on the way to it. Files come before folders, each in the order of their names as
bytes, so the order is the same on every machine. Nothing that lies in a repository raises an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from models.data.languages.detection import is_cpp_header
from models.data.languages.grammars import language_of_file
from models.data.repositories.decoding import HEAD_BYTES, Encoding, decoded, is_binary
from models.errors import DataInvalid
from models.settings.languages import LanguageName

PassedReason = Literal[
    "hidden",
    "vendored",
    "minified",
    "symbolic_link",
    "no_regular_file",
    "unreadable",
    "outside_repository",
    "other_language",
    "language_not_asked_for",
    "too_large",
    "empty",
    "binary",
    "unknown_encoding",
]
PASSED_REASONS: tuple[PassedReason, ...] = get_args(PassedReason)

EXPECTED = (
    "expected a folder whose sub-folders are repositories, or a repository with source files at its top; "
    "links and hidden folders are not followed"
)
ROOT = "."
"""Name of a repository that is the root itself: what its folder is called on this machine says nothing."""
MAX_LINE_BYTES = 500
"""JavaScript with longer lines in the mean was made by a program."""
VENDORED_FOLDERS = frozenset(
    {"node_modules", "bower_components", "vendor", "third_party", "thirdparty", "site-packages"}
)
"""Folders that hold copies of other people's repositories."""
_MINIFIED_NAME = re.compile(r"[.-](?:min|bundle)\.(?:js|mjs|cjs)\Z", re.IGNORECASE)


class SourceFile(NamedTuple):
    """A source file of a repository.

    Args:
        repository: Name of the repository's folder below the root; ``ROOT`` where the root is the repository.
        file: Relative to the root, with slashes; text that any JSON can hold.
        path: Where it lies.
        language: By its name; a header is C++ where the grammar of C++ reads it better.
        content: Its text in UTF-8.
        encoding: What it was read as; ``latin-1`` is a guess.
    """

    repository: str
    file: str
    path: Path
    language: LanguageName
    content: bytes
    encoding: Encoding


class PassedOver(NamedTuple):
    """A file or folder that was not read.

    Args:
        repository: Name of the repository; empty for what lies beside them.
        file: Relative to the root, with slashes.
        reason: Why.
        detail: More about it; may be empty.
    """

    repository: str
    file: str
    reason: PassedReason
    detail: str = ""


def walk_repositories(
    root: Path, languages: Collection[LanguageName], max_file_bytes: int
) -> Iterator[SourceFile | PassedOver]:
    """Source files of all repositories below a folder, and what was passed over.

    Args:
        root: Folder whose sub-folders are repositories, or one repository.
        languages: Those to read.
        max_file_bytes: Longer files are not read [bytes].

    Raises:
        DataInvalid: there is no such folder, it cannot be read, or nothing in it could be a repository. Not retried.
    """
    try:
        entries = _sorted_entries(root)
    except OSError as error:
        raise DataInvalid(root, f"{error.strerror}; {EXPECTED}") from error
    is_one = any(language_of_file(entry.name) and entry.is_file(follow_symlinks=False) for entry in entries)
    if not is_one and not any(map(_is_repository, entries)):
        names = ", ".join(_shown(entry.name) for entry in entries[:5])
        raise DataInvalid(root, f"{EXPECTED}; found {names or 'nothing'}")
    reading = _Reading(root, frozenset(languages), max_file_bytes)
    return _read_below(root, ROOT, reading) if is_one else _read_all(root, reading)


class _Reading(NamedTuple):
    """What names are relative to, what is read, and how long it may be [bytes]."""

    root: Path
    languages: frozenset[LanguageName]
    max_file_bytes: int

    def name(self, path: str) -> str:
        """A path relative to the root, with slashes."""
        return _shown(Path(path).relative_to(self.root).as_posix())


def _read_all(root: Path, reading: _Reading) -> Iterator[SourceFile | PassedOver]:
    for entry in _sorted_entries(root):
        if _is_repository(entry):
            yield from _read_below(Path(entry.path), _shown(entry.name), reading)
        else:
            yield PassedOver("", _shown(entry.name), _reason_of_entry(entry) or "outside_repository")


def _read_below(folder: Path, repository: str, reading: _Reading) -> Iterator[SourceFile | PassedOver]:
    """What lies in a repository: the files of each folder, then what is in its folders."""
    above = [folder]
    while above:
        inside = above.pop()
        try:
            entries = _sorted_entries(inside)
        except OSError as error:
            yield PassedOver(repository, reading.name(str(inside)), "unreadable", str(error.strerror))
            continue
        folders = [entry for entry in entries if _is_folder(entry) and not _reason_of_entry(entry)]
        above.extend(Path(entry.path) for entry in reversed(folders))
        for entry in entries:
            if reason := _reason_of_entry(entry):
                yield PassedOver(repository, reading.name(entry.path), reason)
            elif not _is_folder(entry):
                yield _read(entry, repository, reading)


def _read(entry: os.DirEntry[str], repository: str, reading: _Reading) -> SourceFile | PassedOver:
    """A regular file, or why it is passed over; its size is known before it is opened, its kind before it is read."""
    file = reading.name(entry.path)
    try:
        num_bytes = entry.stat(follow_symlinks=False).st_size
        reason = _reason_of_file(entry.name, num_bytes, reading)
        raw = b"" if reason else _content(Path(entry.path), reading.max_file_bytes)
    except OSError as error:
        return PassedOver(repository, file, "unreadable", str(error.strerror))
    if reason == "too_large" or len(raw) > reading.max_file_bytes:
        detail = f"{max(num_bytes, len(raw))} bytes; at most {reading.max_file_bytes} are read"
        return PassedOver(repository, file, "too_large", detail)
    if reason or (reason := _reason_of_content(entry.name, raw)):
        return PassedOver(repository, file, reason)
    text = decoded(raw)
    if text is None:
        return PassedOver(repository, file, "unknown_encoding", "neither UTF-8, UTF-16 with its mark, nor Latin-1")
    language = _language(entry.name, text.content)
    if language not in reading.languages:
        return PassedOver(repository, file, "language_not_asked_for", language)
    return SourceFile(repository, file, Path(entry.path), language, text.content, text.encoding)


def _content(path: Path, max_bytes: int) -> bytes:
    """A file, or its head alone where that shows a binary; a file that has grown is cut one byte behind the limit."""
    with path.open("rb") as stream:
        head = stream.read(min(HEAD_BYTES, max_bytes + 1))
        return head if is_binary(head) else head + stream.read(max_bytes + 1 - len(head))


def _language(name: str, content: bytes) -> LanguageName:
    language = language_of_file(name)
    assert language is not None, "the name was looked at before"
    return "cpp" if name.lower().endswith(".h") and is_cpp_header(content) else language


def _reason_of_file(name: str, num_bytes: int, reading: _Reading) -> PassedReason | None:
    """Why a file is not opened, by its name and size."""
    language = language_of_file(name)
    if language is None:
        return "other_language"
    possible = {language, "cpp"} if name.lower().endswith(".h") else {language}
    if not possible & reading.languages:
        return "language_not_asked_for"
    if _MINIFIED_NAME.search(name):
        return "minified"
    if num_bytes > reading.max_file_bytes:
        return "too_large"
    return "empty" if not num_bytes else None


def _reason_of_content(name: str, raw: bytes) -> PassedReason | None:
    """Why a file is not used, by its bytes."""
    if is_binary(raw):
        return "binary"
    if not raw.strip():
        return "empty"
    is_dense = len(raw) > MAX_LINE_BYTES * (raw.count(b"\n") + 1)
    return "minified" if is_dense and language_of_file(name) == "javascript" else None


def _reason_of_entry(entry: os.DirEntry[str]) -> PassedReason | None:
    """Why a file or folder is not looked into, by what it is and by its name."""
    if entry.is_symlink():
        return "symbolic_link"
    if _is_hidden(entry.name):
        return "hidden"
    if _is_folder(entry):
        return "vendored" if entry.name in VENDORED_FOLDERS else None
    return None if entry.is_file(follow_symlinks=False) else "no_regular_file"


def _is_repository(entry: os.DirEntry[str]) -> bool:
    return _is_folder(entry) and not _is_hidden(entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _sorted_entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: os.fsencode(entry.name))


def _shown(name: str) -> str:
    """A name as text that any JSON can hold; bytes that are no UTF-8 as escapes, so that names stay apart."""
    return name.encode(errors="backslashreplace").decode()
