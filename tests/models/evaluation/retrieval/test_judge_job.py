"""The judge job: by hand and by every order, seeds, baselines, what filtering keeps, scores of other lists refused."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from models.data.retrieval.candidate_lists import CandidateList
from models.errors import DataInvalid, Interrupted, SettingsInvalid
from models.evaluation.retrieval.judging import run
from models.evaluation.retrieval.kept_share import kept
from models.evaluation.retrieval.list_scores import score_row
from models.settings.retrieval import JudgeSettings
from models.store.manifest import write_manifest
from models.store.openings import read_openings


@pytest.fixture
def judge(run_job):
    def call(lists, systems=None, *, stop=False, **settings):
        told = {name: {"title": name, "scores": scores} for name, scores in (systems or {}).items()}
        document = {"lists": lists, "systems": told, "num_resamples": 300, "baselines": ("random",), **settings}
        run_path, result = run_job(run, JudgeSettings.model_validate(document), stop=stop)
        assert result.files == ("judgement.json",)
        return json.loads((run_path / "judgement.json").read_text())

    return call


@pytest.fixture
def write_scores(tmp_path):
    """Writes a score run: of each list the scores that ``of`` gives it."""
    number = itertools.count()

    def write(lists, of):
        folder = tmp_path / f"score-{next(number)}"
        folder.mkdir()
        rows = [score_row(entry, [float(value) for value in of(entry)]) for entry in lists]
        (folder / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        write_manifest(folder, ["scores.jsonl"], kind="score", run_key="r" * 64, build_key="b" * 64)
        return folder

    return write


def skilled(seed, skill=1.0):
    random = np.random.default_rng(seed)
    return lambda entry: np.array(entry.relevant) * skill + random.standard_normal(len(entry.relevant))


def retrieved(name, relevant, num_relevant, cosines=None):
    ids = tuple(f"{name}-{at}" for at in range(len(relevant)))
    features = tuple((value,) for value in cosines or np.linspace(0.9, 0.1, len(relevant)).tolist())
    return CandidateList(name, f"group-{name}", name, ids, relevant, features, num_relevant, "test")


def test_the_first_stage_by_hand(judge, write_lists):
    lists = [
        retrieved("a", (0, 1, 0), 2),
        retrieved("b", (1, 0, 0), 1),
        retrieved("c", (0, 0, 0), 1),
        retrieved("d", (1, 1, 1), 3),
    ]
    document = judge([write_lists(lists)], baselines=("first_stage", "random"))
    assert (document["num_lists"], document["num_judged"]) == (4, 2)
    assert (document["num_all_right"], document["num_all_wrong"]) == (1, 1)
    told = document["baselines"]["first_stage"]
    assert told["metrics"]["mrr"]["value"] == pytest.approx((1 / 2 + 1) / 2)
    assert told["metrics"]["map"]["value"] == pytest.approx((1 / 4 + 1) / 2)
    assert told["metrics"]["recall@5"]["value"] == pytest.approx((1 / 2 + 1) / 2)
    assert told["over_all_lists"]["mrr"] == pytest.approx((1 / 2 + 1 + 0 + 1) / 4)
    assert document["recall_ceiling"] == pytest.approx((1 / 2 + 1 + 0 + 1) / 4)
    # One right of three at 1, 2 or 3.
    assert document["baselines"]["random"]["metrics"]["mrr"]["value"] == pytest.approx(
        (1 + 1 / 2 + 1 / 3) / 3, abs=1e-6
    )


def test_equal_scores_count_against_a_system_and_by_their_mean_for_a_baseline(judge, write_lists, write_scores):
    lists = [retrieved(str(at), (1, 0), 1, cosines=[0.5, 0.5]) for at in range(3)]
    system = write_scores(lists, lambda entry: [7.0, 7.0])
    document = judge([write_lists(lists)], {"flat": {"1": [system]}}, baselines=("first_stage", "random"))
    assert document["systems"]["flat"]["metrics"]["top1"]["value"] == 0.0
    assert document["baselines"]["first_stage"]["metrics"]["top1"]["value"] == 0.5
    assert document["baselines"]["random"]["metrics"]["top1"]["value"] == 0.5


def test_size_puts_the_smaller_edit_first(judge, write_lists, patch_lists):
    lists = patch_lists("A", 30)
    document = judge([write_lists(lists)], baselines=("size", "random"))
    mixed = [entry for entry in lists if entry.is_mixed]
    first = [min(zip(entry.features, entry.relevant, strict=True))[1] for entry in mixed]
    ties = sum(len({row[0] for row in entry.features}) < 6 for entry in mixed)
    found = document["baselines"]["size"]["metrics"]["top1"]["value"]
    assert found == pytest.approx(np.mean(first), abs=ties / len(mixed))
    assert found > document["baselines"]["random"]["metrics"]["top1"]["value"]


def test_a_good_system_is_shown_to_be_better_and_a_bad_one_is_not(judge, write_lists, write_scores, patch_lists):
    lists = [*patch_lists("A", 40, skill=0), *patch_lists("B", 40, seed=1, skill=0)]
    systems = {
        "good": {str(seed): [write_scores(lists, skilled(seed, 3.0))] for seed in (1, 2, 3)},
        "idle": {str(seed): [write_scores(lists, skilled(seed, 0.0))] for seed in (1, 2, 3)},
    }
    document = judge([write_lists(lists)], systems, baselines=("size", "random"), num_resamples=2000)
    shown = {(row["first"], row["second"], row["metric"]): row["shown"] for row in document["comparisons"]}
    assert len(shown) == 5 * 3
    assert shown["good", "random", "mrr"]
    assert shown["good", "idle", "mrr"]
    assert not shown["idle", "random", "mrr"]
    assert any(verdict.startswith("No difference is shown between idle and random") for verdict in document["verdicts"])
    good = document["systems"]["good"]
    assert good["metrics"]["mrr"]["value"] == pytest.approx(np.mean(list(good["metrics"]["mrr"]["by_seed"].values())))
    assert good["metrics"]["mrr"]["low"] < good["metrics"]["mrr"]["value"] < good["metrics"]["mrr"]["high"]
    assert set(good["by_split"]) == {"A", "B"}
    assert sum(told["num_lists"] for told in good["by_split"].values()) == document["num_judged"] == 78
    assert good["kept"]["value"] > 0.8
    assert document["baselines"]["random"]["kept"]["value"] == pytest.approx(0.2)


def test_projects_are_drawn_whole_beside_bugs(judge, write_lists, write_scores, patch_lists):
    """A system that is right in two projects and wrong in a third: bugs say little of a fourth."""
    projects = {name: patch_lists(name, 40, seed=at) for at, name in enumerate("ABC")}
    lists = [entry for own in projects.values() for entry in own]
    runs = [write_scores(lists, lambda entry: np.array(entry.relevant) * (-1.0 if entry.split == "C" else 1.0))]
    document = judge([write_lists(lists)], {"system": {"1": runs}})
    told = document["systems"]["system"]
    bugs, whole = told["metrics"]["top1"], told["over_projects"]["top1"]
    assert whole["value"] == bugs["value"]
    assert whole["low"] <= 0.34 < bugs["low"]
    assert whole["high"] == 1.0
    assert 0.5 < bugs["low"] < bugs["high"] < 0.8
    assert "over_projects" in document["definitions"]
    assert any("of 3 projects 3 could be judged, a new project may differ more" in w for w in document["warnings"])


def test_enough_projects_are_not_warned_of_and_one_has_no_interval(judge, write_lists, patch_lists):
    many = [entry for at, name in enumerate("ABCDE") for entry in patch_lists(name, 4, seed=at)]
    assert not any("a new project" in told for told in judge([write_lists(many)])["warnings"])
    one = judge([write_lists(patch_lists("A", 4))])
    assert one["baselines"]["random"]["over_projects"]["mrr"]["low"] is None
    assert any("of 1 projects 1 could be judged" in told for told in one["warnings"])
    texts = judge([write_lists([retrieved("a", (0, 1), 1), retrieved("b", (1, 0), 1)])])
    assert "over_projects" not in texts["baselines"]["random"]
    assert not any("project" in told for told in texts["warnings"])


@pytest.mark.parametrize(("learnt", "said"), [(True, "learnt from the edits of all projects"), (False, None)])
def test_what_the_tokenizer_was_learnt_from_is_noted(judge, write_lists, patch_lists, tmp_path, learnt, said):
    path = write_lists(patch_lists("A", 4), "projects/A/held_out.jsonl")
    assert "is not known" in judge([path])["notes"][0]
    metadata = {"tokenizer_learnt_from_held_out_edits": learnt}
    (tmp_path / "candidates_metadata.json").write_text(json.dumps(metadata))
    notes = judge([path])["notes"]
    assert len(notes) == bool(said)
    assert not said or said in notes[0]
    assert judge([write_lists([retrieved("a", (0, 1), 1)], "projects/A/found.jsonl")])["notes"] == []


def test_scores_may_come_in_parts_and_in_any_order(judge, write_lists, write_scores, patch_lists):
    first, second = patch_lists("A", 8), patch_lists("B", 8, seed=1)
    paths = [write_lists(first, "a.jsonl"), write_lists(second, "b.jsonl")]
    scores = {entry.list_id: skilled(at)(entry) for at, entry in enumerate([*first, *second])}
    whole = write_scores([*first, *second], lambda entry: scores[entry.list_id])
    parts = [write_scores(own[::-1], lambda entry: scores[entry.list_id]) for own in (second, first)]
    one, other = (judge(paths, {"system": {"1": runs}}) for runs in ([whole], parts))
    assert one == other


def test_systems_of_other_seeds_are_not_paired_and_a_run_given_twice_is_told(
    judge, write_lists, write_scores, patch_lists
):
    lists = patch_lists("A", 12)
    runs = [write_scores(lists, skilled(seed)) for seed in range(3)]
    systems = {"one": {"1": [runs[0]], "2": [runs[0]]}, "other": {"1": [runs[1]], "3": [runs[2]]}}
    document = judge([write_lists(lists)], systems)
    assert {(row["first"], row["second"]) for row in document["comparisons"]} == {
        ("one", "random"),
        ("other", "random"),
    }
    told = "\n".join(document["warnings"])
    assert "one and other have different seeds" in told
    assert "seeds 1 and 2 of one scored all alike" in told


def test_openings_of_the_lists_are_logged_before_they_are_read(judge, tmp_path):
    (tmp_path / "bad.jsonl").write_text("damaged\n")
    with pytest.raises(DataInvalid, match="no list"):
        judge([tmp_path / "bad.jsonl"])
    (opening,) = read_openings(tmp_path / "root")
    assert opening.purpose == "judging orders: random"


def test_equal_input_gives_equal_judgements(judge, write_lists, write_scores, patch_lists):
    lists = patch_lists("A", 12)
    path, runs = write_lists(lists), [write_scores(lists, skilled(1))]
    assert judge([path], {"system": {"1": runs}}) == judge([path], {"system": {"1": runs}})


@pytest.fixture
def refused(judge, write_lists, write_scores, patch_lists):
    """Judges scores of lists that were changed first."""

    def call(change):
        lists = patch_lists("A", 6)
        run_path = write_scores(change(lists), skilled(1))
        return judge([write_lists(lists)], {"system": {"1": [run_path]}})

    return call


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lists: lists[1:], "no run scores list A/0 .1 of 6 are missing"),
        (lambda lists: [*lists, lists[0]], "list A/0 is scored twice"),
        (lambda lists: [*lists[1:], lists[0]._replace(list_id="Z/9")], "list Z/9 is not judged"),
        (lambda lists: [lists[0]._replace(candidates=lists[0].candidates[::-1]), *lists[1:]], "other candidates"),
        (lambda lists: [lists[0]._replace(relevant=(0,) * 6), *lists[1:]], "other candidates or labels"),
    ],
)
def test_scores_of_other_lists_are_refused(refused, change, said):
    with pytest.raises(DataInvalid, match=said):
        refused(change)


@pytest.mark.parametrize("scores", [[1.0] * 5, [1.0] * 5 + [float("nan")], "high"])
def test_scores_that_are_none_are_refused(judge, write_lists, patch_lists, tmp_path, scores):
    lists = patch_lists("A", 1) + patch_lists("B", 3)
    rows = [score_row(entry, scores) for entry in lists]
    (tmp_path / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataInvalid, match="no scores"):
        judge([write_lists(lists)], {"system": {"1": [tmp_path]}})


def test_scores_that_were_changed_after_their_run_are_refused(judge, write_lists, write_scores, patch_lists):
    lists = patch_lists("A", 6)
    run_path = write_scores(lists, skilled(1))
    content = (run_path / "scores.jsonl").read_text()
    (run_path / "scores.jsonl").write_text(content + "\n")
    with pytest.raises(DataInvalid, match="not as its run wrote it"):
        judge([write_lists(lists)], {"system": {"1": [run_path]}})


def test_lists_that_cannot_be_judged_together_are_refused(judge, write_lists, patch_lists):
    patches, texts = patch_lists("A", 3), [retrieved("a", (0, 1), 1)]
    both = [write_lists(patches, "a.jsonl"), write_lists(texts, "b.jsonl")]
    with pytest.raises(DataInvalid, match="judge them apart"):
        judge(both)
    with pytest.raises(DataInvalid, match="give each list once"):
        judge([both[0], both[0]])
    with pytest.raises(DataInvalid, match="num_relevant is less"):
        judge([write_lists([retrieved("a", (0, 1), 0)], "c.jsonl")])
    with pytest.raises(DataInvalid, match="no list has both"):
        judge([write_lists([retrieved("a", (1, 1), 2)], "d.jsonl")])


def test_baselines_that_do_not_fit_are_refused(judge, write_lists, write_scores, patch_lists):
    patches = patch_lists("A", 3)
    with pytest.raises(SettingsInvalid, match="first_stage is of lists with a query"):
        judge([write_lists(patches, "a.jsonl")], baselines=("first_stage",))
    with pytest.raises(SettingsInvalid, match="size is of patches"):
        judge([write_lists([retrieved("a", (0, 1), 1)], "b.jsonl")], baselines=("size",))
    with pytest.raises(SettingsInvalid, match="is the name of a baseline"):
        judge([write_lists(patches, "a.jsonl")], {"random": {"1": [write_scores(patches, skilled(1))]}})


def test_asked_to_stop_it_leaves_nothing(judge, write_lists, patch_lists, tmp_path):
    with pytest.raises(Interrupted):
        judge([write_lists(patch_lists("A", 3))], stop=True)
    assert not list((tmp_path / "jobs").rglob("judgement.json"))


def test_what_is_kept_by_hand():
    wrong, right = np.arange(10.0), np.array([9.5, 7.5, 7.0, 8.0])
    scores = np.concatenate([wrong, right])
    relevant = np.arange(14) >= 10
    # Eight of ten wrong ones, 0 to 7, are thrown away, and what scores as the last of them.
    assert kept(scores, relevant, ["x"] * 14).tolist() == [1.0, 1.0, 0.0, 1.0]


def test_equal_scores_keep_what_is_not_thrown_away_and_each_split_has_its_own_cut():
    relevant = np.array([True, False, False, True, False])
    values = kept(np.array([5.0, 5.0, 5.0, -1.0, -2.0]), relevant, ["a", "a", "a", "b", "b"])
    assert values == pytest.approx([0.2, 1.0])
    assert np.isnan(kept(np.array([1.0]), np.array([True]), ["a"])).all()
