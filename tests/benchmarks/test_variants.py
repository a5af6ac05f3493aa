"""Which jobs the comparison of variants runs, and the tables it prints."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

import pytest

from benchmarks.variants import (
    POOLING,
    Comparison,
    Measured,
    Variant,
    _options,
    comparison_of,
    reading_variants,
    table_text,
)
from models.settings.preprocess import TrimmingStrategy
from models.settings.transformer import TransformerSettings


def options(*arguments: str) -> argparse.Namespace:
    return _options(["--data", "raw", *arguments])


@pytest.fixture
def comparison() -> Comparison:
    return comparison_of(options("--epochs", "4"))


def test_every_trimming_and_every_pooling_is_compared_and_the_default_is_in_both() -> None:
    reading = reading_variants(8)
    assert {variant.trimming for variant in reading.values()} == set(get_args(TrimmingStrategy))
    assert reading["sliding"] == Variant("whole", "cls", 8)
    # The last end-of-text state is what a decoder is read by; this comparison is of encoders.
    assert {*POOLING, "eos"} == set(get_args(TransformerSettings.model_fields["pooling"].annotation))
    assert reading["window"] == POOLING["cls"] == Variant()
    assert len({*reading.values(), *POOLING.values()}) == 6


def test_jobs_differ_in_the_variant_only_and_never_open_the_test_split(comparison: Comparison) -> None:
    variant = Variant("whole", "mean", 8)
    records_path = Path("records")

    preprocess = comparison.preprocess_job(variant)
    train = comparison.train_job(variant, records_path, seed=2)
    predict = comparison.predict_job(records_path, Path("model"))

    assert preprocess == comparison.preprocess.model_copy(update={"trimming": "whole"})
    base = comparison.train_job(Variant(), records_path, seed=2)
    assert train.model == base.model.model_copy(update={"pooling": "mean", "max_windows": 8})
    assert train.model_copy(update={"model": base.model}) == base
    assert (train.test_data, predict.splits, predict.open_test) == (None, ("valid",), None)
    assert (train.val_data, predict.data) == (records_path / "valid.jsonl", records_path)


def test_no_training_stops_early_or_reads_longer_windows_than_records_are(comparison: Comparison) -> None:
    assert comparison.model.early_stopping_patience == comparison.model.epochs == 4
    assert comparison.model.max_seq_len == comparison.preprocess.max_seq_len
    assert comparison.model.pretrained == "off"


def test_a_row_has_mean_and_scatter_over_seeds_under_its_heads() -> None:
    seeds = [Measured(0.508, 0.508, f1, 0.6, 0.7, seconds, 312) for f1, seconds in ((0.5, 40.0), (0.6, 41.0))]
    text = table_text("Long functions", {"window": seeds, "sliding": [Measured(1.0, 0.983, 0.5, 0.6, 0.7, 90.0, 312)]})

    title, heads, window, sliding = text.splitlines()

    assert title == "Long functions"
    assert heads.split() == ["kept", "read", "F1", "AUROC", "loss", "s/training", "steps"]
    assert window.split() == (
        ["window", "50.8%", "50.8%", "0.550", "±", "0.071", "0.600", "±", "0.000", "0.700", "±", "0.000", "40.5", "312"]
    )
    assert sliding.split()[:6] == ["sliding", "100.0%", "98.3%", "0.500", "±", "0.000"]
    assert len(heads) == len(window) == len(sliding)
