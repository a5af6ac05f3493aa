"""The real hub client talks to a small server here that answers as the hub does; the public hub was never asked.

What this cannot show: that the hub's file names and fields are still those of the dataset's card.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.data import download_codexglue
from models.data.download_codexglue import REPOSITORY, SPLITS, HuggingFaceHub, SplitFile, download, main
from models.errors import DataInvalid, SettingsInvalid, StoreUnavailable
from models.jobs.events import EventStream

COMMITS = {"main": "a" * 40, "v1": "b" * 40}
EVENTS = EventStream(echo=None)


def parquet_bytes(num_rows: int, commit: str, *, fields: tuple[str, ...] = ()) -> bytes:
    columns = {
        "id": pa.array(range(num_rows), pa.int32()),
        "func": [f'int f{at}(void)\n{{ return "é"[{at}]; }} // {commit[0]}' for at in range(num_rows)],
        "target": [at % 2 == 1 for at in range(num_rows)],
        "project": ["qemu"] * num_rows,
        "commit_id": [f"{at:040x}" for at in range(num_rows)],
    }
    table = pa.table({name: columns[name] for name in fields or columns})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


class FakeHub(BaseHTTPRequestHandler):
    """Two addresses of the hub: what a revision is, and a file of a commit."""

    files: dict[tuple[str, str], bytes]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        api = f"/api/datasets/{REPOSITORY}/revision/"
        if self.path.startswith(api):
            self.answer_revision(self.path.removeprefix(api).split("?")[0])
            return
        commit, _, name = self.path.removeprefix(f"/datasets/{REPOSITORY}/resolve/").partition("/")
        content = self.files.get((commit, name))
        if content is None:
            self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        else:
            self.answer(200, content, {"ETag": f'"{hash((commit, name))}"', "X-Repo-Commit": commit})

    do_HEAD = do_GET

    def answer_revision(self, revision: str) -> None:
        commit = COMMITS.get(revision, revision if revision in COMMITS.values() else None)
        if commit is None:
            self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            body = {
                "id": REPOSITORY,
                "sha": commit,
                "siblings": [],
                "tags": [],
                "private": False,
                "downloads": 0,
                "likes": 0,
            }
            self.answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def small_splits(monkeypatch: pytest.MonkeyPatch) -> tuple[SplitFile, ...]:
    splits = tuple(split._replace(num_rows=number) for split, number in zip(SPLITS, (7, 3, 2), strict=True))
    monkeypatch.setattr(download_codexglue, "SPLITS", splits)
    return splits


@pytest.fixture
def server(small_splits: tuple[SplitFile, ...]) -> Iterator[ThreadingHTTPServer]:
    FakeHub.files = {
        (commit, split.hub_name): parquet_bytes(split.num_rows, commit)
        for commit in COMMITS.values()
        for split in small_splits
    }
    FakeHub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def hub(server: ThreadingHTTPServer) -> HuggingFaceHub:
    return HuggingFaceHub(endpoint=f"http://127.0.0.1:{server.server_port}")


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_fetched_files_have_the_fields_of_codexglue_and_name_their_commit(hub: HuggingFaceHub, tmp_path: Path) -> None:
    source = download(tmp_path, hub, EVENTS, allow_network=True)

    assert source == json.loads((tmp_path / "source.json").read_text())
    assert source["revision"] == "main"
    assert source["commit"] == COMMITS["main"]
    assert [source["files"][name]["num_rows"] for name in ("train.jsonl", "valid.jsonl", "test.jsonl")] == [7, 3, 2]
    assert lines(tmp_path / "train.jsonl")[1] == {
        "project": "qemu",
        "commit_id": f"{1:040x}",
        "target": 1,
        "func": 'int f1(void)\n{ return "é"[1]; } // a',
        "idx": 1,
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "source.json",
        "test.jsonl",
        "train.jsonl",
        "valid.jsonl",
    ]


def test_the_commit_of_the_first_fetch_is_used_again_although_the_branch_moved(
    hub: HuggingFaceHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download(tmp_path, hub, EVENTS, allow_network=True)
    before = (tmp_path / "train.jsonl").read_bytes()
    (tmp_path / "train.jsonl").unlink()
    monkeypatch.setitem(COMMITS, "main", "b" * 40)
    monkeypatch.setitem(COMMITS, "old", "a" * 40)

    source = download(tmp_path, hub, EVENTS, allow_network=True)

    assert source["commit"] == "a" * 40
    assert source["revision"] == "main"
    assert (tmp_path / "train.jsonl").read_bytes() == before


def test_a_revision_that_is_named_replaces_what_was_there(hub: HuggingFaceHub, tmp_path: Path) -> None:
    download(tmp_path, hub, EVENTS, allow_network=True)
    source = download(tmp_path, hub, EVENTS, revision="v1", allow_network=True)

    assert source["commit"] == COMMITS["v1"]
    assert lines(tmp_path / "test.jsonl")[0]["func"].endswith("// b")


def test_whole_files_are_not_fetched_again_and_need_no_network(hub: HuggingFaceHub, tmp_path: Path) -> None:
    first = download(tmp_path, hub, EVENTS, allow_network=True)
    num_asked = len(FakeHub.asked)

    assert download(tmp_path, hub, EVENTS) == first
    assert len(FakeHub.asked) == num_asked


def test_without_the_network_one_message_says_what_to_put_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--output-dir", str(tmp_path / "raw")]) == 2

    message = capsys.readouterr().err
    assert message.count("\n") == 1
    for part in (
        str(tmp_path / "raw"),
        "train.jsonl (21,854 lines",
        "valid.jsonl (2,732",
        "commit_id",
        "--allow-network",
    ):
        assert part in message
    assert not (tmp_path / "raw").exists()


def test_a_file_with_another_number_of_rows_is_refused_and_nothing_is_left(
    hub: HuggingFaceHub, small_splits: tuple[SplitFile, ...], tmp_path: Path
) -> None:
    FakeHub.files[COMMITS["main"], small_splits[2].hub_name] = parquet_bytes(5, COMMITS["main"])

    with pytest.raises(DataInvalid, match=r"expected 2 rows .* found 5 rows"):
        download(tmp_path, hub, EVENTS, allow_network=True)
    assert not list(tmp_path.iterdir())


def test_a_file_without_a_field_is_refused(
    hub: HuggingFaceHub, small_splits: tuple[SplitFile, ...], tmp_path: Path
) -> None:
    FakeHub.files[COMMITS["main"], small_splits[0].hub_name] = parquet_bytes(7, "a", fields=("id", "func", "target"))

    with pytest.raises(DataInvalid, match="with id, func, target;"):
        download(tmp_path, hub, EVENTS, allow_network=True)


def test_what_is_no_parquet_is_refused(
    hub: HuggingFaceHub, small_splits: tuple[SplitFile, ...], tmp_path: Path
) -> None:
    FakeHub.files[COMMITS["main"], small_splits[0].hub_name] = b"<html>sign in</html>"

    with pytest.raises(DataInvalid, match="not a Parquet file"):
        download(tmp_path, hub, EVENTS, allow_network=True)


def test_a_revision_that_does_not_exist_is_a_wrong_setting(hub: HuggingFaceHub, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="no revision 'nowhere'"):
        download(tmp_path, hub, EVENTS, revision="nowhere", allow_network=True)


def test_a_file_that_does_not_exist_is_a_wrong_setting(
    hub: HuggingFaceHub, small_splits: tuple[SplitFile, ...], tmp_path: Path
) -> None:
    del FakeHub.files[COMMITS["main"], small_splits[1].hub_name]

    with pytest.raises(SettingsInvalid, match="no file data/validation"):
        download(tmp_path, hub, EVENTS, allow_network=True)


def test_a_hub_that_does_not_answer_may_be_tried_again(small_splits: tuple[SplitFile, ...], tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        download(tmp_path, HuggingFaceHub(endpoint="http://127.0.0.1:9"), EVENTS, allow_network=True)
    assert caught.value.retryable


def test_files_of_unknown_origin_are_not_overwritten(hub: HuggingFaceHub, tmp_path: Path) -> None:
    (tmp_path / "valid.jsonl").write_text("mine\n")

    with pytest.raises(DataInvalid, match=r"valid.jsonl came from elsewhere"):
        download(tmp_path, hub, EVENTS, allow_network=True)
    assert (tmp_path / "valid.jsonl").read_text() == "mine\n"


def test_a_damaged_source_file_is_named(hub: HuggingFaceHub, tmp_path: Path) -> None:
    (tmp_path / "source.json").write_text("{")

    with pytest.raises(DataInvalid, match=r"source.json.*delete it"):
        download(tmp_path, hub, EVENTS)
