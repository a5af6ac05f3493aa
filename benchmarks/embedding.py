"""How long it takes to embed 10,000 functions and to search them all: ``python -m benchmarks.embedding``.

The small encoder (two layers of 128, at most 256 tokens) by the embed job in a process of its own, start, reading and
writing included, on one thread; then each function is searched exactly among all, fifty deep, by FAISS on one thread.
Bound: less than a minute together, in CPU seconds of one core, so that a busy machine decides nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.generated_texts import generated_texts, write_texts
from models.evaluation.retrieval.embedded import read_vectors
from models.evaluation.retrieval.search import Pool
from models.jobs.contract import RECORD_FILE
from models.settings.contrastive import EmbeddingsSettings
from models.settings.text_encoder import SmallEncoder

ROOT = Path(__file__).resolve().parents[1]
MAX_SECONDS = 60.0
NUM_FUNCTIONS = 10_000
DEPTH = 50
NUM_THREADS = 1
SMALL = EmbeddingsSettings(
    small=SmallEncoder(hidden_dim=128, num_layers=2, num_heads=4, feedforward_dim=512),
    max_seq_len=256,
    max_pairs=16,
    epochs=1,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the times; 1 when the bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embedding", description=__doc__.partition("\n")[0])
    parser.add_argument("--num-functions", type=int, default=NUM_FUNCTIONS, help="functions to embed [functions]")
    options = parser.parse_args(argv)
    from benchmarks.side_by_side import held

    with tempfile.TemporaryDirectory(prefix="codewarden-embedding-") as name:
        folder = Path(name)
        write_texts(folder / "data", generated_texts(options.num_functions))
        trained_path = run_job(folder, "trained", train_document(folder / "data"))
        before, wall = children_seconds(), time.perf_counter()
        embedded_path = run_job(folder, "embedded", embed_document(trained_path, folder / "data"))
        job_seconds, job_wall = children_seconds() - before, time.perf_counter() - wall
        recorded = json.loads((embedded_path / RECORD_FILE).read_bytes())["attempts"][-1]["seconds_embedding"]
        started = time.process_time()
        vectors = read_vectors(embedded_path / "texts.safetensors", num_texts=options.num_functions)
        found = sum(len(part.queries) for part in Pool(vectors).search(vectors, DEPTH))
        search_seconds = time.process_time() - started
    assert found == options.num_functions
    print(f"{options.num_functions:,} functions, 2 layers of 128, at most 256 tokens, {NUM_THREADS} thread")
    told = f"{job_wall:.1f} s on the clock, of it embedding {recorded['texts.safetensors']:.1f} s"
    print(f"  embed job  {job_seconds:7.1f} s, {told}")
    print(f"  search     {search_seconds:7.1f} s, each among all, {DEPTH} deep")
    seconds = job_seconds + search_seconds
    return 0 if held({f"together {seconds:.1f} s (< {MAX_SECONDS:.0f} s)": seconds < MAX_SECONDS}) else 1


def train_document(data: Path) -> dict[str, Any]:
    """One step of training: what the weights are makes no difference to the time."""
    return {
        "kind": "train",
        "train_data": str(data / "train_pairs.jsonl"),
        "val_data": str(data / "valid_pairs.jsonl"),
        "model": SMALL.model_dump(mode="json"),
        "quick_test": True,
        "compute": {"device": "cpu", "num_threads": NUM_THREADS},
    }


def embed_document(model_run: Path, data: Path) -> dict[str, Any]:
    """The job that is timed."""
    return {
        "kind": "embed",
        "model_run": str(model_run),
        "data": str(data),
        "compute": {"device": "cpu", "num_threads": NUM_THREADS},
    }


def children_seconds() -> float:
    """CPU seconds of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_job(folder: Path, name: str, document: dict[str, Any]) -> Path:
    """Run a job in a new process; gives its run directory."""
    job_path, run_path = folder / f"{name}.json", folder / name
    job_path.write_text(json.dumps(document))
    command = [sys.executable, "-m", "models", str(job_path), f"--run-dir={run_path}", f"--runs={folder}"]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return run_path


if __name__ == "__main__":
    sys.exit(main())
