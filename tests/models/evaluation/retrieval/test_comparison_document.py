"""Sentences about differences say nothing that no share can be."""

from __future__ import annotations

import pytest

from models.evaluation.comparisons import Difference
from models.evaluation.intervals import Interval
from models.evaluation.measuring import Measuring
from models.evaluation.retrieval.comparing import Compared, Sample
from models.evaluation.retrieval.comparison_document import verdicts_of


@pytest.fixture
def sample() -> Sample:
    return Sample(["a", "b", "c"], Measuring(num_resamples=50, confidence=0.95, seed=1))


def row(metric: str, detectable: float, value: float = 0.1) -> Compared:
    interval = Interval(-value, 2 * value, 0)
    return Compared("one", "other", metric, 1, Difference(value, interval, 0.3), 0.3, detectable)


def test_what_no_share_has_room_for_is_not_told_as_a_difference(sample: Sample) -> None:
    (both,) = verdicts_of([row("mrr", 0.4), row("top1", 1.866)], sample)
    assert "differences under 0.400 (mrr) would be missed" in both
    assert both.endswith("; on top1 nothing up to the maximum could be shown.")
    (neither,) = verdicts_of([row("top1", 1.866)], sample)
    assert neither.endswith("3 groups nothing up to the maximum could be shown.")


def test_equal_orders_are_called_so(sample: Sample) -> None:
    (told,) = verdicts_of([row("mrr", 0.0, value=0.0), row("top1", 0.0, value=0.0)], sample)
    assert told == "one and other have the same order by mrr and top1."
