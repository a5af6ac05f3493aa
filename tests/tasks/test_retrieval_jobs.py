"""What the flows of retrieval do is fixed by their settings, and the same parts of a file make the same jobs."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import flows.embeddings
import flows.patch_ranker
import flows.reranker
import flows.retrieval
from models.errors import SettingsInvalid
from models.settings.command_line import settings_in_place
from models.settings.contrastive import EmbeddingsSettings
from models.settings.fields import Settings
from models.settings.retrieval import (
    CandidatesSettings,
    EmbedSettings,
    ExportSettings,
    JudgeSettings,
    MineSettings,
    ScoreSettings,
)
from models.settings.tokenizing import Tokenizing
from models.settings.train import TrainSettings
from tasks import retrieval_flow
from tasks.jobs import job_name
from tasks.retrieval_flow import RetrievalFlow, foreseen_jobs, run_program
from tasks.retrieval_jobs import tokenizing_for
from tasks.retrieval_places import ForeseeJobs
from tasks.retrieval_runs import PatchRuns
from tasks.retrieval_settings import (
    EmbeddingsFlowSettings,
    PatchRankerFlowSettings,
    RerankerFlowSettings,
    RetrievalFlowSettings,
)
from tasks.retrieval_steps import CANDIDATES_FILE, EACH_PROJECT, exported_patch_ranker, patch_steps, projects_in

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs" / "retrieval").glob("*.yaml"))


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    """A file of the whole."""
    repositories, patches = tmp_path / "repos", tmp_path / "patches.jsonl"
    repositories.mkdir()
    patches.write_text("{}\n")
    return {
        "balance": {"repos_root": str(repositories)},
        "candidates": {"data": str(patches)},
        "runs": str(tmp_path / "runs"),
        "seeds": [1, 2],
    }


def kinds(jobs: list[Settings]) -> Counter[str]:
    return Counter(
        job.model.kind if isinstance(job, TrainSettings) else str(getattr(job, "kind"))  # noqa: B009
        for job in jobs
    )


def test_the_whole_is_its_parts_so_that_one_finds_what_another_finished(values: dict[str, Any]) -> None:
    whole = flows.retrieval.foreseen_jobs(RetrievalFlowSettings.model_validate(values))
    encoder = flows.embeddings.foreseen_jobs(EmbeddingsFlowSettings.model_validate(values))
    rerankers = flows.reranker.foreseen_jobs(RerankerFlowSettings.model_validate(values))
    patches = flows.patch_ranker.foreseen_jobs(PatchRankerFlowSettings.model_validate(values))

    assert kinds(whole) == kinds(rerankers) + kinds(patches)
    assert [type(job) for job in rerankers[: len(encoder)]] == [type(job) for job in encoder]
    assert whole[: len(rerankers)] == rerankers
    assert kinds(whole)["reranker"] == kinds(whole)["cross_encoder"] == kinds(whole)["patch_ranker"] == 2
    assert kinds(whole)["embeddings"] == kinds(whole)["balance"] == kinds(whole)["boost"] == 1


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    "settings_class", [EmbeddingsFlowSettings, RerankerFlowSettings, PatchRankerFlowSettings, RetrievalFlowSettings]
)
def test_every_flow_takes_its_parts_of_a_file_of_the_whole(path: Path, settings_class: type[Any]) -> None:
    part = settings_in_place(settings_class, path, {})
    whole = settings_in_place(RetrievalFlowSettings, path, {})
    assert {name: getattr(whole, name) for name in settings_class.model_fields} == dict(part)


def test_a_key_that_no_flow_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="rerankres"):
        EmbeddingsFlowSettings.model_validate({"rerankres": []})


def test_hard_negatives_train_twice_and_the_second_time_from_mined_pairs(values: dict[str, Any]) -> None:
    settings = EmbeddingsFlowSettings.model_validate({**values, "hard_negatives": True})
    jobs = flows.embeddings.foreseen_jobs(settings)

    first, second = (job for job in jobs if isinstance(job, TrainSettings))
    (mined,) = (job for job in jobs if isinstance(job, MineSettings))
    assert first.texts == second.texts == first.train_data.parent / "texts.jsonl"
    assert second.train_data.parent != first.train_data.parent == mined.data
    embedded = [job for job in jobs if isinstance(job, EmbedSettings)]
    assert [(job.open_test is None, job.with_untrained) for job in embedded] == [(True, False), (False, True)]


def test_nothing_sealed_is_opened_without_a_purpose(values: dict[str, Any]) -> None:
    jobs = flows.reranker.foreseen_jobs(RerankerFlowSettings.model_validate({**values, "open_test": None}))

    assert all(job.open_test is None for job in jobs if isinstance(job, EmbedSettings))
    assert not [job for job in jobs if isinstance(job, ScoreSettings | JudgeSettings)]  # validation chose them
    assert kinds(jobs)["reranker"] == kinds(jobs)["cross_encoder"] == 2
    assert not [job for job in jobs if "test_texts" in job.model_dump_json()]


def test_each_project_is_judged_by_rankers_that_did_not_learn_from_it(values: dict[str, Any], tmp_path: Path) -> None:
    write_candidates(tmp_path, Math=2, Lang=1, Cli=0)
    assert projects_in(tmp_path) == (["Lang", "Math"], ("Cli",))
    assert projects_in(tmp_path / "to come") == ([EACH_PROJECT], ())

    place = ForeseeJobs(settings := PatchRankerFlowSettings.model_validate(values))
    runs = patch_steps(settings, place)
    (judge,) = (job for job in place.jobs if isinstance(job, JudgeSettings))
    assert set(judge.systems["patch_ranker"].scores) == {"1", "2"}
    assert judge.baselines == ("random", "size")
    trained = next(job for job in place.jobs if isinstance(job, TrainSettings))
    assert job_name(trained) == f"train patch_ranker without {EACH_PROJECT} seed 1"
    assert exported_patch_ranker(runs) == (EACH_PROJECT, runs.train[EACH_PROJECT][1])


def test_the_ranker_that_learnt_from_most_bugs_is_exported(values: dict[str, Any], tmp_path: Path) -> None:
    write_candidates(tmp_path, Math=2, Lang=1)
    place = ForeseeJobs(PatchRankerFlowSettings.model_validate(values))
    run = place.run(CandidatesSettings(data=tmp_path))
    made = run.model_copy(update={"run_path": tmp_path})
    runs = PatchRuns(made, {"Math": {1: run}, "Lang": {1: made}}, run, ())
    assert exported_patch_ranker(runs) == ("Lang", made)


def test_weights_are_exported_for_who_asks_for_them(values: dict[str, Any], tmp_path: Path) -> None:
    def exports(**changed: Any) -> int:
        settings = RetrievalFlowSettings.model_validate({**values, **changed})
        return sum(isinstance(job, ExportSettings) for job in flows.retrieval.foreseen_jobs(settings))

    assert (exports(), exports(artifacts_dir=str(tmp_path))) == (0, 3)


@pytest.mark.usefixtures("no_hub")
def test_a_pretrained_encoder_brings_its_tokenizer_where_it_can_be_had(tmp_path: Path) -> None:
    told = Tokenizing()
    absent = EmbeddingsSettings(pretrained="auto")
    assert tokenizing_for(told, EmbeddingsSettings()) == tokenizing_for(told, absent) == told

    (tmp_path / "config.json").write_text('{"model_type": "roberta", "max_position_embeddings": 514}')
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_text("")
    there = EmbeddingsSettings(pretrained="auto", backbone=str(tmp_path))
    assert tokenizing_for(told, there).tokenizer == str(tmp_path)
    named = Tokenizing(tokenizer="own")
    assert tokenizing_for(named, there) == named


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever this machine has of the hub is not seen."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def in_place(settings_class: type[Any], environment: Any, tmp_path: Path, **texts: str) -> Any:
    config = tmp_path / "c.yaml"
    config.write_text("candidates: {data: d}\nembeddings: {epochs: 7, warmup_steps: 3}\n")
    with pytest.MonkeyPatch.context() as patched:
        for name, text in texts.items():
            patched.setenv(name, text)
        return settings_in_place(settings_class, config, environment)


def test_a_variable_of_the_seed_speaks_to_every_model_that_the_program_trains(tmp_path: Path) -> None:
    given = {"DL_EPOCHS": "20", "DL_LR": "1e-4", "DL_SEED": "42", "DL_ARTIFACTS_DIR": "artifacts/dl"}
    alone = in_place(EmbeddingsFlowSettings, flows.embeddings.VARIABLES, tmp_path, **given)
    within = in_place(RerankerFlowSettings, flows.reranker.VARIABLES, tmp_path, **given)

    assert within.embeddings == alone.embeddings  # so that its run is found
    assert (alone.embeddings.epochs, alone.embeddings.learning_rate, alone.embeddings.warmup_steps) == (20, 1e-4, 3)
    assert (within.reranker.epochs, within.cross_encoder.epochs, within.seed) == (20, 20, 42)
    assert alone.artifacts_dir == Path("artifacts/dl")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({}, ("off", "microsoft/codebert-base", False)),
        ({"DL_PRETRAINED_MODEL": "0"}, ("off", "microsoft/codebert-base", False)),
        ({"DL_PRETRAINED_MODEL": "1"}, ("auto", "microsoft/codebert-base", False)),
        ({"DL_PRETRAINED_MODEL": "Salesforce/codet5-base"}, ("auto", "Salesforce/codet5-base", False)),
        ({"DL_PRETRAINED_MODEL": "1", "DL_PRETRAINED_OFFLINE": "0"}, ("auto", "microsoft/codebert-base", True)),
        ({"DL_PRETRAINED_OFFLINE": "1"}, ("off", "microsoft/codebert-base", False)),
    ],
)
def test_pretrained_weights_by_the_variables_of_the_seed(
    texts: dict[str, str], expected: tuple[Any, ...], tmp_path: Path
) -> None:
    model = in_place(PatchRankerFlowSettings, flows.patch_ranker.VARIABLES, tmp_path, **texts).patch_ranker
    assert (model.pretrained, model.backbone, model.allow_network) == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("DL_PRETRAINED_MODEL", "yes", r"expected 0 \(off\), 1 \(on\) or a name on the hub"),
        ("DL_PRETRAINED_OFFLINE", "no", r"expected 1 \(nothing is fetched\) or 0"),
        ("DL_EPOCHS", "0", "expected greater than 0"),
        ("DL_BATCH_SIZE", "many", "expected a valid integer"),
    ],
)
def test_a_wrong_variable_says_what_is_expected(name: str, text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=f"^{name}: {expected}.*"):
        in_place(EmbeddingsFlowSettings, flows.embeddings.VARIABLES, tmp_path, **{name: text})


def test_a_wrong_variable_of_many_models_is_told_once(tmp_path: Path) -> None:
    for text in ("abc", "0"):
        with pytest.raises(SettingsInvalid) as raised:
            in_place(RetrievalFlowSettings, flows.retrieval.VARIABLES, tmp_path, DL_EPOCHS=text)
        assert str(raised.value).startswith("DL_EPOCHS: expected ")
        assert str(raised.value).count("DL_EPOCHS") == 1


def test_the_whole_reads_the_variables_as_its_parts_do(tmp_path: Path) -> None:
    given = {"DL_EPOCHS": "20", "DL_SEED": "42", "DL_PRETRAINED_MODEL": "1"}
    whole = in_place(RetrievalFlowSettings, flows.retrieval.VARIABLES, tmp_path, **given)
    reranker = in_place(RerankerFlowSettings, flows.reranker.VARIABLES, tmp_path, **given)
    patches = in_place(PatchRankerFlowSettings, flows.patch_ranker.VARIABLES, tmp_path, **given)
    for part in (reranker, patches):
        assert {name: getattr(whole, name) for name in type(part).model_fields} == dict(part)
    assert (whole.patch_ranker.epochs, whole.cross_encoder.epochs, whole.patch_ranker.pretrained) == (20, 20, "auto")


class Told(Exception):
    """What a program was told, instead of a run."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings


