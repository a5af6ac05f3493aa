"""Scores of a trained model, record by record; and the one door to sealed records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator

from models.jobs.contract import JobContext
from models.store.filesystem import LocalFilesystem, write_synced
from models.store.manifest import digest_file
from models.store.openings import append_opening
from models.training.objective import Examples, Objective


def open_sealed(
    path: Path, context: JobContext, *, weights: Sequence[Path], purpose: str, run_key: str, split: str = "test"
) -> Path:
    """The path of sealed records, once the opening is logged.

    Nothing that chooses (thresholds, weights, early stopping, rankings) may call this.

    Args:
        path: The records.
        context: Where openings are logged.
        weights: Files of the model that is about to be tried.
        purpose: Why, in words.
        run_key: The run that opens.
        split: What the log calls the records: the split, or the probe.

    Raises:
        StoreUnavailable: the opening could not be logged; the records stay closed. Retried.
    """
    append_opening(
        context.openings_log,
        model_sha256=weights_sha256(weights),
        data_sha256=digest_file(path).sha256,
        split=split,
        purpose=purpose,
        run_key=run_key,
        attempt=context.attempt,
    )
    return path


def weights_sha256(paths: Sequence[Path]) -> str:
    """What names a model: the digest of its weights' file, or the digest over those of its files."""
    digests = [digest_file(path).sha256 for path in paths]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def write_predictions(
    objective: Objective,
    examples: Examples,
    split: str,
    context: JobContext,
    accelerator: Accelerator,
    *,
    budget: int,
    beside: dict[str, Any] | None = None,
) -> str:
    """Write ``predictions_<split>.jsonl`` and give its name: id, group, label, and what the objective says of each.

    Args:
        objective: The model.
        examples: What it scores.
        split: Of the file's name.
        context: Where the file goes.
        accelerator: Device and precision.
        budget: Largest cost of a micro-batch.
        beside: What each row says too.
    """
    everything = np.arange(len(examples), dtype=np.int64)
    with accelerator.autocast():
        scores = objective.scores(examples, everything, budget=budget).numpy()
    lines = [
        json.dumps(
            {
                "id": examples.ids[row],
                "group": examples.groups[row],
                "label": int(examples.labels[row]),
                **said,
                **(beside or {}),
            }
        )
        for row, said in enumerate(objective.predictions(examples, scores))
    ]
    name = f"predictions_{split}.jsonl"
    content = ("\n".join(lines) + "\n").encode()
    write_synced(LocalFilesystem(), context.run_path / name, content, temp_folder=context.run_path / ".temp")
    return name
