"""Plain folders of C files: ``vulnerable`` and ``safe`` beside each other, or ``labels.csv`` with the label of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from models.data.collectors.csv_rows import read_csv_rows, read_header
from models.data.collectors.fields import Fault, label_of
from models.data.collectors.line_files import FieldRow, NamedFile, is_hidden, shown_names
from models.data.collectors.rows import CollectedFunction, RejectedRow, Row
from models.data.collectors.source_files import code_of_cut, read_source, walk_sources
from models.data.function_cutting import CutFunction, FunctionCutter
from models.errors import DataInvalid

LABELS_FILE = "labels.csv"
LABEL_FOLDERS = {"vulnerable": 1, "safe": 0, "bad": 1, "good": 0, "1": 1, "0": 0}
EXPECTED = f"{LABELS_FILE} with file[,function],label, or the folders vulnerable and safe (or bad and good, or 1 and 0)"


def read_folder(path: Path, max_code_bytes: int) -> Iterator[Row]:
    """Functions cut from the files of a folder; those of one file belong together.

    Args:
        path: Folder.
        max_code_bytes: Longest function accepted.

    Raises:
        DataInvalid: it has neither labels nor folders that are labels. Not retried.
    """
    labels = path / LABELS_FILE
    if labels.is_file():
        yield from _read_listed(labels, max_code_bytes)
        return
    folders = label_folders(path)
    if not folders:
        raise DataInvalid(path, f"expected {EXPECTED}; found {shown_names(path) if path.is_dir() else 'a file'}")
    cutter = FunctionCutter()
    for folder in folders:
        for file in walk_sources(folder, path):
            if isinstance(file, RejectedRow):
                yield file
            else:
                functions = _cut(file.path, cutter, max_code_bytes)
                yield from _rows_of(functions, path.name, file.name, LABEL_FOLDERS[folder.name.lower()], max_code_bytes)


def label_folders(path: Path) -> list[Path]:
    """Folders right below that are called like a label, in the order of their names."""
    if not path.is_dir():
        return []
    return sorted(inner for inner in path.iterdir() if inner.name.lower() in LABEL_FOLDERS and inner.is_dir())


def _cut(path: Path, cutter: FunctionCutter, max_code_bytes: int) -> list[CutFunction] | Fault:
    content = read_source(path, max_code_bytes)
    if isinstance(content, Fault):
        return content
    return cutter.cut(content) or Fault("no_function", "no function with a body was found in the file")


def _rows_of(
    functions: list[CutFunction] | Fault, data: str, file: str, label: int, max_code_bytes: int
) -> Iterator[Row]:
    if isinstance(functions, Fault):
        yield RejectedRow(file, 0, *functions)
        return
    for function in functions:
        code = code_of_cut(function, max_code_bytes)
        if isinstance(code, Fault):
            yield RejectedRow(file, function.line, *code)
            continue
        yield CollectedFunction(
            code=code,
            label=label,
            idx=f"{file}:{function.name}",
            project=data,
            commit_id=file,
            origin="",
            cwe="",
            pair="",
            file=file,
            line=function.line,
        )


def _read_listed(labels: Path, max_code_bytes: int) -> Iterator[Row]:
    if missing := {"file", "label"} - set(read_header(labels)):
        raise DataInvalid(labels, f"has no column {sorted(missing)[0]}; expected file[,function],label", line=1)
    cutter = FunctionCutter()
    last: tuple[str, list[CutFunction] | Fault] = ("", [])
    for row in read_csv_rows(NamedFile(labels.name, labels), max_code_bytes):
        if isinstance(row, RejectedRow):
            yield row
            continue
        label = label_of(row.fields["label"].strip(), "label")
        fault = label if isinstance(label, Fault) else _fault_of_name(row)
        if fault is not None:
            yield RejectedRow(row.file, row.line, *fault)
            continue
        file = PurePosixPath(row.fields["file"].strip()).as_posix()
        if last[0] != file:  # rows of one file stand together, as a rule
            last = (file, _cut(labels.parent / file, cutter, max_code_bytes))
        yield from _rows_of(_named(last[1], row), labels.parent.name, file, int(str(label)), max_code_bytes)


def _fault_of_name(row: FieldRow) -> Fault | None:
    name = row.fields["file"].strip()
    path = PurePosixPath(name)
    if not name or "\0" in name:
        return Fault("missing_file", "the row names no file")
    if path.is_absolute() or ".." in path.parts:
        return Fault("outside_folder", "the file must lie below the folder of labels.csv")
    if any(map(is_hidden, path.parts)):
        return Fault("hidden_file", "hidden files and folders are not read; rename it")
    return None


def _named(functions: list[CutFunction] | Fault, row: FieldRow) -> list[CutFunction] | Fault:
    name = row.fields.get("function", "").strip()
    if not name or isinstance(functions, Fault):
        return functions
    named = [function for function in functions if function.name == name]
    return named or Fault("no_such_function", f"row {row.line} of {LABELS_FILE}: the file has no function {name[:80]}")
