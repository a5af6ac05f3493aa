"""Functions cut from C files: which, under what name, and with their own bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.function_cutting import FunctionCutter
from models.data.generated import twin_functions


@pytest.fixture(scope="module")
def cutter() -> FunctionCutter:
    return FunctionCutter()


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("int f(void) { return 1; }", ["f"]),
        ("static int *f(int (*g)(int)) { return 0; }", ["f"]),
        ("static int (*f(void))(int) { return 0; }", ["f"]),
        ("int f(a) int a; { return a; }", ["f"]),
        ("int f(void);\nint x = 1;\nstruct s { int a; };", []),
        ("int f(void) { int g(void) { return 2; } return g(); }", ["f"]),
        ("#if A\nint f(void) { return 1; }\n#else\nint g(void) { return 1; }\n#endif\n", ["f", "g"]),
        ('extern "C" { int f(void) { return 1; } }', ["f"]),
        ("static int __init f(void) { return 1; }", ["f"]),
        ("int f(void) { LOCK(x) return 1; @ }\nint g(void) { return 1; }", ["f", "g"]),
        ("PHP_FUNCTION(strlen)\n{\n  RETURN;\n}", ["PHP_FUNCTION(strlen)"]),
        ("SYSCALL_DEFINE2(dup, int, a)\n{\n  return a;\n}", ["SYSCALL_DEFINE2(dup, int, a)"]),
        ("int A::f(int a) { return a; }", ["A::f"]),
        ("namespace n { class A { int f() { return 1; } }; }", ["f"]),
        ("A::A() : x(1) { }\nint g(void) { return 1; }", ["A::A", "g"]),
        ("int a; } if (a) { b(); } else if (c) { d(); }", []),
        ("", []),
    ],
)
def test_names(cutter: FunctionCutter, code: str, names: list[str]) -> None:
    assert [function.name for function in cutter.cut(code.encode())] == names


def test_a_brace_opened_in_two_branches_hides_nothing_that_follows(cutter: FunctionCutter) -> None:
    code = b"#if A\nint f(int a) {\n#else\nint f(void) {\n#endif\n  return 1;\n}\n\nint g(void) { return 2; }\n"
    found = cutter.cut(code)
    assert [function.name for function in found] == ["f", "g"]
    assert found[1].content == b"int g(void) { return 2; }"
    assert found[0].content.endswith(b"#endif\n  return 1;\n}")


def test_a_file_gives_back_the_functions_it_was_made_of(cutter: FunctionCutter) -> None:
    parts = [code.strip() for pair in range(4) for code in twin_functions(pair)[1:]]
    file = "#include <string.h>\n\n" + "\n\n/* next */\nstatic int x;\n".join(parts) + "\n"
    found = cutter.cut(file.encode())
    assert [function.content.decode() for function in found] == parts
    lines = file.split("\n")
    assert all(lines[function.line - 1] == function.content.decode().split("\n")[0] for function in found)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_whatever_the_bytes_functions_lie_in_the_file_and_in_order(content: bytes) -> None:
    end = 0
    for function in FunctionCutter().cut(b"int f(void) { return 1; }\n" + content):
        place = (b"int f(void) { return 1; }\n" + content).find(function.content, end)
        assert place >= end
        end = place + len(function.content)
