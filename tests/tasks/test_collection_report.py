"""What was collected, rejected and dropped: every row of every source is told once, with its reason."""

from __future__ import annotations

import re

import pytest

from tasks.collection_report import collection_markdown, collection_tables, collection_text


def part(rows, kept, labels, *, rejected=None, dropped=None, sampled_out=0, **more):
    rejected, dropped = rejected or {}, dropped or {}
    return {
        "format": "codexglue",
        "rows": rows,
        "accepted": rows - sum(rejected.values()),
        "rejected": sum(rejected.values()),
        "rejected_by_reason": rejected,
        "sampled_out": sampled_out,
        "dropped_by_reason": dropped,
        "kept": kept,
        "labels": {"0": labels[0], "1": labels[1]},
    } | more


@pytest.fixture
def collection():
    noisy = {"origins": {"a": {"0": 5, "1": 5}, "b": {"0": 0, "1": 9}}, "single_label": False}
    noisy |= {"single_label_origins": ["b"], "duplicate_share": 0.25, "near_conflicts_kept": 2}
    single = {"origins": {"": {"0": 0, "1": 4}}, "single_label": True, "single_label_origins": []}
    single |= {"duplicate_share": 0.0, "near_conflicts_kept": 0}
    return {
        "clean": {
            "name": "codexglue",
            "splits": {
                "train": part(1200, 1190, (600, 590), dropped={"near_copy_of_test": 10}),
                "valid": part(100, 100, (50, 50)),
                "test": part(100, 100, (50, 50)),
            },
        },
        "sources": {
            "collected": part(
                30,
                19,
                (5, 14),
                rejected={"wrong_language": 1, "empty": 3},
                dropped={"exact_copy": 5},
                sampled_out=2,
                **noisy,
            ),
            "juliet": part(4, 4, (0, 4), **single),
        },
        "pairs": {"sven": part(12, 20, (10, 10), rejected={"identical_pair": 2}, num_pairs=10)},
        "training": {"rows": 1213, "labels": {"0": 605, "1": 608}},
        "warnings": ["juliet: all 4 rows have label 1"],
    }


def rows_of(text):
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def test_rows_read_are_those_rejected_sampled_out_dropped_and_kept(collection):
    *rows, pairs, _ = collection_tables(collection)[0].rows
    assert pairs[1:7] == ("10 pairs", "12", "2", "0", "0", "20")  # of 12 pairs 10 are left: 20 rows
    for row in rows:
        read, *others, kept = (int(cell.replace("\u202f", "")) for cell in row[2:7])
        assert read == sum(others) + kept


def test_the_text_tells_rows_labels_reasons_and_warnings(collection):
    text = collection_text(collection)
    rows = rows_of(text)
    assert max(map(len, text.splitlines())) <= 100
    assert ["collected", "training", "30", "4", "2", "5", "19", "5", "14", "25.0 %"] in rows
    assert ["codexglue valid", "measuring", "100", "0", "0", "0", "100", "50", "50", "–"] in rows
    assert ["all training", "1\u202f213", "605", "608"] in rows
    assert rows.index(["collected", "rejected", "empty", "3"]) + 1 == rows.index(
        ["collected", "rejected", "wrong language", "1"]
    )
    assert ["collected", "kept", "near copy with the other label", "2"] in rows
    assert any(row[0].startswith("juliet (one") for row in rows)
    assert text.endswith("Warning: juliet: all 4 rows have label 1\n")


def test_the_markdown_begins_with_the_warnings_and_has_both_tables(collection):
    markdown = collection_markdown(collection)
    assert markdown.startswith("> **juliet: all 4 rows have label 1**")
    assert markdown.count("\n| :--") == 2


def test_where_nothing_was_rejected_no_reason_is_asked(collection):
    clean = {"name": "codexglue", "splits": {"train": part(5, 5, (2, 3))}}
    bare = collection | {"clean": clean, "sources": {}, "pairs": {}, "warnings": []}
    assert len(collection_tables(bare)) == 1
