"""What a model reads of a finding, and which of its tokens are left where there is no room for all.

The text is::

    ansible hard_coded_secret
    - name: create the database user
      mysql_user:
    >>>     password: s3cret
        state: present

Technology and smell come first, for they say what to look for and must be there whatever is cut. The flagged line is
marked, for a window may hold a second line like it. The mark does not hold the line's number: files of one repository
are alike, and numbers would tell them apart. White space is read as it stands, since in YAML it says to which block a
line belongs (contexts that lost their indentation before they came here are read without it).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from models.data.findings import Finding

FLAG = ">>> "
COLLAPSES_WHITESPACE = False
TRIMMING_NAME = "farthest_lines"
"""In ``reading.json``, where trimming strategies of functions have their names."""

FindingTrimming = Literal["none", "lines", "flagged_line"]
Longs = npt.NDArray[np.int64]


class Kept(NamedTuple):
    """Tokens that are left of a finding's text.

    Args:
        tokens: ``(K,)`` token numbers, rising.
        trimming: ``lines``: without context lines; ``flagged_line``: none of them is left, nor the whole flagged one.
    """

    tokens: Longs
    trimming: FindingTrimming


def text_of(finding: Finding, context_lines: int) -> str:
    """The text that is read.

    Args:
        finding: The finding.
        context_lines: Lines on either side of the flagged one, where there are so many.
    """
    before, flagged, after = finding.window
    head = f"{finding.technology} {finding.smell}"
    nearest = before[max(0, len(before) - context_lines) :]
    return "\n".join([head, *nearest, FLAG + flagged, *after[:context_lines]])


def flagged_at(finding: Finding, context_lines: int) -> int:
    """Which line of its text is the flagged one, counted from 0."""
    return 1 + min(len(finding.window.before), context_lines)


def keep_nearest(text: str, offsets: npt.NDArray[np.int32], flagged: int, room: int) -> Kept:
    """Leave out whole context lines, the farthest from the flagged one first, until the rest fits.

    Of two lines equally far the later goes first: what opens a block stands before it. A line goes with the line end
    before it. The first line (technology and smell) and the flagged line go last, the end of the flagged line before
    its beginning.

    Args:
        text: As ``text_of`` gives it.
        offsets: ``(T, 2)`` begin and end of each token in it [characters].
        flagged: Line of it that is flagged, counted from 0.
        room: Tokens that may be left.
    """
    if len(offsets) <= room:
        return Kept(np.arange(len(offsets)), "none")
    line_of = _line_of(text, offsets)
    num_lines = text.count("\n") + 1
    context = [line for line in range(1, num_lines) if line != flagged]
    order = [0, flagged, *sorted(context, key=lambda line: (abs(line - flagged), line))]
    sizes = np.bincount(line_of, minlength=num_lines)[order]
    num_kept = int(np.searchsorted(np.cumsum(sizes), room, side="right"))
    if num_kept < 2:
        foremost = np.flatnonzero((line_of == 0) | (line_of == flagged))
        return Kept(foremost[:room], "flagged_line")
    return Kept(np.flatnonzero(np.isin(line_of, order[:num_kept])), "lines")


def _line_of(text: str, offsets: npt.NDArray[np.int32]) -> Longs:
    """The line of each token's last character, a line end being part of the line after it."""
    ends_before = np.cumsum(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32) == ord("\n"))
    lines: Longs = ends_before[np.maximum(offsets[:, 1] - 1, 0)].astype(np.int64)
    return lines
