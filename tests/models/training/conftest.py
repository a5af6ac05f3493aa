"""Trainers and jobs that run in this process."""

from __future__ import annotations

import importlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.data.record_tokenizer import RecordTokenizer
from models.data.retrieval.candidate_lists import CandidateList, list_line
from models.data.retrieval.text_pairs import TextPair, pair_line
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.jobs.execution import Execution, execute
from models.jobs.registry import OBJECTIVE_MODULES, parse_job
from models.settings.train import TrainSettings
from models.training.embeddings import EmbeddingsObjective
from models.training.gnn import GraphObjective
from models.training.job import assemble, resume
from models.training.process import open_process
from models.training.trainer import Trainer
from models.training.transformer import TransformerObjective

TINY_TRANSFORMER = {
    "kind": "transformer",
    "pretrained": "off",
    "small": {"hidden_dim": 16, "num_layers": 2, "num_heads": 2, "feedforward_dim": 32},
    "max_seq_len": 48,
    "learning_rate": 1e-3,
    "epochs": 2,
    "batch_size": 12,
    "token_budget": 400,
}


@pytest.fixture(autouse=True)
def _torch_left_as_found(torch_left_as_found: None) -> None:
    """Whatever runs here."""


@pytest.fixture
def trainer_of(train_document: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., Trainer]:
    """A trainer before its first step; arguments as for ``train_document``."""

    def made(model: dict[str, Any] | None = None, *, folder: str = "run", **changes: Any) -> Trainer:
        settings = TrainSettings.model_validate(train_document(model, **changes))
        run_path = tmp_path / folder
        run_path.mkdir(exist_ok=True)
        attempt = len(list(run_path.glob("attempt-*"))) + 1
        (run_path / f"attempt-{attempt}").touch()
        context = JobContext(run_path, tmp_path, EventStream(run_path / "progress.jsonl"), attempt=attempt)
        trainer = assemble(settings, context, open_process(settings.compute, context), GraphObjective)
        resume(trainer, started=0.0)
        return trainer

    return made


@pytest.fixture
def run_job(tmp_path: Path) -> Callable[..., int]:
    """Runs a job from its document in a folder of ``tmp_path``; its exit code."""

    def run(document: dict[str, Any], folder: str, **options: Any) -> int:
        return execute(Execution(parse_job(json.dumps(document)), tmp_path / folder, tmp_path, **options))

    return run


