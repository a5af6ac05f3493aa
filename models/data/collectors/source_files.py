"""Source files in folders: found without following links to folders, read up to a limit, cut into functions."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from models.data.c_language import is_c_file
from models.data.collectors.fields import Fault, code_of
from models.data.collectors.line_files import is_hidden
from models.data.collectors.rows import RejectedRow
from models.data.function_cutting import CutFunction
from models.data.raw_functions import OTHER_FIELDS_BYTES


class SourceFile(NamedTuple):
    """A file of C or C++ in a folder.

    Args:
        name: Relative to the data, with slashes.
        path: Where it lies.
    """

    name: str
    path: Path


def walk_sources(folder: Path, data: Path) -> Iterator[SourceFile | RejectedRow]:
    """Files of C and C++ below a folder in the order of their names, and what could not be entered.

    Links to files are read, links to folders are not followed: that ends loops. What is hidden is passed over.

    Args:
        folder: Where to look.
        data: What names are relative to.
    """
    above = [folder]
    while above:
        inner = above.pop()
        try:
            visible = (entry for entry in os.scandir(inner) if not is_hidden(entry.name))
            entries = sorted(visible, key=lambda entry: entry.name)
        except OSError as error:
            yield RejectedRow(name_in(inner, data), 0, "unreadable_folder", str(error.strerror))
            continue
        above.extend(Path(entry.path) for entry in reversed(entries) if entry.is_dir(follow_symlinks=False))
        for entry in entries:
            path = Path(entry.path)
            if entry.is_symlink() and path.is_dir():
                yield RejectedRow(name_in(path, data), 0, "linked_folder", "links to folders are not followed")
            elif is_c_file(entry.name) and not entry.is_dir(follow_symlinks=False):
                yield SourceFile(name_in(path, data), path)


def name_in(path: Path, data: Path) -> str:
    """A path relative to the data, with slashes; text that any JSON can hold."""
    return path.relative_to(data).as_posix().encode(errors="replace").decode()


def max_file_bytes(max_code_bytes: int) -> int:
    """How long a source file may be: parsing one of megabytes that is no C can take a minute."""
    return 2 * max_code_bytes + OTHER_FIELDS_BYTES


def read_source(path: Path, max_code_bytes: int) -> bytes | Fault:
    """A whole source file, or why it cannot be used; one that is too long is not read.

    Args:
        path: A file.
        max_code_bytes: Longest function accepted; a file may be longer, see ``max_file_bytes``.
    """
    max_bytes = max_file_bytes(max_code_bytes)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return Fault("unreadable_file", "neither a file nor a link to one")
        if found.st_size > max_bytes:
            return Fault("file_too_long", f"{found.st_size} bytes; with this max_code_bytes at most {max_bytes}")
        return path.read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        return Fault("unreadable_file", str(getattr(error, "strerror", None) or error))


def code_of_cut(function: CutFunction, max_code_bytes: int) -> str | Fault:
    """A cut function's text, or why it is none.

    Args:
        function: As cut from a file.
        max_code_bytes: Longest function accepted.
    """
    try:
        return code_of(function.content.decode(), function.name, max_code_bytes)
    except UnicodeDecodeError as error:
        return Fault("invalid_utf8", f"{function.name}: byte {error.start} of the function: {error.reason}")
