"""Weak labels: a function that makes a call known to be dangerous is taken for vulnerable, any other for safe.

Such labels are often wrong in both directions (the call may be harmless where it stands, and most flaws make no such
call), so they are asked for, carry ``label_source`` "rules", and are counted apart. The calls are those that the CERT C
standard (STR07, MSC24, ENV33), Bandit (B102, B301, B307, B506, B605) and the OWASP cheat sheets of injection name.
"""

from __future__ import annotations

import re

from models.data.languages.grammars import parser_of
from models.settings.languages import LanguageName

NAME = "rules"
_OF_C = r"(?:gets|strcpy|strcat|sprintf|vsprintf|stpcpy|system|popen|mktemp|tmpnam|alloca)"
DANGEROUS_CALLS: dict[LanguageName, str] = {
    "c": rf"(?<![\w.>]){_OF_C}\s*\(",
    "cpp": rf"(?<![\w.>]){_OF_C}\s*\(",
    "python": r"(?<![\w.])(?:eval|exec)\s*\(|\bos\.(?:system|popen)\s*\(|\bpickle\.loads?\s*\(|\byaml\.load\s*\("
    r"|\bsubprocess\.\w+\([^)]*shell\s*=\s*True|\bmarshal\.loads?\s*\(",
    "java": r"\.exec\s*\(|\.readObject\s*\(|\.execute(?:Query|Update)?\s*\([^)]*\+|\bProcessBuilder\s*\([^)]*\+",
    "javascript": r"(?<![\w.])eval\s*\(|\bnew\s+Function\s*\(|\bdocument\.write(?:ln)?\s*\("
    r"|\bchild_process\.exec\w*\s*\(|(?<![\w.])execSync\s*\(|\.innerHTML\s*=(?!=)",
    "go": r'\bexec\.Command\s*\(\s*"(?:sh|bash|cmd)"|\btemplate\.(?:HTML|JS)\s*\(|\bunsafe\.Pointer\s*\(',
}
"""What is searched for in the text of a function, comments and strings apart."""
_PATTERNS = {language: re.compile(pattern) for language, pattern in DANGEROUS_CALLS.items()}


def weak_label(code: str, language: LanguageName) -> int:
    """1 where a function makes a dangerous call, else 0.

    Args:
        code: A function.
        language: Its language.
    """
    found = list(_PATTERNS[language].finditer(code))
    if not found:
        return 0
    root = parser_of(language).parse(code.encode("utf-8", "replace")).root_node
    for match in found:
        begin = len(code[: match.start()].encode("utf-8", "replace"))
        node = root.descendant_for_byte_range(begin, begin + 1)
        while node is not None and "comment" not in node.type and "string" not in node.type:
            node = node.parent
        if node is None:
            return 1
    return 0
