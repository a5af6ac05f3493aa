"""New names for what a function declares itself: its parameters and local variables.

One new name per old one in the whole text. Left alone are names of functions, fields, types, labels and macros
(capitals only), names in strings, comments and preprocessor lines, and every name whose part is unclear: one that also
stands in a preprocessor line, directly in a part that could not be parsed, or where a type is expected. A name that a
macro takes as an argument is renamed like any other.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tree_sitter import Node, Tree

from models.data.c_drawing import Draw
from models.data.transforms.checked import ERROR, Source, Transformed, nodes_of, same_shape

_WORD = re.compile(rb"[A-Za-z_$\x80-\xff][A-Za-z0-9_$\x80-\xff]*")
_MACRO = re.compile(rb"[A-Z0-9_]+")
_ACCESS = (b".", b"->")
_WRAPPERS = frozenset(
    ["init_declarator", "pointer_declarator", "array_declarator", "parenthesized_declarator", "attributed_declarator"]
)
_TAGGED = frozenset(["struct_specifier", "union_specifier", "enum_specifier"])
_CPP_WORDS = """
alignas alignof and and_eq asm bitand bitor bool catch char16_t char32_t char8_t class compl concept const_cast
consteval constexpr constinit decltype delete dynamic_cast explicit export false friend mutable namespace new noexcept
not not_eq nullptr operator or or_eq private protected public reinterpret_cast requires static_assert static_cast
template this thread_local throw true try typeid typename using virtual wchar_t xor xor_eq
"""


class Names(NamedTuple):
    """What a tree says of names.

    Args:
        declared: By parameters and local declarations.
        unclear: That stand where it is not known what they are, or that name something else too.
        places: Where each stands as a plain identifier: first bytes.
    """

    declared: set[bytes]
    unclear: set[bytes]
    places: dict[bytes, list[int]]


def rename_identifiers(code: str, *, seed: int) -> Transformed:
    """Rename a C function's parameters and local variables; see the module.

    Args:
        code: Text that UTF-8 can encode.
        seed: Of the names.
    """
    source = Source(code)
    names = _names_in(source.best_tree, source)
    chosen = [name for name in names.places if name in names.declared and name not in names.unclear]
    new_names = _new_names(chosen, source.content, source.draw("rename", seed))
    return source.checked(_renamed(source.content, names, new_names), same_shape)


def _names_in(tree: Tree, source: Source) -> Names:
    names = Names(set(), set(), {})
    for first, last in source.directives:
        names.unclear.update(_WORD.findall(source.content, first, last))
    in_bodies: list[int] = []  # depths of the compound statements around
    before = b""
    for node, depth in nodes_of(tree):
        while in_bodies and in_bodies[-1] >= depth:
            in_bodies.pop()
        kind = node.type
        if kind == "compound_statement":
            in_bodies.append(depth)
        elif kind == "parameter_declaration" or (kind == "declaration" and in_bodies and not _is_extern(node)):
            names.declared.update(filter(None, map(_declared_name, node.children_by_field_name("declarator"))))
        elif kind == "identifier":
            text = node.text or b""
            names.places.setdefault(text, []).append(node.start_byte)
            if _is_unclear(node, before):
                names.unclear.add(text)
        elif kind == "type_identifier" and (node.parent is None or node.parent.type not in _TAGGED):
            names.unclear.add(node.text or b"")
        if not node.child_count:
            before = node.text or b""
    return names


def _is_extern(declaration: Node) -> bool:
    return any(child.type == "storage_class_specifier" and child.text == b"extern" for child in declaration.children)


def _declared_name(declarator: Node) -> bytes | None:
    """The variable's name; ``None`` for a function's, which is declared here but lives elsewhere."""
    node: Node | None = declarator
    while node is not None and node.type != "identifier":
        if node.type == "function_declarator":
            inner = node.child_by_field_name("declarator")
            if inner is None or inner.type != "parenthesized_declarator":
                return None
            node = inner
        elif node.type in _WRAPPERS:
            node = node.child_by_field_name("declarator") or _first_declarator(node)
        else:
            return None
    return node.text if node is not None else None


def _first_declarator(node: Node) -> Node | None:
    return next((child for child in node.named_children if child.type in _WRAPPERS | {"identifier"}), None)


def _is_unclear(identifier: Node, before: bytes) -> bool:
    """Whether it may be a field, or anything: the parser tells only where it understood."""
    parent = identifier.parent
    if parent is None or before in _ACCESS or parent.type in {ERROR, "function_declarator", "enumerator"}:
        return True
    return bool(_MACRO.fullmatch(identifier.text or b""))


def _new_names(old: list[bytes], content: bytes, draw: Draw) -> dict[bytes, bytes]:
    """A new name each, in the order of ``old``; none stands anywhere in the text."""
    taken = {*_WORD.findall(content), *_CPP_WORDS.encode().split()}
    new_names = {}
    for name in old:
        new_name = draw.name().encode()
        while new_name in taken:
            new_name = draw.name().encode()
        new_names[name] = new_name
    return new_names


def _renamed(content: bytes, names: Names, new_names: dict[bytes, bytes]) -> bytes:
    places = sorted((place, name) for name in new_names for place in names.places[name])
    pieces, at = [], 0
    for place, name in places:
        pieces += [content[at:place], new_names[name]]
        at = place + len(name)
    return b"".join([*pieces, content[at:]])
