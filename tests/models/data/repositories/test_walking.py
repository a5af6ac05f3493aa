"""A walk over repositories: which files are read and as what, and each thing that is passed over once."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from models.data.repositories import walking
from models.data.repositories.walking import PASSED_REASONS, PassedOver, SourceFile, walk_repositories
from models.errors import DataInvalid
from models.settings.languages import LANGUAGES, LanguageName

MAX_BYTES = 100_000
C = "int f(void) { return 1; }\n"


def walked(
    root: Path, languages: tuple[LanguageName, ...] = LANGUAGES, max_file_bytes: int = MAX_BYTES
) -> tuple[list[SourceFile], list[PassedOver]]:
    found = list(walk_repositories(root, languages, max_file_bytes))
    files = [item for item in found if isinstance(item, SourceFile)]
    return files, [item for item in found if isinstance(item, PassedOver)]


def write(path: Path, content: str | bytes = C) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def test_folders_are_repositories_and_files_come_in_one_order(tmp_path: Path) -> None:
    for name in ("b/z.c", "b/a/x.py", "b/a.go", "a/src/one.java", "a/B.js", "a/a.js"):
        write(tmp_path / name)
    write(tmp_path / "labels.jsonl")

    files, passed = walked(tmp_path)

    assert [(item.repository, item.file, item.language) for item in files] == [
        ("a", "a/B.js", "javascript"),
        ("a", "a/a.js", "javascript"),
        ("a", "a/src/one.java", "java"),
        ("b", "b/a.go", "go"),
        ("b", "b/z.c", "c"),
        ("b", "b/a/x.py", "python"),
    ]
    assert all(item.content == C.encode() == item.path.read_bytes() for item in files)
    assert passed == [PassedOver("", "labels.jsonl", "outside_repository")]


def test_a_root_with_source_files_is_one_repository(tmp_path: Path) -> None:
    root = tmp_path / "halyard"
    for name in ("main.c", "lib/x.c", "README.md"):
        write(root / name)
    files, passed = walked(root)
    assert [(item.repository, item.file) for item in files] == [(".", "main.c"), (".", "lib/x.c")]
    assert passed == [PassedOver(".", "README.md", "other_language")]


def test_each_thing_that_is_passed_over_has_its_reason(tmp_path: Path) -> None:
    root = tmp_path / "repos"
    bad: dict[str, str | bytes] = {
        ".git/config.c": C,
        "node_modules/x/a.js": C,
        "a.min.js": C,
        "dense.js": "a=1;" * 1000,
        "README.md": "text",
        "x.py": "def f(): pass\n",
        "empty.c": "",
        "blank.c": " \n\n",
        "binary.c": b"\x7fELF\0\0" * 10,
        "sjis.c": "/* 日本語 */".encode("shift_jis"),
        "utf-32.c": C.encode("utf-32"),
        "odd-utf-16.c": b"\xff\xfea",
    }
    for name, content in bad.items():
        write(root / "r" / name, content)
    write(root / "beside.txt", "text")
    (root / "r" / "loop").symlink_to(root / "r")
    (root / "r" / "out.c").symlink_to("/etc/passwd")
    os.mkfifo(root / "r" / "pipe.c")
    with (root / "r" / "large.c").open("wb") as stream:
        stream.truncate(50_000_000)  # sparse

    files, passed = walked(root, ("c", "javascript"))

    assert not files
    assert {item.file.removeprefix("r/"): item.reason for item in passed} == {
        ".git": "hidden",
        "node_modules": "vendored",
        "a.min.js": "minified",
        "dense.js": "minified",
        "README.md": "other_language",
        "x.py": "language_not_asked_for",
        "empty.c": "empty",
        "blank.c": "empty",
        "binary.c": "binary",
        "sjis.c": "unknown_encoding",
        "utf-32.c": "unknown_encoding",
        "odd-utf-16.c": "unknown_encoding",
        "loop": "symbolic_link",
        "out.c": "symbolic_link",
        "pipe.c": "no_regular_file",
        "large.c": "too_large",
        "beside.txt": "outside_repository",
    }
    assert set(PASSED_REASONS) - {item.reason for item in passed} == {"unreadable"}
    assert len(passed) == len({item.file for item in passed})


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "r" / "a.c")
    write(tmp_path / "r" / "b.c")
    write(tmp_path / "r" / "sub" / "c.c")
    read, scan = walking._content, walking._sorted_entries  # root reads everything, so permissions prove nothing

    def refuse_file(path: Path, max_bytes: int) -> bytes:
        if path.name == "a.c":
            raise PermissionError(13, "Permission denied")
        return read(path, max_bytes)

    def refuse_folder(folder: Path) -> list[os.DirEntry[str]]:
        if folder.name == "sub":
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(walking, "_content", refuse_file)
    monkeypatch.setattr(walking, "_sorted_entries", refuse_folder)
    files, passed = walked(tmp_path)
    assert [item.file for item in files] == ["r/b.c"]
    assert passed == [
        PassedOver("r", "r/a.c", "unreadable", "Permission denied"),
        PassedOver("r", "r/sub", "unreadable", "Permission denied"),
    ]


def test_a_large_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "r" / "large.c", C * 10)

    def refuse(path: Path, max_bytes: int) -> bytes:
        raise AssertionError("it was opened")

    monkeypatch.setattr(walking, "_content", refuse)
    _, passed = walked(tmp_path, max_file_bytes=len(C))
    assert passed == [PassedOver("r", "r/large.c", "too_large", "260 bytes; at most 26 are read")]


def test_encodings_are_told_and_become_utf_8(tmp_path: Path) -> None:
    text = "/* Grüße */\n" + C
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "latin-1"):
        write(tmp_path / "r" / f"{encoding}.c", text.encode(encoding))
    files, passed = walked(tmp_path)
    assert not passed
    assert {item.file: item.encoding for item in files} == {
        f"r/{encoding}.c": encoding for encoding in ("utf-8", "utf-8-sig", "utf-16", "latin-1")
    }
    assert {item.content for item in files} == {text.encode()}


def test_headers_are_read_by_the_grammar_that_fits(tmp_path: Path) -> None:
    write(tmp_path / "r" / "a.h", "struct s { int a; };\nint f(struct s *s);\n")
    write(tmp_path / "r" / "b.h", "namespace n {\nclass A { public: int f() { return 1; } };\n}\n")
    files, _ = walked(tmp_path)
    assert [(item.file, item.language) for item in files] == [("r/a.h", "c"), ("r/b.h", "cpp")]
    files, passed = walked(tmp_path, ("c",))
    assert [item.file for item in files] == ["r/a.h"]
    assert passed == [PassedOver("r", "r/b.h", "language_not_asked_for", "cpp")]
    assert [item.file for item in walked(tmp_path, ("cpp",))[0]] == ["r/b.h"]


def test_names_that_are_no_text_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    for name in (b"\xff.c", b"\xfe.c"):
        (tmp_path / "r" / os.fsdecode(name)).write_text(C)
    files, _ = walked(tmp_path)
    names = [item.file for item in files]
    assert names == ["r/\\udcfe.c", "r/\\udcff.c"]
    assert [name.encode().decode() for name in names] == names


def test_only_one_file_is_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        write(tmp_path / "r" / f"{number}.c")
    opened: Counter[str] = Counter()
    read = walking._content

    def count(path: Path, max_bytes: int) -> bytes:
        opened[path.name] += 1
        return read(path, max_bytes)

    monkeypatch.setattr(walking, "_content", count)
    items = walk_repositories(tmp_path, LANGUAGES, MAX_BYTES)
    next(items)
    next(items)
    assert opened == {"0.c": 1, "1.c": 1}


@pytest.mark.parametrize(("names", "found"), [((), "nothing"), (("README.md",), "README.md"), ((".git/a.c",), ".git")])
def test_a_folder_without_repositories_is_refused(tmp_path: Path, names: tuple[str, ...], found: str) -> None:
    for name in names:
        write(tmp_path / name)
    with pytest.raises(DataInvalid, match=f"sub-folders are repositories.*found {found}"):
        walk_repositories(tmp_path, LANGUAGES, MAX_BYTES)


def test_a_missing_root_is_refused_before_anything_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="No such file or directory; expected a folder"):
        walk_repositories(tmp_path / "none", LANGUAGES, MAX_BYTES)
    write(tmp_path / "file.c")
    with pytest.raises(DataInvalid, match="Not a directory; expected a folder"):
        walk_repositories(tmp_path / "file.c", LANGUAGES, MAX_BYTES)
