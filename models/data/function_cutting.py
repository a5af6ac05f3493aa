"""Functions cut out of C source files, for collections that name no language.

C++ is read with the grammar of C, as well as it goes; where the language is known, ``languages.cutting`` reads it with
its own.
"""

from __future__ import annotations

from models.data.languages.cutting import CutFunction as CutFunction
from models.data.languages.cutting import cut_functions


class FunctionCutter:
    """Cuts functions; one per process, and never two threads at once: two parsers at once crash CPython 3.11."""

    def cut(self, content: bytes) -> list[CutFunction]:
        """Functions with a body, in the order of the file; by other routes too where it has a syntax error.

        Args:
            content: A source file; any bytes.
        """
        return cut_functions(content, "c")
