"""Four stages on a real server: selections handed on, the test opened once, the champion frozen, all found again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from flows.evaluation import EvaluationSettings, FrozenByPointer, evaluation
from flows.pipeline import PipelineSettings, encoder_pipeline
from flows.stage3 import Stage3Settings, stage3_sweep
from flows.stage4 import Stage4Settings, stage4_champion
from models.errors import NoClearWinner
from models.settings.decision import Argmax
from models.store.manifest import read_manifest
from models.store.openings import read_openings
from models.store.pointers import resolve_pointer
from tasks.champion import VerifySettings, verify_champion
from tasks.champion import main as champion_main

STAGES = {
    "stage1": {"grid": {"batch_size": [32]}, "keep": {"num": 1, "by": "family"}},
    "stage2": {"grid": {"learning_rate": [3e-3, 2e-3]}, "keep": {"num": 1, "by": "model"}},
    "stage3": {"grid": {"learning_rate": [3e-3, 1e-3]}, "keep": {"num": 2, "by": "configuration"}},
    "stage4": {"grid": {"learning_rate": [3e-3]}, "seeds": [41, 42]},
}


@pytest.fixture
def pipeline_settings(stage_values, tmp_path: Path) -> PipelineSettings:
    """Four files, and a run root of the test's own."""
    runs = Path(stage_values.pop("runs"))
    files = {}
    for stage, values in STAGES.items():
        files[stage] = tmp_path / f"{stage}.yaml"
        files[stage].write_text(yaml.safe_dump({**stage_values, **values}))
    return PipelineSettings(**files, runs=runs)


@pytest.fixture
def root(pipeline_settings) -> Path:
    """The run root."""
    return pipeline_settings.runs


def frozen(root: Path) -> dict[str, bytes]:
    """Bytes of every champion, pointer and manifest."""
    paths = [*root.glob("champions/*/*"), *root.glob("pointers/*.json"), *root.glob("*/*/*/manifest.json")]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.server
def test_four_stages_end_in_a_frozen_champion_and_are_found_again(prefect_client, pipeline_settings, root):
    result = encoder_pipeline(pipeline_settings)

    stages = result.stages
    assert [len(stages[name].trials) for name in stages] == [2, 2, 2]
    assert len(result.last.trials) == 4
    # Each stage tried what the one before it selected.
    family = json.loads(stages["stage1"].selection_path.read_bytes())["selected"][0]["family"]
    assert {entry["family"] for entry in stages["stage2"].read_ranking()["configurations"]} == {family}
    handed_on = json.loads(stages["stage3"].selection_path.read_bytes())["selected"]
    tried = result.last.read_ranking()["configurations"]
    assert {entry["configuration"] for entry in tried} == {entry["configuration"] for entry in handed_on}
    # Thresholds were frozen by stage 3, configuration by configuration.
    of_stage3 = {entry["configuration"]: entry["threshold"] for entry in handed_on}
    for entry in tried:
        assert set(entry["thresholds"].values()) == {of_stage3[entry["configuration"]]}

    # The test was opened for champion, runner-up and baselines, and by nobody else.
    openings = read_openings(root)
    assert [opening.purpose.split(" (")[0] for opening in openings] == ["stage 4: final measurement"] * 2 + [
        "baselines"
    ]
    assert len({opening.data_sha256 for opening in openings}) == 1
    champion = json.loads(result.champion_path.read_bytes())
    assert set(champion["test"]) == {"combined", "ansible", "chef", "puppet"}
    assert all(check.problem is None for check in verify_champion(VerifySettings(path=result.champion_path, runs=root)))
    assert (
        resolve_pointer(root, f"{champion['model']}_champion_latest")
        == result.last.trials[result.last.final.champion].run_path
    )

    # The seed's tree.
    label = next(path for path in (root / "encoder").iterdir() if path.name.startswith(result.last.final.champion))
    assert {path.name for path in label.iterdir()} == {"config_used.yaml", "threshold_sweep_results.json", "best_model"}
    sets = {path.parent.name for path in (root / "evaluation" / label.name).glob("*/evaluation_metadata.json")}
    assert sets == {"combined", "ansible", "chef", "puppet"}

    # Again: everything is found, and no byte moves.
    before = frozen(root)
    again = encoder_pipeline(pipeline_settings)
    assert all(
        run.cached for stage in (*again.stages.values(), again.last) for run in (stage.ranking, *stage.trials.values())
    )
    assert frozen(root) == before
    assert len(read_openings(root)) == len(openings)

    looking_changes_nothing(pipeline_settings, root)


