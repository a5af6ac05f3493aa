"""The programming languages whose syntax is read."""

from __future__ import annotations

from typing import Literal, get_args

LanguageName = Literal["c", "cpp", "python", "java", "javascript", "go"]
LANGUAGES: tuple[LanguageName, ...] = get_args(LanguageName)
