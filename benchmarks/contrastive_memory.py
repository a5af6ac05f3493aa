"""Memory of a training step of the dual encoder by its batch: ``python -m benchmarks.contrastive_memory``.

Each batch size in a process of its own, one step of the trainer under the same budget of tokens, every text a negative
of all others. Printed is the peak of resident memory, and how far the step lifted it, beside a step that keeps all
states. malloc's thresholds are held still, so that freed tensors go back to the system: by default its fragments grow
with the number of micro-batches, and the peak was seen to be a tenth higher at 1,024 pairs than at 64. Bound: from a
batch of 64 pairs to one of 1,024 the peak grows by less than a tenth.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from benchmarks.generated_texts import generated_texts, write_texts
from models.settings.contrastive import EmbeddingsSettings
from models.settings.text_encoder import SmallEncoder
from models.settings.train import ComputeSettings, TrainSettings

ROOT = Path(__file__).resolve().parents[1]
BATCH_SIZES = (64, 128, 256, 512, 1024)
TOKEN_BUDGET = 4096
KEPT_BATCH_SIZE = 128
"""Pairs of the step that keeps all states, for comparison."""
MAX_GROWTH = 0.1
MALLOC_HELD = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
MODEL = EmbeddingsSettings(
    small=SmallEncoder(hidden_dim=128, num_layers=2, num_heads=4, feedforward_dim=512), token_budget=TOKEN_BUDGET
)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the peaks; 1 when the bound is missed."""
    description = __doc__.partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contrastive_memory", description=description)
    parser.add_argument("--measure", nargs=3, metavar=("DATA", "PAIRS", "TOKENS"), help="one step here, print JSON")
    options = parser.parse_args(argv)
    if options.measure is not None:
        data, pairs, tokens = options.measure
        print(json.dumps(peak_megabytes(Path(data), int(pairs), int(tokens))))
        return 0
    from benchmarks.side_by_side import held

    with tempfile.TemporaryDirectory(prefix="codewarden-contrastive-") as folder:
        data_path = Path(folder, "data")
        write_texts(data_path, generated_texts(BATCH_SIZES[-1] * 5 // 2))
        peaks = {size: in_new_process(data_path, size, TOKEN_BUDGET) for size in BATCH_SIZES}
        kept = in_new_process(data_path, KEPT_BATCH_SIZE, 10**9)
    print(f"micro-batches of {TOKEN_BUDGET} tokens, 2 layers of 128")
    for size, (peak, lift) in peaks.items():
        print(f"  {size:>5} pairs  peak {peak:7.1f} MB, lifted by {lift:7.1f} MB")
    print(
        f"  {KEPT_BATCH_SIZE:>5} pairs  peak {kept[0]:7.1f} MB, lifted by {kept[1]:7.1f} MB where all states are kept"
    )
    growth = peaks[BATCH_SIZES[-1]][0] / peaks[BATCH_SIZES[0]][0] - 1
    phrase = f"from {BATCH_SIZES[0]} to {BATCH_SIZES[-1]:,} pairs the peak grows by {growth:.1%} (< {MAX_GROWTH:.0%})"
    return 0 if held({phrase: growth < MAX_GROWTH}) else 1


def in_new_process(data_path: Path, batch_size: int, token_budget: int) -> tuple[float, float]:
    """What ``peak_megabytes`` gives in a fresh process with one thread."""
    command = [sys.executable, "-m", "benchmarks.contrastive_memory", "--measure", str(data_path)]
    done = subprocess.run(
        [*command, str(batch_size), str(token_budget)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **MALLOC_HELD},
    )
    peak, lift = json.loads(done.stdout.splitlines()[-1])
    return float(peak), float(lift)


def peak_megabytes(data_path: Path, batch_size: int, token_budget: int) -> tuple[float, float]:
    """Peak of this process after one step, and how far the step lifted it [MB]."""
    from typing import Any
    from unittest.mock import patch

    from benchmarks.side_by_side import OurTraining
    from models.training.embeddings import EmbeddingsObjective
    from models.training.objective import Objective

    model = MODEL.model_copy(update={"batch_size": batch_size, "token_budget": token_budget})
    settings = TrainSettings(
        train_data=data_path / "train_pairs.jsonl",
        val_data=data_path / "valid_pairs.jsonl",
        model=model,
        compute=ComputeSettings(device="cpu", precision="off", num_threads=1),
    )
    with tempfile.TemporaryDirectory() as folder, patch("models.training.job.probe_memory"):
        training = OurTraining(settings, Path(folder, "run"), cast(type[Objective], EmbeddingsObjective))
        training.begin_epoch()
        trainer: Any = training.trainer
        trainer.step(training.records(0)[:2])  # what libraries and the optimiser keep from the first step on
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        trainer.step(training.records(0))
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return after / 1024, (after - before) / 1024


if __name__ == "__main__":
    sys.exit(main())
