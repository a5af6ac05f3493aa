"""Counts of a split, and commits across splits."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.data.raw_functions import RawFunction, Rejection
from models.data.records import RecordFacts
from models.data.split_report import GroupSearch, SplitReport


def facts(**changes: object) -> RecordFacts:
    values = {
        "label": 0, "num_tokens": 10, "num_tokens_before_trim": 10, "trimming": "none", "call_tokens": {},
        "num_nodes": 5, "num_edges": 9, "num_nodes_cut": 0, "tier": "full", "has_error": False,
    }  # fmt: skip
    return RecordFacts(**(values | changes))  # type: ignore[arg-type]


def test_everything_is_counted() -> None:
    report = SplitReport()
    for label, project in ((0, "qemu"), (1, "qemu"), (1, "")):
        report.accept(RawFunction(1, "line-1", "f", label, project, "", not label, "noisy" if label else ""), "made")
    report.reject(Rejection(4, "nul_byte", ""))
    report.drop(Rejection(5, "group_in_test", ""))
    report.add_records(
        [
            facts(),
            facts(tier="partial", has_error=True, num_tokens=8, num_tokens_before_trim=24, trimming="window"),
            facts(num_nodes_cut=7, has_error=True),
        ]
    )

    summary = report.summary()

    assert (summary["rows"], summary["accepted"], summary["rejected"]) == (5, 3, 1)
    assert summary["dropped_by_reason"] == {"group_in_test": 1}
    assert summary["rejected_by_reason"] == {"nul_byte": 1}
    assert summary["labels"] == {"0": 1, "1": 2}
    assert summary["share_vulnerable"] == 0.6667
    assert summary["projects"] == {"(none)": 1, "qemu": 2}
    assert summary["sources"] == {"made": 1, "noisy": 2}
    assert summary["without_idx"] == 2
    assert summary["share_of_tokens_kept"] == round(28 / 44, 4)
    assert summary["trimming"] == {"none": 2, "window": 1, "head": 0, "head_tail": 0}
    assert summary["share_of_records_cut"] == {"any": 0.3333, "window": 0.3333, "head": 0.0, "head_tail": 0.0}
    assert summary["ast_success"] == 0.6667
    assert summary["ast_tiers"] == {"full": 2, "partial": 1, "tokens": 0}
    assert summary["has_error"] == 0.6667
    assert (summary["graphs_cut"], summary["nodes_cut"]) == (1, 7)


def test_an_empty_split_is_all_zeros() -> None:
    summary = SplitReport().summary()
    assert (summary["accepted"], summary["ast_success"], summary["tokens"]["p95"]) == (0, 0.0, 0)


@given(st.lists(st.integers(1, 5000), min_size=1))
def test_percentiles_agree_with_numpy(sizes: list[int]) -> None:
    report = SplitReport()
    report.add_records(facts(num_tokens=size) for size in sizes)
    spread = report.summary()["tokens"]
    for percent in (50, 90, 95, 99):
        assert spread[f"p{percent}"] == np.percentile(sizes, percent, method="inverted_cdf")
    assert (spread["max"], spread["total"]) == (max(sizes), sum(sizes))


def test_groups_in_several_splits_are_counted_by_splits() -> None:
    search = GroupSearch()
    for split, groups in {"train": "aabcd", "valid": "bce", "test": "cf"}.items():
        for group in groups:
            search.add(split, group)

    assert search.summary() == {
        "groups": 6,
        "in_several_splits": 2,
        "by_splits": {"train/valid": 1, "train/valid/test": 1},
    }
