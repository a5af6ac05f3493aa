"""Two machines that train together, each with a disk of its own: only the first one's holds the checkpoints."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAM = """
import json, sys
from pathlib import Path
from models.errors import Interrupted
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.jobs.hosts import Hosts
from models.settings.train import TrainSettings
from models.store.crash_points import observe
from models.training import job
from models.training.gnn import GraphObjective

rank, port, folder, document = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])
names = ("127.0.0.1", "127.0.0.2")
hosts = Hosts(names, names[rank], "lo", port=port)
settings = TrainSettings.model_validate(document)

def train(name, attempt, stop_after):
    path = folder / name
    path.mkdir(parents=True, exist_ok=True)
    steps = []
    observe(lambda point: steps.append(point) if point == "mid-step" else None)
    context = JobContext(
        path, folder, EventStream(), lambda: len(steps) >= stop_after - 1, attempt, rank, 2, folder, hosts=hosts
    )
    return job.run(settings, context, objective_class=GraphObjective)

train(f"undisturbed-{rank}", 1, 10**9)
try:
    train(f"disturbed-{rank}", 1, 4)
except Interrupted as error:
    assert error.step == 4, error
# The second machine is another one now: its disk is empty.
result = train("disturbed-0" if rank == 0 else "fresh", 2, 10**9)
assert result.record["resumed_at_step"] == 4, result.record
"""


def test_ranks_of_several_machines_resume_from_the_disk_of_the_first(
    tmp_path: Path, train_document: Callable[..., dict[str, Any]]
):
    document = json.dumps(train_document({"epochs": 2}, compute={"device": "cpu", "precision": "off", "num_ranks": 2}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(rank), str(port), str(tmp_path / f"machine-{rank}"), document],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ends = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(ends)
    first, second = tmp_path / "machine-0", tmp_path / "machine-1"
    for name in ("history.json", "predictions_valid.jsonl"):
        assert (first / "disturbed-0" / name).read_bytes() == (first / "undisturbed-0" / name).read_bytes()
    weights = {path.parent.name: path.read_bytes() for path in first.glob("*/*.safetensors")}
    assert weights["disturbed-0"] == weights["undisturbed-0"]
    assert list(second.glob("*/checkpoints/step-*")) == []