@pytest.fixture(scope="session")
def undisturbed(train_document: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of ``train_document()`` after nothing happened to it."""
    run_path = tmp_path_factory.mktemp("undisturbed")
    assert execute(Execution(parse_job(json.dumps(train_document())), run_path, run_path)) == 0
    return run_path


@pytest.fixture(scope="session")
def token_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished preprocess run: generated functions, a small byte-level BPE of their own. Nobody writes into it."""
    from models.data.generated import write_sample

    folder = tmp_path_factory.mktemp("tokens")
    write_sample(folder / "raw", num_functions=100)
    document = {"kind": "preprocess", "data": str(folder / "raw"), "vocab_size": 400, "num_workers": 1}
    assert execute(Execution(parse_job(json.dumps(document)), folder / "records", folder)) == 0
    return folder / "records"


@pytest.fixture(scope="session")
def token_document(token_records: Path) -> Callable[..., dict[str, Any]]:
    """Settings of a transformer's training of a second; ``model`` adds to the tiny model, the rest replaces."""

    def made(model: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        return {
            "kind": "train",
            "train_data": str(token_records / "train.jsonl"),
            "val_data": str(token_records / "valid.jsonl"),
            "model": TINY_TRANSFORMER | (model or {}),
            "compute": {"device": "cpu"},
            "log_every_seconds": 0,
            **changes,
        }

    return made


@pytest.fixture
def token_trainer_of(token_document: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., Trainer]:
    """A transformer's trainer before its first step; each has a run directory of its own unless ``folder`` is given."""

    def made(model: dict[str, Any] | None = None, *, folder: str | None = None, **changes: Any) -> Trainer:
        settings = TrainSettings.model_validate(token_document(model, **changes))
        run_path = tmp_path / (folder or f"run-{len(list(tmp_path.iterdir()))}")
        run_path.mkdir(exist_ok=True)
        attempt = len(list(run_path.glob("attempt-*"))) + 1
        (run_path / f"attempt-{attempt}").touch()
        context = JobContext(run_path, tmp_path, EventStream(run_path / "progress.jsonl"), attempt=attempt)
        trainer = assemble(settings, context, open_process(settings.compute, context), TransformerObjective)
        resume(trainer, started=0.0)
        return trainer

    return made


@pytest.fixture(scope="session")
def other_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same functions in tokens of another vocabulary, most of whose ids exist in both."""
    from models.data.generated import write_sample

    folder = tmp_path_factory.mktemp("other")
    write_sample(folder / "raw", num_functions=100)
    document = {"kind": "preprocess", "data": str(folder / "raw"), "vocab_size": 330, "num_workers": 1}
    assert execute(Execution(parse_job(json.dumps(document)), folder / "records", folder)) == 0
    return folder / "records"


@pytest.fixture
def write_folds(tmp_path: Path) -> Callable[..., Path]:
    """Leaves a folds run of the records in a file: whole commits in turn, unless ``fold_of`` says otherwise."""

    def made(
        data_path: Path,
        *,
        folder: str = "folds",
        num_folds: int = 3,
        fold_of: Callable[[int, str], int | None] | None = None,
        own_groups: bool = False,
    ) -> Path:
        records = [json.loads(line) for line in data_path.read_bytes().splitlines()]
        commits = list(dict.fromkeys(record["metadata"]["group"] for record in records))
        rows = []
        for number, record in enumerate(records):
            commit = record["metadata"]["group"]
            fold = commits.index(commit) % num_folds if fold_of is None else fold_of(number, commit)
            rows.append({"id": record["id"], "fold": fold, "group": record["id"] if own_groups else commit})
        path = tmp_path / folder
        path.mkdir()
        (path / "folds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (path / "folds.json").write_text(json.dumps({"num_folds": num_folds}))
        return path

    return made


@pytest.fixture
def write_weights(tmp_path: Path) -> Callable[[Path, Callable[[int], float]], Path]:
    """Leaves the weight of each record of a file, given by its place."""

    def made(data_path: Path, weight_of: Callable[[int], float]) -> Path:
        ids = [json.loads(line)["id"] for line in data_path.read_bytes().splitlines()]
        path = tmp_path / f"weights-{len(list(tmp_path.iterdir()))}.jsonl"
        rows = ({"id": record_id, "weight": weight_of(number)} for number, record_id in enumerate(ids))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return made


TINY_EMBEDDINGS = {
    "kind": "embeddings",
    "small": {"hidden_dim": 16, "num_layers": 1, "num_heads": 2, "feedforward_dim": 32},
    "embedding_dim": 8,
    "max_seq_len": 48,
    "learning_rate": 1e-3,
    "epochs": 2,
    "batch_size": 10,
    "token_budget": 400,
}


@pytest.fixture(scope="session")
def pair_records(token_records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts, pairs of neighbours among them, and their tokenizer. Nobody writes into it."""
    from benchmarks.tiny_data import write_tiny_pairs

    folder = tmp_path_factory.mktemp("pairs") / "run"
    shutil.copytree(token_records, folder)
    write_tiny_pairs(folder)
    return folder


@pytest.fixture(scope="session")
def pair_document(pair_records: Path) -> Callable[..., dict[str, Any]]:
    """Settings of a dual encoder's training of a second; ``model`` adds to the tiny model, the rest replaces."""

    def made(model: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        return {
            "kind": "train",
            "train_data": str(pair_records / "train_pairs.jsonl"),
            "val_data": str(pair_records / "valid_pairs.jsonl"),
            "model": TINY_EMBEDDINGS | (model or {}),
            "compute": {"device": "cpu"},
            "log_every_seconds": 0,
            **changes,
        }

    return made


@pytest.fixture
def pair_trainer_of(pair_document: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., Trainer]:
    """A dual encoder's trainer before its first step, in a run directory of its own unless ``folder`` is given."""

    def made(model: dict[str, Any] | None = None, *, folder: str | None = None, **changes: Any) -> Trainer:
        settings = TrainSettings.model_validate(pair_document(model, **changes))
        run_path = tmp_path / (folder or f"run-{len(list(tmp_path.iterdir()))}")
        run_path.mkdir(exist_ok=True)
        attempt = len(list(run_path.glob("attempt-*"))) + 1
        (run_path / f"attempt-{attempt}").touch()
        context = JobContext(run_path, tmp_path, EventStream(run_path / "progress.jsonl"), attempt=attempt)
        trainer = assemble(settings, context, open_process(settings.compute, context), EmbeddingsObjective)
        resume(trainer, started=0.0)
        return trainer

    return made


RANKERS = {
    "reranker": {"kind": "reranker", "hidden_dim": 16, "candidate_budget": 20},
    "cross_encoder": {
        "kind": "cross_encoder",
        "small": {"hidden_dim": 16, "num_layers": 1, "num_heads": 2, "feedforward_dim": 32},
        "pooling": "mean",
        "max_seq_len": 40,
        "token_budget": 600,
    },
    "patch_ranker": {
        "kind": "patch_ranker",
        "small": {"hidden_dim": 16, "num_layers": 0, "num_heads": 2},
        "hidden_dim": 16,
        "max_seq_len": 32,
        "token_budget": 400,
    },
}
"""What makes each ranker small."""
PLANTED_TOKEN = 300
"""Stands in every relevant text, and in no other."""


def ranked_text(rng: random.Random, name: str, tokenizer: RecordTokenizer, *, relevant: bool) -> dict[str, Any]:
    """A text record of random tokens."""
    body = [rng.randint(60, 90) for _ in range(rng.randint(6, 24))]
    if relevant:
        for place in rng.sample(range(len(body)), 3):
            body[place] = PLANTED_TOKEN
    tokens = [*map(int, tokenizer.special.prefix), *body, *map(int, tokenizer.special.suffix)]
    return {
        "id": name,
        "code": "",
        "language": "c",
        "tokens": tokens,
        "token_offsets": [[0, 0]] * len(tokens),
        "ast_nodes": [],
        "edge_index": [],
        "edge_type": [],
        "label": 0,
        "metadata": {"match": name, "group": name, "split": name.split("-")[0], "project": "p"},
    }


def write_ranked_lists(folder: Path, tokenizer_folder: Path) -> None:
    """Texts, pairs and lists; what is relevant holds ``PLANTED_TOKEN`` and has a larger first feature, mostly."""
    shutil.copytree(tokenizer_folder, folder / "tokenizer")
    tokenizer, rng = RecordTokenizer.read(folder / "tokenizer"), random.Random(7)
    texts: list[dict[str, Any]] = []
    for split, num_lists in {"train": 40, "valid": 15, "test": 12}.items():
        lines, pairs = [], []
        for number in range(num_lists):
            name = f"{split}-{number}"
            relevant = [int(rng.random() < 0.25) for _ in range(rng.randint(3, 9))]
            candidates = [f"{name}-{place}" for place in range(len(relevant))]
            texts += [
                ranked_text(rng, text, tokenizer, relevant=bool(right))
                for text, right in zip([name, *candidates], [0, *relevant], strict=True)
            ]
            features = tuple((right + rng.gauss(0, 0.3), 5.0) for right in relevant)
            entry = CandidateList(
                name, f"{split}-g{number}", name, tuple(candidates), tuple(relevant), features, sum(relevant) + 1, split
            )
            lines.append(list_line(entry))
            pairs.append(pair_line(TextPair(name, name, candidates[0], name, entry.group)))
        (folder / f"{split}_lists.jsonl").write_bytes(b"".join(lines))
        (folder / f"{split}_pairs.jsonl").write_bytes(b"".join(pairs))
    (folder / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))


@pytest.fixture(scope="session")
def ranked_lists(token_records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lists that can be learnt from, with texts, tokenizer, and the run of an encoder. Nobody writes into it."""
    folder = tmp_path_factory.mktemp("ranked")
    write_ranked_lists(folder, token_records / "tokenizer")
    document = {
        "kind": "train",
        "train_data": str(folder / "train_pairs.jsonl"),
        "val_data": str(folder / "valid_pairs.jsonl"),
        "model": {
            "kind": "embeddings",
            "small": {"hidden_dim": 16, "num_layers": 0, "num_heads": 2},
            "embedding_dim": 16,
            "max_seq_len": 32,
            "epochs": 1,
        },
        "compute": {"device": "cpu", "precision": "off"},
    }
    assert execute(Execution(parse_job(json.dumps(document)), folder / "encoder", folder)) == 0
    return folder


@pytest.fixture(scope="session")
def ranker_document(ranked_lists: Path) -> Callable[..., dict[str, Any]]:
    """Settings of a ranker's training of a second; ``model`` adds to the tiny one of its kind, the rest replaces."""

    def made(kind: str, model: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        encoder = {"encoder": str(ranked_lists / "encoder")} if kind == "reranker" else {}
        optimisation = {"learning_rate": 1e-2, "epochs": 2, "batch_size": 8, "warmup_steps": 2}
        return {
            "kind": "train",
            "train_data": str(ranked_lists / "train_lists.jsonl"),
            "val_data": str(ranked_lists / "valid_lists.jsonl"),
            "model": RANKERS[kind] | encoder | optimisation | (model or {}),
            "compute": {"device": "cpu", "precision": "off"},
            "log_every_seconds": 0,
            **changes,
        }

    return made


@pytest.fixture
def ranker_of(ranker_document: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., Trainer]:
    """A ranker's trainer before its first step; each has a run directory of its own."""

    def made(kind: str, model: dict[str, Any] | None = None, **changes: Any) -> Trainer:
        settings = TrainSettings.model_validate(ranker_document(kind, model, **changes))
        run_path = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        run_path.mkdir()
        context = JobContext(run_path, tmp_path, EventStream(run_path / "progress.jsonl"))
        objective_class = importlib.import_module(OBJECTIVE_MODULES[kind]).OBJECTIVE
        trainer = assemble(settings, context, open_process(settings.compute, context), objective_class)
        resume(trainer, started=0.0)
        return trainer

    return made
