"""Decision rules say a whole grid: every threshold between low and high, both included."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.settings.decision import ThresholdSweep


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 100))
def test_a_grid_ends_at_high_or_is_refused(low, width, step):
    high = min(low + width, 100)
    values = {"low": low / 100, "high": high / 100, "step": step / 100}
    if (high - low) % step:
        with pytest.raises(ValidationError, match="does not divide the range"):
            ThresholdSweep(**values)
        return
    grid = ThresholdSweep(**values).grid()
    assert (grid[0], grid[-1], len(grid)) == (low / 100, high / 100, (high - low) // step + 1)


def test_a_step_that_misses_high_is_told_with_the_threshold_it_would_end_at():
    with pytest.raises(ValidationError, match=r"step 0\.03 does not divide the range 0\.3 to 0\.7: .* would be 0\.69"):
        ThresholdSweep(low=0.3, high=0.7, step=0.03)
