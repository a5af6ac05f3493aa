"""A champion frozen from hand-made stages: the same bytes always, and no stored byte can change unnoticed."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path

import pytest

from models.errors import DataInvalid, ObjectCorrupt
from models.jobs.build import build_of
from models.jobs.registry import parse_job
from models.store.manifest import digest_file, write_manifest
from models.store.pointers import local_pointers, read_pointer, resolve_pointer
from models.store.sealed import seal, unseal
from tasks.champion import freeze_champion, main
from tasks.champion_checks import Check
from tasks.champion_retraining import retrain
from tasks.launchers.local import LocalProcess


@pytest.fixture
def frozen(stages):
    return freeze_champion(stages.runs_path, ranking=stages.stage4, evaluation=stages.evaluation)


@pytest.fixture
def verify(stages, frozen, capsys):
    """Verifies through the program; gives the exit code, the names of failing checks and all that was printed."""

    def call(*arguments, path=None):
        code = main(["verify", str(path or frozen.path), "--runs", str(stages.runs_path), *arguments])
        captured = capsys.readouterr()
        lines = captured.out.splitlines()
        return code, [line.partition(": ")[0][6:] for line in lines if line.startswith("FAIL")], lines, captured.err

    return call


def body_of(frozen):
    return unseal("champion", frozen.path.read_bytes())


def test_what_is_frozen_names_who_how_and_with_what(stages, frozen):
    body = body_of(frozen)
    assert frozen.path == stages.runs_path / "champions" / body["name"] / "champion.json"
    assert (body["trial"], body["configuration"]) == (stages.champion, "codet5p_220m_lr2e-5_bs8_ep3_wd0.01")
    assert body["seed"] == int(stages.champion[-2:])
    assert body["hyperparameters"]["model"]["learning_rate"] == 2e-5
    assert body["threshold"]["value"] == stages.THRESHOLD
    assert body["threshold"]["source"]["ranking_sha256"] == digest_file(stages.stage3 / "ranking.json").sha256
    assert body["weights"]["best_model/model.safetensors"]["sha256"] == (
        digest_file(stages.trial(stages.champion) / "best_model" / "model.safetensors").sha256
    )
    assert [entry["f1_by_seed"].keys() for entry in body["chosen"]["candidates"]] == [{"41", "42", "43"}] * 2
    assert body["chosen"]["probability_beats_runner_up"] == 0.71
    assert list(body["test"]) == ["ansible", "chef", "combined", "puppet"]
    for measured in (body["validation"], *body["test"].values()):
        roles = {system["role"] for system in measured["systems"].values()}
        assert roles == {"champion", "runner_up", "baseline"}
        assert {"value", "low", "high"} <= measured["systems"][stages.champion]["metrics"]["f1"].keys()
    assert set(body["runs"]) == {"data", "train", "rank", "predict", "evaluate"}
    purposes = {opening["purpose"] for opening in body["openings"]}
    assert purposes == {f"stage 4: final measurement ({role})" for role in ("champion", "runner-up")}


def test_no_date_path_or_host_is_in_it(stages, frozen):
    text = frozen.path.read_text()
    for word in (
        str(stages.runs_path),
        "20260102",
        socket.gethostname(),
        "attempt",
        "started",
        "time_seconds",
        "/rank/",
    ):
        assert word not in text


def test_freezing_again_gives_the_same_bytes_whatever_was_opened_since(stages, frozen):
    before = frozen.path.read_bytes()
    stages.open_test("stage 4: final measurement (champion)", "c" * 64, attempt=2)
    again = freeze_champion(stages.runs_path, ranking=stages.stage4, evaluation=stages.evaluation)
    assert again == frozen
    assert again.path.read_bytes() == before


def test_an_attempt_that_was_killed_and_repeated_is_one_opening(stages, tmp_path):
    log = stages.runs_path / "openings.jsonl"
    twice = [json.loads(line) for line in log.read_text().splitlines() for _ in range(2)]
    freeze_champion(stages.runs_path, ranking=stages.stage4, evaluation=stages.evaluation)
    (first,) = stages.runs_path.glob("champions/*/champion.json")
    content = first.read_bytes()
    shutil.rmtree(first.parent)
    for number, opening in enumerate(twice):
        opening |= {"attempt": number, "time_seconds": 1e9 - number}
    log.write_text("".join(json.dumps(opening) + "\n" for opening in reversed(twice)))
    freeze_champion(stages.runs_path, ranking=stages.stage4, evaluation=stages.evaluation)
    assert first.read_bytes() == content


def test_the_pointer_leads_to_the_training_of_the_champion(stages, frozen):
    assert frozen.pointer == "codet5p_220m_champion_latest"
    assert resolve_pointer(stages.runs_path, frozen.pointer) == stages.trial(stages.champion)
    facts = read_pointer(local_pointers(stages.runs_path), frozen.pointer).facts
    assert facts["champion_sha256"] == digest_file(frozen.path).sha256
    assert facts["threshold"] == stages.THRESHOLD


def test_a_champion_that_was_not_tampered_with_holds_anywhere(stages, verify, frozen, tmp_path, capsys):
    code, failed, lines, _ = verify()
    assert (code, failed) == (0, [])
    assert lines[-1] == f"all {len(lines) - 1} checks hold"
    moved = stages.runs_path.rename(tmp_path / "moved")
    place = moved / frozen.path.relative_to(stages.runs_path)
    assert main(["verify", str(place), "--runs", str(moved)]) == 0
    assert main(["verify", str(place.parent), "--runs", str(moved)]) == 0
    capsys.readouterr()


def test_a_later_opening_is_no_fault_of_the_champion_and_a_lost_one_is(stages, verify):
    stages.open_test("another model", "d" * 64)
    assert verify()[0] == 0
    (stages.runs_path / "openings.jsonl").write_text("")
    assert verify()[:2] == (1, ["openings of this test set are in the log"])


STORED = {
    "a weight": ("champion", "best_model/model.safetensors"),
    "a validation prediction": ("champion", "predictions_valid.jsonl"),
    "a prediction of another trial": ("other", "predictions_valid.jsonl"),
    "a test prediction": ("predict", "predictions_test.jsonl"),
    "a record": ("data", "test.jsonl"),
    "the ranking": ("rank", "ranking.json"),
    "the evaluation": ("evaluate", "evaluation.json"),
    "the frozen threshold": ("rank", "trials/{label}/threshold_sweep_results.json"),
    "the settings that decided": ("champion", "question.json"),
    "the build": ("champion", "build.json"),
    "a manifest": ("champion", "manifest.json"),
    "the ranking of stage 3": ("stage3", "ranking.json"),
}


@pytest.mark.parametrize("what", STORED)
def test_a_changed_byte_fails(what, stages, verify):
    run, name = STORED[what]
    path = run_of(stages, run) / name.format(label=stages.champion)
    text = path.read_text()
    digit = next(at for at in reversed(range(len(text))) if text[at].isdigit())
    path.write_text(text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :])
    code, failed, _, error = verify()
    assert code == 1
    assert failed
    assert error.startswith("ChampionRefuted: ")
    assert error.count("\n") == 1


def run_of(stages, name):
    """Directory of one of the runs that the champion rests on."""
    settings = json.loads((stages.evaluation / "settings.json").read_text())
    labels = json.loads((stages.stage4 / "settings.json").read_text())["trials"]
    other = next(label for label in labels if label not in (stages.champion, stages.runner_up))
    return {
        "champion": stages.trial(stages.champion),
        "other": stages.trial(other),
        "predict": Path(settings["predictions"][stages.champion]),
        "data": stages.data,
        "rank": stages.stage4,
        "stage3": stages.stage3,
        "evaluate": stages.evaluation,
    }[name]


def test_a_prediction_that_was_changed_with_its_manifest_fails_by_the_numbers_too(stages, frozen, verify):
    """Someone who makes every digest anew still cannot make the numbers hold."""
    run_path = run_of(stages, "predict")
    body = body_of(frozen)
    path = run_path / "predictions_test.jsonl"
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**e, "probability": 1 - e["probability"]}) + "\n" for e in entries))
    manifest = json.loads((run_path / "manifest.json").read_text())
    keys = {name: manifest[name] for name in ("kind", "run_key", "build_key")}
    write_manifest(run_path, manifest["files"], **keys)
    body["runs"]["predict"]["champion"]["manifest_sha256"] = digest_file(run_path / "manifest.json").sha256
    frozen.path.write_bytes(seal(body))
    code, failed, _, _ = verify()
    assert code == 1
    assert "metrics of champion on test combined from predictions" in failed
    assert "evaluation read these predictions" in failed


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        (lambda body: body["threshold"].update(value=0.5), "threshold as the runs say"),
        (lambda body: body.update(seed=99), "seed as the runs say"),
        (lambda body: body["test"]["chef"].update(num_records=1), "test as the runs say"),
        (lambda body: body["hyperparameters"].update(seed=99), "hyperparameters as the runs say"),
        (lambda body: body["code"]["libraries"].update(numpy="1.0"), "code as the runs say"),
        (lambda body: body["chosen"]["candidates"].pop(), "chosen as the runs say"),
        (lambda body: body["runs"].pop("train"), "runs found by their keys, manifests as frozen"),
    ],
)
def test_a_claim_that_was_changed_and_sealed_anew_fails(change, failed, frozen, verify):
    body = body_of(frozen)
    change(body)
    frozen.path.write_bytes(seal(body))
    code, names, _, _ = verify()
    assert code == 1
    assert failed in names


def test_a_changed_champion_is_not_believed_at_all(frozen, verify):
    frozen.path.write_text(frozen.path.read_text().replace("0.47", "0.46"))
    code, _, lines, error = verify()
    assert (code, lines) == (1, [])
    assert "is damaged" in error


def test_a_missing_champion_or_run_is_said(stages, frozen, verify):
    assert verify(path=frozen.path.with_name("other.json"))[0] == 2
    shutil.rmtree(stages.trial(stages.runner_up))
    code, failed, lines, _ = verify()
    assert (code, failed, "train run" in lines[-1]) == (1, ["runs found by their keys, manifests as frozen"], True)


TRAINS = """
import json, sys
from pathlib import Path
from models.store.manifest import write_manifest
run_path = Path(sys.argv[sys.argv.index("--run-dir") + 1])
settings = json.loads(Path(sys.argv[1]).read_text())
(run_path / "best_model").mkdir()
weights = f"weights of {settings['model']['learning_rate']} and {settings['seed'] + OFFSET}"
(run_path / "best_model" / "model.safetensors").write_text(weights)
(run_path / "best_model" / "config.json").write_text("{}")
names = ["best_model/model.safetensors", "best_model/config.json"]
write_manifest(run_path, names, kind="train", run_key="a" * 64, build_key="b" * 64)
(run_path / "outcome.json").write_text(json.dumps({"outcome": "done", "message": "done"}))
"""


@pytest.mark.parametrize("same_build", [True, False])
@pytest.mark.parametrize("offset", [0, 1])
def test_retraining_compares_the_weights_and_says_by_which_build(offset, same_build, stages, frozen, tmp_path):
    script, train_path = tmp_path / "train.py", stages.trial(stages.champion)
    script.write_text(TRAINS.replace("OFFSET", str(offset)))
    if same_build:
        build = build_of(parse_job((train_path / "settings.json").read_bytes()))
        (train_path / "build.json").write_text(json.dumps(build.to_json()))

    def launcher_of(runs_path):
        return LocalProcess(runs_path, [sys.executable, str(script)])

    said, config, weights = retrain(body_of(frozen), stages.runs_path, tmp_path / "scratch", launcher_of)
    assert ("the same build" in said.name) == same_build
    assert ("another build (models/__init__.py changed" in said.name) != same_build
    assert config == Check("retrained best_model/config.json is equal, byte for byte")
    assert (weights.problem is None) == (offset == 0)
    assert offset == 0 or ("another build" in weights.problem) != same_build


def test_the_program_shows_the_choice_and_changes_nothing(stages, capsys):
    before = sorted(stages.runs_path.rglob("*"))
    assert main(["--select-only", "--runs", str(stages.runs_path)]) == 0
    text = capsys.readouterr().out
    assert "Cannot be told apart from the best: codet5p_220m_lr2e-5" in text
    assert f"Champion: {stages.champion} at threshold 0.47" in text
    assert "71% of resamples" in " ".join(text.split())
    assert str(stages.stage4) in text
    assert sorted(stages.runs_path.rglob("*")) == before
    assert main(["--select-only", "--ranking", str(stages.stage3), "--runs", "nowhere"]) == 0
    capsys.readouterr()


def test_the_program_freezes_what_the_flow_would(stages, capsys):
    assert main(["--freeze-only", "--runs", str(stages.runs_path)]) == 0
    (path,) = stages.runs_path.glob("champions/*/champion.json")
    assert capsys.readouterr().out.startswith(f"frozen: {stages.champion} as {path}\n")
    content = path.read_bytes()
    frozen = freeze_champion(stages.runs_path, ranking=stages.stage4, evaluation=stages.evaluation)
    assert frozen.path == path
    assert path.read_bytes() == content


def test_an_evaluation_that_opened_the_test_is_preferred(stages, capsys):
    stages.evaluate([stages.champion, stages.runner_up], open_test=False)
    assert main(["--freeze-only", "--runs", str(stages.runs_path)]) == 0
    (path,) = stages.runs_path.glob("champions/*/champion.json")
    assert unseal("x", path.read_bytes())["test"]
    capsys.readouterr()


def test_a_champion_may_be_frozen_while_the_test_is_sealed(stages, capsys):
    shutil.rmtree(stages.runs_path / "evaluate")
    evaluation = stages.evaluate([stages.champion, stages.runner_up], open_test=False)
    frozen = freeze_champion(stages.runs_path, ranking=stages.stage4, evaluation=evaluation)
    assert body_of(frozen)["test"] == {}
    assert main(["verify", str(frozen.path), "--runs", str(stages.runs_path)]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda s: shutil.rmtree(s.runs_path / "rank"), "no finished ranking of stage 4"),
        (lambda s: shutil.rmtree(s.runs_path / "evaluate"), "were not evaluated together"),
        (lambda s: (s.evaluation / "manifest.json").unlink(), "were not evaluated together"),
        (lambda s: shutil.rmtree(s.trial(s.champion)), "a ranked training run is not there"),
        (lambda s: (s.data / "train.jsonl").write_text(""), "is damaged"),
        (lambda s: (s.stage4 / "trials" / s.champion / "threshold_sweep_results.json").unlink(), "no object"),
    ],
)
def test_what_is_missing_for_a_freeze_is_said_in_one_line(spoil, says, stages, capsys):
    spoil(stages)
    assert main(["--freeze-only", "--runs", str(stages.runs_path)]) in (1, 2)
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not (stages.runs_path / "champions").exists()


def test_a_threshold_that_was_tuned_in_this_ranking_is_not_frozen(stages):
    with pytest.raises(DataInvalid, match=r"not frozen by .*stage3"):
        freeze_champion(stages.runs_path, ranking=stages.stage3, evaluation=stages.evaluation)


def test_finalists_that_were_not_evaluated_are_named(stages):
    alone = stages.evaluate([stages.champion])
    with pytest.raises(DataInvalid, match=f"{stages.runner_up} was not evaluated"):
        freeze_champion(stages.runs_path, ranking=stages.stage4, evaluation=alone)


def test_what_was_frozen_is_never_replaced_by_something_else(stages, frozen):
    body = body_of(frozen)
    frozen.path.write_bytes(seal({**body, "seed": 99}))
    with pytest.raises(ObjectCorrupt, match="something else; move it away"):
        freeze_champion(stages.runs_path, ranking=stages.stage4, evaluation=stages.evaluation)


def test_the_two_modes_exclude_each_other(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--select-only", "--freeze-only"])
    assert ended.value.code == 2
    assert "exclude each other" in capsys.readouterr().err
