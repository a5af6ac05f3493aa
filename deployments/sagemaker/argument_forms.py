"""The forms of words that go into ARNs, addresses and commands: anything else, a ``*`` above all, is refused."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Final

from tasks.aws.image import REPOSITORY

ACCOUNT: Final = r"[0-9]{12}"
REGION: Final = r"[a-z]{2}(-[a-z]+)+-[0-9]"
DASHBOARD: Final = rf"{REPOSITORY}[A-Za-z0-9_-]{{0,200}}"
"""What the launcher's policy allows, and CloudWatch takes."""


def matching(pattern: str) -> Callable[[str], str]:
    """A word of this form, for ``argparse``; without the slashes at its ends."""

    def checked(text: str) -> str:
        if re.fullmatch(pattern, text, re.ASCII) is None:
            raise argparse.ArgumentTypeError(f"{text!r} is not of the form {pattern}")
        return text.strip("/")

    return checked
