"""Phase 2 on a cut of the generated collections: what runs is what was planned, and never twice."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_API_URL, temporary_settings

import flows.phase2
from flows.comparison import ComparisonSettings, comparison
from flows.phase2 import Phase2Result, phase2
from models.data.generated_collections import write_collections
from models.jobs.layout import label_of
from tasks.foreseen_jobs import foresee
from tasks.phase2_foreseen import foreseen_jobs
from tasks.phase2_settings import Phase2Settings

NUM_FOLDS = 2
ROWS = {"clean/train.jsonl": 100, "clean/valid.jsonl": 50, "clean/test.jsonl": 60, "noisy.jsonl": 120}
DATED_KEY = re.compile(r"_\d{8}-[0-9a-f]{12}$")


@dataclass(frozen=True)
class Ran:
    """A finished run, and what was known before it."""

    settings: Phase2Settings
    planned: Counter[tuple[str, str]]
    result: Phase2Result


def values_of(folder: Path, **changed: Any) -> dict[str, Any]:
    """Settings of a run that takes a minute: one tiny model, one seed, and no other treatment."""
    values = {
        "collect": {
            "clean": str(folder / "data/clean"),
            "clean_name": "tiny",
            "sources": {"noisy": str(folder / "data/noisy.jsonl")},
        },
        "records": {"vocab_size": 300, "max_seq_len": 64, "num_workers": 1},
        "models": ["gnn"],
        "compared_on": [],
        "gnn": {"hidden_dim": 16, "embedding_dim": 16, "num_layers": 1, "epochs": 1},
        "num_folds": NUM_FOLDS,
        "seeds": [1],
        "probes": [],
        "num_resamples": 100,
        "slots": 2,
        "runs": str(folder / "runs"),
    }
    return {**values, **changed}


def write_cut(folder: Path) -> None:
    """The first rows of the generated collections."""
    write_collections(folder)
    for name, num_rows in ROWS.items():
        rows = (folder / name).read_text().splitlines(keepends=True)
        (folder / name).write_text("".join(rows[:num_rows]))


def kinds_and_labels(runs_path: Path) -> Counter[tuple[str, str]]:
    """Of every finished run under a run root."""
    manifests = runs_path.glob("*/*/*/manifest.json")
    return Counter((path.parts[-4], DATED_KEY.sub("", path.parts[-3])) for path in manifests)


@pytest.fixture(scope="module")
def on_server(server: Any) -> Iterator[None]:
    """Flows called in this process report to the server of the tests."""
    from prefect.events.worker import EventsWorker

    with temporary_settings({PREFECT_API_URL: server.api_url}):
        yield
        EventsWorker.drain_all(timeout=10)


@pytest.fixture(scope="module")
def ran(on_server: None, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The flow, run once."""
    folder = tmp_path_factory.mktemp("phase2")
    write_cut(folder / "data")
    return run_it(Phase2Settings.model_validate(values_of(folder)))


def run_it(settings: Phase2Settings) -> Ran:
    planned = Counter((str(getattr(job, "kind")), label_of(job)) for job in foreseen_jobs(settings))  # noqa: B009
    result = phase2(settings)
    assert isinstance(result, Phase2Result)
    return Ran(settings, planned, result)


@pytest.mark.server
def test_what_ran_is_what_was_planned(ran: Ran) -> None:
    assert kinds_and_labels(ran.settings.runs) == ran.planned
    assert all(job.is_finished for job in foresee(ran.settings, foreseen_jobs(ran.settings)))


@pytest.mark.server
def test_each_model_is_trained_once_a_fold(ran: Ran) -> None:
    folds = [label for kind, label in kinds_and_labels(ran.settings.runs).elements() if "_without_fold" in label]
    assert sorted(label[-1] for label in folds) == [str(fold) for fold in range(NUM_FOLDS)]
    assert len(ran.result.out_of_fold["gnn"]) == NUM_FOLDS
    assert {system: list(runs) for system, runs in ran.result.train.items()} == {"phase1_gnn": [1], "phase2_gnn": [1]}


@pytest.mark.server
def test_it_leaves_a_table_and_a_page(ran: Ran) -> None:
    assert "Phase 2 gnn" in ran.result.table
    assert ran.result.report_path.read_text().startswith("<!doctype html>")


@pytest.mark.server
def test_a_second_run_finds_every_job_and_opens_no_test_again(ran: Ran) -> None:
    openings = (ran.settings.runs / "openings.jsonl").read_bytes()
    again = phase2(ran.settings)

    assert isinstance(again, Phase2Result)
    trained = [run for runs in again.train.values() for run in runs.values()]
    scored = [run for runs in again.out_of_fold.values() for run in runs]
    found = [again.preprocess, again.audit, *scored, *again.weigh.values(), *trained, again.compare]
    assert all(run.cached for run in found)
    assert kinds_and_labels(ran.settings.runs) == ran.planned
    assert (ran.settings.runs / "openings.jsonl").read_bytes() == openings


@pytest.mark.server
def test_unchanged_data_are_skipped_and_a_changed_byte_is_not(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    skipped = phase2(ran.settings, skip_unchanged=True, return_state=True)
    assert isinstance(skipped, State)
    assert (skipped.name, skipped.is_completed()) == ("Skipped", True)

    class BegunError(Exception):
        pass

    def begin(*_: object) -> NoReturn:
        raise BegunError

    monkeypatch.setattr(flows.phase2, "_run", begin)
    noisy = ran.settings.collect.sources["noisy"].data
    kept = noisy.read_bytes()
    noisy.write_bytes(kept.replace(b"return", b"RETURN", 1))
    try:
        with pytest.raises(BegunError):
            phase2(ran.settings, skip_unchanged=True)
    finally:
        noisy.write_bytes(kept)


@pytest.mark.server
def test_compared_with_itself_from_another_run_root_nothing_differs(ran: Ran, tmp_path: Path) -> None:
    files = (ran.result.systems_path,)
    runs_path = tmp_path / "runs"
    compared = comparison(ComparisonSettings(first=files, second=files, num_resamples=50, runs=runs_path))

    found = json.loads((compared.compare.run_path / "comparison.json").read_bytes())["comparisons"]
    pairs = {(each["first"], each["second"]) for each in found}
    assert pairs == {(f"second_{name}", f"first_{name}") for name in ("phase1_gnn", "phase2_gnn")}
    assert {each["difference"] for each in found} == {0.0}
    assert compared.report_path.is_relative_to(runs_path)
    assert compared.report_path.is_file()


@pytest.mark.long
@pytest.mark.server
def test_two_models_with_probes_and_fusion_run_as_planned(on_server: None, tmp_path: Path) -> None:
    write_cut(tmp_path / "data")
    small = {"hidden_dim": 16, "num_layers": 1, "num_heads": 2, "feedforward_dim": 32}
    values = values_of(
        tmp_path,
        models=["transformer", "gnn"],
        compared_on=["gnn"],
        transformer={"pretrained": "off", "small": small, "max_seq_len": 64, "epochs": 1},
        probes=["rename"],
        seeds=[1, 2],
    )
    ran = run_it(Phase2Settings.model_validate(values))
    assert kinds_and_labels(ran.settings.runs) == ran.planned
    assert ran.result.fuse_across_projects is not None
    assert list(ran.result.fuse) == [1, 2]
