"""What generated functions compute: each task once, in the part of Python that ``rendering`` writes in six languages.

A task works on whole numbers and lists of them. What stands ``with guard`` is left out of its flawed twin, and
``upto(n)`` is ``n`` in the safe one and ``n + 1`` in the flawed one: an unchecked argument, an unchecked copy, a step
beyond the end.
"""

from __future__ import annotations

import ast

from models.data.generated_code.list_tasks import SOURCE as LIST_TASKS
from models.data.generated_code.number_tasks import SOURCE as NUMBER_TASKS

TASKS: dict[str, ast.FunctionDef] = {
    node.name: node
    for source in (NUMBER_TASKS, LIST_TASKS)
    for node in ast.parse(source).body
    if isinstance(node, ast.FunctionDef)
}
"""The tasks by name."""
