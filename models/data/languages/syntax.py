"""What a change of code has to know of each language: where names are declared and used, and what must stay as it is.

One query per language, so that a tree is searched once. Its captures:

- ``fixed``: strings, characters, templates and the like: their bytes never change, and neither do names inside;
- ``comment``; ``statement``: of a block, where a comment may stand above;
- ``member``: names that are looked up in something else than the scopes around;
- ``declared``: by a local declaration or a parameter; ``hoisted``: for the whole function around, not the block;
- ``unclear``: these names mean something else too in the function around; ``never``: in the whole text;
- ``function``, ``scope``, ``class``: nodes that names are declared in; ``declaration``: its names hold behind it;
  ``hole``: belongs to the scope outside the one that it stands in;
- ``operation``: two names or numbers that an operator joins; ``primitive``: declared with a type of the language;
- ``members``: bodies of classes, where inherited names hold; ``parameters``: lists that a framework may read;
- ``dynamic``: in it a program reads names by their text;
- ``constant``: a declaration of one name by a constant, which does not depend on its neighbours.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from tree_sitter import Query

from models.data.languages.go_syntax import GO
from models.data.languages.grammars import grammar_of
from models.data.languages.java_syntax import JAVA
from models.data.languages.javascript_syntax import JAVASCRIPT
from models.data.languages.python_syntax import PYTHON
from models.settings.languages import LanguageName

WITH_DIRECTIVES: frozenset[LanguageName] = frozenset(["c", "cpp"])
"""Languages whose lines that begin with # are for a preprocessor."""

_C = """
[(string_literal) (char_literal) (system_lib_string)] @fixed
(comment) @comment
[(field_identifier) (statement_identifier)] @member
(compound_statement (_) @statement)
(function_definition) @function
[(compound_statement) (for_statement)] @scope
(function_declarator declarator: (parenthesized_declarator) parameters: (parameter_list) @scope)
(abstract_function_declarator declarator: (abstract_parenthesized_declarator) parameters: (parameter_list) @scope)
(parameter_declaration declarator: (abstract_function_declarator parameters: (parameter_list) @scope))
(declaration declarator: (function_declarator parameters: (parameter_list) @scope))
(declaration declarator: (pointer_declarator declarator: (function_declarator parameters: (parameter_list) @scope)))
(parameter_declaration declarator: (function_declarator parameters: (parameter_list) @scope))
(parameter_declaration declarator: (identifier) @declared)
(declaration declarator: (identifier) @declared)
(init_declarator declarator: (identifier) @declared)
(pointer_declarator declarator: (identifier) @declared)
(array_declarator declarator: (identifier) @declared)
(declaration (storage_class_specifier "extern") declarator: (identifier) @unclear)
(declaration (storage_class_specifier "extern") declarator: (_ declarator: (identifier) @unclear))
(function_declarator declarator: (identifier) @unclear)
(enumerator name: (identifier) @unclear)
(field_declaration declarator: (field_identifier) @unclear)
(type_identifier) @unclear
(field_declaration_list) @members
(gnu_asm_input_operand symbol: (identifier) @unclear)
(gnu_asm_output_operand symbol: (identifier) @unclear)
(binary_expression left: [(identifier) (number_literal)] right: [(identifier) (number_literal)]) @operation
(declaration type: [(primitive_type) (sized_type_specifier)] declarator: [(identifier) @primitive
    (init_declarator declarator: (identifier) @primitive)])
(parameter_declaration type: [(primitive_type) (sized_type_specifier)] declarator: (identifier) @primitive)
"""
_CONSTANT = """
(compound_statement (declaration . type: {types} . declarator: (init_declarator declarator: (identifier)
    value: [(number_literal) (char_literal)]) .) @constant)
"""
_CPP = """
(raw_string_literal) @fixed
(lambda_expression) @function
[(if_statement) (while_statement) (switch_statement) (for_range_loop) (catch_clause)] @scope
(reference_declarator (identifier) @declared)
(optional_parameter_declaration declarator: (identifier) @declared)
(variadic_declarator (identifier) @declared)
(for_range_loop declarator: (identifier) @declared)
(structured_binding_declarator (identifier) @declared)
(lambda_capture_initializer left: (identifier) @declared)
(qualified_identifier name: (identifier) @unclear)
(template_function name: (identifier) @unclear)
(namespace_identifier) @unclear
"""


class Operators(NamedTuple):
    """Operators whose operands may change places; never ``&&`` and ``||``, which guard the second by the first.

    Args:
        free: Between names and whole numbers.
        with_number: Where one operand is a whole number.
        only_primitive: Whether names must have been declared with a type of the language: others redefine operators,
            may be null, or are macros.
        only_local: Whether names must have been declared in the text, as reading others may do anything.
    """

    free: frozenset[bytes]
    with_number: frozenset[bytes] = frozenset()
    only_primitive: bool = False
    only_local: bool = False


