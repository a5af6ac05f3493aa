"""What every transform shares: trees to read, random choices that depend on the text, and the check that undoes.

A transform takes a function's text and a seed and gives a ``Transformed``. It reads the syntax tree, proposes a text,
and the proposal stands only if it parses no worse than the original and what the transform must leave alone is as it
was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple, Protocol

from tree_sitter import Node, Tree

from models.data.c_drawing import Draw
from models.data.languages.grammars import parser_of
from models.data.languages.syntax import WITH_DIRECTIVES
from models.data.syntax_trees import directive_spans, without_directives
from models.settings.languages import LanguageName

ERROR = "ERROR"


class Transformed(NamedTuple):
    """A text after a transform.

    Args:
        code: The text; the one given, where nothing was changed or the change was undone.
        changed: Whether it differs from the one given.
        undone: Whether there was a change that did not pass the check.
    """

    code: str
    changed: bool
    undone: bool


class Transform(Protocol):
    """A function of text and seed; equal arguments give equal texts, on every machine and in every process."""

    def __call__(self, code: str, *, seed: int) -> Transformed:
        """The text after the change.

        Args:
            code: Text that UTF-8 can encode.
            seed: Of the choices; another seed gives another text, where there is a choice.
        """
        ...


def parse(content: bytes, language: LanguageName = "c") -> Tree:
    """The syntax tree of a text; never fails."""
    return parser_of(language).parse(content)


class Source:
    """A text with its trees.

    Args:
        code: Text that UTF-8 can encode.
        language: Whose grammar reads it.
    """

    def __init__(self, code: str, language: LanguageName = "c") -> None:
        self.code = code
        self.language: LanguageName = language
        self.content = code.encode()
        self.directives = directive_spans(self.content) if language in WITH_DIRECTIVES else []
        self.tree = parse(self.content, language)

    @cached_property
    def num_errors(self) -> int:
        """Errors of the tree as the text is."""
        return num_errors(self.tree)

    @cached_property
    def best_tree(self) -> Tree:
        """The tree with fewer errors: as it is, or with preprocessor directives blanked; offsets are the same."""
        blanked = self._blanked_tree
        return blanked if blanked is not None and num_errors(blanked) < self.num_errors else self.tree

    @cached_property
    def clean_tree(self) -> Tree | None:
        """The tree without any error, as it is or with directives blanked; ``None``: the text does not parse."""
        blanked = self._blanked_tree
        tree = self.tree if blanked is None else blanked
        return None if tree.root_node.has_error else tree

    @cached_property
    def _blanked_tree(self) -> Tree | None:
        """The tree with directives blanked, where there is one to blank and an error without."""
        if not self.directives or not self.tree.root_node.has_error:
            return None
        return parse(without_directives(self.content), self.language)

    def draw(self, transform: str, seed: int) -> Draw:
        """Choices that depend on the transform's name, its seed and the text."""
        digest = sha256(b"%b %d " % (transform.encode(), seed) + self.content).digest()
        return Draw(int.from_bytes(digest[:8], "big"))

    def checked(self, proposed: bytes, leaves_alone: Callable[[Tree, Tree], bool]) -> Transformed:
        """The proposal, if it passes; else the text as it was.

        Args:
            proposed: Text after the change.
            leaves_alone: Of the trees before and after, whether what must not change has not.
        """
        if proposed == self.content:
            return Transformed(self.code, changed=False, undone=False)
        tree = parse(proposed, self.language)
        if num_errors(tree) > self.num_errors or not leaves_alone(self.tree, tree):
            return Transformed(self.code, changed=False, undone=True)
        return Transformed(proposed.decode(), changed=True, undone=False)


def num_errors(tree: Tree) -> int:
    """Nodes that are errors, or tokens that the parser had to invent."""
    if not tree.root_node.has_error:
        return 0
    return sum(node.is_error or node.is_missing for node, _ in nodes_of(tree))


def nodes_of(tree: Tree) -> Iterator[tuple[Node, int]]:
    """All nodes in preorder with their depth; walks with a cursor, so depth is no limit."""
    cursor = tree.walk()
    depth = 0
    while True:
        node = cursor.node
        assert node is not None
        yield node, depth
        if cursor.goto_first_child():
            depth += 1
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return
            depth -= 1


def same_shape(before: Tree, after: Tree) -> bool:
    """Whether both trees have the same kinds of nodes in the same places."""
    return _shape(before) == _shape(after)


def _shape(tree: Tree) -> list[tuple[int, int]]:
    return [(node.kind_id, depth) for node, depth in nodes_of(tree)]


def same_tokens(before: Tree, after: Tree) -> bool:
    """Whether both trees have the same leaves, in kind and text; white space alone is none."""
    return _tokens(before) == _tokens(after)


def _tokens(tree: Tree) -> list[tuple[int, bytes]]:
    leaves = [(node.kind_id, node.text or b"") for node, _ in nodes_of(tree) if not node.child_count]
    return [(kind, text) for kind, text in leaves if text.strip()]
