"""Whether text is C or C++, for collections that do not say: signs of other languages that C does not have.

Conservative: a function with a body and without a sign counts as C. Signs are looked for outside comments and strings,
and each is tried only where a word it needs is there at all, which spares nearly all of the work on C.

Measured on the project's data folders (``-m long`` in ``tests/models/data/test_c_language.py`` measures it again):
taken for something else are 3 of 27,348 functions of C (collected, codexglue, juliet, sven: 0.01 %); found are all of
plagiarism's Java and of sven's Python, and 97.4 % of what is on Rosetta Code in twelve other languages.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import NamedTuple

C_SUFFIXES = frozenset({".c", ".h", ".cc", ".hh", ".cpp", ".hpp", ".cxx", ".hxx", ".c++", ".h++", ".inl", ".ipp"})
C_NAMES = frozenset({"c", "c++", "cpp", "cc", "cxx", "c/c++"})
MAX_CHARS = 50_000
"""Only the head of a long text is looked at: its language shows early."""
_NO_CODE = re.compile(r'/\*.*?(?:\*/|\Z)|//[^\n]*|"(?:[^"\\\n]|\\.)*"' r"|'(?:[^'\\\n]|\\.){1,10}'", re.DOTALL)


class _Sign(NamedTuple):
    language: str
    word: str
    """The pattern cannot match text without it."""
    pattern: re.Pattern[str]


def _sign(language: str, word: str, pattern: str) -> _Sign:
    return _Sign(language, word, re.compile(pattern, re.MULTILINE))


_MODIFIERS = r"(?:public|private|protected|internal|abstract|final|sealed|static|partial)"
_SIGNS = (
    _sign("Python or Ruby", "def ", r"^[ \t]*(?:async[ \t]+)?def[ \t]+[\w.]+[?!]?[ \t]*(?:\(|$|:|=)"),
    _sign(
        "Python",
        "class ",
        r"^[ \t]*class[ \t]+\w+[ \t]*(?:\([^)\n]*\))?:[ \t]*$(?!\s*(?:public|pr|virtual|\{|\w+\s*\{))",
    ),
    _sign("Python", "import ", r"^[ \t]*from[ \t]+[\w.]+[ \t]+import\b"),
    _sign("Python", "import ", r"^[ \t]*import[ \t]+[\w.]+(?:[ \t]+as[ \t]+\w+)?(?:[ \t]*,[ \t]*[\w.]+)*[ \t]*$"),
    _sign("Python", "elif ", r"^[ \t]*elif[ \t]+.*:[ \t]*(?:#.*)?$"),
    _sign("Python", " in ", r"^[ \t]*for[ \t]+[\w, \t()]+[ \t]in[ \t]+[^;{}]*:[ \t]*(?:#.*)?$"),
    _sign("Python", "while ", r"^[ \t]*while[ \t]+[^(;{\n][^;{\n]*:[ \t]*(?:#.*)?$"),
    _sign("Python", "if ", r"^[ \t]*if[ \t]+[^(;{\n][^;{\n]*:[ \t]*(?:#.*)?$"),
    _sign("Python", "try:", r"^[ \t]*try:[ \t]*(?:#.*)?$"),
    _sign("Python", "lambda", r"\blambda(?:[ \t]+\w+(?:[ \t]*,[ \t]*\w+)*)?[ \t]*:"),
    _sign("PHP", "<?", r"<\?(?:php\b|=)"),
    _sign("PHP or Perl", "$", r"(?<![\w$\\])\$\w+[ \t]*(?:=(?![=])|->|\[|\{|\.=|\+\+|;|,|\))"),
    _sign("Perl", "my ", r"^[ \t]*my[ \t]+[$@%(]"),
    _sign("Perl", "sub ", r"^[ \t]*sub[ \t]+\w+[ \t]*(?:\{|$)"),
    _sign("Perl", "use ", r"^[ \t]*use[ \t]+(?:[a-z]\w+|[A-Z]\w*(?:::\w+)*|v?5[.\d]*)\b[^;\n]*;"),
    _sign("Perl", "@", r"[$@]_\b|^[ \t]*@\w+[ \t]*="),
    _sign("Perl", "=~", r"[$@%]\{?\w+\}?[ \t]*=~"),
    _sign("JavaScript", "function", r"\bfunction\b[ \t]*\*?[ \t]*\w*[ \t]*\([^)]*\)\s*\{"),
    _sign("JavaScript, C# or Scala", "=>", r"(?:\)|\b[A-Za-z_$][\w$]*)[ \t]*=>"),
    _sign("JavaScript", "let ", r"^[ \t]*(?:export[ \t]+)?let[ \t]+[\w$]+[ \t]*(?:=(?!=)|,|;|$)"),
    _sign("JavaScript", "const ", r"^[ \t]*(?:export[ \t]+)?const[ \t]+[\w$]+[ \t]*=(?!=)"),
    _sign("JavaScript", "var ", r"^[ \t]*(?:for[ \t]*\()?(?:export[ \t]+)?var[ \t]+[\w$]+[ \t]*(?:=(?!=)|,|;|$)"),
    _sign("JavaScript", "==", r"[!=]==[^=]"),
    _sign("JavaScript", "console", r"\bconsole\.log\b"),
    _sign("JavaScript", "document", r"\bdocument\.(?:write|getElementById)\b"),
    _sign("Java or C#", "class ", rf"^[ \t]*(?:{_MODIFIERS}[ \t]+)+class\b"),
    _sign("Java or C#", "interface ", rf"^[ \t]*(?:{_MODIFIERS}[ \t]+)*interface[ \t]+\w+"),
    _sign("Java or C#", "p", r"^[ \t]*(?:public|private|protected)[ \t]+[\w<>\[\], .?]+[ \t]+\w+[ \t]*[(=;{]"),
    _sign("Java", "import ", r"^[ \t]*import[ \t]+(?:static[ \t]+)?[\w.]+(?:\.\*)?[ \t]*;"),
    _sign("Java", "package ", r"^[ \t]*package[ \t]+[\w.]+[ \t]*;"),
    _sign("Java", "System.", r"\bSystem\.(?:out|err|in)\b"),
    _sign("Java", "@", r"^[ \t]*@(?:Override|Test|Deprecated|SuppressWarnings)\b"),
    _sign("Java", "throws ", r"\)\s*throws[ \t]+[A-Z]\w*"),
    _sign(
        "Java or C#",
        "[]",
        r"(?<!\w)(?:String|int|char|byte|long|double|string|boolean|bool|Integer)(?:\[,*\])+[ \t]*\w",
    ),
    _sign("Java", "boolean ", r"^[ \t]*(?:static[ \t]+)?boolean[ \t]+\w+[ \t]*\([ \t]*(?:String|int|final)\b"),
    _sign("C#", "using ", r"^[ \t]*using[ \t]+(?:static[ \t]+)?[A-Z]\w*(?:\.\w+)*[ \t]*;"),
    _sign("C#", "Console.", r"\bConsole\.(?:Write|Read)"),
    _sign("C#", "foreach", r"\bforeach[ \t]*\([ \t]*(?:var|[\w<>]+)[ \t]+\w+[ \t]+in\b"),
    _sign("Go", "func ", r"^[ \t]*func[ \t]+(?:\([^)\n]*\)[ \t]*)?\w+[ \t]*(?:\[[^\]\n]*\])?\([^;\n]*\{[ \t]*$"),
    _sign("Go", "package ", r"^[ \t]*package[ \t]+\w+[ \t]*$"),
    _sign("Go", ":=", r"^[ \t]*(?:(?:if|for|switch)[ \t]+)?\w+(?:[ \t]*,[ \t]*\w+)*[ \t]*:="),
    _sign(
        "Rust", "fn ", r"^[ \t]*(?:pub(?:\([^)\n]*\))?[ \t]+)?(?:(?:const|async|unsafe)[ \t]+)*fn[ \t]+\w+[ \t]*[(<]"
    ),
    _sign("Rust", "let ", r"^[ \t]*let[ \t]+(?:mut[ \t]+)?\w+[ \t]*[:=]"),
    _sign("Rust", "use ", r"^[ \t]*use[ \t]+\w+::"),
    _sign("Rust", "impl", r"^[ \t]*impl(?:<[^>\n]*>)?[ \t]+[A-Z]\w*.*\{[ \t]*$"),
    _sign("Rust", "!", r"\b(?:println|vec|assert_eq|panic)!"),
    _sign("Rust", "*mut", r"\bas[ \t]+\*(?:mut|const)\b"),
    _sign("Kotlin", "fun ", r"^[ \t]*(?:\w+[ \t]+)*fun[ \t]+(?:<[^>\n]*>[ \t]*)?[\w.<>]+[ \t]*\("),
    _sign("Kotlin or Scala", "va", r"^[ \t]*(?:\w+[ \t]+)?va[lr][ \t]+(?:\w+|\([^)\n]*\))[ \t]*(?::|=(?!=))"),
    _sign("Scala", "object ", r"^[ \t]*(?:case[ \t]+)?object[ \t]+\w+[ \t]*(?:extends\b.*)?(?:\{|$)"),
    _sign("Scala", "trait ", r"^[ \t]*(?:sealed[ \t]+)?trait[ \t]+\w+"),
    _sign("Scala", "import ", r"^[ \t]*import[ \t]+[\w.]+(?:\.\{[^}\n]*\}|\._)"),
    _sign("Ruby", "end", r"^[ \t]*end[ \t]*$[^;]*^[ \t]*end[ \t]*$"),
    _sign("Ruby", "|", r"(?:\{|\bdo)[ \t]*\|[ \t]*[\w*(][\w, \t()*]*\|"),
    _sign("Ruby", "attr_", r"^[ \t]*attr_(?:reader|writer|accessor)\b"),
    _sign("Haskell", "::", r"^[a-z_][\w']*(?:[ \t]*,[ \t]*\w+)*[ \t]+::[ \t]+[^;{\n]*(?:->|[A-Z])[^;{\n]*$"),
    _sign("Haskell", "import ", r"^import[ \t]+(?:qualified[ \t]+)?[A-Z]"),
    _sign("shell", "#!", r"\A\s*#![ \t]*/"),
)


def other_language(code: str) -> str:
    """The language whose sign text has; empty where it passes for C or C++.

    Args:
        code: A function or a file.
    """
    head = code[:MAX_CHARS]
    if "{" not in head:
        return "no C" if len(head) == len(code) else ""
    signs = [sign for sign in _SIGNS if sign.word in head]
    if not signs:
        return ""
    bare = _NO_CODE.sub('""', head)
    return next((sign.language for sign in signs if sign.word in bare and sign.pattern.search(bare)), "")


def is_c_file(name: str) -> bool:
    """Whether a file is called like one of C or C++.

    Args:
        name: Its name or path.
    """
    return PurePosixPath(name).suffix.lower() in C_SUFFIXES
