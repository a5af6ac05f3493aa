from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.retrieval.bare_code import bare_code


@pytest.mark.parametrize(
    ("language", "code", "expected"),
    [
        ("java", "a(); // start of generated patch\n  // x\n\nb();  ", "a();\nb();"),
        ("java", 'u = "http://x"; /* one\n two */ v = \'"\'; // "', 'u = "http://x";   v = \'"\';'),
        ("java", 't = """\n // kept\n """; // gone', 't = """\n // kept\n """;'),
        (
            "c",
            '#include <a.h>\n#define N 1 // one\n#define S(x) #x /* two */ "//"\nint x = a / b; /* said */ int y;',
            '#include <a.h>\n#define N 1\n#define S(x) #x   "//"\nint x = a / b;   int y;',
        ),
        ("go", "s := `// kept` // gone", "s := `// kept`"),
        ("javascript", "s = `// kept ${x}`; // gone", "s = `// kept ${x}`;"),
        ("javascript", 'x = x.replace(/\\/*$/, "");\ny(); // gone', 'x = x.replace(/\\/*$/, "");\ny();'),
        ("javascript", "x = /[/]/* 2; // gone\ny();", "x = /[/]/* 2;\ny();"),
        ("python", "x = '#' + a # gone\n# gone\ny = a // b", "x = '#' + a\ny = a // b"),
        ("python", "y = '''\n# kept'''", "y = '''\n# kept'''"),
        ("python", "a = b // 2\nc = 1  # é\n", "a = b // 2\nc = 1"),
        ("java", "broken( { // gone\nx", "broken( {\nx"),
        (None, "a // 2\n\n# kept", "a // 2\n# kept"),
    ],
)  # fmt: skip
def test_comments_and_blank_lines_go_and_strings_stay(language, code: str, expected: str):
    assert bare_code(code, language) == expected


@given(code=st.text(st.sampled_from("/*\"'`#\\\n ab")), language=st.sampled_from(["java", "python", None]))
def test_nothing_is_added_and_no_line_is_blank(code: str, language):
    bare = bare_code(code, language)
    left = iter(code.replace("\n", " "))
    assert all(character in left for character in bare.replace("\n", "").replace(" ", ""))
    assert all(line.strip() and line == line.rstrip() for line in bare.split("\n")) or bare == ""