def program_told(flow: RetrievalFlow[Any], argv: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    def stop(settings: Any, *_: object) -> int:
        raise Told(settings)

    monkeypatch.setattr(retrieval_flow, "run_planned_program", stop)
    with pytest.raises(Told) as told:
        run_program(flow, argv, lambda _: "")
    return told.value.settings


def test_a_flag_of_the_reranker_speaks_of_every_reranker_and_not_of_the_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["--repos-root", str(tmp_path), "--epochs", "7", "--max-triples", "500", "--cross-encoder.epochs", "2"]
    settings = program_told(flows.reranker.FLOW, argv, monkeypatch)
    assert (settings.reranker.epochs, settings.cross_encoder.epochs) == (7, 2)  # its own flag is above
    assert settings.reranker.max_triples == settings.cross_encoder.max_triples == 500
    assert settings.embeddings == EmbeddingsSettings()


@pytest.mark.parametrize(
    ("flow", "argv", "expected"),
    [
        (flows.retrieval.FLOW, ["--epochs", "3"], "--epochs: no such flag; did you mean .*--embeddings.epochs"),
        (flows.reranker.FLOW, ["--max-triples", "4"], "--max-triples .*4: a list of --list-size 16 candidates has 15"),
        (flows.reranker.FLOW, ["--cross-encoder.pretrained", "auto"], "cross_encoder.pretrained: .*records.tokenizer"),
        (flows.patch_ranker.FLOW, ["--data", "d", "--candidates.quick-test"], "candidates.quick_test: say quick_test"),
        (flows.embeddings.FLOW, [], "--repos-root: no file or folder at data/repos; give the path"),
        (flows.patch_ranker.FLOW, ["--data", "d"], "--data: no file or folder at d; give the path"),
        (
            flows.embeddings.FLOW,
            ["--repos-root", "runs/retrieval-data/repos"],
            "--repos-root: .*: python -m models.data.generated_repositories runs/retrieval-data$",
        ),
    ],
)
def test_a_program_says_what_is_wrong_by_the_name_of_its_flag(
    flow: RetrievalFlow[Any],
    argv: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = run_program(flow, argv, lambda _: "")
    except SystemExit as left:
        code = int(str(left.code))
    assert code == 2
    assert re.search(f"^{flow.program}: {expected}", capsys.readouterr().err, re.MULTILINE)


def test_one_seed_reaches_the_data_unless_they_have_their_own(values: dict[str, Any]) -> None:
    settings = RetrievalFlowSettings.model_validate({**values, "seed": 7})
    assert (settings.balance.seed, settings.candidates.seed) == (7, 7)
    own = RetrievalFlowSettings.model_validate({**values, "seed": 7, "balance": {**values["balance"], "seed": 3}})
    assert (own.balance.seed, own.candidates.seed) == (3, 7)
    assert RetrievalFlowSettings.model_validate(own.model_dump()) == own


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_what_one_flow_finished_another_finds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    parts: list[tuple[RetrievalFlow[Any], RetrievalFlow[Any]]] = [
        (flows.embeddings.FLOW, flows.reranker.FLOW),
        (flows.embeddings.FLOW, flows.retrieval.FLOW),
        (flows.reranker.FLOW, flows.retrieval.FLOW),
        (flows.patch_ranker.FLOW, flows.retrieval.FLOW),
    ]
    for part, whole in parts:
        own, all_jobs = asked(part, path), asked(whole, path)
        assert own
        assert own <= all_jobs


def asked(flow: RetrievalFlow[Any], path: Path) -> set[str]:
    """The jobs of a plan by their settings; runs that are not made yet are named by kind and label."""
    jobs = foreseen_jobs(flow, settings_in_place(flow.settings_class, path, {}))
    return {re.sub(r"-\d+(?=[/\"])", "", job.model_dump_json()) for job in jobs}


def write_candidates(folder: Path, **num_mixed: int) -> None:
    """What a candidates run says of its projects."""
    projects = {
        name: {"held_out": {"num_mixed": count}, "train": {"num_bugs": sum(num_mixed.values()) - count}}
        for name, count in num_mixed.items()
    }
    (folder / CANDIDATES_FILE).write_text(json.dumps({"projects": projects}))
