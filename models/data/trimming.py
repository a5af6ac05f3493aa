"""Which tokens of a long function are kept: those nearest to calls that often go wrong, or the first ones.

The patterns are heuristic: names of C functions whose misuse has CWE numbers. They choose what a model gets to see and
never what the label is.
"""

from __future__ import annotations

import functools
import re
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
Trimming = Literal["none", "window", "head"]

VULNERABLE_APIS: dict[str, str] = {
    "string copy": r"strcpy|strncpy|stpcpy|strlcpy|wcscpy|lstrcpy",
    "string append": r"strcat|strncat|strlcat|wcscat",
    "formatting into a buffer": r"sprintf|vsprintf|snprintf|vsnprintf|swprintf",
    "format string": r"printf|fprintf|vprintf|vfprintf|syslog|vsyslog",
    "unbounded line": r"gets|_getws",
    "bounded line": r"fgets|getline|getdelim",
    "formatted input": r"scanf|fscanf|sscanf|vscanf|vsscanf|vfscanf",
    "memory copy": r"memcpy|memmove|mempcpy|bcopy|memccpy|wmemcpy",
    "memory fill": r"memset|bzero",
    "allocation": r"malloc|calloc|realloc|alloca|reallocarray|g_malloc0?|g_realloc|av_mallocz?|av_realloc|k[mz]alloc",
    "release": r"free|cfree|g_free|av_freep?|kfree|delete",
    "shell": r"system|popen|eval|ShellExecute[AW]?|WinExec",
    "new program": r"exec[lv]p?e?|posix_spawnp?|CreateProcess[AW]?",
    "temporary file": r"tmpnam|tempnam|mktemp|tmpfile",
    "check before use": r"access|stat|lstat|chmod|chown",
    "path": r"realpath|getwd|getcwd|readlink|chdir|chroot",
    "environment": r"getenv|putenv|setenv",
    "number from text": r"atoi|atol|atoll|atof|strtou?ll?",
    "weak random": r"rand|srand|random|drand48|rand_r",
    "tokenising": r"strtok|strsep",
    "input": r"read|pread|recv|recvfrom|recvmsg|fread|getc|getchar|fgetc|copy_from_user|get_user",
    "dynamic code": r"dlopen|dlsym|LoadLibrary[AW]?",
    "weak cryptography": r"MD5|MD4|SHA1|DES_\w+|RC4|crypt",
    "privileges": r"setuid|setgid|seteuid|setegid|umask",
    "non-local jump": r"setjmp|longjmp|sigsetjmp|siglongjmp",
}
"""Names of functions by what goes wrong with them."""

_CALLED = re.compile(r"(?<![\w.])(?<!->)[A-Za-z_]\w*+(?=\s*\()", re.ASCII)
_VULNERABLE = re.compile(rf"(?:__builtin_)?(?:{'|'.join(VULNERABLE_APIS.values())})", re.ASCII)


@functools.lru_cache(maxsize=1 << 14)
def is_vulnerable_api(name: str) -> bool:
    """Whether a function of this name often goes wrong."""
    return _VULNERABLE.fullmatch(name) is not None


class Trimmed(NamedTuple):
    """Tokens to keep.

    Args:
        kept: ``(K,)`` int64 token numbers, rising.
        trimming: How they were chosen.
    """

    kept: npt.NDArray[np.int64]
    trimming: Trimming


class VulnerableCodeTrimmer:
    """Chooses the tokens of a function that is too long.

    Args:
        max_tokens: Tokens to keep at most, special tokens not counted.
        windowed: Keep what is nearest to vulnerable calls; else always the head.
    """

    def __init__(self, max_tokens: int, *, windowed: bool = True) -> None:
        self.max_tokens = max_tokens
        self.windowed = windowed

    def find_spans(self, code: str) -> list[tuple[int, int]]:
        """Begin and end of each name of a called vulnerable function, in characters."""
        return [match.span() for match in _CALLED.finditer(code) if is_vulnerable_api(match.group())]

    def trim(self, code: str, offsets: Ints) -> Trimmed:
        """Which tokens to keep.

        Args:
            code: Raw text.
            offsets: ``(T, 2)`` offsets of its tokens in it.

        Returns:
            All tokens where there are few enough. Else those nearest to the vulnerable calls, each with equally much
            around it, so that every call is kept as long as the names alone fit; where windows do not meet, the
            sequence has gaps. Without such calls, the head.
        """
        num_tokens = len(offsets)
        if num_tokens <= self.max_tokens:
            return Trimmed(np.arange(num_tokens), "none")
        in_span = self._tokens_in_spans(code, offsets) if self.windowed else np.zeros(0, np.int64)
        if not len(in_span):
            return Trimmed(np.arange(self.max_tokens), "head")
        nearest = np.argsort(_distance_to(in_span, num_tokens), kind="stable")[: self.max_tokens]
        return Trimmed(np.sort(nearest), "window")

    def _tokens_in_spans(self, code: str, offsets: Ints) -> npt.NDArray[np.int64]:
        spans = np.array(self.find_spans(code), np.int32).reshape(-1, 2)
        first = np.searchsorted(offsets[:, 1], spans[:, 0], side="right")
        last = np.searchsorted(offsets[:, 0], spans[:, 1], side="left")
        inside = np.zeros(len(offsets) + 1, np.int64)
        np.add.at(inside, first, 1)
        np.add.at(inside, last, -1)
        return np.flatnonzero(np.cumsum(inside)[:-1] > 0)


def _distance_to(chosen: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Of each of ``count`` positions the distance to the nearest chosen one."""
    positions = np.arange(count)
    after = np.searchsorted(chosen, positions)
    to_next = np.abs(chosen[np.minimum(after, len(chosen) - 1)] - positions)
    to_last = np.abs(chosen[np.maximum(after - 1, 0)] - positions)
    nearer: npt.NDArray[np.int64] = np.minimum(to_next, to_last)
    return nearer
