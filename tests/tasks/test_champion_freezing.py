"""A champion is frozen once, from the final measurement of stage 4 only, and found wherever it lies."""

from __future__ import annotations

import json
import shutil

import pytest

from models.errors import DataInvalid
from models.store.sealed import unseal
from tasks.champion import freeze_champion, main, selection_text
from tasks.champion_runs import newest_evaluation


@pytest.fixture
def frozen(stages):
    return freeze_champion(stages.runs_path, ranking=stages.stage4, evaluation=stages.evaluation)


def ranked_in(stages):
    return json.loads((stages.stage4 / "settings.json").read_text())["trials"]


def test_looking_later_at_other_thresholds_or_other_runs_freezes_the_same(stages, frozen):
    before = frozen.path.read_bytes()
    both = [stages.champion, stages.runner_up]
    third = next(label for label in ranked_in(stages) if label not in both)
    looks = {
        "not frozen by": stages.evaluate(both, ranking=stages.stage3),
        "measured others too": stages.evaluate([*both, third]),
    }
    for problem, path in looks.items():
        record = path / "record.json"
        record.write_text(record.read_text().replace("1800000000.0", "1900000000.0"))
        assert newest_evaluation(stages.runs_path, stages.stage4) == stages.evaluation
        with pytest.raises(DataInvalid, match=problem):
            freeze_champion(stages.runs_path, ranking=stages.stage4, evaluation=path)
    assert main(["--freeze-only", "--runs", str(stages.runs_path)]) == 0
    assert frozen.path.read_bytes() == before
    assert len(list(stages.runs_path.glob("champions/*"))) == 1


def test_a_champion_is_frozen_once_whichever_evaluation_measured_it(stages):
    both = [stages.champion, stages.runner_up]
    sealed = stages.evaluate(both, open_test=False)
    first = freeze_champion(stages.runs_path, ranking=stages.stage4, evaluation=sealed)
    with pytest.raises(DataInvalid, match="frozen while the test was sealed, and stays as it is; move it away"):
        freeze_champion(stages.runs_path, ranking=stages.stage4, evaluation=stages.evaluation)
    shutil.rmtree(first.path.parent)
    opened = freeze_champion(stages.runs_path, ranking=stages.stage4, evaluation=stages.evaluation)
    assert opened.name == first.name
    assert freeze_champion(stages.runs_path, ranking=stages.stage4, evaluation=sealed) == opened
    assert unseal("champion", opened.path.read_bytes())["test"]


def test_the_root_is_the_one_that_the_champion_lies_in(stages, frozen, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODEWARDEN_RUNS", str(tmp_path / "elsewhere"))
    assert main(["verify", str(frozen.path)]) == 0
    assert main(["verify", str(frozen.path.parent)]) == 0
    alone = tmp_path / "champion.json"
    alone.write_bytes(frozen.path.read_bytes())
    assert main(["verify", str(alone)]) == 2
    assert "give the one that holds its runs with --runs" in capsys.readouterr().err
    assert main(["verify", str(alone), "--runs", str(stages.runs_path)]) == 0


def test_where_nobody_came_first_the_table_says_so_and_nothing_is_frozen(stages, capsys):
    path = stages.stage4 / "ranking.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "first": None, "runner_up": None}))
    assert main(["--freeze-only", "--runs", str(stages.runs_path)]) == 2
    assert "NoClearWinner" in capsys.readouterr().err
    assert not (stages.runs_path / "champions").exists()
    chosen = selection_text(json.loads(path.read_text()))
    assert "Champion: nobody" in chosen
