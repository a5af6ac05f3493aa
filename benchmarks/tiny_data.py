"""Records for the certificate and the comparisons: generated functions through the real preprocess job."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from models.data.generated import write_sample
from models.settings.preprocess import PreprocessSettings
from models.settings.text_encoder import SmallEncoder
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.settings.transformer import TransformerSettings

TINY_FUNCTIONS = 180
BACKBONE_FOLDER = "backbone"
"""A tiny T5 with the records' tokenizer, as someone would have it on disk."""
WEIGHTS_FILE = "weights.jsonl"
"""A weight of each training record, 0 among them."""


def write_tiny_data(folder: Path, num_functions: int = TINY_FUNCTIONS) -> None:
    """Leave ``train.jsonl``, ``valid.jsonl``, ``test.jsonl``, Arrow copies, tokenizer, weights and a backbone there.

    Job and backbone are made in processes of their own, so that the caller stays without threads.
    """
    raw_path, run_path = folder.with_name(f"{folder.name}-raw"), folder.with_name(f"{folder.name}-run")
    write_sample(raw_path, num_functions=num_functions)
    job_path = folder.with_name(f"{folder.name}-job.json")
    job_path.write_text(PreprocessSettings(data=raw_path, num_workers=1).model_dump_json())
    command = [sys.executable, "-m", "models", str(job_path), f"--run-dir={run_path}", f"--runs={folder.parent}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "valid", "test"):
        for suffix in ("jsonl", "arrow"):
            shutil.copy2(run_path / f"{split}.{suffix}", folder)
    shutil.copytree(run_path / TOKENIZER_FOLDER, folder / TOKENIZER_FOLDER)
    write_tiny_weights(folder)
    program = "import sys; from pathlib import Path; from benchmarks.tiny_data import write_tiny_backbone; "
    program += "write_tiny_backbone(Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True, stdout=subprocess.DEVNULL)


def write_tiny_weights(folder: Path) -> None:
    """Weights 0, 0.5, 1, 1.5 and 2 in turn for the training records in ``folder``."""
    ids = [json.loads(line)["id"] for line in (folder / "train.jsonl").read_bytes().splitlines()]
    rows = ({"id": record_id, "weight": (number % 5) / 2} for number, record_id in enumerate(ids))
    (folder / WEIGHTS_FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_tiny_backbone(folder: Path) -> None:
    """Save a T5 of two layers on each side beside the records in ``folder``, with their tokenizer."""
    import torch

    from models.data.record_tokenizer import RecordTokenizer
    from models.nn.backbones import TokenIds, only_errors_told, small_backbone

    tokenizer = RecordTokenizer.read(folder / TOKENIZER_FOLDER)
    ids = TokenIds(tokenizer.vocab_size, tokenizer.special.pad, tokenizer.bos, tokenizer.eos)
    small = SmallEncoder(family="t5", hidden_dim=16, num_layers=2, num_heads=2, feedforward_dim=32)
    torch.manual_seed(0)
    settings = TransformerSettings(small=small, reads_with="encoder_decoder", pooling="eos")
    backbone = small_backbone(settings, ids)
    shutil.copytree(folder / TOKENIZER_FOLDER, folder / BACKBONE_FOLDER)
    with only_errors_told():
        backbone.save_pretrained(folder / BACKBONE_FOLDER)
