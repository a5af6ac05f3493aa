"""The embed job: vectors in the order of the file, by the trained encoder and its beginnings; sealed texts logged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.data.retrieval.text_pairs import read_pairs
from models.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_REFUSED
from models.jobs.stopping import StopSignal
from models.settings.contrastive import EmbeddingsSettings
from models.training import embedding
from models.training.embeddings import EmbeddingsObjective
from models.training.trainer import Trainer


@pytest.fixture
def trained(run_job: Callable[..., int], pair_document: Callable[..., dict[str, Any]], tmp_path: Path) -> Path:
    """A finished embeddings run, of shared towers."""
    assert run_job(pair_document({"epochs": 1}), "trained") == EXIT_DONE
    return tmp_path / "trained"


@pytest.fixture
def data(pair_records: Path, tmp_path: Path) -> Path:
    """As a finished pairs run with sealed texts."""
    folder = tmp_path / "data"
    shutil.copytree(pair_records, folder)
    records = [json.loads(line) for line in (folder / "texts.jsonl").read_bytes().splitlines()[:9]]
    write_sealed(folder, [sealed(record) for record in records])
    return folder


def sealed(record: dict[str, Any]) -> dict[str, Any]:
    """A text like this one that no training saw."""
    new = {"group": f"sealed-{record['metadata']['group']}", "match": f"sealed-{record['metadata']['match']}"}
    return {**record, "id": f"sealed-{record['id']}", "metadata": record["metadata"] | new | {"split": "test"}}


def write_sealed(data: Path, records: list[dict[str, Any]]) -> None:
    (data / "test_texts.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def embed_document(model_run: Path, data: Path, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "embed",
        "model_run": str(model_run),
        "data": str(data),
        "compute": {"device": "cpu", "precision": "off"},
        **changes,
    }


def test_vectors_lie_in_the_order_of_the_file_whatever_goes_together(
    run_job: Callable[..., int], trained: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(embedding, "TEXTS_AT_ONCE", 7)
    assert run_job(embed_document(trained, data), "embedded") == EXIT_DONE
    tensors = load_file(tmp_path / "embedded" / "texts.safetensors")
    assert set(tensors) == {"vectors"}
    settings = EmbeddingsSettings.model_validate(json.loads((trained / "settings.json").read_bytes())["model"])
    objective = EmbeddingsObjective.trained(settings, trained)
    texts = objective.open_texts(data / "texts.jsonl")
    alone = [objective.embeddings(texts, np.array([row]), 1, budget=1) for row in range(len(texts))]
    torch.testing.assert_close(tensors["vectors"], torch.cat(alone), rtol=0, atol=1e-6)
    torch.testing.assert_close(tensors["vectors"].norm(dim=1), torch.ones(len(texts)))
    numbers = json.loads((tmp_path / "embedded" / "result.json").read_bytes())["numbers"]
    assert (numbers["dim"], numbers["num_texts"]) == (8, {"texts": len(texts)})


def test_the_untrained_encoder_is_the_one_that_training_began_with(
    run_job: Callable[..., int],
    trained: Path,
    data: Path,
    tmp_path: Path,
    pair_trainer_of: Callable[..., Trainer],
):
    assert run_job(embed_document(trained, data, with_untrained=True), "embedded") == EXIT_DONE
    beginning: Any = pair_trainer_of({"epochs": 1}).objective
    texts = beginning.open_texts(data / "texts.jsonl")
    expected = beginning.embeddings(texts, np.arange(len(texts)), 1, budget=400)
    found = load_file(tmp_path / "embedded" / "untrained_texts.safetensors")["vectors"]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    vectors = load_file(tmp_path / "embedded" / "texts.safetensors")["vectors"]
    assert float((vectors - found).abs().max()) > 1e-3


def test_sealed_texts_are_opened_on_request_only_and_the_opening_is_logged(
    run_job: Callable[..., int], trained: Path, data: Path, tmp_path: Path
):
    log = tmp_path / "openings.jsonl"
    assert run_job(embed_document(trained, data), "closed") == EXIT_DONE
    assert not (tmp_path / "closed" / "test_texts.safetensors").exists()
    assert not log.exists()
    opened = embed_document(trained, data, open_test="the final numbers", with_untrained=True)
    assert run_job(opened, "opened") == EXIT_DONE
    assert [json.loads(line)["purpose"] for line in log.read_bytes().splitlines()] == ["the final numbers"]
    for name in ("test_texts.safetensors", "untrained_test_texts.safetensors"):
        assert load_file(tmp_path / "opened" / name)["vectors"].shape == (9, 8)
    numbers = json.loads((tmp_path / "opened" / "result.json").read_bytes())["numbers"]
    assert numbers["num_texts"]["test_texts"] == 9


@pytest.mark.parametrize("what", ["id", "group"])
@pytest.mark.parametrize("split", ["train", "valid"])
def test_sealed_texts_that_the_encoder_was_trained_or_selected_on_are_refused(
    run_job: Callable[..., int], trained: Path, data: Path, pair_records: Path, tmp_path: Path, split: str, what: str
):
    pair = read_pairs(pair_records / f"{split}_pairs.jsonl")[2]
    records = [json.loads(line) for line in (data / "test_texts.jsonl").read_bytes().splitlines()]
    if what == "id":
        records[4]["id"] = pair.positive
    else:
        records[4]["metadata"]["group"] = pair.group
    write_sealed(data, records)
    told = refused(run_job, embed_document(trained, data, open_test="the final numbers"), tmp_path)
    assert "trained or selected on 1 of 9 texts" in told
    assert "give the pairs run that it was trained on" in told
    assert not list((tmp_path / "refused").glob("*.safetensors"))
    assert (tmp_path / "openings.jsonl").exists()


def test_pairs_that_are_gone_are_said_not_to_be_checked_unless_the_texts_are_those_of_training(
    run_job: Callable[..., int], pair_document: Callable[..., dict[str, Any]], data: Path, tmp_path: Path
):
    for split in ("train", "valid"):
        shutil.copy(data / f"{split}_pairs.jsonl", tmp_path / f"{split}.jsonl")
    given = {"train_data": str(tmp_path / "train.jsonl"), "val_data": str(tmp_path / "valid.jsonl")}
    assert run_job(pair_document({"epochs": 1}, texts=str(data / "texts.jsonl"), **given), "trained") == EXIT_DONE
    (tmp_path / "train.jsonl").unlink()
    document = embed_document(tmp_path / "trained", data, open_test="the final numbers")

    def not_checked(name: str) -> Any:
        assert run_job(document, name) == EXIT_DONE
        return json.loads((tmp_path / name / "result.json").read_bytes())["numbers"]["not_checked_for_leaks"]

    assert not_checked("same") == []
    lines = (data / "texts.jsonl").read_bytes().splitlines(keepends=True)
    (data / "texts.jsonl").write_bytes(b"".join(lines[:-1]))
    assert not_checked("other") == ["train_data"]
    assert "was not checked there" in (tmp_path / "other" / "progress.jsonl").read_text()


def test_separate_towers_give_vectors_that_ask_and_vectors_that_are_found(
    run_job: Callable[..., int], pair_document: Callable[..., dict[str, Any]], data: Path, tmp_path: Path
):
    assert run_job(pair_document({"epochs": 1, "towers": "separate"}), "separate") == EXIT_DONE
    assert run_job(embed_document(tmp_path / "separate", data, with_untrained=True), "embedded") == EXIT_DONE
    tensors = load_file(tmp_path / "embedded" / "texts.safetensors")
    assert float((tensors["vectors"] - tensors["queries"]).abs().max()) > 1e-3
    alike = load_file(tmp_path / "embedded" / "untrained_texts.safetensors")
    assert torch.equal(alike["vectors"], alike["queries"])


class StopAmongTheTexts(StopSignal):
    """Up when it is looked at for the sixth time."""

    def __init__(self) -> None:
        super().__init__()
        self.num_looks = 0

    def __call__(self) -> bool:
        self.num_looks += 1
        return self.num_looks > 5


def test_a_job_that_was_asked_to_leave_begins_anew_and_ends_with_the_same_bytes(
    run_job: Callable[..., int], trained: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(embedding, "TEXTS_AT_ONCE", 7)
    assert run_job(embed_document(trained, data), "undisturbed") == EXIT_DONE
    assert run_job(embed_document(trained, data), "run", stop=StopAmongTheTexts()) == EXIT_INTERRUPTED
    assert run_job(embed_document(trained, data), "run") == EXIT_DONE
    manifests = [(tmp_path / name / "manifest.json").read_bytes() for name in ("undisturbed", "run")]
    assert manifests[0] == manifests[1]


def refused(run_job: Callable[..., int], document: dict[str, Any], tmp_path: Path) -> str:
    assert run_job(document, "refused") == EXIT_REFUSED
    return (tmp_path / "refused" / "outcome.json").read_text()


def test_texts_of_another_tokenizer_are_refused(
    run_job: Callable[..., int], trained: Path, data: Path, other_records: Path, tmp_path: Path
):
    shutil.rmtree(data / "tokenizer")
    shutil.copytree(other_records / "tokenizer", data / "tokenizer")
    assert "not the tokenizer that the model reads by" in refused(run_job, embed_document(trained, data), tmp_path)


def test_a_run_that_is_not_finished_is_refused(run_job: Callable[..., int], trained: Path, data: Path, tmp_path: Path):
    (data / "manifest.json").unlink()
    assert "is not finished" in refused(run_job, embed_document(trained, data), tmp_path)


def test_weights_that_were_changed_are_refused(run_job: Callable[..., int], trained: Path, data: Path, tmp_path: Path):
    path = trained / "embeddings_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    assert run_job(embed_document(trained, data), "refused") != EXIT_DONE


def test_several_ranks_are_refused(run_job: Callable[..., int], trained: Path, data: Path, tmp_path: Path):
    document = embed_document(trained, data, compute={"device": "cpu", "num_ranks": 2})
    assert "one process" in refused(run_job, document, tmp_path)


def test_a_classifier_embeds_nothing(
    run_job: Callable[..., int], token_document: Callable[..., dict[str, Any]], data: Path, tmp_path: Path
):
    assert run_job(token_document({"epochs": 1}), "classifier") == EXIT_DONE
    assert "give an embeddings run" in refused(run_job, embed_document(tmp_path / "classifier", data), tmp_path)
