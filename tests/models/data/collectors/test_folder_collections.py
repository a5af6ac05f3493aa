"""Plain folders of C files: labels by folder or by list, links, and files that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import DataInvalid

TWO = "int f(void)\n{\n  return 1;\n}\n\nint g(void)\n{\n  return 2;\n}\n"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(("flawed", "sound"), [("vulnerable", "safe"), ("bad", "good"), ("1", "0")])
def test_folders_are_labels_and_files_are_groups(
    read: Callable[..., Any], tmp_path: Path, flawed: str, sound: str
) -> None:
    data = tmp_path / "mine"
    write(data / flawed / "deep" / "a.c", TWO)
    write(data / sound / "b.cpp", TWO.replace("int f", "int A::f"))
    write(data / sound / "README.md", "no code")
    found = read(data)
    assert found.rejected == []
    rows = {row.idx: row for row in found.functions}
    assert {name: row.label for name, row in rows.items()} == {
        f"{flawed}/deep/a.c:f": 1,
        f"{flawed}/deep/a.c:g": 1,
        f"{sound}/b.cpp:A::f": 0,
        f"{sound}/b.cpp:g": 0,
    }
    second = rows[f"{flawed}/deep/a.c:g"]
    assert (second.code, second.line) == ("int g(void)\n{\n  return 2;\n}", 6)
    assert (second.project, second.commit_id, second.file) == ("mine", f"{flawed}/deep/a.c", f"{flawed}/deep/a.c")


def test_a_function_defined_twice_in_a_file_is_told_apart(read: Callable[..., Any], tmp_path: Path) -> None:
    write(tmp_path / "bad" / "a.c", "int f(void) { return 1; }\nint f(void) { return 2; }\n")
    assert [row.idx for row in read(tmp_path).functions] == ["bad/a.c:f", "bad/a.c:f-bad/a.c-2"]


def test_what_is_hidden_is_not_read(read: Callable[..., Any], tmp_path: Path) -> None:
    """No digest counts it, so it must decide nothing."""
    data = tmp_path / "data"
    for name in ("bad/a.c", "bad/.b.c", "bad/.deep/c.c", "good/._d.c"):
        write(data / name, TWO)
    assert {row.file for row in read(data).functions} == {"bad/a.c"}
    write(data / "labels.csv", "file,label\nbad/a.c,1\nbad/.deep/c.c,1\n")
    found = read(data)
    assert ({row.file for row in found.functions}, found.reasons) == ({"bad/a.c"}, [(3, "hidden_file")])


def test_hidden_fixes_are_not_read(read: Callable[..., Any], tmp_path: Path) -> None:
    for name in ("one", ".two", "deep/.three"):
        write(tmp_path / name / "before" / "a.c", TWO)
        write(tmp_path / name / "after" / "a.c", TWO.replace("1", "3"))
    write(tmp_path / "one" / "before" / ".hidden.c", TWO)
    write(tmp_path / "one" / "after" / ".hidden.c", TWO.replace("1", "3"))
    assert {row.file for row in read(tmp_path).functions} == {"one/before/a.c", "one/after/a.c"}


def test_links_and_broken_files_are_passed_over_and_told(read: Callable[..., Any], tmp_path: Path) -> None:
    data, bad = tmp_path / "data", tmp_path / "data" / "bad"
    write(bad / "a.c", TWO)
    (bad / "circle").symlink_to(bad, target_is_directory=True)
    (bad / "loop.c").symlink_to(bad / "loop.c")
    (bad / "none.c").symlink_to(tmp_path / "none.c")
    (bad / "linked.c").symlink_to(write(tmp_path / "elsewhere.c", TWO.replace("f", "h").replace("g", "k")))
    write(bad / "binary.c", b"\x7fELF\0\0\xff")
    write(bad / "latin.c", TWO.encode().replace(b"1;", b"'\xe9';"))
    write(bad / "nul.c", TWO.encode().replace(b"1;", b"'\0';"))
    write(bad / "large.c", b"/*" + b" " * 100_000 + b"*/" + TWO.encode())
    write(bad / "long.c", TWO.replace("1;", "1;" * 600))
    found = read(data)
    assert sorted((row.file, row.line, row.reason) for row in found.rejected) == [
        ("bad/binary.c", 0, "no_function"),
        ("bad/circle", 0, "linked_folder"),
        ("bad/large.c", 0, "file_too_long"),
        ("bad/latin.c", 1, "invalid_utf8"),
        ("bad/long.c", 1, "func_too_long"),
        ("bad/loop.c", 0, "unreadable_file"),
        ("bad/none.c", 0, "unreadable_file"),
        ("bad/nul.c", 1, "nul_byte"),
    ]
    assert {row.idx for row in found.functions} == {
        *("bad/a.c:f", "bad/a.c:g", "bad/linked.c:h", "bad/linked.c:k"),
        *("bad/latin.c:g", "bad/nul.c:g", "bad/long.c:g"),
    }


def test_a_list_gives_labels_to_files_or_functions(read: Callable[..., Any], tmp_path: Path) -> None:
    write(tmp_path / "src" / "a.c", TWO)
    write(tmp_path / "src" / "b.c", TWO)
    lines = ["file,function,label", "src/a.c,f,1", "src/a.c,g,0", "src/b.c,,1", "src/a.c,h,1"]
    lines += ["../x.c,f,1", "/etc/x.c,f,1", ",f,1", "src/none.c,f,1", "src/a.c,f,", "src/a.c,f,maybe", "src/a.c"]
    write(tmp_path / "labels.csv", "\n".join(lines) + "\n")
    found = read(tmp_path)
    assert [(row.idx, row.label) for row in found.functions] == [
        ("src/a.c:f", 1),
        ("src/a.c:g", 0),
        ("src/b.c:f", 1),
        ("src/b.c:g", 1),
    ]
    assert [row.reason for row in found.rejected] == [
        "no_such_function",
        "outside_folder",
        "outside_folder",
        "missing_file",
        "unreadable_file",
        "missing_label",
        "foreign_label",
        "missing_columns",
    ]
    assert {row.line for row in found.rejected if row.file == "labels.csv"} >= {6, 7, 8, 10, 11, 12}


def test_a_list_without_labels_is_refused(read: Callable[..., Any], tmp_path: Path) -> None:
    write(tmp_path / "labels.csv", "file,function\na.c,f\n")
    with pytest.raises(DataInvalid, match="has no column label"):
        read(tmp_path)


def test_folders_without_a_usable_file_are_refused(read: Callable[..., Any], tmp_path: Path) -> None:
    write(tmp_path / "bad" / "a.c", "int x;\n")
    (tmp_path / "bad" / "inner").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(DataInvalid, match=r"holds no function to read \(linked_folder: 1, no_function: 1\)"):
        read(tmp_path)
    with pytest.raises(DataInvalid, match=r"expected labels\.csv .* found a\.c"):
        read(tmp_path / "bad", "folder")
