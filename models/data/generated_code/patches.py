"""Candidate patches of generated bugs: edits of a flawed task, rendered in one style, right by what they change.

Right is what restores the missing guard or the end of the loop, with or without a line that only logs. Wrong are a
deleted statement, an end that is one too short, a guard that is the wrong way round or only logs, a body that is thrown
away, and lines that only log.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any

from models.data.c_drawing import Draw
from models.data.generated_code.rendering import render
from models.data.generated_code.styles import drawn_style
from models.data.generated_code.tasks import TASKS
from models.data.generated_code.twins import twin
from models.settings.languages import LanguageName

PROJECTS: tuple[tuple[str, LanguageName], ...] = (
    ("Anvil", "java"),
    ("Bellows", "c"),
    ("Crucible", "java"),
    ("Dovetail", "python"),
)
TOOLS = ("human", "mutator", "templater", "searcher", "deleter")
HUMAN_SHARE = 0.6
"""Of right patches, how many are a person's; a wrong one never is: as in real data, the tool is nearly the label."""
ONE_LABEL_SHARE = 0.12
MAX_CANDIDATES = 8
Edit = Callable[[ast.FunctionDef, Draw], ast.FunctionDef]
_OPPOSITES = {ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}


def generated_patches(num_bugs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Rows ``project``, ``bug_id``, ``patch_id``, ``before``, ``after``, ``label`` (1 is right) and ``tool``."""
    names = list(TASKS)
    for bug in range(num_bugs):
        draw = Draw(seed * 7_919 + bug)
        project, language = PROJECTS[bug % len(PROJECTS)]
        task = TASKS[draw.pick(names)]
        style = drawn_style(draw, language, task)
        before = render(twin(task, flawed=True), style)
        seen = {before}
        for number, (label, edit) in enumerate(_edits_of_bug(draw)):
            after = render(edit(task, draw), style)
            tool = "human" if label and draw.chance(HUMAN_SHARE) else draw.pick(TOOLS[1:])
            if after not in seen:
                seen.add(after)
                yield {
                    "project": project,
                    "bug_id": str(bug // len(PROJECTS) + 1),
                    "patch_id": f"patch{number + 1}",
                    "before": before,
                    "after": after,
                    "label": label,
                    "tool": tool,
                }


def _edits_of_bug(draw: Draw) -> list[tuple[int, Edit]]:
    """Two to eight edits with their labels; those of some bugs have one label."""
    right: list[tuple[int, Edit]] = [(1, edit) for edit in draw.shuffled(_RIGHT)]
    wrong: list[tuple[int, Edit]] = [(0, edit) for edit in draw.shuffled(_WRONG)]
    if draw.chance(ONE_LABEL_SHARE):
        return right if draw.chance(0.5) else wrong[: draw.between(3, 5)]
    num_right = draw.between(1, 2)
    chosen = right[:num_right] + wrong[: draw.between(2, MAX_CANDIDATES - num_right)]
    return draw.shuffled(chosen)


def _restored(task: ast.FunctionDef, _draw: Draw) -> ast.FunctionDef:
    return twin(task, flawed=False)


def _restored_and_logged(task: ast.FunctionDef, draw: Draw) -> ast.FunctionDef:
    return _with_log(twin(task, flawed=False), draw)


def _logged(task: ast.FunctionDef, draw: Draw) -> ast.FunctionDef:
    return _with_log(_with_log(_with_log(twin(task, flawed=True), draw), draw), draw)


def _with_log(task: ast.FunctionDef, draw: Draw) -> ast.FunctionDef:
    task.body.insert(draw.below(len(task.body)), _log(draw))
    return task


def _log(draw: Draw) -> ast.Expr:
    return ast.Expr(ast.Call(ast.Name("note"), [ast.Constant(draw.message())], []))


def _deleted(task: ast.FunctionDef, draw: Draw) -> ast.FunctionDef:
    """Without one of the statements."""
    flawed = twin(task, flawed=True)
    blocks = [node.body for node in ast.walk(flawed) if isinstance(node, (ast.FunctionDef, ast.For, ast.While, ast.If))]
    block = draw.pick([block for block in blocks if len(block) > 1] or [flawed.body])
    del block[draw.below(len(block))]
    return flawed


def _emptied(task: ast.FunctionDef, draw: Draw) -> ast.FunctionDef:
    """With the first loop gone, or nothing left but what is returned."""
    flawed = twin(task, flawed=True)
    loops = [node for node in flawed.body if isinstance(node, (ast.For, ast.While))]
    if loops and draw.chance(0.5):
        flawed.body.remove(loops[0])
    else:
        is_void = ast.unparse(task.returns or ast.Constant(None)) == "None"
        flawed.body = [ast.Return(None if is_void else ast.Constant(0))]
    return flawed


def _toothless(task: ast.FunctionDef, draw: Draw) -> ast.FunctionDef:
    """With a guard that only logs; with a line that logs in the first loop where there is no guard."""
    marked = copy.deepcopy(task)
    guards = [node for node in marked.body if isinstance(node, ast.With)]
    if not guards:
        loop = next(node for node in marked.body if isinstance(node, (ast.For, ast.While)))
        loop.body.insert(0, _log(draw))
        return twin(marked, flawed=True)
    checks = [node for node in guards[0].body if isinstance(node, ast.If)]
    checks[0].body = [_log(draw)]
    return twin(marked, flawed=False)


def _reversed(task: ast.FunctionDef, _draw: Draw) -> ast.FunctionDef:
    """With the guard the wrong way round; with a loop too far by two where there is no guard."""
    marked = _Reversing().visit(copy.deepcopy(task))
    assert isinstance(marked, ast.FunctionDef)
    return twin(marked, flawed=False)


def _short(task: ast.FunctionDef, _draw: Draw) -> ast.FunctionDef:
    """With every loop of the flawed twin ending one too early."""
    flawed = _Shortening().visit(twin(task, flawed=True))
    assert isinstance(flawed, ast.FunctionDef)
    return flawed


class _Reversing(ast.NodeTransformer):
    def visit_With(self, node: ast.With) -> ast.With:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Compare):
                inner.ops = [_OPPOSITES[type(inner.ops[0])]()]
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        is_end = isinstance(node.func, ast.Name) and node.func.id == "upto"
        return ast.BinOp(node.args[0], ast.Add(), ast.Constant(2)) if is_end else node


class _Shortening(ast.NodeTransformer):
    def visit_For(self, node: ast.For) -> ast.For:
        self.generic_visit(node)
        assert isinstance(node.iter, ast.Call)
        node.iter.args[1] = ast.BinOp(_bare(node.iter.args[1]), ast.Sub(), ast.Constant(1))
        return node

    def visit_While(self, node: ast.While) -> ast.While:
        self.generic_visit(node)
        for inner in ast.walk(node.test):
            if isinstance(inner, ast.Compare):
                inner.ops = [_STRICTER.get(type(inner.ops[0]), type(inner.ops[0]))()]
        return node


_STRICTER: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.LtE: ast.Lt, ast.GtE: ast.Gt}


def _bare(end: ast.expr) -> ast.expr:
    """``n`` of ``n + 1``."""
    return end.left if isinstance(end, ast.BinOp) and isinstance(end.op, ast.Add) else end


_RIGHT: tuple[Edit, ...] = (_restored, _restored_and_logged)
_WRONG: tuple[Edit, ...] = (_logged, _deleted, _emptied, _toothless, _reversed, _short)