_BITS_AND_EQUALITY = frozenset([b"*", b"&", b"|", b"^", b"==", b"!="])
COMMUTATIVE: dict[LanguageName, Operators] = {
    "c": Operators(_BITS_AND_EQUALITY | {b"+"}, only_primitive=True, only_local=True),
    "cpp": Operators(_BITS_AND_EQUALITY | {b"+"}, only_primitive=True, only_local=True),
    # Python asks the left operand first; that of a whole number knows whole numbers only, and leaves the rest to the
    # other one, whose own == may be anything.
    "python": Operators(frozenset(), frozenset([b"==", b"!="])),
    "java": Operators(_BITS_AND_EQUALITY, only_primitive=True, only_local=True),
    # valueOf may do anything: at most one operand may have one.
    "javascript": Operators(
        frozenset([b"==", b"!=", b"===", b"!=="]), frozenset([b"*", b"&", b"|", b"^"]), only_local=True
    ),
    "go": Operators(_BITS_AND_EQUALITY, frozenset([b"+"])),  # no type redefines them, and reading a name does nothing
}

_TYPES = "[(primitive_type) (sized_type_specifier){more}]"
SYNTAX: dict[LanguageName, str] = {
    "c": _C + _CONSTANT.format(types=_TYPES.format(more=" (type_identifier)")),
    "cpp": _C + _CPP + _CONSTANT.format(types=_TYPES.format(more="")),  # a class's constructor may do anything
    "python": PYTHON,
    "java": JAVA,
    "javascript": JAVASCRIPT,
    "go": GO,
}

UNITS: dict[LanguageName, str] = {
    "c": "(translation_unit (function_definition declarator: (_ declarator: (identifier) @name)) @unit)",
    "cpp": "(translation_unit (function_definition declarator: (_ declarator: (identifier) @name)) @unit)",
    "python": "(module (function_definition name: (identifier) @name) @unit)",
    "java": "(class_body (method_declaration name: (identifier) @name) @unit)",
    "javascript": "(program (function_declaration name: (identifier) @name) @unit)",
    "go": "(source_file (function_declaration name: (identifier) @name) @unit)",
}
"""Functions that stand beside each other (``unit``) and their names; each match has one of both."""

KEPT_NAMES: dict[LanguageName, frozenset[bytes]] = {
    "c": frozenset(),
    "cpp": frozenset(b"final import module override".split()),
    "java": frozenset(b"permits record sealed var when yield".split()),
    "python": frozenset(
        b"""
self cls _ match case type abs aiter all anext any apply ascii basestring bin bool breakpoint buffer bytearray bytes
callable chr
classmethod cmp coerce compile complex copyright credits delattr dict dir divmod enumerate eval exec execfile exit file
filter float format frozenset getattr globals hasattr hash help hex id input int intern isinstance issubclass iter len
license list locals long map max memoryview min next object oct open ord pow print property quit range raw_input reduce
reload repr reversed round set setattr slice sorted staticmethod str sum super tuple type unichr unicode vars xrange zip
""".split()
    ),
    "javascript": frozenset(
        b"""
accessor arguments as async await console document eval exports from get globalThis meta target let module of process
require self set static this undefined window yield Array Boolean Date Error Function Infinity JSON Map Math NaN
Number Object Promise Proxy Reflect RegExp Set String Symbol WeakMap WeakSet
""".split()
    ),
    "go": frozenset(
        b"""
_ any append bool byte cap clear close comparable complex complex128 complex64 copy delete error false float32 float64
imag int int16 int32 int64 int8 iota len make max min new nil panic print println real recover rune string true uint
uint16 uint32 uint64 uint8 uintptr
""".split()
    ),
}
"""Names that stand for something even where nothing declares them; as words of a language, none is renamed."""

DYNAMIC_NAMES: dict[LanguageName, frozenset[bytes]] = {
    "c": frozenset(),
    "cpp": frozenset(),
    "java": frozenset(),
    "python": frozenset(
        b"eval exec execfile locals vars globals dir inspect currentframe f_locals _getframe co_varnames".split()
    ),
    "javascript": frozenset([b"eval"]),
    "go": frozenset(),
}
"""With these a program reads its own names, and those of its callers: nothing in the text is renamed."""

COMMENT_FORMS: dict[LanguageName, tuple[bytes, bytes]] = {
    "c": (b"/* ", b" */"),
    "cpp": (b"// ", b""),
    "python": (b"# ", b""),
    "java": (b"// ", b""),
    "javascript": (b"// ", b""),
    "go": (b"// ", b""),
}
"""Before and behind what a comment of one line says."""


@cache
def query_of(language: LanguageName) -> Query:
    """The language's query; see the module."""
    return Query(grammar_of(language), SYNTAX[language])


@cache
def unit_query_of(language: LanguageName) -> Query:
    """The query for functions that stand beside each other."""
    return Query(grammar_of(language), UNITS[language])
