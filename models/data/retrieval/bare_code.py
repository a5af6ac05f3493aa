"""Code without comments and blank lines: what it does, without what was said about it.

Tools sign what they write ("start of generated patch"), and people explain it; either tells who made a patch.
"""

from __future__ import annotations

import re

from models.settings.languages import LanguageName

_STRINGS = r'"""(?:\\.|[^\\])*?"""' + r'|"(?:\\.|[^"\\\n])*"' + r"|'(?:\\.|[^'\\\n])*'"
_IN_BRACES = re.compile(rf"(?P<kept>{_STRINGS}|`(?:\\.|[^`\\])*`)|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_IN_PYTHON = re.compile(rf"(?P<kept>'''(?:\\.|[^\\])*?'''|{_STRINGS})|\#[^\n]*", re.DOTALL)


def bare_code(code: str, language: LanguageName | None) -> str:
    """The code without comments, without lines that hold nothing else, and without blanks at the ends of lines.

    Args:
        code: Parsing or not.
        language: Whose comments they are; ``None``: those of C, as most languages have them.
    """
    pattern = _IN_PYTHON if language == "python" else _IN_BRACES
    kept = pattern.sub(lambda found: found["kept"] or " ", code)
    return "\n".join(line.rstrip() for line in kept.split("\n") if line.strip())
