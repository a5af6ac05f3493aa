"""Our dual encoder beside sentence-transformers' trainer: ``python -m benchmarks.contrastive [--data FOLDER]``.

The same small RoBERTa (two layers of 128), tokenizer, longest text, pairs, batch, loss (InfoNCE in both directions over
the pairs of a step), precision (fp32) and threads. Ours is the trainer's own step. ``SentenceTransformerTrainer`` runs
at its defaults with ``MultipleNegativesRankingLoss``; it is held between steps, so that both take turns step by step
and a busy moment hits both. Seconds are CPU seconds of the process. Bound: 1.2 times its pairs per second.

That both compute the same loss is checked first: copied weights, no dropout, equal batch, equal embeddings and loss.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import orjson
import torch

from benchmarks.generated_texts import generated_texts, write_texts
from benchmarks.plain_contrastive import PlainContrastive
from benchmarks.side_by_side import OurTraining, held
from models.data.retrieval.text_pairs import read_pairs
from models.settings.contrastive import EmbeddingsSettings
from models.settings.text_encoder import SmallEncoder
from models.settings.train import ComputeSettings, TrainSettings
from models.training.embeddings import EmbeddingsObjective
from models.training.objective import Objective
from models.training.step_loss import step_loss

MIN_SPEEDUP = 1.2
MAX_DIFFERENCE = 1e-5
BATCH_SIZE = 64
NUM_STEPS = 10
TEMPERATURE = 0.05
"""The inverse of the scale 20 that sentence-transformers has."""
MODEL = EmbeddingsSettings(
    small=SmallEncoder(hidden_dim=128, num_layers=2, num_heads=4, feedforward_dim=512),
    embedding_dim=128,
    batch_size=BATCH_SIZE,
    token_budget=32_768,  # all states of a step are kept, as the other does
    temperature=TEMPERATURE,
    learn_temperature=False,
)


class Trainings(NamedTuple):
    """Both, before their first step."""

    ours: OurTraining
    plain: PlainContrastive


def main(argv: Sequence[str] | None = None) -> int:
    """Print the comparison; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contrastive", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of a pairs run; empty: generated functions")
    parser.add_argument("--steps", type=int, default=NUM_STEPS, help="timed steps [steps]")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="codewarden-contrastive-") as name:
        folder = Path(name)
        data_path = options.data
        if data_path is None:
            data_path = folder / "data"
            write_texts(data_path, generated_texts((options.steps + 3) * BATCH_SIZE * 5 // 2))
        is_same = same_loss(trainings(data_path, folder / "same", dropout=0.0))
        is_fast = compare_speed(trainings(data_path, folder / "timed", dropout=0.1), options.steps)
    return int(not (is_same and is_fast))


def trainings(data_path: Path, folder: Path, *, dropout: float) -> Trainings:
    """Both on the same pairs in the same order, with the same weights."""
    settings = TrainSettings(
        train_data=data_path / "train_pairs.jsonl",
        val_data=data_path / "valid_pairs.jsonl",
        model=MODEL.model_copy(update={"dropout": dropout}),
        compute=ComputeSettings(device="cpu", precision="off", num_threads=1),
    )
    ours = OurTraining(settings, folder / "run", cast(type[Objective], EmbeddingsObjective))
    ours.begin_epoch()
    objective = cast(EmbeddingsObjective, ours.trainer.objective)
    texts = {row["id"]: row["code"] for row in map(orjson.loads, (data_path / "texts.jsonl").open("rb"))}
    pairs = read_pairs(settings.train_data)
    order = [int(record) for step in range(ours.trainer.num_steps) for record in ours.records(step)]
    rows = [(texts[pairs[record].anchor], texts[pairs[record].positive]) for record in order]
    plain = PlainContrastive(objective, rows, folder / "plain", batch_size=BATCH_SIZE, scale=1 / TEMPERATURE)
    return Trainings(ours, plain)


def same_loss(both: Trainings) -> bool:
    """Print whether equal weights and pairs give equal losses."""
    trainer = both.ours.trainer
    objective, train = cast(EmbeddingsObjective, trainer.objective), cast(Any, trainer.train)
    records = both.ours.records(0)
    with torch.no_grad():
        texts = train.step_texts(records)
        embeddings = objective.embeddings(train.texts, texts.text, 1, budget=objective.budget)
        weights = np.full(len(records), 1 / len(records))
        ours = float(step_loss(embeddings, texts, weights, objective.model.log_scale).loss)
        plain = both.plain.loss_of(range(BATCH_SIZE))
        anchors = both.plain.anchor_embeddings(range(BATCH_SIZE))
    apart, difference = float((anchors - embeddings[:BATCH_SIZE]).abs().max()), abs(ours - plain)
    return held(
        {
            f"embeddings differ by {apart:.1e} (<= {MAX_DIFFERENCE:g})": apart <= MAX_DIFFERENCE,
            f"losses {ours:.4f} and {plain:.4f} differ by {difference:.1e}": difference <= MAX_DIFFERENCE,
        }
    )


def compare_speed(both: Trainings, num_steps: int) -> bool:
    """Print pairs per second and the ratio; whether the bound held."""
    spent = {"ours": 0.0, "sentence-transformers": 0.0}
    both.plain.begin()
    for number in range(num_steps + 1):
        for name, step in {"ours": both.ours.step, "sentence-transformers": both.plain.step}.items():
            started = time.process_time()
            step()
            if number:  # the first warms up
                spent[name] += time.process_time() - started
    both.plain.leave()
    lengths = cast(Any, both.ours.trainer.train).texts.lengths
    print(f"1 thread, {num_steps} steps of {BATCH_SIZE} pairs, texts of {lengths.mean():.0f} tokens in the mean")
    for name, seconds in spent.items():
        print(f"  {name:<22} {seconds / num_steps:7.2f} s/step {num_steps * BATCH_SIZE / seconds:9.1f} pairs/s")
    ratio = spent["sentence-transformers"] / spent["ours"]
    return held({f"speed-up {ratio:.2f}x (>= {MIN_SPEEDUP})": ratio >= MIN_SPEEDUP})


if __name__ == "__main__":
    sys.exit(main())
