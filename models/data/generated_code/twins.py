"""A task without its marks: the safe twin, or the flawed one."""

from __future__ import annotations

import ast
import copy


def twin(task: ast.FunctionDef, *, flawed: bool) -> ast.FunctionDef:
    """The tree with guards kept and ends right, or neither (``tasks``)."""
    marked = _Unmarked(flawed=flawed).visit(copy.deepcopy(task))
    assert isinstance(marked, ast.FunctionDef)
    return ast.fix_missing_locations(marked)


class _Unmarked(ast.NodeTransformer):
    def __init__(self, *, flawed: bool) -> None:
        self._flawed = flawed

    def visit_With(self, node: ast.With) -> list[ast.stmt]:
        return [] if self._flawed else node.body

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if not (isinstance(node.func, ast.Name) and node.func.id == "upto"):
            self.generic_visit(node)
            return node
        end = node.args[0]
        return ast.BinOp(end, ast.Add(), ast.Constant(1)) if self._flawed else end
