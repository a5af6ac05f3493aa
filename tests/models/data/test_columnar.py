"""The columnar copy says what the record file says."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.data import columnar
from models.data.column_writer import _BoundedSink
from models.data.columnar import arrow_path, open_records
from models.errors import DataInvalid


def make_records(count: int, seed: int = 0) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    records = []
    for number in range(count):
        num_nodes = rng.randint(0, 9)
        edges = [
            [rng.randrange(num_nodes), rng.randrange(num_nodes)] for _ in range(rng.randint(0, 9) if num_nodes else 0)
        ]
        records.append(
            {
                "id": f"X-{number}",
                "code": rng.choice(["int é;", "", "名🙂\n", "return 0;"]) * rng.randint(0, 3),
                "tokens": [rng.randrange(60_000) for _ in range(rng.randint(0, 9))],
                "ast_nodes": [rng.randrange(1000) for _ in range(num_nodes)],
                "edge_index": edges,
                "edge_type": [rng.randrange(3) for _ in edges],
                "label": rng.randint(0, 1),
                "metadata": {"group": f"g{number // 3}"},
            }
        )
    return records


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.mark.parametrize("count", [0, 1, 600])
def test_every_field_comes_back(count: int, tmp_path: Path) -> None:
    records = make_records(count)

    table = open_records(write(tmp_path / "train.jsonl", records))

    assert len(table) == count
    assert table.ids == [record["id"] for record in records]
    assert table.groups == [record["metadata"]["group"] for record in records]
    assert table.labels.tolist() == [record["label"] for record in records]
    for at, record in enumerate(records):
        nodes, edges = slice(*table.node_ptr[at : at + 2]), slice(*table.edge_ptr[at : at + 2])
        assert table.code(at) == record["code"]
        assert table.tokens(at).tolist() == record["tokens"]
        assert table.node_ids[nodes].tolist() == record["ast_nodes"]
        assert np.stack([table.edge_src[edges], table.edge_dst[edges]], axis=1).tolist() == record["edge_index"]
        assert table.edge_type[edges].tolist() == record["edge_type"]


def test_flat_arrays_are_mapped_and_not_copied(tmp_path: Path) -> None:
    table = open_records(write(tmp_path / "train.jsonl", make_records(50)))
    for name in (
        "labels",
        "token_ids",
        "token_ptr",
        "node_ids",
        "node_ptr",
        "edge_src",
        "edge_dst",
        "edge_type",
        "edge_ptr",
    ):
        array = getattr(table, name)
        assert not array.flags.owndata
        assert not array.flags.writeable


def test_the_copy_is_made_once_and_again_for_another_file(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", make_records(5))
    open_records(path)
    made = arrow_path(path).stat()

    open_records(path)
    assert arrow_path(path).stat().st_ino == made.st_ino

    write(path, make_records(5, seed=1))
    assert open_records(path).labels.tolist() == [record["label"] for record in make_records(5, seed=1)]


def test_a_copy_cut_off_on_its_way_here_is_made_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", make_records(5))
    open_records(path)
    whole = arrow_path(path).read_bytes()
    arrow_path(path).write_bytes(whole[: len(whole) // 2])

    open_records(path)

    assert arrow_path(path).read_bytes() == whole
    assert sorted(each.name for each in tmp_path.iterdir()) == ["train.arrow", "train.jsonl"]


def test_bytes_do_not_depend_on_how_the_rows_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "train.jsonl", make_records(20))
    open_records(path)
    at_once = arrow_path(path).read_bytes()
    arrow_path(path).unlink()

    monkeypatch.setattr(columnar, "RECORDS_PER_CHUNK", 3)
    monkeypatch.setattr("models.data.column_writer.COPY_BYTES", 64)
    open_records(path)

    assert arrow_path(path).read_bytes() == at_once


def test_spools_are_let_go_while_they_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = []
    real = _BoundedSink._let_go

    def counted(self: _BoundedSink, address: int, num_bytes: int) -> None:
        let_go.append(num_bytes)
        real(self, address, num_bytes)

    monkeypatch.setattr(_BoundedSink, "_let_go", counted)
    table = open_records(write(tmp_path / "train.jsonl", make_records(300)))

    assert sum(let_go) >= table.node_ids.nbytes + table.edge_src.nbytes * 2


@pytest.mark.parametrize("line", ['{"id": "x"}', "no json", '{"id": "x", "edge_index": [[1]]}', "[]"])
def test_a_line_that_is_no_record_is_named(line: str, tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", make_records(2))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataInvalid, match=r"train\.jsonl:3"):
        open_records(path)
    assert [each.name for each in tmp_path.iterdir()] == ["train.jsonl"]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="preprocess job"):
        open_records(tmp_path / "train.jsonl")


def test_a_copy_whose_columns_were_changed_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    records = [
        {
            "id": f"R{i}",
            "code": "int f;",
            "tokens": [1, 2],
            "token_offsets": [[0, 3], [4, 5]],
            "ast_nodes": [1, 2, 3],
            "edge_index": [[0, 1], [0, 2]],
            "edge_type": [0, 0],
            "label": i % 2,
            "metadata": {"group": f"g{i}"},
        }
        for i in range(40)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    labels = open_records(path).labels.copy()
    copy = path.with_suffix(".arrow")
    content = bytearray(copy.read_bytes())
    at = content.index(labels.tobytes())
    content[at : at + len(labels)] = bytes(1 - label for label in labels)
    copy.write_bytes(content)

    assert open_records(path).labels.tolist() == labels.tolist()
