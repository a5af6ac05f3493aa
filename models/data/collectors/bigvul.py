"""Big-Vul (``MSR_20_Code_vulnerability_CSV_Dataset``): functions of commits that fix a CVE, as a large csv.

``func_before`` is the function before the commit, ``vul`` whether the commit changed it as a flaw (Fan et al., "A C/C++
Code Vulnerability Dataset with Code Changes and CVE Summaries", MSR 2020). A vulnerable row gives its function after
the commit, too, and the two are a pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models.data.collectors.csv_rows import read_csv_rows
from models.data.collectors.fields import Fault, code_and_label_of, code_of, commit_of, cwe_of, same_words, text_of
from models.data.collectors.line_files import CSV_SUFFIXES, JSON_SUFFIXES, FieldRow, find_files, read_json_rows
from models.data.collectors.rows import CollectedFunction, RejectedRow, Row

FIELDS = "func_before (text) and vul (0 or 1); func_after, project, commit_id, CWE ID and lang are used where present"
_INDEX_NAMES = ("", "Unnamed: 0", "index")


def read_bigvul(path: Path, max_code_bytes: int) -> Iterator[Row]:
    """Rows of a csv (or JSON lines with its columns), or of all such files of a folder.

    Args:
        path: File or folder.
        max_code_bytes: Longest function accepted.

    Raises:
        DataInvalid: there is nothing to read, or a file is damaged. Not retried.
    """
    for file in find_files(path, CSV_SUFFIXES + JSON_SUFFIXES):
        is_csv = file.name.endswith(CSV_SUFFIXES)
        rows = read_csv_rows(file, max_code_bytes) if is_csv else read_json_rows([file], max_code_bytes, FIELDS)
        for row in rows:
            if isinstance(row, RejectedRow):
                yield row
            else:
                yield from _functions_of(row, max_code_bytes)


def _functions_of(row: FieldRow, max_code_bytes: int) -> Iterator[Row]:
    label = "vul" if "vul" in row.fields else "target"
    language = text_of(row.fields.get("lang"))
    sound = code_and_label_of(row, "func_before", label, max_code_bytes, language=language)
    if isinstance(sound, RejectedRow):
        yield sound
        return
    before = _function_of(row, *sound)
    after = code_of(row.fields.get("func_after"), "func_after", max_code_bytes)
    if before.label == 0 or isinstance(after, Fault) or same_words(before.code, after):
        yield before
        return
    pair = f"{row.file}:{row.line}"
    yield before._replace(pair=pair)
    yield before._replace(code=after, label=0, idx=f"{before.idx}-after", pair=pair)


def _function_of(row: FieldRow, code: str, label: int) -> CollectedFunction:
    link = commit_of(row.fields.get("codeLink"))
    names = [text_of(row.fields.get(name)) for name in _INDEX_NAMES]
    return CollectedFunction(
        code=code,
        label=label,
        idx=next(filter(None, names), f"line-{row.line}"),
        project=text_of(row.fields.get("project")) or link.project,
        commit_id=text_of(row.fields.get("commit_id")) or link.commit_id,
        origin="",
        cwe=cwe_of(row.fields.get("CWE ID")),
        pair="",
        file=row.file,
        line=row.line,
    )
