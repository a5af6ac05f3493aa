"""Records as they are written."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from tokenizers import Tokenizer

from models.data.columnar import open_records
from models.data.raw_functions import RawFunction
from models.data.records import NamedFunction, RecordMaker, RecordPlan
from models.data.trimming import STRATEGIES


def make_plan(tokenizer: Tokenizer, **changes: object) -> RecordPlan:
    values = {"max_seq_len": 64, "collapse_whitespace": True, "trimming": "window", "max_nodes": 60} | changes
    return RecordPlan(tokenizer=tokenizer.to_str(), source="made", **values)  # type: ignore[arg-type]


def name_all(codes: list[str]) -> list[NamedFunction]:
    return [
        NamedFunction(RawFunction(at + 1, str(at), code, at % 2, "p", "c", True), f"MADE-TRAIN-{at}", "c", "train")
        for at, code in enumerate(codes)
    ]


def test_a_record_has_the_schema_promised(tokenizer: Tokenizer, functions: list[str]) -> None:
    (line, *_) = RecordMaker(make_plan(tokenizer)).make(name_all(functions)).lines.splitlines()

    record = orjson.loads(line)

    assert list(record) == [
        "id", "code", "language", "tokens", "token_offsets",
        "ast_nodes", "edge_index", "edge_type", "label", "metadata",
    ]  # fmt: skip
    assert (record["id"], record["code"], record["language"], record["label"]) == ("MADE-TRAIN-0", functions[0], "c", 0)
    assert len(record["tokens"]) == len(record["token_offsets"]) == record["metadata"]["num_tokens"] == 64
    assert record["token_offsets"][0] == record["token_offsets"][-1] == [0, 0]
    assert len(record["ast_nodes"]) == record["metadata"]["num_ast_nodes"] == 60
    assert len(record["edge_index"]) == len(record["edge_type"])
    assert record["metadata"].items() >= {
        "source": "made", "split": "train", "orig_id": "0", "line": 1, "project": "p", "group": "c",
        "ast_success": True, "ast_tier": "full", "has_error": False,
    }.items()  # fmt: skip
    assert record["metadata"]["num_tokens_before_trim"] > 64
    assert record["metadata"]["num_ast_nodes_cut"] > 0


def test_kept_tokens_still_show_themselves_in_the_raw_code(tokenizer: Tokenizer) -> None:
    code = "int é(char *s)\n{\n" + "  s++;\n\n" * 40 + "  strcpy(b,\n   s);\n" + "  s--;\n" * 40 + "}\n"
    (line,) = RecordMaker(make_plan(tokenizer, max_seq_len=24)).make(name_all([code])).lines.splitlines()

    record = orjson.loads(line)

    assert record["metadata"]["trimming"] == "window"
    shown = [code[begin:end] for begin, end in record["token_offsets"][1:-1]]
    names = [tokenizer.id_to_token(token).replace("Ġ", "") for token in record["tokens"][1:-1]]
    assert shown == names
    assert "strcpy(b," in "".join(shown)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_record_says_how_it_was_trimmed(strategy: str, tokenizer: Tokenizer) -> None:
    codes = ["int f;", "{" + "  s++;\n" * 40 + "  strcpy(b, s);\n}"]
    made = RecordMaker(make_plan(tokenizer, max_seq_len=23, trimming=strategy)).make(name_all(codes))

    short, long = [orjson.loads(line) for line in made.lines.splitlines()]

    assert short["metadata"]["trimming"] == "none"
    assert long["metadata"]["trimming"] == ("none" if strategy == "whole" else strategy)
    expected = long["metadata"]["num_tokens_before_trim"] if strategy == "whole" else 23
    assert len(long["tokens"]) == long["metadata"]["num_tokens"] == expected
    assert long["token_offsets"][0] == long["token_offsets"][-1] == [0, 0]
    assert long["tokens"][0] == short["tokens"][0]
    assert long["tokens"][-1] == short["tokens"][-1]


def test_columns_hold_what_the_lines_say(tokenizer: Tokenizer, functions: list[str], tmp_path: Path) -> None:
    made = RecordMaker(make_plan(tokenizer)).make(name_all(functions))
    (tmp_path / "train.jsonl").write_bytes(made.lines)

    table = open_records(tmp_path / "train.jsonl")

    assert made.columns.flat["tokens"] == table.token_ids.tobytes()
    assert made.columns.flat["nodes"] == table.node_ids.tobytes()
    assert made.columns.flat["edge_src"] == table.edge_src.tobytes()
    assert [fact.num_nodes for fact in made.facts] == (table.node_ptr[1:] - table.node_ptr[:-1]).tolist()
    assert [fact.label for fact in made.facts] == table.labels.tolist()


def test_what_is_made_together_does_not_matter(tokenizer: Tokenizer, functions: list[str]) -> None:
    named = name_all(functions)
    together = RecordMaker(make_plan(tokenizer)).make(named).lines
    one_by_one = [RecordMaker(make_plan(tokenizer)).make([each]).lines for each in reversed(named)]
    assert together == b"".join(reversed(one_by_one))
