"""Functions found by braces: the same as by the syntax tree where there is one, and those of C++."""

from __future__ import annotations

import pytest

from models.data.function_blocks import find_blocks
from models.data.function_cutting import FunctionCutter
from models.data.generated import twin_functions


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("A::A(int a) : x(a), y(1) { }", ["A::A"]),
        ("A::A(int a) : x{a} { }", []),
        ("A::~A() { }", ["A::~A"]),
        ("std::vector<int> A::f(const T &a) const noexcept { return {}; }", ["A::f"]),
        ("auto f(int a) -> std::pair<int, int> { return {a, a}; }", ["f"]),
        ("namespace n { class A : public B { public: int f() { return 1; } private:\n int g() { } }; }", ["f", "g"]),
        ('extern "C" {\nint f(void) { return 1; }\n}', ["f"]),
        ("struct s f(void) { return x; }", ["f"]),
        ("__attribute__((noinline)) int f(void) { return 1; }", ["f"]),
        ("template <class T> T f(T x) { return x; }", ["f"]),
        ("PHP_METHOD(A, b)\n{\n}", ["PHP_METHOD(A, b)"]),
        ("int a[] = { f(1) };\nenum e { A };\nstruct s { int a; } x = { g(2) };\nint g(void) { }", ["g"]),
        ("int f(void) { char c = '{'; s = \"}\"; /* } */ return 1; // }\n}", ["f"]),
        ("#if A\nint f(int a) {\n#else\nint f(void) {\n#endif\n  return 1;\n}\nint g(void) { }", ["f", "g"]),
        ("int f(void) {\n#define END }\n}\nint g(void) { }", ["f", "g"]),
        ("} if (a) { b(); }", []),
    ],
)
def test_names(code: str, names: list[str]) -> None:
    assert [block.name for block in find_blocks(code.encode())] == names


def test_braces_and_the_syntax_tree_cut_the_same_functions() -> None:
    parts = [code.strip() for pair in range(20) for code in twin_functions(pair)[1:]]
    file = ("#include <string.h>\n\n/* of { */\n" + "\n\nstatic int x[] = {1};\n".join(parts)).encode()
    cut = [file[block.start : block.end] for block in find_blocks(file)]
    assert cut == [function.content for function in FunctionCutter().cut(file)] == [part.encode() for part in parts]


@pytest.mark.parametrize(
    "piece", [b"AA ", b"__A ", b"class ", b"):x", b") ", b"a", b"f(", b"-> a ", b"throw (", b"{", b"}\n"]
)
def test_a_piece_repeated_without_end_takes_no_time_without_end(piece: bytes) -> None:
    assert all(block.end > block.start for block in find_blocks(b"f() " + piece * 50_000 + b"! {}"))
