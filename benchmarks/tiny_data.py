"""Records for the certificate and the comparisons: generated functions through the real preprocess job."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from models.data.generated import write_sample
from models.settings.preprocess import PreprocessSettings

TINY_FUNCTIONS = 180


def write_tiny_data(folder: Path, num_functions: int = TINY_FUNCTIONS) -> None:
    """Leave ``train.jsonl``, ``valid.jsonl`` and ``test.jsonl`` with their Arrow copies in ``folder``.

    The job runs in its own process, so that the caller stays without threads.
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
