"""What transforms read of a text's syntax tree, found by one query: see ``models.data.languages.syntax``."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cached_property
from hashlib import sha256

from tree_sitter import Node, QueryCursor, Tree

from models.data.languages.syntax import query_of
from models.data.transforms.checked import Source
from models.data.transforms.choices import Choices

Range = tuple[int, int]
"""The first byte, and the one after the last."""
MASK = 0
"""Stands for each byte that no transform may change."""


class Places:
    """Where things stand in a text that parses.

    Args:
        source: The text.
        tree: Its tree without errors; offsets are those of the text.
    """

    def __init__(self, source: Source, tree: Tree) -> None:
        self.source = source
        self.content = source.content
        self.language = source.language
        self._root = tree.root_node
        self.num_nodes = self._root.descendant_count
        self._captures: dict[str, list[Node]] = QueryCursor(query_of(source.language)).captures(self._root)
        self._ranges: dict[str, list[Range]] = {}
        self.masked = self.without([*self.ranges("fixed"), *self.ranges("comment"), *source.directives])
        """The text with ``MASK`` for strings, comments and preprocessor lines, which change as a whole."""

    def choices(self, transform: str, seed: int) -> Choices:
        """Choices that depend on the transform's name, its seed and the text."""
        return Choices(transform, seed, self._digest)

    @cached_property
    def _digest(self) -> bytes:
        return sha256(self.content).digest()

    def has(self, name: str) -> bool:
        """Whether a capture has nodes."""
        return name in self._captures

    def ranges(self, name: str) -> list[Range]:
        """Where the nodes of a capture stand, in order."""
        found = self._ranges.get(name)
        if found is None:
            found = sorted([(node.start_byte, node.end_byte) for node in self._captures.get(name, ())])
            self._ranges[name] = found
        return found

    def firsts(self, name: str) -> set[int]:
        """The first bytes of the nodes of a capture."""
        return {node.start_byte for node in self._captures.get(name, ())}

    def firsts_of(self, name: str, texts: Collection[bytes]) -> list[tuple[int, bytes]]:
        """The nodes of a capture that say one of these texts: first bytes and texts, in order."""
        content, found = self.content, []
        for node in self._captures.get(name, ()):
            first = node.start_byte
            text = content[first : node.end_byte]
            if text in texts:
                found.append((first, text))
        return sorted(found)

    def words_of(self, texts: Collection[bytes]) -> list[tuple[int, bytes]]:
        """Words outside strings, comments and preprocessor lines that are one of these: first bytes and words."""
        return [(word.start(), word[0]) for word in _WORD.finditer(self.masked) if word[0] in texts]

    def texts(self, name: str) -> list[tuple[bytes, int]]:
        """What the nodes of a capture say, and their first bytes; in order."""
        content = self.content
        return [(content[first:last], first) for first, last in self.ranges(name)]

    @cached_property
    def comments(self) -> list[Range]:
        """Comments; none that begins in a preprocessor line, or in a string, where grammars see some too."""
        elsewhere = self.without([*self.source.directives, *self.ranges("fixed")])
        return [comment for comment in self.ranges("comment") if elsewhere[comment[0]] != MASK]

    def without(self, ranges: list[Range]) -> bytes:
        """The text with ``MASK`` for the bytes of these ranges."""
        if not ranges:
            return self.content
        masked = bytearray(self.content)
        for first, last in ranges:
            masked[first:last] = bytes(last - first)
        return bytes(masked)

    @cached_property
    def declarations(self) -> list[tuple[int, bytes]]:
        """Names that the text declares as parameters or locally: first bytes and names, in order."""
        return sorted([(first, name) for capture in ("declared", "hoisted") for name, first in self.texts(capture)])

    @cached_property
    def declared(self) -> frozenset[bytes]:
        """The names of these."""
        return frozenset([name for _, name in self.declarations])

    @cached_property
    def primitive(self) -> frozenset[bytes]:
        """Names that are declared with types of the language only."""
        of_primitives = self.firsts("primitive")
        of_others = {name for place, name in self.declarations if place not in of_primitives}
        return self.declared - of_others - {name for _, name in self.firsts_of("unclear", self.declared)}

    @cached_property
    def has_odd_lines(self) -> bool:
        """Whether something else than a newline may end a line."""
        content = self.content
        return (b"\r" in content and content.count(b"\r") != content.count(b"\r\n")) or any(
            end in content for end in _OTHER_ENDS
        )

    @cached_property
    def newline(self) -> bytes:
        """As the text has it."""
        return b"\r\n" if b"\r\n" in self.content else b"\n"

    def is_fixed_above(self, line_first: int) -> bool:
        """Whether the line above ends with a comment, a string or a preprocessor line."""
        masked, last = self.masked, line_first - 1
        while last > 0 and masked[last - 1] in b" \t\r":
            last -= 1
        return last > 0 and masked[last - 1] == MASK

    def continues(self, line_first: int) -> bool:
        """Whether the line that begins here goes on with the one above, behind a backslash."""
        return self.content[max(0, line_first - 3) : line_first].rstrip(b"\r\n").endswith(b"\\")


_WORD = re.compile(rb"[\w$\x80-\xff]+")
_OTHER_ENDS = (b"\f", b"\v", b"\0", b"\xe2\x80\xa8", b"\xe2\x80\xa9")
