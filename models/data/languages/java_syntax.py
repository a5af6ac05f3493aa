"""The query over Java; what its captures mean: ``syntax``.

Frameworks read the names of parameters that have an annotation, of methods with one, and of methods without a body.
"""

from __future__ import annotations

JAVA = """
[(string_literal) (character_literal)] @fixed
[(line_comment) (block_comment)] @comment
(block (_) @statement)
(constructor_body (_) @statement)
[(method_declaration) (constructor_declaration) (compact_constructor_declaration) (lambda_expression)] @function
[(block) (constructor_body) (for_statement) (enhanced_for_statement) (try_with_resources_statement) (catch_clause)
    (switch_block) (switch_rule)] @scope
(method_invocation name: (identifier) @member)
(field_access field: (identifier) @member)
(method_reference (_) (identifier) @member)
(scoped_identifier name: (identifier) @member)
(element_value_pair key: (identifier) @member)
(annotation name: (identifier) @member)
(marker_annotation name: (identifier) @member)
(local_variable_declaration declarator: (variable_declarator name: (identifier) @declared))
(formal_parameter name: (identifier) @declared)
(spread_parameter (variable_declarator name: (identifier) @declared))
(catch_formal_parameter name: (identifier) @declared)
(enhanced_for_statement name: (identifier) @declared)
(resource name: (identifier) @declared)
(inferred_parameters (identifier) @declared)
(lambda_expression parameters: (identifier) @declared)
(record_declaration parameters: (formal_parameters (formal_parameter name: (identifier) @unclear)))
(formal_parameter (modifiers [(annotation) (marker_annotation)]) name: (identifier) @unclear)
(method_declaration (modifiers [(annotation) (marker_annotation)])
    parameters: (formal_parameters (formal_parameter name: (identifier) @unclear)))
(constructor_declaration (modifiers [(annotation) (marker_annotation)])
    parameters: (formal_parameters (formal_parameter name: (identifier) @unclear)))
(method_declaration parameters: (formal_parameters (formal_parameter name: (identifier) @unclear)) !body)
[(class_body) (enum_body) (interface_body)] @members
(field_declaration declarator: (variable_declarator name: (identifier) @unclear))
(constant_declaration declarator: (variable_declarator name: (identifier) @unclear))
(instanceof_expression name: (identifier) @unclear)
(type_pattern (identifier) @unclear)
(record_pattern_component (identifier) @unclear)
(switch_label (identifier) @unclear)
(labeled_statement . (identifier) @unclear)
(break_statement (identifier) @unclear)
(continue_statement (identifier) @unclear)
(method_declaration name: (identifier) @unclear)
(constructor_declaration name: (identifier) @unclear)
(class_declaration name: (identifier) @unclear)
(interface_declaration name: (identifier) @unclear)
(enum_declaration name: (identifier) @unclear)
(enum_constant name: (identifier) @unclear)
(record_declaration name: (identifier) @unclear)
(type_identifier) @unclear
(binary_expression
    left: [(identifier) (decimal_integer_literal) (hex_integer_literal)]
    right: [(identifier) (decimal_integer_literal) (hex_integer_literal)]) @operation
(local_variable_declaration type: [(integral_type) (floating_point_type) (boolean_type)]
    declarator: (variable_declarator . name: (identifier) @primitive !dimensions))
(formal_parameter type: [(integral_type) (floating_point_type) (boolean_type)] name: (identifier) @primitive
    !dimensions)
(block (local_variable_declaration . type: (_) . declarator: (variable_declarator . name: (identifier) .
    value: [(decimal_integer_literal) (decimal_floating_point_literal) (string_literal) (character_literal) (true)
        (false) (null_literal)] .) .) @constant)
"""
