"""C told from other languages; with -m long measured on the project's data."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from models.data.c_language import is_c_file, other_language
from models.data.generated import twin_functions

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"

OTHERS = {
    "Python": "def f(s):\n    d = {}\n    return s[0]\n",
    "PHP": '<?php\nfunction f($s) { return "$s"; }\n',
    "JavaScript": "const f = (a) => { return a === 1; };\n",
    "Java": "public class A {\n  public static void main(String[] a) { System.out.println(a[0]); }\n}\n",
    "C#": "using System;\nclass A { static void Main() { Console.WriteLine(1); } }\n",
    "Go": "package main\n\nfunc main() {\n\tx := 1\n}\n",
    "Rust": "fn main() {\n    let mut x = 1;\n}\n",
    "Kotlin": "fun main() {\n    val x = 1\n}\n",
    "Scala": "object A extends App {\n  def f(x: Int): Int = x\n}\n",
    "Ruby": "def f(x)\n  [1].each { |y| p y }\nend\n",
    "Perl": "sub f {\n  my ($x) = @_;\n  return $x;\n}\n",
    "Haskell": "f :: Int -> Int\nf x = x\n",
    "no function": "int f(void);\n",
}
LIKE_OTHERS = [
    '/* def f(x): <?php public class A => */ int f(void) { puts("fn main() { let x = 1; } =>"); return 0; }',
    "class A :\n  public B\n{\n  void f() { if (a) { goto end; }\n  end:\n  return; }\n};",
    "int f(void)\n{\n  do {\n    x--;\n  } while (x);\n  switch (x) { case A: break; default: x = a ? b : c; }\n}",
    "static void f(struct import *import, int val, int end)\n{\n  import->in = val;\n  let = val;\n  print (end);\n}",
    "public:\n  void f(const std::string& a) { auto g = [&](int b) -> int { return b; }; }",
    "val f(x) val x; { return x == y != z; }",
    "using namespace std;\ntemplate <class T> T f(T x) { std :: string s; return x; }",
    "#define F(x) $x\nint sys$f(void) { return sys$open(1); }",
]


@pytest.mark.parametrize("name", OTHERS)
def test_other_languages_are_found(name: str) -> None:
    assert other_language(OTHERS[name]) != ""


@pytest.mark.parametrize("code", LIKE_OTHERS)
def test_c_that_holds_words_of_other_languages_is_c(code: str) -> None:
    assert other_language(code) == ""


def test_generated_functions_are_c() -> None:
    assert not any(other_language(code) for pair in range(50) for code in twin_functions(pair)[1:])


@pytest.mark.parametrize("piece", ["function(", "{|", "end\n", "/*", '"', "(a ", "def ", "\\", "class A:\n", "\t \n"])
def test_a_piece_repeated_without_end_takes_no_time_without_end(piece: str) -> None:
    other_language("{" + piece * 100_000)


def test_names_of_files() -> None:
    assert [name for name in ("a.c", "b/A.CPP", "c.h", "d.py", "c", "e.cs", "f.tar.cc") if is_c_file(name)] == [
        *("a.c", "b/A.CPP", "c.h", "f.tar.cc")
    ]


def rows(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz") as file:
        for line in file:
            yield orjson.loads(line)


@pytest.mark.long
@pytest.mark.skipif(not DATA.is_dir(), reason="the project's data folders are not here")
def test_measured_on_real_data() -> None:
    real = [row["func"] for name in ("collected/functions", "juliet/functions") for row in rows(name)]
    real += [row["func_neutral"] for row in rows("juliet/functions")]
    real += [row["func"] for split in ("train", "valid", "test") for row in rows(f"codexglue/{split}")]
    pairs = list(rows("sven/train"))
    sides = ("func_src_before", "func_src_after")
    real += [row[side] for row in pairs if is_c_file(row["file_name"]) for side in sides]
    python = [row[side] for row in pairs if row["file_name"].endswith(".py") for side in sides]
    java = [row["code"] for row in rows("plagiarism/ir_plag")]
    others = [row["code"] for row in rows("rosetta/solutions") if row["lang"] not in ("C", "C++")]

    def share_found(codes: list[str]) -> float:
        return sum(other_language(code) != "" for code in codes) / len(codes)

    assert share_found(real) < 0.001
    assert share_found(python) >= 0.95
    assert share_found(java) >= 0.95
    assert share_found(others) >= 0.95
