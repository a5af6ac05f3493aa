"""Which tokens of a long function are kept: those nearest to calls that often go wrong, the first, both ends, or all.

The patterns are heuristic: names of C functions whose misuse has CWE numbers. They choose what a model gets to see and
never what the label is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from models.settings.preprocess import TrimmingStrategy

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Trimming = Literal["none", "window", "head", "head_tail"]

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

_CALLED = re.compile(r"\b[A-Za-z_]\w*+(?=\s*\()", re.ASCII)
_MEMBER_OF = (".", "->")
_VULNERABLE = re.compile(rf"(?:__builtin_)?(?:{'|'.join(VULNERABLE_APIS.values())})", re.ASCII)


@functools.lru_cache(maxsize=1 << 14)
def is_vulnerable_api(name: str) -> bool:
    """Whether a function of this name often goes wrong."""
    return _VULNERABLE.fullmatch(name) is not None


class Kept(NamedTuple):
    """Tokens that a strategy keeps.

    Args:
        tokens: ``(K,)`` token numbers, rising.
        trimming: How they were chosen.
    """

    tokens: Longs
    trimming: Trimming


class Trimmed(NamedTuple):
    """What is left of a function, and what each strategy would have left of it.

    Args:
        kept: ``(K,)`` int64 token numbers, rising.
        trimming: How they were chosen.
        call_tokens: Tokens inside names of vulnerable calls that each strategy keeps; empty where the function is
            short enough for all of them.
    """

    kept: Longs
    trimming: Trimming
    call_tokens: Mapping[TrimmingStrategy, int]


def keep_window(num_tokens: int, max_tokens: int, in_calls: Longs) -> Kept:
    """The tokens nearest to those of vulnerable calls, each call with equally much around it; the head without calls.

    Every call is kept as long as the names alone fit; where windows do not meet, the sequence has gaps.
    """
    if not len(in_calls):
        return keep_head(num_tokens, max_tokens, in_calls)
    nearest = np.argsort(_distance_to(in_calls, num_tokens), kind="stable")[:max_tokens]
    return Kept(np.sort(nearest), "window")


def keep_head(num_tokens: int, max_tokens: int, in_calls: Longs) -> Kept:  # noqa: ARG001  calls do not matter to it
    """The first tokens."""
    return Kept(np.arange(max_tokens), "head")


def keep_head_tail(num_tokens: int, max_tokens: int, in_calls: Longs) -> Kept:  # noqa: ARG001  as above
    """The first and the last tokens, half of the budget each; the first half takes the odd one."""
    num_last = max_tokens // 2
    return Kept(
        np.concatenate([np.arange(max_tokens - num_last), np.arange(num_tokens - num_last, num_tokens)]), "head_tail"
    )


def keep_whole(num_tokens: int, max_tokens: int, in_calls: Longs) -> Kept:  # noqa: ARG001  as above
    """Every token; nothing is bounded."""
    return Kept(np.arange(num_tokens), "none")


STRATEGIES: dict[TrimmingStrategy, Callable[[int, int, Longs], Kept]] = {
    "window": keep_window,
    "head": keep_head,
    "head_tail": keep_head_tail,
    "whole": keep_whole,
}
"""What each strategy keeps of ``num_tokens`` tokens, more than ``max_tokens``, of which ``in_calls`` name vulnerable
calls. All but ``whole`` keep exactly ``max_tokens``."""


class VulnerableCodeTrimmer:
    """Chooses the tokens of a function that is too long.

    Args:
        max_tokens: Tokens that fit, special tokens not counted.
        strategy: Which are kept of a longer function.
    """

    def __init__(self, max_tokens: int, strategy: TrimmingStrategy = "window") -> None:
        self.max_tokens = max_tokens
        self.strategy = strategy

    def find_spans(self, code: str) -> list[tuple[int, int]]:
        """Begin and end of each name of a called vulnerable function, in characters; members are none."""
        return [
            match.span()
            for match in _CALLED.finditer(code)
            if is_vulnerable_api(match.group()) and not code.endswith(_MEMBER_OF, 0, match.start())
        ]

    def trim(self, code: str, offsets: Ints) -> Trimmed:
        """Which tokens to keep.

        Args:
            code: Raw text.
            offsets: ``(T, 2)`` offsets of its tokens in it.

        Returns:
            All tokens where there are few enough, else those the strategy chooses.
        """
        num_tokens = len(offsets)
        if num_tokens <= self.max_tokens:
            return Trimmed(np.arange(num_tokens), "none", {})
        in_calls = self._tokens_in_spans(code, offsets)
        is_in_call = np.zeros(num_tokens, np.bool_)
        is_in_call[in_calls] = True
        kept = {name: keep(num_tokens, self.max_tokens, in_calls) for name, keep in STRATEGIES.items()}
        call_tokens = {name: int(np.count_nonzero(is_in_call[each.tokens])) for name, each in kept.items()}
        return Trimmed(*kept[self.strategy], call_tokens)

    def _tokens_in_spans(self, code: str, offsets: Ints) -> Longs:
        spans = np.array(self.find_spans(code), np.int32).reshape(-1, 2)
        if not len(spans):
            return np.zeros(0, np.int64)
        first = np.searchsorted(offsets[:, 1], spans[:, 0], side="right")
        last = np.searchsorted(offsets[:, 0], spans[:, 1], side="left")
        inside = np.zeros(len(offsets) + 1, np.int64)
        np.add.at(inside, first, 1)
        np.add.at(inside, last, -1)
        return np.flatnonzero(np.cumsum(inside)[:-1] > 0)


def _distance_to(chosen: Longs, count: int) -> Longs:
    """Of each of ``count`` positions the distance to the nearest chosen one."""
    positions = np.arange(count)
    after = np.searchsorted(chosen, positions)
    to_next = np.abs(chosen[np.minimum(after, len(chosen) - 1)] - positions)
    to_last = np.abs(chosen[np.maximum(after - 1, 0)] - positions)
    nearer: Longs = np.minimum(to_next, to_last)
    return nearer
