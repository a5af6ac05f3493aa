"""A flow as a program: one line for an error, exit codes for scripts."""

from __future__ import annotations

import pytest

from models.errors import JobCrashed, JobHung, JobInterrupted, JobRefused, SettingsInvalid
from tasks.program import run_program


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsInvalid("data: no folder at x"), 2),
        (JobRefused("x"), 2),
        (JobInterrupted("x"), 75),
        (JobHung("x"), 75),
        (JobCrashed("x"), 1),
        (KeyboardInterrupt(), 75),
        (RuntimeError("Failed to reach API at http://127.0.0.1:1/api/"), 1),
    ],
)
def test_each_error_is_one_line_and_its_code(error, code, capsys):
    def fail() -> str:
        raise error

    assert run_program(fail) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_an_error_that_is_not_ours_is_not_hidden():
    def fail() -> str:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run_program(fail)


def test_the_result_goes_to_stdout(capsys):
    assert run_program(lambda: "the table\n") == 0
    assert capsys.readouterr().out == "the table\n"
