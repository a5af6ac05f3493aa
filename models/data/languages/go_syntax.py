"""The query over Go; what its captures mean: ``syntax``."""

from __future__ import annotations

GO = """
[(interpreted_string_literal) (raw_string_literal) (rune_literal)] @fixed
(comment) @comment
[(field_identifier) (label_name)] @member
(statement_list (_) @statement)
[(function_declaration) (method_declaration) (func_literal)] @function
[(block) (if_statement) (for_statement) (expression_switch_statement) (type_switch_statement) (select_statement)
    (expression_case) (default_case) (type_case) (communication_case) (function_type) (method_elem)] @scope
[(short_var_declaration) (var_spec) (const_spec) (range_clause) (receive_statement)] @declaration
(short_var_declaration left: (expression_list (identifier) @declared))
(var_spec name: (identifier) @declared)
(const_spec name: (identifier) @declared)
(parameter_declaration name: (identifier) @declared)
(variadic_parameter_declaration name: (identifier) @declared)
(range_clause left: (expression_list (identifier) @declared) ":=")
(receive_statement left: (expression_list (identifier) @declared) ":=")
(type_switch_statement alias: (expression_list (identifier) @declared))
(function_declaration name: (identifier) @unclear)
(keyed_element . (literal_element (identifier) @unclear))
(type_identifier) @unclear
(package_identifier) @unclear
(binary_expression left: [(identifier) (int_literal)] right: [(identifier) (int_literal)]) @operation
(statement_list (short_var_declaration left: (expression_list . (identifier) .) right: (expression_list .
    [(int_literal) (float_literal) (interpreted_string_literal) (rune_literal) (true) (false)] .)) @constant)
"""
