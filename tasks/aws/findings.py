"""What a check before a launch found: fine, worth a thought, refused, or not to be known from here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from models.errors import CloudRefused, SettingsInvalid


class Level(StrEnum):
    """How a finding weighs."""

    OK = "ok"
    UNCHECKED = "not checked"
    """Nobody was asked, or the answer was not for us: neither good nor bad."""
    WARNING = "warning"
    REFUSED = "refused"
    """Launched so, the job would fail, or lose what it may not lose."""


@dataclass(frozen=True)
class Finding:
    """One check and what came of it.

    Args:
        check: What was looked at, in a word or three.
        level: How it weighs.
        told: One line: what was found and, where it is not fine, what to do.
        code: Error code of AWS where AWS said no; empty elsewhere.
    """

    check: str
    level: Level
    told: str
    code: str = ""

    def __str__(self) -> str:
        return f"{self.level:<11} {self.check}: {self.told}"


@dataclass(frozen=True)
class Findings:
    """All that a preflight found, in the order of its checks."""

    found: tuple[Finding, ...]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.found)

    def of(self, level: Level) -> list[Finding]:
        """The findings of one level."""
        return [finding for finding in self.found if finding.level is level]

    def lines(self) -> list[str]:
        """One line a finding, for people."""
        return [str(finding) for finding in self.found]

    def raise_refusals(self) -> None:
        """Nothing, where nothing was refused.

        Raises:
            CloudRefused: AWS said no to one thing. Not retried.
            SettingsInvalid: something cannot be launched so; all of it in one message. Not retried.
        """
        refused = self.of(Level.REFUSED)
        if not refused:
            return
        if len(refused) == 1 and refused[0].code:
            raise CloudRefused(refused[0].check, refused[0].code, refused[0].told)
        told = "; ".join(f"{finding.check}: {finding.told}" for finding in refused)
        raise SettingsInvalid(f"nothing was launched, {len(refused)} of {len(self.found)} checks refuse: {told}")
