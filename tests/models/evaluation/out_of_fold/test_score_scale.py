"""Scales of models that were fitted apart."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.out_of_fold.score_scale import scale_of


def test_models_that_differ_by_offset_and_factor_become_one():
    scores = np.random.default_rng(0).normal(2.0, 3.0, 100)
    one, other = scale_of(scores), scale_of(0.01 * scores - 7.0)
    assert one.apply(scores).mean() == pytest.approx(0.0, abs=1e-12)
    assert one.apply(scores).std() == pytest.approx(1.0)
    assert other.apply(0.01 * scores - 7.0) == pytest.approx(one.apply(scores))
    assert one.doubt == ""


def test_equal_scores_are_not_scaled_which_is_said():
    found = scale_of([0.1, 0.1, 0.1])
    assert found.apply([0.1, 1.1]).tolist() == pytest.approx([0.0, 1.0])
    assert "every validation score is the same" in found.doubt


@pytest.mark.parametrize("scores", [[], [0.0, float("nan")]])
def test_scores_that_are_no_numbers_are_refused(scores):
    with pytest.raises(ValueError, match="finite log-odds"):
        scale_of(scores)
