"""A task written in one of six languages, in a style and under names of its own: a small syntax tree in, text out.

The part of Python that is understood: assignments, ``for … in range``, ``while``, ``if``, ``return``, whole numbers,
lists of them, ``len``. Twins and patches are made of the tree; rendered by an equal ``Style`` they differ in nothing
else.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from models.data.generated_code.styles import Style

_OPERATORS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Mod: "%", ast.FloorDiv: "/", ast.BitAnd: "&", ast.BitOr: "|",
    ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>", ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=",
    ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


_LOGGING = {
    "c": "puts",
    "cpp": "std::puts",
    "python": "print",
    "java": "System.out.println",
    "javascript": "console.log",
    "go": "log.Println",
}


def render(task: ast.FunctionDef, style: Style) -> str:
    """The function's text, with a line break at its end."""
    return _Writer(style).function(task)


class _Writer:
    """Writes one function; keeps which names are declared in the blocks around."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._language = style.language
        self._names = dict(style.names)
        self._declared: list[set[str]] = []

    def function(self, task: ast.FunctionDef) -> str:
        style = self._style
        lines = [f"{self._mark()} {style.comment}"] if style.comment else []
        head = self._head(task)
        if self._language == "python":
            lines.append(head)
        elif style.brace_alone:
            lines += [head, "{"]
        else:
            lines.append(head + " {")
        self._declared.append({argument.arg for argument in task.args.args})
        if style.remark:
            lines.append(f"{style.indent}{self._mark()} {style.remark}")
        lines += self._block(task.body, 1)
        if self._language != "python":
            lines.append("}")
        return "\n".join(lines) + "\n"

    def _mark(self) -> str:
        return "#" if self._language == "python" else "//"

    def _head(self, task: ast.FunctionDef) -> str:
        style, kind = self._style, ast.unparse(task.returns) if task.returns else "None"
        arguments = [self._argument(item.arg, ast.unparse(item.annotation or item)) for item in task.args.args]
        inside = ", ".join(arguments)
        integer = {"int": style.integer, "None": "void", "bool": "bool"}[kind]
        if self._language == "python":
            told = {"int": " -> int", "None": " -> None", "bool": " -> bool"}[kind] if style.is_typed else ""
            return f"def {style.function}({inside}){told}:"
        if self._language == "javascript":
            return f"function {style.function}({inside})"
        if self._language == "go":
            return f"func {style.function}({inside})" + {"void": ""}.get(integer, f" {integer}")
        if self._language == "java":
            return f"public static {'boolean' if kind == 'bool' else integer} {style.function}({inside})"
        return f"{'int' if kind == 'bool' and self._language == 'c' else integer} {style.function}({inside})"

    def _argument(self, name: str, kind: str) -> str:
        style, called = self._style, self._names[name]
        if self._language == "javascript" or (self._language == "python" and not style.is_typed):
            return called
        is_list = kind == "list"
        return {
            "python": f"{called}: list[int]" if is_list else f"{called}: int",
            "go": f"{called} []{style.integer}" if is_list else f"{called} {style.integer}",
            "java": f"{style.integer}[] {called}" if is_list else f"{style.integer} {called}",
            "cpp": f"std::vector<{style.integer}> &{called}" if is_list else f"{style.integer} {called}",
            "c": f"{style.integer} *{called}, {style.integer} {self._names[f'len({name})']}"
            if is_list
            else f"{style.integer} {called}",
        }[self._language]

    def _block(self, body: list[ast.stmt], depth: int) -> list[str]:
        self._declared.append(set())
        lines = [line for statement in body for line in self._statement(statement, depth)]
        self._declared.pop()
        return lines if lines or self._language != "python" else [self._style.indent * depth + "pass"]

    def _statement(self, node: ast.stmt, depth: int) -> Iterator[str]:
        space, end = self._style.indent * depth, "" if self._language in ("python", "go") else ";"
        if isinstance(node, ast.Assign):
            yield f"{space}{self._assigned(node.targets[0])}{self._value(node.value)}{end}"
        elif isinstance(node, ast.AugAssign):
            target, operator = self._value(node.target), _OPERATORS[type(node.op)]
            yield f"{space}{target} {operator}= {self._value(node.value)}{end}"
        elif isinstance(node, ast.Return):
            yield f"{space}return{' ' + self._value(node.value) if node.value else ''}{end}"
        elif isinstance(node, ast.Expr):
            yield f"{space}{self._called(node.value)}{end}"
        elif isinstance(node, ast.While):
            yield from self._braced(f"{'for' if self._language == 'go' else 'while'}", node.test, node.body, depth)
        elif isinstance(node, ast.For):
            yield from self._counting(node, depth)
        elif isinstance(node, ast.If):
            yield from self._choice(node, depth)

    def _called(self, node: ast.expr) -> str:
        """A call that logs: ``note("text")``."""
        assert isinstance(node, ast.Call) and isinstance(node.args[0], ast.Constant)
        text = str(node.args[0].value)
        return f'{_LOGGING[self._language]}("{text}")'

    def _assigned(self, target: ast.expr) -> str:
        if isinstance(target, ast.Subscript) or any(_name_of(target) in declared for declared in self._declared):
            return f"{self._value(target)} = "
        self._declared[-1].add(_name_of(target))
        called = self._value(target)
        return {
            "python": f"{called} = ", "javascript": f"let {called} = ", "go": f"{called} := ",
        }.get(self._language, f"{self._style.integer} {called} = ")  # fmt: skip

    def _braced(self, word: str, test: ast.expr, body: list[ast.stmt], depth: int) -> Iterator[str]:
        space, condition = self._style.indent * depth, self._value(test)
        if self._language == "python":
            yield f"{space}{word} {condition}:"
            yield from self._block(body, depth + 1)
            return
        yield f"{space}{word} {condition if self._language == 'go' else f'({condition})'} {{"
        yield from self._block(body, depth + 1)
        yield f"{space}}}"

    def _choice(self, node: ast.If, depth: int) -> Iterator[str]:
        lines = list(self._braced("if", node.test, node.body, depth))
        if not node.orelse:
            yield from lines
            return
        space = self._style.indent * depth
        is_python = self._language == "python"
        yield from lines if is_python else lines[:-1]
        yield f"{space}else:" if is_python else f"{space}}} else {{"
        yield from self._block(node.orelse, depth + 1)
        if not is_python:
            yield lines[-1]

    def _counting(self, node: ast.For, depth: int) -> Iterator[str]:
        assert isinstance(node.iter, ast.Call)
        first, last = node.iter.args
        if self._style.counts_by_while:
            yield from self._statement(ast.Assign([node.target], first), depth)
            step: list[ast.stmt] = [ast.AugAssign(node.target, ast.Add(), ast.Constant(1))]  # type: ignore[arg-type]
            yield from self._statement(
                ast.While(ast.Compare(node.target, [ast.Lt()], [last]), node.body + step, []), depth
            )
            return
        space, name = self._style.indent * depth, self._value(node.target)
        begin, end = self._value(first), self._value(last)
        self._declared.append({_name_of(node.target)})
        if self._language == "python":
            yield f"{space}for {name} in range({end if begin == '0' else f'{begin}, {end}'}):"
            yield from self._block(node.body, depth + 1)
        else:
            declared = {"javascript": "let ", "go": ""}.get(self._language, f"{self._style.integer} ")
            sign = ":=" if self._language == "go" else "="
            inside = f"{declared}{name} {sign} {begin}; {name} < {end}; {name}++"
            yield f"{space}for {inside if self._language == 'go' else f'({inside})'} {{"
            yield from self._block(node.body, depth + 1)
            yield f"{space}}}"
        self._declared.pop()

    def _value(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            return self._names[node.id]
        if isinstance(node, ast.Constant):
            return self._constant(node.value)
        if isinstance(node, ast.Subscript):
            return f"{self._value(node.value)}[{self._value(node.slice)}]"
        if isinstance(node, ast.Call):
            return self._length(_name_of(node.args[0]))
        if isinstance(node, ast.UnaryOp):
            return f"-{self._value(node.operand)}"
        if isinstance(node, ast.BoolOp):
            words = {"python": ("and", "or")}.get(self._language, ("&&", "||"))
            word = words[isinstance(node.op, ast.Or)]
            return f" {word} ".join(self._value(value) for value in node.values)
        if isinstance(node, ast.Compare):
            return f"{self._value(node.left)} {self._compared(node.ops[0])} {self._value(node.comparators[0])}"
        assert isinstance(node, ast.BinOp)
        return self._computed(node)

    def _compared(self, operator: ast.cmpop) -> str:
        found = _OPERATORS[type(operator)]
        return f"{found}=" if self._language == "javascript" and found in ("==", "!=") else found

    def _computed(self, node: ast.BinOp) -> str:
        left, right = (self._operand(side) for side in (node.left, node.right))
        if isinstance(node.op, ast.FloorDiv) and self._language == "javascript":
            return f"Math.floor({left} / {right})"
        operator = (
            "//" if isinstance(node.op, ast.FloorDiv) and self._language == "python" else _OPERATORS[type(node.op)]
        )
        return f"{left} {operator} {right}"

    def _operand(self, node: ast.expr) -> str:
        text = self._value(node)
        return f"({text})" if isinstance(node, ast.BinOp) else text

    def _length(self, name: str) -> str:
        called = self._names[name]
        return {
            "python": f"len({called})", "go": f"len({called})", "cpp": f"{called}.size()", "java": f"{called}.length",
            "javascript": f"{called}.length", "c": self._names[f"len({name})"],
        }[self._language]  # fmt: skip

    def _constant(self, value: object) -> str:
        if isinstance(value, bool):
            words = {"python": ("False", "True"), "c": ("0", "1")}.get(self._language, ("false", "true"))
            return words[value]
        return str(value)


def _name_of(node: ast.expr) -> str:
    assert isinstance(node, ast.Name)
    return node.id
