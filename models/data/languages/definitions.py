"""Which nodes of each grammar are functions, where functions can stand, and what they are called.

A namer answers what a node is called as a function; empty where it is none, such as a declaration without a body, or a
variable that holds no function. Functions of a class are called after it where the node is within the class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tree_sitter import Node

from models.data.function_blocks import NO_NAMES
from models.settings.languages import LanguageName

Namer = Callable[[Node, bytes], str]

MAX_NAME_CHARS = 200
"""Longer names are cut: what a function is assigned to can be any expression."""

_BODIES = frozenset({"compound_statement", "try_statement"})
_NAMES = frozenset({"identifier", "field_identifier", "qualified_identifier", "destructor_name", "operator_name"})
_C_NAME = re.compile(rb"[A-Za-z_~][\w:~]*\s*$")
_MACRO = re.compile(r"[A-Z][A-Z0-9_]+\(\w+(?:, ?\w+)*\)")
_RECEIVER = re.compile(r"(\w+)\s*(?:\[.*\])?\s*,?\s*\)\Z", re.DOTALL)
_FUNCTION_VALUES = frozenset({"arrow_function", "function_expression", "generator_function"})


class Definitions(NamedTuple):
    """What a grammar calls functions and the places they stand in.

    Args:
        functions: Kind of node to its namer.
        containers: Kinds that functions stand in, above other functions.
        classes: Those of them whose name goes before their functions'.
        wrappers: Kinds that belong to the one function right below them, such as its decorators.
        joint: What stands between the name of a class and of its function.
        may_hold: Whether text from one byte to another may hold a function; where it may not, nothing looks into it.
    """

    functions: Mapping[str, Namer]
    containers: frozenset[str]
    classes: frozenset[str]
    wrappers: frozenset[str]
    joint: str
    may_hold: Callable[[bytes, int, int], bool]


def name_in_c(node: Node, content: bytes) -> str:
    """Name of a definition in C: what stands before the parameters; of a macro with what it is called with."""
    inner = node.child_by_field_name("declarator")
    if inner is None or not _has_body(node):
        return ""
    macro = inner if inner.type == "parenthesized_declarator" else None
    function = _function_declarator(inner)
    parameters = function.child_by_field_name("parameters") if function is not None else None
    if parameters is None:
        return text_of(content[node.start_byte : macro.end_byte]) if macro is not None else ""
    match = _C_NAME.search(content[node.start_byte : parameters.start_byte])
    name = text_of(match.group()) if match else ""
    return "" if name in NO_NAMES else name


def _name_in_cpp(node: Node, content: bytes) -> str:
    """As in C; with operators, arguments of templates, and macros of several arguments, such as those of tests."""
    outer = node.child_by_field_name("declarator")
    if outer is None or not _has_body(node):
        return ""
    function = _function_declarator(outer)
    parameters = function.child_by_field_name("parameters") if function is not None else None
    if function is None or parameters is None:
        return _name_of_conversion(outer, content) or name_in_c(node, content)
    name = text_of(content[function.start_byte : parameters.start_byte])
    if name in NO_NAMES or not name:
        return ""
    if name.isupper() and node.child_by_field_name("type") is None:
        called = text_of(content[function.start_byte : parameters.end_byte])
        return called if _MACRO.fullmatch(called) else name
    return name


def _name_of_conversion(outer: Node, content: bytes) -> str:
    """``operator bool``, or ``A::operator bool``: its type is its name, so it has no declarator of a function."""
    inner: Node | None = outer
    while inner is not None and inner.type == "qualified_identifier":
        inner = inner.child_by_field_name("name")
    inside = inner.child_by_field_name("declarator") if inner is not None and inner.type == "operator_cast" else None
    while inside is not None and inside.type != "abstract_function_declarator":
        inside = inside.child_by_field_name("declarator")
    parameters = inside.child_by_field_name("parameters") if inside is not None else None
    return text_of(content[outer.start_byte : parameters.start_byte]) if parameters is not None else ""


def _has_body(node: Node) -> bool:
    """Whether a definition of C or C++ ends with a block: it may be deleted, or an ``else if`` behind an error."""
    body = node.child_by_field_name("body") or (node.named_children[-1] if node.named_children else None)
    return body is not None and body.type in _BODIES


def _function_declarator(inner: Node | None) -> Node | None:
    """The innermost declarator of a function: ``int (*f(void))(int)`` is one that gives another."""
    function = None
    while inner is not None and inner.type not in _NAMES:
        kind = inner.type
        function = inner if kind == "function_declarator" else function
        below = inner.child_by_field_name("declarator")
        if below is None and kind in ("parenthesized_declarator", "reference_declarator") and inner.named_children:
            below = inner.named_children[0]
        inner = below
    return function


def _name_in_go(node: Node, content: bytes) -> str:
    """The name, after the type of the receiver where there is one."""
    name = _name_with_body(node, content)
    receiver = node.child_by_field_name("receiver")
    match = (
        _RECEIVER.search(text_of(content[receiver.start_byte : receiver.end_byte])) if receiver is not None else None
    )
    return f"{match[1]}.{name}" if match and name else name


def _name_with_body(node: Node, content: bytes) -> str:
    return named_by(node, "name", content) if node.child_by_field_name("body") is not None else ""


def _holding_function(name: str, value: str) -> Namer:
    """The namer of what holds a function: a variable, a member, a field of an object."""

    def namer(node: Node, content: bytes) -> str:
        held = node.child_by_field_name(value)
        if held is None or held.type not in _FUNCTION_VALUES:
            return ""
        return named_by(node, name, content).strip("\"'")

    return namer


def named_by(node: Node, field: str, content: bytes) -> str:
    """Text of a field of a node; empty where it has none."""
    name = node.child_by_field_name(field)
    return text_of(content[name.start_byte : name.end_byte]) if name is not None else ""


def text_of(content: bytes) -> str:
    """Source as a name: one line, single spaces."""
    return " ".join(content[:MAX_NAME_CHARS].decode(errors="replace").split())


def _has_block(content: bytes, start: int, end: int) -> bool:
    return content.find(b"{", start, end) >= 0


def _has_block_or_arrow(content: bytes, start: int, end: int) -> bool:
    return content.find(b"{", start, end) >= 0 or content.find(b"=>", start, end) >= 0


def _has_def(content: bytes, start: int, end: int) -> bool:
    return content.find(b"def", start, end) >= 0


def _kinds(names: str) -> frozenset[str]:
    return frozenset(names.split())


_C_PLACES = (
    "translation_unit linkage_specification declaration_list "
    "preproc_if preproc_ifdef preproc_else preproc_elif preproc_elifdef "
    "function_definition compound_statement"  # without a name: ``namespace a {`` to the grammar of C
)
_CPP_CLASSES = "class_specifier struct_specifier union_specifier"
_JAVA_CLASSES = "class_declaration interface_declaration enum_declaration record_declaration"

DEFINITIONS: dict[LanguageName, Definitions] = {
    "c": Definitions({"function_definition": name_in_c}, _kinds(_C_PLACES), _kinds(""), _kinds(""), "", _has_block),
    "cpp": Definitions(
        {"function_definition": _name_in_cpp},
        _kinds(
            f"{_C_PLACES} {_CPP_CLASSES} namespace_definition field_declaration_list template_declaration "
            "friend_declaration declaration type_definition field_declaration"
        ),
        _kinds(_CPP_CLASSES),
        _kinds("template_declaration"),
        "::",
        _has_block,
    ),
    "python": Definitions(
        {"function_definition": _name_with_body},
        _kinds(
            "module block class_definition decorated_definition if_statement elif_clause else_clause for_statement "
            "while_statement try_statement except_clause except_group_clause finally_clause with_statement "
            "match_statement case_clause"
        ),
        _kinds("class_definition"),
        _kinds("decorated_definition"),
        ".",
        _has_def,
    ),
    "java": Definitions(
        dict.fromkeys(
            ("method_declaration", "constructor_declaration", "compact_constructor_declaration"), _name_with_body
        ),
        _kinds(
            f"program {_JAVA_CLASSES} class_body interface_body enum_body enum_body_declarations enum_constant "
            "annotation_type_declaration annotation_type_body field_declaration variable_declarator "
            "object_creation_expression"
        ),
        _kinds(_JAVA_CLASSES),
        _kinds(""),
        ".",
        _has_block,
    ),
    "javascript": Definitions(
        {
            **dict.fromkeys(
                ("function_declaration", "generator_function_declaration", "method_definition"), _name_with_body
            ),
            "variable_declarator": _holding_function("name", "value"),
            "assignment_expression": _holding_function("left", "right"),
            "pair": _holding_function("key", "value"),
            "field_definition": _holding_function("property", "value"),
        },
        _kinds(
            "program statement_block export_statement class_declaration class class_body lexical_declaration "
            "variable_declaration variable_declarator expression_statement assignment_expression call_expression "
            "arguments parenthesized_expression sequence_expression binary_expression ternary_expression "
            "unary_expression await_expression new_expression object pair array function_expression arrow_function "
            "return_statement if_statement else_clause for_statement for_in_statement while_statement do_statement "
            "try_statement catch_clause finally_clause switch_statement switch_body switch_case switch_default "
            "labeled_statement field_definition member_expression class_static_block"
        ),
        _kinds("class_declaration class"),
        _kinds("lexical_declaration variable_declaration"),
        ".",
        _has_block_or_arrow,
    ),
    "go": Definitions(
        dict.fromkeys(("function_declaration", "method_declaration"), _name_in_go),
        _kinds("source_file"),
        _kinds(""),
        _kinds(""),
        ".",
        _has_block,
    ),
}
