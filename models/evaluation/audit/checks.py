"""What a check of the audit says: a verdict, the numbers that decide it, words for people.

Verdicts: ``good``, ``look`` (a person should look before training), ``bad`` (scores on these data mislead unless
something is done), ``not_checked`` (the data do not hold what the check needs; the detail says what).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from models.evaluation.metrics import as_json

Verdict = Literal["good", "look", "bad", "not_checked"]
Unit = Literal["share", "score", "count"]


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Args:
        name: Key.
        title: For people.
        question: What it asks.
        verdict: See the module.
        detail: What was found, with its numbers.
        advice: What to do; empty where there is nothing to do.
        value: The number that decides; ``None`` where nothing was measured.
        expected: What the number would be in data without the defect; ``None`` where there is no such number.
        unit: Share of 1, score (AUROC, F1, a difference of them), or count.
    """

    name: str
    title: str
    question: str
    verdict: Verdict
    detail: str
    advice: str = ""
    value: float | None = None
    expected: float | None = None
    unit: Unit = "share"

    def as_json(self) -> dict[str, Any]:
        """As ``audit.json`` holds it."""
        values: dict[str, Any] = as_json(asdict(self))
        return values


class Topic(NamedTuple):
    """What a check asks, before it is known what it finds."""

    name: str
    title: str
    question: str

    def judged(
        self,
        verdict: Verdict,
        detail: str,
        *,
        value: float | None,
        expected: float | None = None,
        advice: str = "",
        unit: Unit = "share",
    ) -> Check:
        """The outcome; advice is dropped where all is good."""
        return Check(*self, verdict, detail, "" if verdict == "good" else advice, value, expected, unit)

    def not_checked(self, why: str) -> Check:
        """The data do not hold what the check needs."""
        return Check(*self, "not_checked", why)


@dataclass(frozen=True)
class Section:
    """Checks that belong together, and the tables behind them.

    Args:
        name: Key of the tables in ``audit.json``.
        content: The tables, as JSON values; says by ``reason`` why it is empty where it is.
        checks: Their outcomes.
    """

    name: str
    content: dict[str, Any]
    checks: tuple[Check, ...]


def percent(share: float) -> str:
    """``0.123`` as ``12.3 %``."""
    return f"{100 * share:.1f} %"


def counted(number: int, what: str) -> str:
    """``2 functions``, ``1 function``, thousands apart."""
    words = what if number == 1 else (f"{what[:-1]}ies" if what.endswith("y") else f"{what}s")
    return f"{number:,} {words}"
