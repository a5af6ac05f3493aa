"""One commit and one project under several spellings."""

from __future__ import annotations

import pytest

from models.data.commit_keys import commit_key, project_key, spelling_of


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (("a", "linux", "c0ffee" * 6 + "1234"), ("b", "torvalds/linux", "C0FFEE" * 6 + "1234"), True),
        (("a", "FFmpeg", "r12"), ("b", "ffmpeg", "r12"), True),
        (("a", "linux", "r12"), ("b", "torvalds/Linux", "r12"), True),
        (("a", "ffmpeg", "r12"), ("b", "qemu", "r12"), False),
        (("a", "", "main.c"), ("a", "", "main.c"), True),
        (("a", "", "main.c"), ("b", "", "main.c"), False),
    ],
)
def test_a_commit_is_the_same_whatever_its_project_is_called(first, second, same) -> None:
    assert (commit_key(*first) == commit_key(*second)) == same
    assert commit_key("a", "linux", "") == ""


def test_a_project_is_the_same_with_its_owner_and_in_any_case() -> None:
    spellings = ("linux", "Linux", "torvalds/linux", "https://github.com/torvalds/linux.git", " linux/ ")
    assert {project_key(name) for name in spellings} == {"linux"}
    assert project_key("") == ""


def test_only_hashes_are_compared_in_any_case() -> None:
    assert spelling_of("C0FFEE" * 4) == "c0ffee" * 4
    assert spelling_of("Main.c") == "Main.c"
