"""The query over Python; what its captures mean: ``syntax``.

Any caller may name a parameter, here or elsewhere (``area(width=1)``, ``area(**sizes)``), and frameworks read the names
of lambdas' too: none of them is ours to rename.
"""

from __future__ import annotations

PYTHON = """
(string) @fixed
(comment) @comment
(block (_) @statement)
[(function_definition) (lambda)] @function
[(list_comprehension) (set_comprehension) (dictionary_comprehension) (generator_expression)] @scope
(class_definition) @class
(list_comprehension . (_) . (for_in_clause right: (_) @hole))
(set_comprehension . (_) . (for_in_clause right: (_) @hole))
(dictionary_comprehension . (_) . (for_in_clause right: (_) @hole))
(generator_expression . (_) . (for_in_clause right: (_) @hole))
(default_parameter value: (_) @hole)
(typed_parameter type: (_) @hole)
(typed_default_parameter type: (_) @hole value: (_) @hole)
(function_definition return_type: (_) @hole)
(attribute attribute: (identifier) @member)
(assignment left: (identifier) @declared)
(assignment left: [(pattern_list (identifier) @declared) (tuple_pattern (identifier) @declared)])
(for_statement left: (identifier) @declared)
(for_statement left: [(pattern_list (identifier) @declared) (tuple_pattern (identifier) @declared)])
(for_in_clause left: (identifier) @declared)
(for_in_clause left: [(pattern_list (identifier) @declared) (tuple_pattern (identifier) @declared)])
(as_pattern_target (identifier) @declared)
(parameters [(identifier) @unclear (tuple_pattern (identifier) @unclear)])
(lambda_parameters [(identifier) @unclear (tuple_pattern (identifier) @unclear)])
(typed_parameter (identifier) @unclear)
(default_parameter name: (identifier) @unclear)
(typed_default_parameter name: (identifier) @unclear)
(list_splat_pattern (identifier) @unclear)
(dictionary_splat_pattern (identifier) @unclear)
(named_expression name: (identifier) @unclear)
(dotted_name (identifier) @unclear)
(aliased_import alias: (identifier) @unclear)
(function_definition name: (identifier) @unclear)
(class_definition name: (identifier) @unclear)
(splat_pattern (identifier) @unclear)
(keyword_pattern (identifier) @unclear)
(keyword_argument name: (identifier) @never)
(global_statement (identifier) @never)
(nonlocal_statement (identifier) @never)
(comparison_operator . [(identifier) (integer)] . [(identifier) (integer)] .) @operation
(function_definition body: (block (expression_statement . (assignment left: (identifier) !type
    right: [(integer) (float) (true) (false) (none)]) .) @constant))
"""
