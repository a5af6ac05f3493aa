"""All three rankers on the engine: loss, cuts, order of candidates, what they learn, refuse and leave; exact resume."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.data.retrieval.candidate_lists import CandidateList, list_line, read_lists
from models.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_REFUSED, DataInvalid, SettingsInvalid
from models.jobs.registry import OBJECTIVE_MODULES
from models.jobs.stopping import StopSignal
from models.training.ranking import Ranking
from models.training.trainer import LOSS, Trainer

KINDS = ("reranker", "cross_encoder", "patch_ranker")
RECORDS = np.array([3, 11, 7, 0, 22, 39, 13, 8])
each_kind = pytest.mark.parametrize("kind", KINDS)


def gradient_of(trainer: Trainer, budget: int) -> tuple[float, Tensor]:
    trainer.gradients.clear()
    trainer.position.micro_budget = budget
    trainer._backward(RECORDS)
    return float(trainer.gradients.extra[LOSS]), trainer.gradients.gradient.clone()


def scores_of(trainer: Trainer, records: Any, budget: int = 10**6) -> list[list[float]]:
    """Of each list, without what fills it up."""
    examples = trainer.train
    table = trainer.objective.scores(examples, np.asarray(records, dtype=np.int64), budget=budget)
    return [row[:count].tolist() for row, count in zip(table, examples.num_candidates[records], strict=True)]  # type: ignore[attr-defined]


@each_kind
def test_neither_loss_nor_gradient_nor_scores_depend_on_the_cut_or_on_what_fills_up(
    ranker_of: Callable[..., Trainer], kind: str
):
    trainer = ranker_of(kind, {"dropout": 0.0})
    expected_loss, expected = gradient_of(trainer, 1)
    assert float(expected.abs().max()) > 1e-4
    alone = [scores_of(trainer, [record], budget=1)[0] for record in RECORDS]
    for budget in (40, 10**6):
        loss, gradient = gradient_of(trainer, budget)
        assert loss == pytest.approx(expected_loss, abs=1e-6)
        torch.testing.assert_close(gradient, expected, rtol=0, atol=2e-6)
        for found, want in zip(scores_of(trainer, RECORDS, budget), alone, strict=True):
            assert found == pytest.approx(want, abs=1e-5)


@each_kind
def test_the_loss_of_a_step_is_the_weighted_mean_over_its_lists(ranker_of: Callable[..., Trainer], kind: str):
    trainer = ranker_of(kind, {"dropout": 0.0})
    trainer.train.weights[:] = np.linspace(0.1, 3.0, len(trainer.train))
    share = 0.5 if kind == "patch_ranker" else 0.0
    losses = []
    for record, scores in zip(RECORDS, scores_of(trainer, RECORDS), strict=True):
        relevant = torch.tensor(trainer.train.lists[record].relevant, dtype=torch.float32)  # type: ignore[attr-defined]
        listwise = torch.tensor(0.0)
        if 0 < relevant.sum() < len(relevant):
            listwise = -(torch.tensor(scores).log_softmax(0) * relevant).sum() / relevant.sum()
        pointwise = functional.binary_cross_entropy_with_logits(torch.tensor(scores), relevant)
        losses.append((1 - share) * listwise + share * pointwise)
    weights = torch.from_numpy(trainer.train.weights[RECORDS]).float()
    expected = float((torch.stack(losses) * weights).sum() / weights.sum())
    assert gradient_of(trainer, 50)[0] == pytest.approx(expected, abs=1e-5)


@each_kind
def test_permuting_the_candidates_permutes_the_scores(
    ranker_of: Callable[..., Trainer], ranked_lists: Path, tmp_path: Path, kind: str
):
    objective = ranker_of(kind).objective
    entries = read_lists(ranked_lists / "test_lists.jsonl")
    reversed_path = tmp_path / "reversed.jsonl"
    reversed_path.write_bytes(
        b"".join(
            list_line(e._replace(candidates=e.candidates[::-1], relevant=e.relevant[::-1], features=e.features[::-1]))
            for e in entries
        )
    )
    for path, flip in ((ranked_lists / "test_lists.jsonl", 1), (reversed_path, -1)):
        examples = objective.load(path, limit=None)
        table = objective.scores(examples, np.arange(len(examples)), budget=300).numpy()
        said = objective.predictions(examples, table)
        if flip == 1:
            expected = said
        for found, want in zip(said, expected, strict=True):
            assert found["candidates"][::flip] == want["candidates"]
            assert found["scores"][::flip] == pytest.approx(want["scores"], abs=1e-5)


@each_kind
def test_what_is_planted_is_learnt(ranker_of: Callable[..., Trainer], kind: str):
    changes: dict[str, Any] = {"epochs": 12, "early_stopping_patience": 12, "dropout": 0.0, "learning_rate": 2e-2}
    if kind == "patch_ranker":
        changes["reads"] = "text"
    trainer = ranker_of(kind, changes)
    position = trainer.fit()
    assert position.history[-1]["train_loss"] < 0.7 * position.history[0]["train_loss"]
    assert position.best_score > 0.9
    random_table = np.random.default_rng(0).random((len(trainer.val), trainer.val.longest), dtype=np.float32)  # type: ignore[attr-defined]
    assert trainer.objective.metrics(trainer.val, random_table)["selection"] < 0.7


@each_kind
def test_a_run_that_is_stopped_twice_ends_with_the_bytes_of_one_that_never_was(
    kind: str, run_job: Callable[..., int], ranker_document: Callable[..., dict[str, Any]], tmp_path: Path
):
    document = ranker_document(kind, checkpoints={"every_steps": None})
    assert run_job(document, "undisturbed") == EXIT_DONE
    for looks in (2, 5):
        assert run_job(document, "run", stop=StopAtStep(looks)) == EXIT_INTERRUPTED
    assert run_job(document, "run") == EXIT_DONE
    attempts = json.loads((tmp_path / "run" / "record.json").read_bytes())["attempts"]
    assert [attempt["resumed_at_step"] for attempt in attempts] == [0, 2, 6]
    assert left_by(tmp_path / "run") == left_by(tmp_path / "undisturbed")


@pytest.mark.long
@each_kind
def test_two_ranks_learn_what_one_learns(
    kind: str, run_job: Callable[..., int], ranker_document: Callable[..., dict[str, Any]], tmp_path: Path
):
    """Lists are dealt to ranks whole; of nine one rank has more, and of the last four both have as many."""
    compute = {"device": "cpu", "precision": "off", "num_ranks": 2}
    one = ranker_document(kind, {"dropout": 0.0, "batch_size": 9, "epochs": 1, "learning_rate": 1e-4})
    assert run_job(one, "one") == EXIT_DONE
    assert run_job(one | {"compute": compute}, "two", num_ranks=2) == EXIT_DONE
    histories = [json.loads((tmp_path / name / "history.json").read_bytes()) for name in ("one", "two")]
    assert histories[0]["sample_digests"] == histories[1]["sample_digests"]
    assert histories[0]["epochs"][0] == pytest.approx(histories[1]["epochs"][0], abs=1e-5)


@each_kind
def test_the_model_is_rebuilt_exactly_from_what_a_run_leaves(
    kind: str,
    ranker_of: Callable[..., Trainer],
    ranker_document: Callable[..., dict[str, Any]],
    run_job: Callable[..., int],
    ranked_lists: Path,
    tmp_path: Path,
):
    assert run_job(ranker_document(kind, {"epochs": 1}), "run") == EXIT_DONE
    objective_class = importlib.import_module(OBJECTIVE_MODULES[kind]).OBJECTIVE
    settings = ranker_of(kind).objective.settings
    objective: Ranking = objective_class.trained(settings, tmp_path / "run")
    with pytest.raises(SettingsInvalid, match="needs their texts; give it to the score job"):
        objective.load(ranked_lists / "valid_lists.jsonl", limit=None)
    objective.read_texts(ranked_lists / "texts.jsonl")
    examples = objective.load(ranked_lists / "valid_lists.jsonl", limit=None)
    scores = objective.scores(examples, np.arange(len(examples)), budget=objective.budget).numpy()
    rows = [json.loads(line) for line in (tmp_path / "run" / "predictions_valid.jsonl").read_text().splitlines()]
    assert [row["scores"] for row in rows] == [said["scores"] for said in objective.predictions(examples, scores)]


@each_kind
def test_lists_that_do_not_fit_are_refused(ranker_of: Callable[..., Trainer], tmp_path: Path, kind: str):
    objective = ranker_of(kind).objective
    good = CandidateList("x", "x", "test-0", ("test-0-0", "test-0-1"), (0, 1), ((0.1, 0.2),) * 2, 1, "test")
    problems = {
        "names the text nowhere, which is not in": good._replace(candidates=("test-0-0", "nowhere")),
        "candidates have 1 features, and the model knows 2": good._replace(features=((0.1,),) * 2),
    }
    if kind != "patch_ranker":
        problems["list x has no query"] = good._replace(query=None)
    for words, entry in problems.items():
        path = tmp_path / "bad.jsonl"
        path.write_bytes(list_line(entry))
        with pytest.raises(DataInvalid, match=words):
            objective.load(path, limit=None)


def test_lists_of_one_label_are_counted_and_in_a_reranker_teach_nothing(
    ranker_of: Callable[..., Trainer], ranked_lists: Path
):
    entries = read_lists(ranked_lists / "train_lists.jsonl")
    (one_label,) = np.nonzero([not entry.is_mixed for entry in entries])
    assert len(one_label) > 2
    for kind in KINDS:
        trainer = ranker_of(kind)
        assert trainer.objective.facts(trainer.train)["num_one_label_lists"] == len(one_label)
        loss = trainer.objective.loss_sum(trainer.train, one_label[:1])  # type: ignore[attr-defined]
        loss.backward()
        taught = max(float(p.grad.abs().max()) for p in trainer.gradients.parameters if p.grad is not None)
        assert (taught > 0.0) == (kind == "patch_ranker")


@pytest.mark.parametrize("kind", ["reranker", "cross_encoder"])
def test_only_as_many_triples_are_learnt_from_as_are_asked_for(ranker_of: Callable[..., Trainer], kind: str):
    everything, some = ranker_of(kind), ranker_of(kind, {"max_triples": 40})
    assert 0 < len(some.train) < len(everything.train)
    assert some.objective.facts(some.train)["num_triples"] <= 40
    assert len(some.val) == len(everything.val)


def test_validation_that_can_choose_nothing_is_refused_before_training(
    run_job: Callable[..., int],
    ranker_document: Callable[..., dict[str, Any]],
    ranked_lists: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    entries = read_lists(ranked_lists / "valid_lists.jsonl")
    path = tmp_path / "valid.jsonl"
    path.write_bytes(b"".join(list_line(entry) for entry in entries if not entry.is_mixed))
    assert run_job(ranker_document("patch_ranker", val_data=str(path)), "run") == EXIT_REFUSED
    assert "nothing says which epoch orders better" in capsys.readouterr().err


class StopAtStep(StopSignal):
    """Up once it was read so many times: once in each step, and once after each evaluation."""

    def __init__(self, num_looks: int) -> None:
        super().__init__()
        self.num_left = num_looks

    def __call__(self) -> bool:
        self.num_left -= 1
        return self.num_left <= 0


def left_by(run_path: Path) -> dict[str, bytes]:
    """The manifest, which holds the digest of every file of the result, and the parts of the last checkpoint."""
    head = json.loads((run_path / "checkpoints" / "head.json").read_bytes())
    parts = (run_path / "checkpoints" / head["newest"]).iterdir()
    files = {path.name: path.read_bytes() for path in parts if path.name != "manifest.json"}
    return files | {"manifest of the run": (run_path / "manifest.json").read_bytes()}
