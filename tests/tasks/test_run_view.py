"""The view: stable labels, relative links that survive a move, nothing that is not a link ever touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from models.errors import DataInvalid
from tasks.finished_runs import under_root
from tasks.run_view import by_ranking, find_view, link_evaluation, link_trials, view_label


def tree_of(runs_path, *folders):
    """Every link below with what it says."""
    return {
        path.relative_to(runs_path).as_posix(): str(path.readlink())
        for folder in folders
        for path in sorted((runs_path / folder).rglob("*"))
        if path.is_symlink()
    }


def test_a_label_carries_date_and_key_of_the_training_and_nothing_of_today():
    path = Path("/r/train/codet5p-220m_lr2e-5_s41_20250921-0123456789ab/01234567")
    assert view_label("codet5p_220m_lr2e-5", path) == "codet5p_220m_lr2e-5_20250921_0123456789ab"
    with pytest.raises(DataInvalid, match="<label>_<date>-<key>/<build>"):
        view_label("x", Path("/r/by-hand/out"))


def test_the_tree_is_the_seeds_with_the_files_of_the_runs(stages):
    folders = link_trials(stages.runs_path, stages.stage4)
    assert set(folders) == set(json.loads((stages.stage4 / "settings.json").read_text())["trials"])
    folder = folders[stages.champion]
    assert folder.name.startswith(f"{stages.champion}_20260102_")
    assert (folder / "config_used.yaml").read_text() == f"label: {stages.champion}\n"
    assert json.loads((folder / "threshold_sweep_results.json").read_text())["decision"] == "frozen"
    assert (folder / "best_model").resolve() == stages.trial(stages.champion) / "best_model"
    measured = link_evaluation(stages.runs_path, stages.evaluation, {stages.champion: stages.champion})
    assert measured[stages.champion].name == folder.name
    assert sorted(path.name for path in measured[stages.champion].iterdir()) == [
        "ansible", "chef", "combined", "puppet", "valid",
    ]  # fmt: skip
    found = json.loads((measured[stages.champion] / "chef" / "evaluation_metadata.json").read_text())
    assert found == {"model": stages.champion, "set": "chef"}


def test_one_training_in_two_stages_has_a_view_in_each(stages):
    third, fourth = (link_trials(stages.runs_path, path) for path in (stages.stage3, stages.stage4))
    (of_third,) = [path for label, path in third.items() if "lr2e-5" in label]
    of_fourth = fourth["codet5p_220m_champion_lr2e-5_bs8_ep3_wd0.01_s42"]
    assert of_third != of_fourth
    assert (of_third / "best_model").resolve() == (of_fourth / "best_model").resolve()


def test_linking_again_changes_nothing_and_survives_a_move(stages, tmp_path):
    for _ in range(2):
        link_trials(stages.runs_path, stages.stage4)
        link_evaluation(stages.runs_path, stages.evaluation, {stages.champion: stages.champion})
    links = tree_of(stages.runs_path, "encoder", "evaluation")
    assert len(links) == 6 * 3 + 5
    assert all(text.startswith("../../") for text in links.values())
    stamps = {name: (stages.runs_path / name).lstat().st_ino for name in links}
    link_trials(stages.runs_path, stages.stage4)
    assert {name: (stages.runs_path / name).lstat().st_ino for name in links} == stamps
    before = [trial.label for trial in find_view(stages.runs_path, "")]
    moved = stages.runs_path.rename(tmp_path / "moved")
    found = find_view(moved, "")
    assert [trial.label for trial in found] == before
    assert found[0].train.is_relative_to(moved)
    assert set(link_trials(moved, moved / stages.stage4.relative_to(stages.runs_path))) == {t.trial for t in found}


def test_finished_trials_are_found_by_prefix_with_their_runs(stages):
    link_trials(stages.runs_path, stages.stage3)
    link_trials(stages.runs_path, stages.stage4)
    link_evaluation(stages.runs_path, stages.evaluation, {stages.champion: stages.champion})
    found = find_view(stages.runs_path, "codet5p_220m_champion_")
    assert len(found) == 6
    assert {trial.rank for trial in found} == {stages.stage4}
    (champion,) = [trial for trial in found if trial.trial == stages.champion]
    assert champion.train == stages.trial(stages.champion)
    assert set(champion.evaluation) == {"combined", "chef", "ansible", "puppet", "valid"}
    assert champion.evaluation["chef"].parent.parent.name == stages.champion
    assert find_view(stages.runs_path, "graphcodebert") == []


def again_as(stages, rank_path, stage, *, only=None, started=1.9e9):
    """A ranking of the same trials for another stage, or of some of them, made later."""
    settings = json.loads((rank_path / "settings.json").read_text())
    settings["stage"] = stage
    settings["trials"] = {label: trial for label, trial in settings["trials"].items() if only in (None, label)}
    copied = rank_path.parent.with_name(f"{stage}_20260102-{int(started):012x}") / rank_path.name
    shutil.copytree(rank_path, copied)
    (copied / "settings.json").write_text(json.dumps(settings))
    ranking = json.loads((rank_path / "ranking.json").read_text())
    (copied / "ranking.json").write_text(json.dumps({**ranking, "stage": stage}))
    (copied / "record.json").write_text(json.dumps({"attempts": [{"started": started}]}))
    return copied


def test_a_trial_of_two_stages_belongs_to_both_rankings(stages):
    later = again_as(stages, stages.stage3, "stage2", started=1.7e9)
    link_trials(stages.runs_path, later)
    link_trials(stages.runs_path, stages.stage3)
    trials = find_view(stages.runs_path, "codet5p_220m_final_sweep_")
    assert {trial.rank for trial in trials} == {stages.stage3}  # what was linked last
    found = by_ranking(stages.runs_path, trials)
    assert list(found) == [later, stages.stage3]
    for rank_path, own in found.items():
        assert [(each.label, each.rank) for each in own] == [(each.label, rank_path) for each in trials]


def test_of_one_stage_a_ranking_is_left_out_where_a_later_one_has_all_its_trials(stages):
    link_trials(stages.runs_path, stages.stage4)
    trials = find_view(stages.runs_path, "codet5p_220m_champion_")
    again = again_as(stages, stages.stage4, "stage4")
    assert list(by_ranking(stages.runs_path, trials)) == [again]
    part = again_as(stages, stages.stage4, "stage4", only=stages.champion, started=2e9)
    found = by_ranking(stages.runs_path, trials)
    assert {path: len(own) for path, own in found.items()} == {again: 6, part: 1}


def test_a_copied_run_root_leads_into_itself(stages, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(stages.runs_path, copy)
    assert under_root(copy, stages.stage4) == copy / stages.stage4.relative_to(stages.runs_path)
    assert under_root(tmp_path / "empty", stages.stage4) == stages.stage4
    folders = link_trials(copy, copy / stages.stage4.relative_to(stages.runs_path))
    assert all((folder / "best_model").resolve().is_relative_to(copy) for folder in folders.values())


def test_the_sets_are_those_that_the_evaluation_wrote(stages):
    written = stages.evaluation / "sets" / stages.champion
    shutil.copytree(written / "chef", written / "terraform")
    link_trials(stages.runs_path, stages.stage4)
    link_evaluation(stages.runs_path, stages.evaluation, {stages.champion: stages.champion})
    (trial,) = find_view(stages.runs_path, stages.champion)
    assert set(trial.evaluation) == {"ansible", "chef", "combined", "puppet", "terraform", "valid"}
    assert trial.evaluate == stages.evaluation
    assert trial.name.model == "codet5p_220m"
    assert stages.champion.startswith(trial.name.configuration.replace("220m_", "220m_champion_"))


def test_a_link_that_points_elsewhere_is_replaced_and_what_was_begun_is_not_found(stages):
    folder = link_trials(stages.runs_path, stages.stage4)[stages.champion]
    link = folder / "best_model"
    link.unlink()
    assert stages.champion not in [trial.trial for trial in find_view(stages.runs_path, "")]
    link.symlink_to("nowhere")
    link_trials(stages.runs_path, stages.stage4)
    assert link.resolve() == stages.trial(stages.champion) / "best_model"


@pytest.mark.parametrize("at", ["best_model", "config_used.yaml"])
def test_a_file_of_a_person_is_refused_and_kept(at, stages):
    folder = link_trials(stages.runs_path, stages.stage4)[stages.champion]
    (folder / at).unlink()
    (folder / at).write_text("mine")
    with pytest.raises(DataInvalid, match=f"{at}: a file that is no link"):
        link_trials(stages.runs_path, stages.stage4)
    assert (folder / at).read_text() == "mine"


def test_a_file_where_a_folder_should_be_is_refused_and_kept(stages):
    (stages.runs_path / "encoder").write_text("mine")
    with pytest.raises(DataInvalid, match="a file lies where a folder of links should"):
        link_trials(stages.runs_path, stages.stage4)
    assert (stages.runs_path / "encoder").read_text() == "mine"


def test_what_cannot_be_linked_or_followed_is_said_with_its_place(stages):
    with pytest.raises(DataInvalid, match=r"did not evaluate 'other'; it evaluated codet5p_220m_champion"):
        link_evaluation(stages.runs_path, stages.evaluation, {"other": "other"})
    with pytest.raises(DataInvalid, match=r"settings\.json: no such file"):
        link_trials(stages.runs_path, stages.runs_path)
    link_trials(stages.runs_path, stages.stage4)
    shutil.rmtree(stages.trial(stages.champion))
    with pytest.raises(DataInvalid, match=r"best_model: a link that leads nowhere: its run was deleted"):
        find_view(stages.runs_path, "codet5p")
    with pytest.raises(DataInvalid, match=r"best_model: no such file or folder"):
        link_trials(stages.runs_path, stages.stage4)
