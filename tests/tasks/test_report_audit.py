"""Tables of the data audit."""

from __future__ import annotations

from tasks.report_audit import audit_tables

SPLIT = {
    "share_of_tokens_kept": 0.75,
    "share_of_records_cut": {"any": 0.25, "window": 0.2, "head": 0.05, "head_tail": 0.0},
    "trimming": {"none": 15, "window": 4, "head": 1, "head_tail": 0},
}
METADATA = {
    "settings": {"trimming": "head"},
    "splits": {"train": SPLIT, "valid": SPLIT},
    "trimming_strategies": {
        "max_seq_len": 512,
        "records": 40,
        "records_too_long": 10,
        "call_tokens": 1200,
        "strategies": {
            "head": {"share_of_tokens": 0.75, "share_of_call_tokens": 0.5},
            "head_tail": {"share_of_tokens": 0.75, "share_of_call_tokens": 0.6},
            "whole": {"share_of_tokens": 1.0, "share_of_call_tokens": 1.0},
            "window": {"share_of_tokens": 0.75, "share_of_call_tokens": 0.97},
        },
    },
}


def test_how_long_functions_were_trimmed_is_told_in_words() -> None:
    splits, *_ = audit_tables(METADATA)
    shown = {row[0]: row[1] for row in splits.rows}
    assert shown["Share of tokens kept"] == "75.0 %"
    assert shown["Share of records cut"] == "25.0 %"
    assert shown["Share cut to windows around vulnerable calls"] == "20.0 %"
    assert (shown["Records left whole"], shown["Cut to the head"]) == ("15", "1")


def test_strategies_stand_side_by_side_and_the_one_used_is_marked() -> None:
    _, strategies = audit_tables(METADATA)
    assert strategies.title == "What each trimming would keep"
    assert [row[0].partition(":")[0] for row in strategies.rows] == ["window", "head", "head_tail", "whole"]
    assert strategies.rows[0][1:] == ("75.0 %", "97.0 %")
    assert [row[0].endswith("(used)") for row in strategies.rows] == [False, True, False, False]
    assert strategies.note.startswith("10 of 40 records are longer than 512 tokens.")


def test_shares_of_nothing_are_left_open() -> None:
    found = METADATA["trimming_strategies"]
    none = {name: {"share_of_tokens": 1.0, "share_of_call_tokens": None} for name in found["strategies"]}
    (table,) = audit_tables({"settings": {"trimming": "head"}, "trimming_strategies": found | {"strategies": none}})
    assert {row[2] for row in table.rows} == {"–"}
