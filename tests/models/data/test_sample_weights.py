from __future__ import annotations

from pathlib import Path

import pytest

from models.data.sample_weights import read_weights
from models.errors import DataInvalid


def weights_file(folder: Path, *lines: str) -> Path:
    path = folder / "weights.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_weights_come_in_the_order_of_the_records_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    path = weights_file(
        tmp_path, '{"id": "b", "weight": 2}', '{"id": "other", "weight": 9}', '{"id": "a", "weight": 0.5}'
    )
    assert read_weights(path, ["a", "b"]).tolist() == [0.5, 2.0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"id": "a", "weight": -1}'], "weights.jsonl:1: weight -1"),
        (['{"id": "a", "weight": true}'], "weight True"),
        (['{"id": "a", "weight": "1"}'], "weight '1'"),
        (['{"id": "a", "weight": 1}', '{"id": "a", "weight": 1}'], "weights.jsonl:2: a second weight"),
        (['{"id": "b", "weight": 1}'], "1 of 1 training records have no weight, such as 'a'"),
        (['{"id": "a", "weight": 0}'], "all weights are zero"),
        (['{"id": "a", "weight": NaN}'], "weights.jsonl:1: expected"),
        (['{"id": "a", "weight": Infinity}'], "weights.jsonl:1: expected"),
        (['{"id": "a", "weight": 1e999}'], "weights.jsonl:1: "),
        (['{"id": "a", "weight": null}'], "weights.jsonl:1: weight None"),
        (['{"id": "a"}'], "weights.jsonl:1: expected"),
        (['{"id": "b", "weight": 1}', '{"id": "a", "weight": 0}'], "all weights are zero"),
        (["[]"], "weights.jsonl:1: expected"),
    ],
)
def test_what_is_no_weight_is_refused_with_its_line(lines: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match=message.replace("(", r"\(")):
        read_weights(weights_file(tmp_path, *lines), ["a"])


def test_a_missing_file_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="one JSON line"):
        read_weights(tmp_path / "none.jsonl", ["a"])
