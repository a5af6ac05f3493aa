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
import flows.retrieval
from flows.embeddings import embeddings
from flows.patch_ranker import PatchRankerResult, patch_ranker
from flows.reranker import RerankerResult, reranker
from flows.retrieval import RetrievalResult, retrieval
from models.data.generated_repositories import write_sample
from models.settings.fields import Settings
from models.store.openings import read_openings
from tasks.foreseen_jobs import foresee
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
    """Every flow once, in one run root.

    Args:
        values: Settings of the whole, as raw values.
        rerankers: What the flow of rerankers gave.
        patches: What that of patch rankers gave.
        whole: What all together gave, after both.
    """

    values: dict[str, Any]
    rerankers: RerankerResult
    patches: PatchRankerResult
    whole: RetrievalResult


@pytest.fixture(scope="module")
def ran(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    from prefect.events.worker import EventsWorker

    folder = tmp_path_factory.mktemp("retrieval")
    write_cut(folder / "data")
    values = {
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
        "slots": 2,
        "artifacts_dir": str(folder / "artifacts/dl"),
        "runs": str(folder / "runs"),
    }
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        yield Ran(
            values,
            reranker(RerankerFlowSettings.model_validate(values)),
            patch_ranker(PatchRankerFlowSettings.model_validate(values)),
            retrieval(RetrievalFlowSettings.model_validate(values)),
        )
        EventsWorker.drain_all(timeout=10)


def is_finished(settings: RunSettings, jobs: list[Settings]) -> bool:
    return all(job.is_finished for job in foresee(settings, jobs))


def test_what_ran_is_what_was_planned_and_no_more(ran: Ran) -> None:
    settings = RetrievalFlowSettings.model_validate(ran.values)
    jobs = flows.retrieval.foreseen_jobs(settings)
    assert is_finished(settings, jobs)
    manifests = list(settings.runs.glob("*/*/*/manifest.json"))
    assert len(manifests) == len(jobs)


def test_the_whole_finds_what_its_parts_finished(ran: Ran) -> None:
    found = [ran.whole.embeddings, ran.whole.retrieve, ran.whole.judge_rerankers, ran.whole.judge_patches]
    assert all(run.cached for run in found)
    assert ran.whole.retrieve.run_path == ran.rerankers.retrieve.run_path
    assert ran.whole.judge_patches.run_path == ran.patches.judge.run_path


def test_embeddings_alone_find_the_encoder_and_open_nothing_again(ran: Ran) -> None:
    settings = EmbeddingsFlowSettings.model_validate(ran.values)
    openings = read_openings(settings.runs)
    assert openings
    again = embeddings(settings)
    assert again.train.cached
    assert again.retrieve.cached
    assert read_openings(settings.runs) == openings


def test_each_project_is_left_out_once(ran: Ran) -> None:
    assert len(ran.patches.train) == PROJECTS
    assert len({run.run_path for runs in ran.patches.train.values() for run in runs.values()}) == PROJECTS


def test_the_report_has_all_three_parts(ran: Ran) -> None:
    for text in (ran.whole.table, ran.whole.report_path.read_text()):
        for part in ("Code search by embeddings", "Reranking", "Patch ranking, one project left out at a time"):
            assert part in text
    assert ran.whole.report_path != ran.patches.report_path


def test_the_files_of_the_seed_are_where_it_had_them(ran: Ran) -> None:
    folder = Path(ran.values["artifacts_dir"])
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    data = {f"balanced/{name}" for name in ("train.jsonl", "val.jsonl", "test.jsonl", "stats.json")}
    assert names >= data | {"pairs.jsonl", "triples.jsonl", "vocab.json"}
    assert names >= {"embeddings_model.pt", "embeddings_meta.json", "reranker_model.pt", "reranker_meta.json"}
    assert names >= {"patch_ranker.pt", "patch_ranker_vocab.json"}
    assert not [name for name in names if name.startswith(".")]
