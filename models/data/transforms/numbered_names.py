"""``rename_identifiers``: what a text declares for itself becomes var_1, var_2 and so on.

Parameters and local variables, with all their uses. Left alone are names of functions, types, fields, labels and
macros, words that a language has for its own, names that callers may write (keyword arguments), names that strings,
templates or preprocessor lines hold, and each name of which one use is not understood.
"""

from __future__ import annotations

import re

from models.data.languages.syntax import DYNAMIC_NAMES, KEPT_NAMES, WITH_DIRECTIVES
from models.data.transforms.edits import Changes, Edit
from models.data.transforms.places import Places
from models.data.transforms.scopes import uses_of_locals

NAME = "rename_identifiers"
PREFIX = b"var_"
_NUMBERED = re.compile(rb"var_\d+")
_WORD = re.compile(rb"[A-Za-z_$\x80-\xff][A-Za-z0-9_$\x80-\xff]*")


def numbered_names(places: Places, seed: int, probability: float) -> Changes:
    """Rename local names; see the module.

    Args:
        places: What stands where in the text.
        seed: Of the choices.
        probability: Of each name to be replaced, everywhere.
    """
    if not places.declared or _reads_its_names(places):
        return Changes()
    draw = places.draw(NAME, seed)
    kept = _kept(places)
    names = dict.fromkeys([name for _, name in places.declarations])
    chosen = frozenset([name for name in names if name not in kept and draw.chance(probability)])
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
    dynamic = [name for name in DYNAMIC_NAMES[places.language] if name in places.content]
    return places.has("dynamic") or (bool(dynamic) and bool(places.firsts_of("id", dynamic)))


def _kept(places: Places) -> set[bytes]:
    """Names that stay in the whole text."""
    language, declared = places.language, places.declared
    kept = {*KEPT_NAMES[language], *[name for name, _ in places.texts("never")]}
    for first, last in places.source.directives:
        kept.update(_WORD.findall(places.content, first, last))
    if language in WITH_DIRECTIVES:
        kept.update([name for name in declared if name == name.upper()])
    kept.update([name for name in declared if name.startswith((b"__", PREFIX))])
    if language == "python" and b"def test" in places.content:
        kept.update(places.names_of_tests())
    return kept
