"""A table that reads the same on a terminal and as markdown."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

TERMINAL_WIDTH = 100


@dataclass(frozen=True)
class PlainTable:
    """A table of texts.

    Args:
        title: What it shows.
        left: Heads of the columns of words, which come first and may be folded.
        right: Heads of the columns of numbers.
        rows: A text for each column.
        num_sums: How many rows at the end are sums, set off by a line.
    """

    title: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    num_sums: int = 0


def as_text(tables: Sequence[PlainTable]) -> str:
    """Tables for a terminal, at most 100 columns."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    file = io.StringIO()
    console = Console(file=file, width=TERMINAL_WIDTH, color_system=None, legacy_windows=False)
    for plain in tables:
        table = Table(
            title=Text(plain.title),
            box=box.SIMPLE_HEAD,
            title_justify="left",
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        for head in plain.left:
            table.add_column(head, overflow="fold")
        for head in plain.right:
            table.add_column(head, justify="right", no_wrap=True)
        before_sums = len(plain.rows) - plain.num_sums
        for number, row in enumerate(plain.rows, start=1):
            table.add_row(*map(Text, row), end_section=number == before_sums)
        console.print(table)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def as_markdown(tables: Sequence[PlainTable]) -> str:
    """Tables as markdown; sums in bold."""
    lines = []
    for plain in tables:
        lines += [f"**{_escaped(plain.title)}**", "", f"| {' | '.join((*plain.left, *plain.right))} |"]
        lines.append(f"|{' :-- |' * len(plain.left)}{' --: |' * len(plain.right)}")
        before_sums = len(plain.rows) - plain.num_sums
        for number, row in enumerate(plain.rows):
            cells = [_escaped(cell) if number < before_sums or not cell else f"**{_escaped(cell)}**" for cell in row]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_").replace("$", "\\$")
