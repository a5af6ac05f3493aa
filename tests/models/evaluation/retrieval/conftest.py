"""A small pairs run and embed run as their jobs leave them, and lists of candidates, by hand."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.data.retrieval.candidate_lists import CandidateList, list_line
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.store.manifest import write_manifest

DIM = 16
LANGUAGES = ("c", "python")
TASKS = {"train": 12, "valid": 6, "test": 7}
TEXTS_OF_TASK = 5


def text_record(split, task, row):
    match = f"{split}-task-{task}"
    code = f"int {match.replace('-', '_')}_{row}(int a) {{ return a + {task}; /* variant {row} */ }}"
    return {
        "id": f"{match}/{row}",
        "code": code,
        "language": LANGUAGES[row % 2],
        "tokens": [1, 2],
        "metadata": {
            "match": match,
            "group": match,
            "split": split,
            "project": "",
            "kind": "original" if row < 4 else "augmented",
        },
    }


class RetrievalRuns:
    """Files of a pairs and an embed run, in folders of their own.

    Vectors of one task lie near each other; the untrained ones are random.
    """

    def __init__(self, path):
        self.data, self.vectors = path / "pairs", path / "embed"
        self.data.mkdir()
        self.vectors.mkdir()
        self.records = {
            name: [text_record(*key) for split in splits for key in self._keys(split)]
            for name, splits in {"texts": ("train", "valid"), "test_texts": ("test",)}.items()
        }
        random = np.random.default_rng(5)
        centre = {}
        self.near, self.far = {}, {}
        for name, records in self.records.items():
            for record in records:
                centre.setdefault(record["metadata"]["match"], random.standard_normal(DIM))
            noise = random.standard_normal((len(records), DIM))
            self.near[name] = np.stack([centre[record["metadata"]["match"]] for record in records]) + 0.7 * noise
            self.far[name] = random.standard_normal((len(records), DIM))
        self.write()

    @staticmethod
    def _keys(split):
        return [(split, task, row) for task in range(TASKS[split]) for row in range(TEXTS_OF_TASK)]

    def write(self):
        for name, records in self.records.items():
            (self.data / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
            self.write_vectors(name, self.near[name])
            self.write_vectors(f"untrained_{name}", self.far[name])
        for split in ("train", "valid"):
            (self.data / f"{split}_pairs.jsonl").write_text("".join(self._pairs(split)))

    def write_vectors(self, name, vectors):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        save_file({"vectors": unit.astype(np.float32)}, self.vectors / f"{name}.safetensors")

    def separate_towers(self):
        """Vectors as two towers give them: as queries, texts are turned, and so lie near nothing that is found."""
        turn = np.linalg.qr(np.random.default_rng(11).standard_normal((DIM, DIM)))[0]
        for path in sorted(self.vectors.glob("*texts.safetensors")):
            found = load_file(path)["vectors"]
            save_file({"vectors": (found @ turn).astype(np.float32), "queries": found}, path)

    def _pairs(self, split):
        records = [record for record in self.records["texts"] if record["metadata"]["split"] == split]
        for one, other in itertools.pairwise(records):
            if one["metadata"]["match"] == other["metadata"]["match"]:
                row = {"id": f"{one['id']}+", "anchor": one["id"], "positive": other["id"]}
                yield json.dumps({**row, "match": one["metadata"]["match"], "group": one["metadata"]["group"]}) + "\n"


@pytest.fixture
def runs(tmp_path):
    return RetrievalRuns(tmp_path)


@pytest.fixture
def run_job(tmp_path):
    """Runs a job's entry to a finished run directory; gives the directory and the result."""
    number = itertools.count()

    def call(entry, settings, *, stop=False):
        run_path = tmp_path / "jobs" / f"{settings.kind}-{next(number)}"
        run_path.mkdir(parents=True)
        events = EventStream(run_path / "progress.jsonl")
        context = JobContext(run_path, tmp_path / "root", events, stop_requested=lambda: stop)
        result = entry(settings, context)
        write_manifest(run_path, result.files, kind=settings.kind, run_key="r" * 64, build_key="b" * 64)
        return run_path, result

    return call


@pytest.fixture
def write_lists(tmp_path):
    """Writes a file of lists."""

    def write(lists, name="lists.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(map(list_line, lists)))
        return path

    return write


@pytest.fixture
def patch_lists():
    """Makes lists of patches: the first feature is the size, smaller where right more often than not."""

    def make(project, num_bugs, *, seed=0, skill=1.5):
        random = np.random.default_rng([seed, num_bugs])
        lists = []
        for bug in range(num_bugs):
            labels = (random.random(6) < 0.4).astype(int)
            labels[:2] = (1, 0) if bug else (1, 1)
            if not bug:
                labels[:] = 1  # a bug with one label
            size = random.integers(1, 30, len(labels)) - skill * 6 * labels
            features = [
                (float(s), float(random.standard_normal() + label)) for s, label in zip(size, labels, strict=True)
            ]
            name = f"{project}/{bug}"
            ids = tuple(f"{name}/{at}" for at in range(len(labels)))
            lists.append(
                CandidateList(
                    name, name, None, ids, tuple(labels.tolist()), tuple(features), int(labels.sum()), project
                )
            )
        return lists

    return make
