"""The evaluation flow's own inputs: nothing opens the test for every run."""

from __future__ import annotations

import pytest

from flows.evaluation import EvaluationSettings, main


def test_an_empty_prefix_is_refused_so_that_no_test_is_opened_for_every_run(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main(["--runs", "", "--open-test", "--run-root", str(tmp_path)])
    assert left.value.code == 2
    assert "--runs: expected String should have at least 1 character" in capsys.readouterr().err
    assert EvaluationSettings(prefix="x").slots == 1
