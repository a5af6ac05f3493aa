"""Records for the certificate and the comparisons: generated functions through the real preprocess job."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from models.data.generated import write_sample
from models.data.retrieval.candidate_lists import CandidateList, list_line
from models.data.retrieval.text_pairs import TextPair, pair_line
from models.settings.preprocess import PreprocessSettings
from models.settings.text_encoder import SmallEncoder
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.settings.transformer import TransformerSettings

TINY_FUNCTIONS = 180
BACKBONE_FOLDER = "backbone"
"""A tiny T5 with the records' tokenizer, as someone would have it on disk."""
TEXTS_FILE = "texts.jsonl"
"""Training and validation records as the texts of pairs."""
ENCODER_FOLDER = "encoder"
"""A finished run of a tiny dual encoder over the pairs."""
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
    write_tiny_pairs(folder)
    write_tiny_lists(folder)
    write_tiny_encoder(folder)
    program = "import sys; from pathlib import Path; from benchmarks.tiny_data import write_tiny_backbone; "
    program += "write_tiny_backbone(Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True, stdout=subprocess.DEVNULL)


def write_tiny_weights(folder: Path) -> None:
    """Weights 0, 0.5, 1, 1.5 and 2 in turn for the training records in ``folder``."""
    ids = [json.loads(line)["id"] for line in (folder / "train.jsonl").read_bytes().splitlines()]
    rows = ({"id": record_id, "weight": (number % 5) / 2} for number, record_id in enumerate(ids))
    (folder / WEIGHTS_FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_tiny_pairs(folder: Path) -> None:
    """Leave ``texts.jsonl``, ``train_pairs.jsonl`` and ``valid_pairs.jsonl`` made of the records in ``folder``.

    Neighbours are pairs, two pairs in a row do the same, and every third has negatives.
    """
    with (folder / TEXTS_FILE).open("w") as texts:
        for split in ("train", "valid"):
            records = [json.loads(line) for line in (folder / f"{split}.jsonl").read_bytes().splitlines()]
            matches = [f"{split}-{number // 4}" for number in range(len(records))]
            for record, match in zip(records, matches, strict=True):
                record["metadata"] |= {"match": match, "split": split, "project": "tiny"}
                texts.write(json.dumps(record) + "\n")
            ids = [record["id"] for record in records]
            lines = [
                pair_line(
                    TextPair(f"{split}-{at}", ids[at], ids[at + 1], matches[at], matches[at], _negatives(ids, at))
                )
                for at in range(0, len(ids) - 1, 2)
            ]
            (folder / f"{split}_pairs.jsonl").write_bytes(b"".join(lines))


def _negatives(ids: list[str], at: int) -> tuple[str, ...]:
    """Two texts from elsewhere for every third pair."""
    return () if at % 6 else (ids[at - 8], ids[at - 5])


def write_tiny_lists(folder: Path) -> None:
    """Leave ``train_lists.jsonl`` and ``valid_lists.jsonl`` over the texts in ``folder``.

    Of every two neighbours the first asks; its list holds three to seven texts, those that do the same among them or,
    in every sixth list, none of them.
    """
    for split in ("train", "valid"):
        texts = [json.loads(line) for line in (folder / TEXTS_FILE).read_bytes().splitlines()]
        own = [(text["id"], text["metadata"]["match"]) for text in texts if text["metadata"]["split"] == split]
        lists = (_tiny_list(own, at, split) for at in range(0, len(own), 2))
        (folder / f"{split}_lists.jsonl").write_bytes(b"".join(map(list_line, lists)))


def _tiny_list(texts: list[tuple[str, str]], at: int, split: str) -> CandidateList:
    """The list of the text at a place: what comes behind it, which does the same as it does or not."""
    query, match = texts[at]
    begin = 1 if at % 12 else 4
    candidates = [texts[(at + begin + step) % len(texts)] for step in range(3 + at % 5)]
    relevant = tuple(int(of == match) for _, of in candidates)
    return CandidateList(
        list_id=query,
        group=match,
        query=query,
        candidates=tuple(text_id for text_id, _ in candidates),
        relevant=relevant,
        features=tuple((step / 8, float(len(text_id) % 3)) for step, (text_id, _) in enumerate(candidates)),
        num_relevant=3,
        split=split,
    )


def write_tiny_encoder(folder: Path) -> None:
    """Train a dual encoder on the pairs in ``folder`` for an epoch, in a process of its own."""
    settings = {
        "kind": "train",
        "train_data": str(folder / "train_pairs.jsonl"),
        "val_data": str(folder / "valid_pairs.jsonl"),
        "model": {
            "kind": "embeddings",
            "small": {"hidden_dim": 16, "num_layers": 0, "num_heads": 2},
            "embedding_dim": 8,
            "max_seq_len": 64,
            "epochs": 1,
        },
        "compute": {"device": "cpu", "precision": "off"},
    }
    job_path = folder.with_name(f"{folder.name}-encoder.json")
    job_path.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "models", str(job_path), f"--run-dir={folder / ENCODER_FOLDER}"]
    subprocess.run([*command, f"--runs={folder.parent}"], check=True, stdout=subprocess.DEVNULL)


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
