"""The seed's targets are judged at their own borders."""

from __future__ import annotations

from models.evaluation.targets import judge_targets


def outcomes(value, split="valid", kind="gnn"):
    judged = judge_targets({split: {"m": value}}, {"m": kind}, {split: 0.63})
    return [entry["outcome"] for entry in judged]


def test_the_least_f1_must_be_exceeded_and_the_range_includes_its_ends():
    assert outcomes(0.55) == ["below", "met"]
    assert outcomes(0.5500001) == ["met", "met"]
    assert outcomes(0.7) == ["met", "above"]
    assert outcomes(0.53, split="test") == ["below", "met"]


def test_each_kind_has_its_own_range():
    assert outcomes(0.59, kind="transformer") == ["met", "below"]
    assert outcomes(0.59, split="test", kind="transformer") == ["met", "met"]


def test_a_model_of_unknown_kind_has_no_expected_range():
    assert outcomes(0.6, kind=None) == ["met"]


def test_the_constant_answer_stands_beside_each_target():
    judged = judge_targets({"valid": {"m": 0.6}}, {"m": "gnn"}, {"valid": 0.63})
    assert {entry["constant_value"] for entry in judged} == {0.63}
