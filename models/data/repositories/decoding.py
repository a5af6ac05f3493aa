"""Bytes of a source file as UTF-8: by their mark, as UTF-8, or as Latin-1 where nothing speaks against it."""

from __future__ import annotations

import codecs
import re
from typing import Literal, NamedTuple

Encoding = Literal["utf-8", "utf-8-sig", "utf-16", "latin-1"]

HEAD_BYTES = 8192
"""How much of a file is looked at for a NUL byte, as git does."""

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
"""What no text in Latin-1 has; those of 80 to 9f are parts of letters in others, such as Shift JIS."""


class Decoded(NamedTuple):
    """Text of a file.

    Args:
        content: In UTF-8, without a mark of the byte order.
        encoding: What it was read as; ``latin-1`` is a guess.
    """

    content: bytes
    encoding: Encoding


def is_binary(head: bytes) -> bool:
    """Whether a file is no text: a NUL byte among its first ``HEAD_BYTES``, and no mark of UTF-16."""
    return b"\0" in head[:HEAD_BYTES] and not head.startswith((*_UTF_16, *_UTF_32))


def decoded(raw: bytes) -> Decoded | None:
    """A file's text in UTF-8; ``None`` where the encoding is unknown.

    Args:
        raw: A whole file.
    """
    if raw.startswith(_UTF_32):  # begins like UTF-16
        return None
    if raw.startswith(_UTF_16):
        try:
            return Decoded(raw.decode("utf-16").encode(), "utf-16")
        except UnicodeError:
            return None
    encoding: Encoding = "utf-8-sig" if raw.startswith(codecs.BOM_UTF8) else "utf-8"
    try:
        raw.decode()
    except UnicodeDecodeError:
        return None if _CONTROL.search(raw) else Decoded(raw.decode("latin-1").encode(), "latin-1")
    return Decoded(raw.removeprefix(codecs.BOM_UTF8), encoding)
