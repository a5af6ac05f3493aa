"""Which declaration a name refers to: the nest of scopes of a text, and the names whose every use is understood."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from typing import NamedTuple

from models.data.transforms.places import MASK, Places

FUNCTION, BLOCK, CLASS, DECLARATION, HOLE = range(5)
"""What a range is to the names in it. What a declaration declares holds behind it only; a hole belongs to the scope
outside the one around it."""
_KINDS = {"function": FUNCTION, "scope": BLOCK, "class": CLASS, "declaration": DECLARATION, "hole": HOLE}
_IN_ORDER = frozenset(["c", "cpp", "java", "go"])
"""Languages in which a name before its declaration means something else."""
NOWHERE = -1


class Scopes:
    """The nest of scopes of a text.

    Args:
        places: What stands where.
    """

    def __init__(self, places: Places) -> None:
        found = sorted([(first, -last, kind) for name, kind in _KINDS.items() for first, last in places.ranges(name)])
        self.firsts = [first for first, _, _ in found]
        self.lasts = [-last for _, last, _ in found]
        self.kinds = [kind for _, _, kind in found]
        self.parents: list[int] = []
        self.functions: list[int] = []
        self._nest()

    def _nest(self) -> None:
        """Each range's parent, and the outermost function that it is in."""
        around: list[int] = []
        for number, first in enumerate(self.firsts):
            while around and self.lasts[around[-1]] <= first:
                around.pop()
            parent = around[-1] if around else NOWHERE
            outermost = self.functions[parent] if around else NOWHERE
            if outermost == NOWHERE and self.kinds[number] == FUNCTION:
                outermost = number
            self.parents.append(parent)
            self.functions.append(outermost)
            around.append(number)

    def innermost(self, place: int) -> int:
        """The smallest range that a byte lies in; ``NOWHERE``: none."""
        number = bisect_right(self.firsts, place) - 1
        while number != NOWHERE and self.lasts[number] <= place:
            number = self.parents[number]
        return number

    def function(self, place: int) -> int:
        """The outermost function that a byte lies in; ``NOWHERE``: none."""
        number = self.innermost(place)
        return self.functions[number] if number != NOWHERE else NOWHERE

    def declaring(self, number: int, *, is_hoisted: bool) -> int:
        """The scope that a declaration in a range is for."""
        while number != NOWHERE:
            kind = self.kinds[number]
            if kind in (FUNCTION, CLASS) or (kind == BLOCK and not is_hoisted):
                break
            number = self.parents[number]
        return number

    def hidden_from(self, place: int) -> set[int]:
        """The scopes around a byte whose names do not hold there."""
        number, hidden, num_holes = self.innermost(place), set(), 0
        while number != NOWHERE:
            kind = self.kinds[number]
            if kind == HOLE:
                num_holes += 1
            elif kind != DECLARATION and num_holes:
                hidden.add(number)
                num_holes -= 1
            number = self.parents[number]
        return hidden


class Hold(NamedTuple):
    """Where a declared name holds.

    Args:
        since: The first byte.
        last: The byte after the last.
        scope: Number of the scope.
        function: That of the outermost function around.
    """

    since: int
    last: int
    scope: int
    function: int


Uses = dict[tuple[int, bytes], list[int]]
"""By outermost function and name."""


def uses_of_locals(places: Places, names: Collection[bytes]) -> dict[bytes, list[int]]:
    """Of names that the text declares, those of parameters and local variables, and where each stands.

    A name counts in an outermost function where each of its uses refers to a declaration inside; in others it is left
    out. Names are in the order in which they stand first.

    Args:
        places: What stands where.
        names: Some of ``places.declared``.
    """
    scopes = Scopes(places)
    unclear = {(scopes.function(place), name) for place, name in places.firsts_of("unclear", names)}
    holds = _holds(places, scopes, names, unclear)
    uses = _uses(places, scopes, holds, unclear)
    found: dict[bytes, list[int]] = {}
    for (function, name), at in uses.items():
        if function != NOWHERE and (function, name) not in unclear:
            found.setdefault(name, []).extend(at)
    return found


def _uses(places: Places, scopes: Scopes, holds: dict[bytes, list[Hold]], unclear: set[tuple[int, bytes]]) -> Uses:
    """Uses that refer to a declaration; ``unclear`` gets the names of others."""
    members, holes = places.firsts("member"), places.without(places.ranges("hole"))
    uses: Uses = {}
    for place, name in places.words_of(holds):
        if place in members:
            continue
        hidden = scopes.hidden_from(place) if holes[place] == MASK else ()
        for since, last, scope, function in holds[name]:
            if since <= place < last and scope not in hidden:
                uses.setdefault((function, name), []).append(place)
                break
        else:
            unclear.add((scopes.function(place), name))
    return uses


def _holds(
    places: Places, scopes: Scopes, names: Collection[bytes], unclear: set[tuple[int, bytes]]
) -> dict[bytes, list[Hold]]:
    """Where names hold that are declared in functions; ``unclear`` gets those of classes: they are attributes."""
    in_order, hoisted = places.language in _IN_ORDER, places.firsts("hoisted")
    found: dict[bytes, list[Hold]] = {name: [] for name in names}
    for place, name in places.declarations:
        if name not in names:
            continue
        number = scopes.innermost(place)
        if number == NOWHERE or scopes.functions[number] == NOWHERE:
            continue
        function, scope = scopes.functions[number], scopes.declaring(number, is_hoisted=place in hoisted)
        if scopes.kinds[scope] == CLASS:
            unclear.add((function, name))
        since = place if in_order else scopes.firsts[scope]
        if scopes.kinds[number] == DECLARATION:
            since = scopes.lasts[number]
            found[name].append(Hold(place, place + 1, NOWHERE, function))
        found[name].append(Hold(since, scopes.lasts[scope], scope, function))
    return found
