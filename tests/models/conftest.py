"""Small records in the schema of the preprocess job, and small jobs on them."""

from __future__ import annotations

import json
import logging
import os
import random
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.store.s3 import S3Objects, S3Uri, open_s3
from models.store.s3_calls import Patience

TINY_MODEL = {
    "kind": "gnn",
    "hidden_dim": 16,
    "embedding_dim": 8,
    "num_layers": 2,
    "epochs": 3,
    "batch_size": 12,
    "node_budget": 300,
    "plateau_patience": 0,
}


def record(rng: random.Random, name: str, number: int) -> dict[str, Any]:
    """A random tree whose label shows in a few node ids, mostly."""
    num_nodes, label = rng.randint(8, 40), number % 2
    nodes = [rng.randint(1, 60) for _ in range(num_nodes)]
    for place in range(0, num_nodes, 7):
        nodes[place] = 77 if label else 78
    tree = [[max(0, node - 1 - rng.randint(0, 4)), node] for node in range(1, num_nodes)]
    row = [[node, node + 1] for node in range(num_nodes - 1)]
    return {
        "id": f"{name}-{number}",
        "code": "int f(){}",
        "language": "c",
        "tokens": [1, 2, 3],
        "token_offsets": [[0, 0], [0, 3], [4, 5]],
        "ast_nodes": nodes,
        "edge_index": tree + row,
        "edge_type": [0] * len(tree) + [2] * len(row),
        "label": label if rng.random() > 0.1 else 1 - label,
        "metadata": {"group": f"{name}-g{number // 3}"},
    }


def write_records(path: Path, num_records: int, seed: int) -> None:
    rng = random.Random(seed)
    records = [record(rng, path.stem.upper(), number) for number in range(num_records)]
    path.write_text("".join(json.dumps(each) + "\n" for each in records))


class S3Faults:
    """Answers in the place of S3, request by request, as ``plan`` says.

    ``plan`` gets method and path of each request and gives nothing (it is passed on), a status with an error code
    (S3 does not see it), ``LOST`` (S3 does it, the answer is lost), or ``TIMEOUT`` (neither).
    """

    LOST = "lost"
    TIMEOUT = "timeout"

    def __init__(self) -> None:
        self.plan: Callable[[str, str], tuple[int, str] | str | None] = lambda method, path: None
        self.headers: dict[str, str] = {}
        self.seen: list[tuple[str, str]] = []

    def first(self, num_requests: int, fault: tuple[int, str] | str, *, method: str = "", key: str = "") -> None:
        """The next requests of this kind meet a fault, later ones do not."""
        left = [fault] * num_requests

        def plan(asked: str, path: str) -> tuple[int, str] | str | None:
            return left.pop() if left and asked.startswith(method) and path.endswith(key) else None

        self.plan = plan

    def always(self, fault: tuple[int, str] | str) -> None:
        """S3 is away, or refuses, until ``mend``."""
        self.plan = lambda method, path: fault

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        self.plan = lambda method, path: None

    def __call__(self, request: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse
        from botocore.exceptions import ReadTimeoutError
        from botocore.httpsession import URLLib3Session

        path = request.url.split("?")[0]
        self.seen.append((request.method, path))
        fault = self.plan(request.method, path)
        if fault is None:
            return None
        if fault == self.LOST:
            URLLib3Session().send(request)
        if isinstance(fault, str):
            raise ReadTimeoutError(endpoint_url=request.url)
        status, code = fault
        body = f"<Error><Code>{code}</Code><Message>told by the test</Message></Error>".encode()
        return AWSResponse(request.url, status, self.headers, _Raw(body if request.method != "HEAD" else b""))


class _Raw:
    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self) -> Iterator[bytes]:
        yield self.body

    def read(self, *_: Any) -> bytes:
        body, self.body = self.body, b""
        return body


@pytest.fixture(scope="session")
def records_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with train, valid and test records; nobody writes into it."""
    folder = tmp_path_factory.mktemp("records")
    for seed, (split, num_records) in enumerate({"train": 60, "valid": 24, "test": 24}.items()):
        write_records(folder / f"{split}.jsonl", num_records, seed)
    return folder


@pytest.fixture(scope="session")
def train_document(records_path: Path) -> Callable[..., dict[str, Any]]:
    """The settings of a training of a second, as JSON; ``model`` adds to the tiny model, the rest replaces."""

    def made(model: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        return {
            "kind": "train",
            "train_data": str(records_path / "train.jsonl"),
            "val_data": str(records_path / "valid.jsonl"),
            "model": TINY_MODEL | (model or {}),
            "compute": {"device": "cpu", "precision": "off"},
            "checkpoints": {"every_steps": 2},
            "log_every_seconds": 0,
            **changes,
        }

    return made


@pytest.fixture
def torch_left_as_found() -> Iterator[None]:
    """Jobs that run in this process set threads, deterministic kernels and seeds for the whole of it."""
    import torch

    mode, num_threads, random_state = (
        torch.get_deterministic_debug_mode(),
        torch.get_num_threads(),
        torch.get_rng_state(),
    )
    yield
    torch.set_deterministic_debug_mode(mode)
    torch.set_num_threads(num_threads)
    torch.set_rng_state(random_state)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of an S3 that listens on this machine."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_environment(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process, and what it starts, speaks to that server and knows no other AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def s3_objects(s3_environment: None) -> S3Objects:
    """A prefix in a bucket of this test's own, asked with little patience."""
    uri = S3Uri(f"test-{secrets.token_hex(6)}", "code/warden")
    objects = open_s3(uri, patience=Patience(total_seconds=0.3, first_pause_seconds=0.01, longest_pause_seconds=0.05))
    objects._client.create_bucket(Bucket=uri.bucket)
    return objects


@pytest.fixture
def s3_faults(s3_objects: S3Objects) -> Iterator[S3Faults]:
    """What goes wrong between the objects of ``s3_objects`` and the server."""
    faults = S3Faults()
    events = s3_objects._client.meta.events
    events.register_first("before-send.s3", faults)
    yield faults
    events.unregister("before-send.s3", faults)
