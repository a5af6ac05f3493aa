"""The query over JavaScript; what its captures mean: ``syntax``.

A variable that holds a function gives it its name, and one in braces alone (``{a}``) names a property: both stay.
"""

from __future__ import annotations

JAVASCRIPT = """
[(string) (template_string) (regex) (jsx_element) (jsx_self_closing_element) (hash_bang_line)] @fixed
[(comment) (html_comment)] @comment
[(property_identifier) (private_property_identifier) (statement_identifier)] @member
(statement_block (_) @statement)
[(function_declaration) (function_expression) (arrow_function) (method_definition) (generator_function)
    (generator_function_declaration)] @function
[(statement_block) (for_statement) (for_in_statement) (catch_clause) (switch_body)] @scope
(with_statement) @dynamic
(formal_parameters) @parameters
(formal_parameters (identifier) @declared)
(formal_parameters (assignment_pattern left: (identifier) @declared))
(formal_parameters (rest_pattern (identifier) @declared))
(formal_parameters (array_pattern (identifier) @declared))
(formal_parameters (object_pattern (pair_pattern value: (identifier) @declared)))
(arrow_function parameter: (identifier) @declared)
(catch_clause parameter: (identifier) @declared)
(lexical_declaration (variable_declarator name: (identifier) @declared))
(lexical_declaration (variable_declarator name: (array_pattern (identifier) @declared)))
(lexical_declaration (variable_declarator name: (object_pattern (pair_pattern value: (identifier) @declared))))
(for_in_statement kind: ["let" "const"] left: (identifier) @declared)
(variable_declaration (variable_declarator name: (identifier) @hoisted))
(variable_declaration (variable_declarator name: (array_pattern (identifier) @hoisted)))
(variable_declaration (variable_declarator name: (object_pattern (pair_pattern value: (identifier) @hoisted))))
(for_in_statement kind: "var" left: (identifier) @hoisted)
(variable_declarator name: (identifier) @unclear value: [(arrow_function) (function_expression) (generator_function)
    (class)])
(function_declaration name: (identifier) @unclear)
(generator_function_declaration name: (identifier) @unclear)
(function_expression name: (identifier) @unclear)
(generator_function name: (identifier) @unclear)
(class_declaration name: (identifier) @unclear)
(class name: (identifier) @unclear)
(shorthand_property_identifier) @unclear
(shorthand_property_identifier_pattern) @unclear
(binary_expression left: [(identifier) (number)] right: [(identifier) (number)]) @operation
(statement_block (lexical_declaration . (variable_declarator name: (identifier)
    value: [(number) (string) (true) (false) (null)]) .) @constant)
(statement_block (variable_declaration . (variable_declarator name: (identifier)
    value: [(number) (string) (true) (false) (null)]) .) @constant)
"""
