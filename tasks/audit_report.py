"""An audit in words: a table for the terminal, the same as markdown, and its checks as rows for any page.

Takes the content of ``audit.json``. The page of its own is ``audit_page``'s.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Audit = Mapping[str, Any]

VERDICTS = {"bad": "bad", "look": "look", "not_checked": "not checked", "good": "good"}
"""Verdicts by key, the worst first."""
MEANINGS = {
    "bad": "scores on these data mislead unless something is done",
    "look": "look at it before training",
    "good": "nothing found",
    "not_checked": "the data do not hold what the check needs",
}
TERMINAL_WIDTH = 100


@dataclass(frozen=True)
class CheckRow:
    """One check as people read it.

    Args:
        verdict: Key of ``VERDICTS``.
        word: The verdict in words.
        title: What was checked.
        question: What it asks.
        value: The number that decides, as text; empty where there is none.
        expected: What it would be without the defect, as text; may be empty.
        detail: What was found.
        advice: What to do; may be empty.
    """

    verdict: str
    word: str
    title: str
    question: str
    value: str
    expected: str
    detail: str
    advice: str


def check_rows(audit: Audit) -> list[CheckRow]:
    """Checks, the worst first, else in the audit's order."""
    order = list(VERDICTS)
    checks = sorted(audit["checks"], key=lambda check: order.index(check["verdict"]))
    return [
        CheckRow(
            check["verdict"],
            VERDICTS[check["verdict"]],
            check["title"],
            check["question"],
            _value(check["value"], check["unit"]),
            _value(check["expected"], check["unit"]),
            check["detail"].removeprefix("Not checked: ") if check["verdict"] == "not_checked" else check["detail"],
            check["advice"],
        )
        for check in checks
    ]


def about(audit: Audit) -> str:
    """What was audited, in one sentence."""
    splits = ", ".join(f"{split} {found['records']:,}" for split, found in audit["splits"].items())
    left_out = f"; {audit['num_rejected']:,} rows were left out" if audit["num_rejected"] else ""
    return f"{audit['records'].capitalize()}, read as {audit['read_as']}: {splits}{left_out}."


def summary(audit: Audit) -> str:
    """How many checks came out how, in one sentence."""
    counts = {verdict: sum(check["verdict"] == verdict for check in audit["checks"]) for verdict in VERDICTS}
    told = ", ".join(f"{count} {VERDICTS[verdict]}" for verdict, count in counts.items() if count)
    return f"{len(audit['checks'])} checks: {told}."


def audit_line(audit: Audit) -> str:
    """What came out, and which checks are bad, in one line."""
    bad = [check["title"].lower() for check in audit["checks"] if check["verdict"] == "bad"]
    return f"Data audit, {summary(audit)}" + (f" Bad: {'; '.join(bad)}." if bad else "")


def audit_text(audit: Audit) -> str:
    """Checks as text of 100 columns, the worst last, where a terminal leaves the eye; then what to do."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=io.StringIO(), width=TERMINAL_WIDTH, color_system=None, legacy_windows=False)
    rows = check_rows(audit)[::-1]
    table = Table(
        title=Text(about(audit)), box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0)
    )
    table.add_column("Verdict", no_wrap=True)
    table.add_column("Check", ratio=1)
    table.add_column("What was found", ratio=3)
    for row in rows:
        table.add_row(row.word, row.title, Text(row.detail))
    console.print(table)
    console.print(Text(summary(audit)))
    advised = [row for row in rows[::-1] if row.advice]
    for row in advised:
        console.print(Text(f"- {row.title}: {row.advice}"))
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def audit_markdown(audit: Audit) -> str:
    """Checks as a markdown table for an artifact."""
    lines = [
        about(audit),
        "",
        f"**{summary(audit)}**",
        "",
        "| Verdict | Check | What was found | What to do |",
        "| :-- | :-- | :-- | :-- |",
    ]
    for row in check_rows(audit):
        word = f"**{row.word}**" if row.verdict in ("bad", "look") else row.word
        lines.append(f"| {word} | {_escaped(row.title)} | {_escaped(row.detail)} | {_escaped(row.advice)} |")
    return "\n".join(lines) + "\n"


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    text = {"share": f"{100 * value:.1f} %", "count": f"{value:,.0f}"}.get(unit, f"{value:.3f}")
    return text.replace("-", "\u2212")


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;").replace("$", "\\$")
