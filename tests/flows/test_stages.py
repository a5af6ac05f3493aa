"""The stages one by one: their files, what they refuse before anything is trained, what one failed trial does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from flows.evaluation import EvaluationSettings
from flows.pipeline import PipelineSettings, stage_of
from flows.pipeline import main as pipeline_main
from flows.stage1 import Stage1Settings, stage1_broad
from flows.stage1 import main as stage1_main
from flows.stage2 import Stage2Settings
from flows.stage3 import Stage3Settings
from flows.stage4 import Stage4Settings, stage4_champion
from models.errors import JobRefused, SettingsInvalid, TooManyTrialsFailed
from models.settings.documents import load_settings
from models.settings.rank import Keep
from models.settings.selection import SelectedConfiguration, Selection
from models.settings.text_encoder import PINNED_REVISIONS
from tasks.sweep_plan import plan_sweep
from tasks.trials import Trial, expand

ROOT = Path(__file__).resolve().parents[2]
CLASSES = {"stage1": Stage1Settings, "stage2": Stage2Settings, "stage3": Stage3Settings, "stage4": Stage4Settings}
CONFIGS = sorted(path for path in (ROOT / "configs/encoder").glob("stage*.yaml"))
NUM_TRIALS = {"stage1": 40, "stage2": 14, "stage3": 6, "stage4": 5}


def settings_in(path: Path):
    return load_settings(CLASSES[path.stem[:6]], path)


@pytest.mark.usefixtures("no_hub_cache")
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_each_file_says_a_whole_grid(path):
    settings = settings_in(path)
    plan = plan_sweep(settings)
    small = path.stem.endswith("_small")
    assert small or len(plan.trials) == NUM_TRIALS[path.stem[:6]]
    for trial in plan.trials:
        assert trial.settings.schedule == "cosine"
        assert (trial.settings.pretrained == "off") == small
        assert trial.settings.early_stopping_delta == 0.001
        assert 4 <= trial.settings.batch_size <= 32
        if not small:
            assert trial.settings.warmup_steps == 500
            assert trial.settings.early_stopping_patience == 2
            assert trial.settings.gradient_checkpointing == ("770m" in trial.model)
    assert bool(plan.missing) != small
    assert settings.slots * settings.compute.num_threads <= 2


@pytest.mark.parametrize("small", ["", "_small"])
def test_stage_2_has_a_grid_for_whatever_stage_1_may_select(small, tmp_path):
    broad = load_settings(Stage1Settings, ROOT / f"configs/encoder/stage1_batch_training{small}.yaml")
    focused = load_settings(Stage2Settings, ROOT / f"configs/encoder/stage2_batch_training_220m_770m{small}.yaml")
    final = load_settings(Stage3Settings, ROOT / f"configs/encoder/stage3_final_sweep_220m{small}.yaml")
    for trial in expand(broad, None).trials:
        for stage, by in ((focused, "family"), (final, "model")):
            tried = expand(stage, selection_of(trial, by)).trials
            assert {found.family for found in tried} == {trial.family}
            assert len(tried) >= 2


def selection_of(trial: Trial, by: str) -> Selection:
    entry = SelectedConfiguration(
        rank=1,
        family=trial.family,
        model=trial.model,
        configuration=trial.configuration,
        settings=trial.settings,
        f1=0.5,
        threshold=0.5,
        run_key="0" * 64,
    )
    digests = {name: "0" * 64 for name in Selection.model_fields if name.endswith("sha256")}
    return Selection(stage="before", keep=Keep(by=by), selected=(entry,), **digests)


def test_each_file_has_a_small_one_with_as_many_models():
    large = [path for path in CONFIGS if not path.stem.endswith("_small")]
    assert [path.stem[:6] for path in large] == list(CLASSES)
    for path in large:
        small = settings_in(path.with_stem(f"{path.stem}_small"))
        assert [name.removesuffix("_tiny") for name in small.models] == list(settings_in(path).models)
        assert [c.family for c in small.models.values()] == [c.family for c in settings_in(path).models.values()]


def test_the_models_are_those_of_the_seed():
    backbones = {c.settings.backbone for path in CONFIGS[::2] for c in settings_in(path).models.values()}
    assert backbones >= {"microsoft/codebert-base", "Salesforce/codet5-small", "Salesforce/codet5p-770m"}
    assert set(PINNED_REVISIONS) >= {"microsoft/codebert-base"}


def test_the_champion_is_replicated_over_the_published_seeds_and_swept_as_published():
    assert load_settings(Stage4Settings, ROOT / "configs/encoder/stage4_champion_codet5p220m.yaml").seeds == (
        41,
        42,
        43,
        44,
        45,
    )
    grid = load_settings(Stage3Settings, ROOT / "configs/encoder/stage3_final_sweep_220m.yaml").threshold.grid()
    assert (grid[0], grid[1], grid[-1], len(grid)) == (0.3, 0.31, 0.7, 41)


@pytest.mark.parametrize("path", sorted((ROOT / "configs/eval").glob("*.yaml")), ids=lambda path: path.stem)
def test_each_evaluation_file_says_settings_and_leaves_the_test_sealed(path):
    assert not load_settings(EvaluationSettings, path).open_test


def test_a_trial_that_is_listed_twice_is_told_by_file(tmp_path, capsys):
    path = tmp_path / "stage.yaml"
    text = (ROOT / "configs/encoder/stage1_batch_training_small.yaml").read_text()
    path.write_text(
        text.replace(
            "  codet5_base_tiny:",
            "  codet5_small_again:\n    family: codet5\n"
            "    settings: *common\n    grid: {learning_rate: [5.0e-3], batch_size: [8], epochs: [10]}\n"
            "  codet5_base_tiny:",
        )
    )
    assert stage1_main(["--config", str(path), "--dry-run"]) == 2
    told = capsys.readouterr().err
    assert f"{path}: models: codet5_small_tiny_lr0.005_bs8_ep10" in told
    assert "duplicate trial" in told


@pytest.mark.parametrize("name", ["pipeline", "pipeline_small"])
def test_each_pipeline_file_names_the_four_stages(name):
    settings = load_settings(PipelineSettings, ROOT / f"configs/encoder/{name}.yaml")
    settings = settings.model_copy(update={"data": Path("elsewhere"), "slots": 7})
    for stage, settings_class in CLASSES.items():
        found = stage_of(settings_class, settings, ROOT / getattr(settings, stage))
        assert (found.findings.data, found.slots) == (Path("elsewhere"), 7)


@pytest.mark.usefixtures("no_hub_cache")
def test_a_dry_run_prints_every_trial_and_makes_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    runs = tmp_path / "runs"
    assert pipeline_main(["--config", "configs/encoder/pipeline.yaml", "--dry-run", "--runs", str(runs)]) == 0
    printed = capsys.readouterr().out
    assert [f"{stage}: {count} trials" in printed for stage, count in NUM_TRIALS.items()] == [True] * 4
    assert printed.count("_lr") == sum(NUM_TRIALS.values())
    assert "codet5p_220m_champion_lr4e-5_bs8_ep6_wd0.01_s43" in printed
    assert "no weights at hand: Salesforce/codet5p-770m" in printed
    assert not runs.exists()


def test_an_unknown_key_is_told_by_file_and_nearest_key(tmp_path, capsys):
    path = tmp_path / "stage.yaml"
    text = (ROOT / "configs/encoder/stage1_batch_training_small.yaml").read_text()
    path.write_text(text.replace("learning_rate: [", "learnig_rate: ["))
    with pytest.raises(SystemExit) as left:
        stage1_main(["--config", str(path)])
    assert left.value.code == 2
    assert (
        f"{path}: models.codebert_tiny.grid.learnig_rate: unknown key; did you mean learning_rate?"
        in capsys.readouterr().err
    )


def trained(values: dict) -> list[Path]:
    return sorted(Path(values["runs"]).glob("train/*/*"))


def rewritten(source: Path, target: Path, name: str, change) -> Path:
    """A copy of generated findings with the rows of one file changed."""
    shutil.copytree(source, target)
    path = target / f"{name}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in change(rows)))
    return target


@pytest.mark.server
@pytest.mark.usefixtures("no_hub_cache")
def test_without_weights_one_line_names_both_remedies(prefect_client, stage_values):
    stage_values["models"]["codebert"] = {"family": "codebert", "settings": {"pretrained": "required"}}
    with pytest.raises(SettingsInvalid) as raised:
        stage1_broad(Stage1Settings(**stage_values))
    message = str(raised.value)
    assert "microsoft/codebert-base" in message
    assert "--allow-network" in message
    assert "_small.yaml" in message
    assert "\n" not in message
    assert not Path(stage_values["runs"]).exists()


@pytest.mark.server
@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("train", lambda rows: [{**rows[0], "label": "MAYBE"}, *rows[1:]], ["train.jsonl", "label", "MAYBE", "TP"]),
        ("val", lambda rows: [row for row in rows if row["label"] == "FP"], ["val.jsonl", "FP"]),
        ("test/chef", lambda rows: [row for row in rows if row["label"] == "TP"], ["chef.jsonl", "TP"]),
    ],
    ids=["label", "one-class-val", "one-class-test"],
)
def test_wrong_data_end_the_stage_before_anything_is_trained(
    prefect_client, stage_values, findings_path, tmp_path, name, change, said
):
    stage_values["findings"]["data"] = str(rewritten(findings_path, tmp_path / "raw", name, change))
    with pytest.raises(JobRefused) as raised:
        stage1_broad(Stage1Settings(**stage_values))
    assert [word for word in said if word not in str(raised.value)] == []
    assert trained(stage_values) == []


@pytest.mark.server
def test_a_test_file_that_is_in_training_ends_the_stage(prefect_client, stage_values, findings_path, tmp_path):
    first = json.loads((findings_path / "train.jsonl").read_text().splitlines()[0])
    technology = first["tech"]
    data = rewritten(
        findings_path,
        tmp_path / "raw",
        f"test/{technology}",
        lambda rows: [{**rows[0], "file": first["file"]}, *rows[1:]],
    )
    stage_values["findings"]["data"] = str(data)
    with pytest.raises(JobRefused) as raised:
        stage1_broad(Stage1Settings(**stage_values))
    assert first["file"] in str(raised.value)
    assert f"{technology}.jsonl" in str(raised.value)
    assert trained(stage_values) == []


@pytest.mark.server
def test_a_missing_selection_and_a_missing_sweep_end_the_stage(prefect_client, stage_values, tmp_path):
    absent = tmp_path / "absent.json"
    nowhere = {**stage_values, "findings": {**stage_values["findings"], "data": str(tmp_path / "nowhere")}}
    with pytest.raises(SettingsInvalid, match=r"findings\.data: no folder .*nowhere.*generated_findings"):
        stage1_broad(Stage1Settings(**nowhere))
    with pytest.raises(SettingsInvalid, match=r"selection: no file .*absent\.json"):
        stage1_broad(Stage1Settings(**stage_values, selection=absent))
    with pytest.raises(SettingsInvalid, match=r"roberta_tiny_final_sweep_latest.*stage 3"):
        stage4_champion(Stage4Settings(**stage_values))
    assert trained(stage_values) == []


@pytest.mark.server
def test_one_failed_trial_is_shown_and_more_than_may_fail_end_the_stage(prefect_client, stage_values):
    stage_values["models"]["t5_tiny"]["grid"] = {"learning_rate": [1e30]}  # the first steps leave every range
    result = stage1_broad(Stage1Settings(**stage_values))
    assert list(result.trials) == ["roberta_tiny_lr0.003_bs32_ep1_wd0.01"]
    (label,) = result.failures
    assert label == "t5_tiny_lr1e+30_bs16_ep1_wd0.01"
    assert "NumericsError" in result.failures[label]
    assert f"Failed: {label}" in result.table
    with pytest.raises(TooManyTrialsFailed, match="max_failed_trials is 0"):
        stage1_broad(Stage1Settings(**stage_values, max_failed_trials=0))
