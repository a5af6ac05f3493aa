"""The flows of retrieval on a cut of the sample: what runs is what was planned, and one finds what another finished."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

import flows.embeddings
import flows.patch_ranker
import flows.reranker
import flows.retrieval
from flows.embeddings import embeddings
from flows.patch_ranker import patch_ranker
from flows.reranker import reranker
from flows.retrieval import RetrievalResult, retrieval
from models.data.generated_repositories import write_sample
from models.settings.fields import Settings
from models.store.openings import read_openings
from tasks.foreseen_jobs import foresee
from tasks.retrieval_flow import RetrievalFlow, foreseen_jobs
from tasks.retrieval_settings import (
    EmbeddingsFlowSettings,
    PatchRankerFlowSettings,
    RerankerFlowSettings,
    RetrievalFlowSettings,
)
from tasks.run_settings import RunSettings

pytestmark = pytest.mark.server
PROJECTS = 2
SMALL = {"hidden_dim": 16, "num_layers": 0, "num_heads": 2, "feedforward_dim": 32}
TINY = {"small": SMALL, "max_seq_len": 48, "epochs": 1}


def write_cut(folder: Path) -> None:
    """The generated sample with patches of a few projects."""
    write_sample(folder)
    rows = [json.loads(line) for line in (folder / "patches.jsonl").read_text().splitlines()]
    kept = [name for name, _ in Counter(row["project"] for row in rows).most_common(PROJECTS)]
    (folder / "patches.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows if row["project"] in kept))


@dataclass(frozen=True)
class Ran:
    """The flow of all, once.

    Args:
        values: Its settings, as raw values.
        result: What it gave.
    """

    values: dict[str, Any]
    result: RetrievalResult


@pytest.fixture(scope="module")
def ran(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    from prefect.events.worker import EventsWorker

    folder = tmp_path_factory.mktemp("retrieval")
    write_cut(folder / "data")
    values = values_in(folder)
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        yield Ran(values, retrieval(RetrievalFlowSettings.model_validate(values)))
        EventsWorker.drain_all(timeout=10)


def values_in(folder: Path) -> dict[str, Any]:
    return {
        "balance": {"repos_root": str(folder / "data/repos")},
        "records": {"vocab_size": 400, "max_seq_len": 48},
        "embeddings": {**TINY, "embedding_dim": 16},
        "rerankers": ["reranker"],
        "reranker": {"hidden_dim": 16, "epochs": 1},
        "max_lists": 40,
        "depth": 10,
        "candidates": {"data": str(folder / "data/patches.jsonl"), "vocab_size": 400, "max_seq_len": 48},
        "patch_ranker": {**TINY, "hidden_dim": 8},
        "num_resamples": 200,
        "artifacts_dir": str(folder / "artifacts/dl"),
        "runs": str(folder / "runs"),
    }


def is_finished(settings: RunSettings, jobs: list[Settings]) -> bool:
    return all(job.is_finished for job in foresee(settings, jobs))


def test_what_ran_is_what_was_planned_and_no_more(ran: Ran) -> None:
    settings = RetrievalFlowSettings.model_validate(ran.values)
    jobs = flows.retrieval.foreseen_jobs(settings)
    assert is_finished(settings, jobs)
    manifests = list(settings.runs.glob("*/*/*/manifest.json"))
    assert len(manifests) == len(jobs)


def test_its_parts_are_finished_too_and_open_nothing_again(ran: Ran) -> None:
    openings = read_openings(Path(ran.values["runs"]))
    assert openings
    parts: list[RetrievalFlow[Any]] = [flows.embeddings.FLOW, flows.reranker.FLOW, flows.patch_ranker.FLOW]
    for flow in parts:
        settings = flow.settings_class.model_validate(ran.values)
        assert is_finished(settings, foreseen_jobs(flow, settings))
    assert read_openings(Path(ran.values["runs"])) == openings


def test_the_report_has_all_three_parts(ran: Ran) -> None:
    for text in (ran.result.table, ran.result.report_path.read_text()):
        for part in ("Code search by embeddings", "Reranking", "Patch ranking, one project left out at a time"):
            assert part in text


def test_the_files_of_the_seed_are_where_it_had_them(ran: Ran) -> None:
    folder = Path(ran.values["artifacts_dir"])
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    data = {f"balanced/{name}" for name in ("train.jsonl", "val.jsonl", "test.jsonl", "stats.json")}
    assert names >= data | {"pairs.jsonl", "triples.jsonl", "vocab.json"}
    assert names >= {"embeddings_model.pt", "embeddings_meta.json", "reranker_model.pt", "reranker_meta.json"}
    assert names >= {"patch_ranker.pt", "patch_ranker_vocab.json"}
    assert not [name for name in names if name.startswith(".")]
    listed = json.loads((folder / "artifacts.json").read_text())
    assert listed.keys() == names - {"artifacts.json"}
    assert f"left {listed['patch_ranker.pt']['left_out_project']} out" in " ".join(ran.result.table.split())


@pytest.mark.long
def test_the_flows_one_after_the_other_find_what_was_finished_before(ran: Ran, server: Any) -> None:
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        encoder = embeddings(EmbeddingsFlowSettings.model_validate(ran.values))
        rerankers = reranker(RerankerFlowSettings.model_validate(ran.values))
        patches = patch_ranker(PatchRankerFlowSettings.model_validate(ran.values))
    assert all(run.cached for run in (encoder.train, encoder.retrieve, rerankers.retrieve, patches.judge))
    assert rerankers.judge is not None
    assert ran.result.judge_rerankers is not None
    assert rerankers.judge.run_path == ran.result.judge_rerankers.run_path
    assert len(patches.train) == PROJECTS
    assert len({run.run_path for runs in patches.train.values() for run in runs.values()}) == PROJECTS


@pytest.mark.long
def test_where_the_test_stays_sealed_rerankers_are_trained_and_not_judged(ran: Ran, server: Any) -> None:
    settings = RerankerFlowSettings.model_validate({**ran.values, "open_test": None})
    openings = read_openings(settings.runs)
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        result = reranker(settings)
    assert result.judge is None
    assert "The rerankers are not judged: the test stayed sealed" in " ".join(result.table.split())
    assert read_openings(settings.runs) == openings
