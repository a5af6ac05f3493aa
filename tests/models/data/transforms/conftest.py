"""Text to transform: generated functions, and C of many shapes put together at random."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from models.data.generated import twin_functions

STATEMENTS = (
    "int n_1 = 3, *p_1 = &n_1, t_1[4] = {0, 1};",
    "struct item *item = first->item;",
    "for (int i_1 = 0; i_1 < n_1; i_1++) {\n\ttotal += i_1 - -n_1;\n}",
    'if (!total)\n  return -1;\nelse if (total > 0x1e + 5) { log_it("n_1 // no comment", total); }\nelse\n  total--;',
    "while (total --> 0) total = total << 1 ? n_1 & 3 : - n_1;",
    "do {\n  *p_1++ = 'x';\n} while (p_1 < &n_1);",
    "switch (total) {\ncase LIMIT: total /= n_1; break;\ndefault:\n  goto out;\n}",
    "#ifdef WITH_LOG\n  log_it(name, __LINE__); // total\n#endif",
    "#define TWICE(x) \\\n  ((x) + (x))",
    "/* total\n   of n_1 */",
    "out: call_back(name, (char *) name, sizeof(*p_1));",
    "total = a + \\\n  b;",
    "extern int elsewhere; int helper(int inner);",
    'x = L"wide" "joined"; y = u8"é";',
    "@ $ broken ( ;",
    "}",
    "MACRO_CALL(total, name)",
    "\r\n\f",
)


@st.composite
def _badly_laid_out(draw: st.DrawFn) -> str:
    """A function of some of the statements, laid out badly; often it cannot be parsed whole."""
    statements = draw(st.lists(st.sampled_from(STATEMENTS), max_size=8))
    between = draw(st.sampled_from(["\n", "\n\n", "\r\n", "\n    ", "\n\t\t"]))
    head = draw(
        st.sampled_from(["static int f(const char *name, int total)", "f(name, total)", "int (*g(int total))(void)"])
    )
    return (
        f"{head}{draw(st.sampled_from([' {', between + '{']))}{between}{between.join(statements)}{between}}}{between}"
    )


@pytest.fixture(scope="session")
def c_like() -> st.SearchStrategy[str]:
    """Functions of random statements."""
    return _badly_laid_out()


@pytest.fixture(scope="session")
def generated() -> list[str]:
    """Functions of every template."""
    return [code for pair in range(40) for code in twin_functions(pair)[1:]]