def looking_changes_nothing(pipeline_settings: PipelineSettings, root: Path) -> None:
    """Other runs are evaluated on the opened test: it is logged, and what selects does not notice."""
    num_openings = len(read_openings(root))
    (selection,) = root.glob("rank/stage2_*/*/selection.json")
    settings = Stage3Settings(**yaml.safe_load(pipeline_settings.stage3.read_text()), runs=root, selection=selection)
    swept = root / "encoder"
    prefix = next(path.name for path in swept.iterdir() if "_final_sweep_" in path.name).split("_final_sweep_")[0]
    found = evaluation(
        f"{prefix}_final_sweep_", EvaluationSettings(prefix="x", decision=Argmax(), open_test=True, run_root=root)
    )
    assert len(found.predict) == 2
    later = read_openings(root)[num_openings:]
    assert [opening.purpose.split(" of ")[0].split(" (")[0] for opening in later] == [
        "evaluation",
        "evaluation",
        "baselines",
    ]
    looking_at_the_champion_changes_nothing(prefix, root)
    (ranked,) = root.glob("rank/stage3_*/*")
    hashed = read_manifest(ranked).files
    shutil.rmtree(ranked)  # or it would only be found again
    selecting = stage3_sweep(settings)
    assert not selecting.ranking.cached
    assert read_manifest(selecting.ranking.run_path).files == hashed


def looking_at_the_champion_changes_nothing(prefix: str, root: Path) -> None:
    """It is measured anew at its own threshold; what stage 4 measured stays in the view, and frozen."""
    (champion,) = root.glob("champions/*/champion.json")
    frozen_body = json.loads(champion.read_bytes())
    label = next(path.name for path in (root / "encoder").iterdir() if path.name.startswith(frozen_body["trial"]))
    before = {path: path.readlink() for path in (root / "evaluation" / label).glob("*/*")}
    settings = EvaluationSettings(
        prefix="x", decision=FrozenByPointer(pointer=f"{prefix}_final_sweep_latest"), run_root=root, slots=2
    )
    found = evaluation(label, settings, open_test=True)
    told = json.loads((found.evaluate[0].run_path / "evaluation.json").read_bytes())
    threshold = told["thresholds"][frozen_body["trial"]]
    assert threshold["value"] == frozen_body["threshold"]["value"]
    assert threshold["frozen_by"]["matched_by"] == "configuration"
    assert "test" in told["splits"]
    assert {path: path.readlink() for path in (root / "evaluation" / label).glob("*/*")} == before
    content = champion.read_bytes()
    assert champion_main(["--freeze-only", "--runs", str(root)]) == 0
    assert [path.read_bytes() for path in root.glob("champions/*/champion.json")] == [content]


@pytest.mark.server
def test_stage_4_without_a_winner_may_freeze_nothing_and_then_opens_nothing(prefect_client, stage_values, tmp_path):
    root = Path(stage_values["runs"])
    del stage_values["models"]["t5_tiny"]
    twins = {"learning_rate": [3e-3], "weight_decay": [0.01, 0.010001]}  # nothing could tell them apart
    values = {**stage_values, "grid": twins}
    swept = stage3_sweep(Stage3Settings(**values, keep={"num": 2, "by": "configuration"}))
    chosen = {"seeds": [42], "selection": swept.selection_path, "no_clear_winner": "stop"}
    with pytest.raises(NoClearWinner, match="2 configurations cannot be told apart"):
        stage4_champion(Stage4Settings(**values, **chosen))
    assert not (root / "champions").exists()
    assert read_openings(root) == []
