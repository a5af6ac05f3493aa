"""``rename_identifiers``: what a text declares for itself becomes var_1, var_2 and so on.

Parameters (none in Python, where any caller may name them) and local variables, with all their uses. Left alone are
names of functions, types, fields, labels and macros, words that a language has for its own, names that are a word of a
string or a preprocessor line, what a macro or an injecting framework may read, what may be an inherited member in a
class inside a function, and each name of which one use is not understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from models.data.languages.syntax import DYNAMIC_NAMES, KEPT_NAMES, WITH_DIRECTIVES
from models.data.transforms.edits import Changes, Edit
from models.data.transforms.places import Places
from models.data.transforms.scopes import uses_of_locals
from models.settings.languages import LanguageName

NAME = "rename_identifiers"
PREFIX = b"var_"
_NUMBERED = re.compile(rb"var_\d+")
_WORD = re.compile(rb"[A-Za-z_$\x80-\xff][A-Za-z0-9_$\x80-\xff]*")
_ESCAPE = re.compile(rb"\\.")
_CALL = re.compile(rb"\b(\w++)\s*+\(")
_PARENTHESIS = re.compile(rb"[()]")
_DEFINED = re.compile(rb"\s*#\s*define\s+(\w+)")
_KNOWN_MACRO = re.compile(
    rb"container_?of|offset|for_?each|_entry|_member|_field|struct_size|flex_array|_queue_data"
    rb"|^(?:[hkp]?l?list|slist|s?tailq|rb|wl|from|va|hash|k[hv]|kfree|rcu)_"
)
"""Macros of systems' headers that are in lower case; their arguments may be names of fields."""
_INJECTS = re.compile(rb"\bangular\b|\$(?:inject|provide|injector)\b")


def numbered_names(places: Places, seed: int, probability: float) -> Changes:
    """Rename local names; see the module.

    Args:
        places: What stands where in the text.
        seed: Of the choices.
        probability: Of each name to be replaced, everywhere.
    """
    if not places.declared or _reads_its_names(places):
        return Changes()
    choices = places.choices(NAME, seed)
    names = dict.fromkeys([name for _, name in places.declarations])
    chosen = frozenset(choices.some(names, probability))
    chosen = chosen and chosen - _kept(places)
    if not chosen:
        return Changes()
    taken = set(_NUMBERED.findall(places.content))
    edits: list[Edit] = []
    number = 0
    for name, at in uses_of_locals(places, chosen).items():
        number = _next_number(number, taken)
        new_name, length = PREFIX + b"%d" % number, len(name)
        edits += [(place, place + length, new_name, 0) for place in at]
    return Changes(edits)


def _next_number(number: int, taken: set[bytes]) -> int:
    number += 1
    while PREFIX + b"%d" % number in taken:
        number += 1
    return number


def _reads_its_names(places: Places) -> bool:
    """Whether the program can look a name up by its text."""
    language, content = places.language, places.content
    if places.has("dynamic"):
        return True
    return any(name in content for name in DYNAMIC_NAMES[language]) and bool(_dynamic(language).search(places.masked))


@cache
def _dynamic(language: LanguageName) -> re.Pattern[bytes]:
    return re.compile(rb"\b(?:%b)\b" % b"|".join(sorted(DYNAMIC_NAMES[language])))


def _kept(places: Places) -> set[bytes]:
    """Names that stay in the whole text."""
    language, declared = places.language, places.declared
    kept = {*KEPT_NAMES[language], *[name for name, _ in places.texts("never")]}
    kept.update(_words_of_strings(places))
    if language in WITH_DIRECTIVES:
        for first, last in places.source.directives:
            kept.update(_WORD.findall(places.content, first, last))
        kept.update([name for name in declared if name == name.upper()])
        kept.update(_words_in_macros(places))
    if language == "javascript" and (b"$" in places.masked or b"angular" in places.content):
        kept.update(_injected(places))
    kept.update(_words_of_inner_classes(places))
    kept.update([name for name in declared if name.startswith((b"__", PREFIX, b"$"))])
    return kept


def _words_of_strings(places: Places) -> set[bytes]:
    """Queries, formats and the like may read a name that is one of these."""
    content = places.content
    text = b"\n".join([content[first:last] for first, last in places.ranges("fixed")])
    words = set(_WORD.findall(text))
    if b"\\" in text:
        words.update(_WORD.findall(_ESCAPE.sub(b" ", text)))
    return words


def _words_in_macros(places: Places) -> Iterator[bytes]:
    """Names in the arguments of what may be a macro: they may be names of fields, or be joined to others."""
    content, masked = places.content, places.masked
    own = {match[1] for match in (_DEFINED.match(content, *each) for each in places.source.directives) if match}
    for call in _CALL.finditer(masked):
        if call[1] in own or _may_be_macro(call[1]):
            yield from _WORD.findall(masked, call.end(), _closing(masked, call.end()))


@cache
def _may_be_macro(name: bytes) -> bool:
    return name == name.upper() or _KNOWN_MACRO.search(name) is not None


def _closing(masked: bytes, first: int) -> int:
    """Where the parenthesis that was opened before ``first`` closes."""
    depth = 1
    for match in _PARENTHESIS.finditer(masked, first):
        depth += 1 if match[0] == b"(" else -1
        if not depth:
            return match.start()
    return len(masked)


def _injected(places: Places) -> Iterator[bytes]:
    """Parameters beside one that begins with ``$``, and all where the text has to do with injection by name."""
    everywhere = _INJECTS.search(places.content) is not None
    for first, last in places.ranges("parameters"):
        if everywhere or b"$" in places.masked[first:last]:
            yield from _WORD.findall(places.content, first, last)


def _words_of_inner_classes(places: Places) -> Iterator[bytes]:
    """Names in classes inside functions: a member that they inherit would go before the function's own."""
    if not places.has("members"):
        return
    functions = places.ranges("function")
    for first, last in places.ranges("members"):
        if any(begin < first and last <= end for begin, end in functions):
            yield from _WORD.findall(places.content, first, last)
