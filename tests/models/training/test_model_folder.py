"""The model that a training leaves: as a prediction loads it, and as others do who have nothing of this project."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from transformers import ModernBertConfig, ModernBertModel

from models.data.columnar import open_records
from models.errors import EXIT_REFUSED
from models.jobs.execution import Execution, execute
from models.jobs.registry import parse_job

SMALL = {"hidden_dim": 16, "num_layers": 2, "num_heads": 2, "feedforward_dim": 32}
TINY_TRANSFORMER = {
    "kind": "transformer",
    "pretrained": "off",
    "small": SMALL,
    "max_seq_len": 256,
    "learning_rate": 1e-3,
    "epochs": 2,
    "batch_size": 12,
    "token_budget": 4000,
}


def save_modern_backbone(folder: Path, records: Path) -> None:
    """A tiny ModernBERT with the records' tokenizer: a class that transformers' list of text encoders leaves out."""
    shutil.copytree(records / "tokenizer", folder)
    ids = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2}
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = ModernBertConfig(vocab_size=400, max_position_embeddings=256, **sizes, **ids)
    ModernBertModel(config).save_pretrained(folder)


@pytest.fixture(scope="module", params=["roberta", "t5", "t5 with decoder", "modernbert"])
def trained(request: pytest.FixtureRequest, token_records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of each sort of encoder, and its predictions beside it."""
    folder = tmp_path_factory.mktemp("trained")
    save_modern_backbone(folder / "modern", token_records)
    model = {
        "roberta": {"pooling": "attention"},
        "t5": {"pooling": "mean", "small": {**SMALL, "family": "t5"}},
        "t5 with decoder": {
            "reads_with": "encoder_decoder",
            "pooling": "eos",
            "small": {**SMALL, "family": "t5"},
        },
        "modernbert": {"pretrained": "required", "backbone": str(folder / "modern")},
    }[request.param]
    settings = {
        "kind": "train",
        "train_data": str(token_records / "train.jsonl"),
        "val_data": str(token_records / "valid.jsonl"),
        "model": TINY_TRANSFORMER | model,
        "compute": {"device": "cpu"},
    }
    assert execute(Execution(parse_job(json.dumps(settings)), folder / "run", folder)) == 0
    predict = {"kind": "predict", "model_run": str(folder / "run"), "data": str(token_records)}
    assert execute(Execution(parse_job(json.dumps(predict)), folder / "predicted", folder)) == 0
    return folder / "run"


def test_training_leaves_the_scores_that_a_prediction_gives(trained: Path):
    name = "predictions_valid.jsonl"
    assert (trained / name).read_bytes() == (trained.parent / "predicted" / name).read_bytes()
    assert name in json.loads((trained / "manifest.json").read_text())["files"]


def test_predictions_of_the_saved_model_give_the_best_score(trained: Path):
    numbers = json.loads((trained / "result.json").read_text())["numbers"]
    lines = (trained.parent / "predicted" / "predictions_valid.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    labels = np.array([each["label"] for each in found])
    called = np.array([each["logits"][1] > each["logits"][0] for each in found])
    assert float((labels == called).mean()) == pytest.approx(numbers["best"]["val_accuracy"])


WITHOUT_THIS_PROJECT = """
import json, sys
for name in ("models", "tasks", "flows"):
    sys.modules[name] = None
codes = json.load(open(sys.argv[1]))
{snippet}
print(json.dumps([probability(code) for code in codes]))
"""


def test_the_card_of_the_saved_model_loads_it_in_a_process_without_this_project(
    trained: Path, token_records: Path, tmp_path: Path
):
    folder = trained / "best_model"
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "config.json",
        "head.safetensors",
        "model.safetensors",
        "reading.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    snippet = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert snippet is not None
    table = open_records(token_records / "valid.jsonl")
    codes_path, program_path = tmp_path / "codes.json", tmp_path / "program.py"
    codes_path.write_text(json.dumps([table.code(row) for row in range(len(table))]))
    program_path.write_text(WITHOUT_THIS_PROJECT.replace("{snippet}", snippet.group(1)))
    done = subprocess.run(
        [sys.executable, "-P", str(program_path), str(codes_path)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "newly initialized" not in done.stderr
    lines = (trained.parent / "predicted" / "predictions_valid.jsonl").read_text().splitlines()
    expected = [json.loads(line)["probability"] for line in lines]
    assert json.loads(done.stdout.splitlines()[-1]) == pytest.approx(expected, abs=1e-5)


def test_the_saved_configuration_is_plain(trained: Path):
    config = json.loads((trained / "best_model" / "config.json").read_text())
    assert config["architectures"] in (["RobertaModel"], ["T5EncoderModel"], ["T5Model"], ["ModernBertModel"])
    assert "codewarden" not in json.dumps(config)
    assert "/" not in json.dumps({name: value for name, value in config.items() if name.startswith("_")})


def test_records_of_another_tokenizer_are_refused_in_prediction(
    trained: Path, other_records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    job = parse_job(json.dumps({"kind": "predict", "model_run": str(trained), "data": str(other_records)}))
    assert execute(Execution(job, tmp_path / "run", tmp_path)) == EXIT_REFUSED
    assert "not the tokenizer that the model reads by" in capsys.readouterr().err
