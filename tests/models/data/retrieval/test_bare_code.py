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
        ("c", "#include <a.h>\nx = a / b; /* never closed\n y();", "#include <a.h>\nx = a / b;"),
        ("javascript", "s = `// kept ${x}`; // gone", "s = `// kept ${x}`;"),
        ("python", "x = '#' + a # gone\n# gone\ny = a // b", "x = '#' + a\ny = a // b"),
        ("python", "y = '''\n# kept'''", "y = '''\n# kept'''"),
        (None, "a; // gone\n# kept", "a;\n# kept"),
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
