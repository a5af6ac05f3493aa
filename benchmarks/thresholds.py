"""What a threshold sweep and a bootstrap cost beside the usual libraries: ``python -m benchmarks.thresholds``.

Two questions, one thread. A sweep of the default grid over a million scores against a loop over
``sklearn.metrics.f1_score`` (bound: 50×, the same threshold and F1). And 10,000 resamples of F1 against
``scipy.stats.bootstrap`` with scikit-learn's F1, on as many records as a validation split of findings has and on more
(bound: 20×, the same interval within the noise of resampling).

SciPy is faster with a statistic that takes all resamples at once, which scikit-learn's F1 cannot; F1 written for that
by hand is measured too, with the best of several batch sizes. There is no bound on it: what remains is mostly drawing,
and the time of drawing alone is printed beside it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.side_by_side import held
from models.evaluation.intervals import (
    Interval,
    Resamples,
    draw_resamples,
    percentile_interval,
    resampled_confusion,
)
from models.evaluation.metrics import f1
from models.evaluation.threshold_sweep import sweep
from models.settings.decision import ThresholdSweep

MIN_SWEEP_RATIO = 50.0
MIN_BOOTSTRAP_RATIO = 20.0
NUM_RESAMPLES = 10_000
CONFIDENCE = 0.95
NUM_RECORDS = (155, 2_000)
BATCHES = (None, 1_000, 100)
NOISE = 0.15
"""Standard errors by which two ends may differ: four times the noise of two 2.5 % quantiles over 10,000 resamples."""

Bools = npt.NDArray[np.bool_]


class Timed(NamedTuple):
    """CPU seconds of the fastest of some calls, so that a busy machine decides nothing, and the last answer."""

    seconds: float
    answer: Any


def main(argv: Sequence[str] | None = None) -> int:
    """Print the ratios; 1 when a bound is missed or an answer differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.thresholds", description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=5, help="calls of each fast case [calls]")
    parser.add_argument("--num-scores", type=int, default=1_000_000, help="scores swept [records]")
    options = parser.parse_args(argv)
    with threadpool_limits(1):
        bounds = compare_sweeps(options.num_scores, options.turns)
        for num_records in NUM_RECORDS:
            bounds |= compare_bootstraps(num_records, options.turns)
    return 0 if held(bounds) else 1


def timed(work: Callable[[], Any], turns: int = 1) -> Timed:
    """Call it some times."""
    seconds, answer = [], None
    for _ in range(turns):
        start = time.process_time()
        answer = work()
        seconds.append(time.process_time() - start)
    return Timed(min(seconds), answer)


def compare_sweeps(num_scores: int, turns: int) -> dict[str, bool]:
    """Our sweep and the loop on the same scores; the bounds."""
    random = np.random.default_rng(0)
    labels = (random.random(num_scores) < 0.3).astype(np.int8)
    scores = np.clip(0.35 + 0.25 * labels + 0.2 * random.standard_normal(num_scores), 0.0, 1.0)
    grid = ThresholdSweep().grid()
    ours = timed(lambda: sweep(labels, scores, grid).chosen, turns)
    loop = timed(lambda: best_by_loop(labels, scores, grid))
    ratio = loop.seconds / ours.seconds
    print(f"{len(grid)} thresholds over {num_scores:,} scores, one thread")
    print(f"  one pass             {1e3 * ours.seconds:9.1f} ms   threshold {ours.answer.threshold}")
    print(f"  loop over f1_score   {1e3 * loop.seconds:9.1f} ms   threshold {loop.answer[0]}")
    same = (ours.answer.threshold, ours.answer.f1) == loop.answer
    return {
        f"sweep: {ratio:.0f}x (>= {MIN_SWEEP_RATIO:.0f}x)": ratio >= MIN_SWEEP_RATIO,
        "sweep: same threshold, same F1": same,
    }


def best_by_loop(labels: npt.NDArray[np.int8], scores: npt.NDArray[np.float64], grid: Sequence[float]) -> Any:
    """Threshold and F1 by scikit-learn; of equal ones the closest to 0.5, then the lower."""
    found = [(threshold, float(f1_score(labels, scores >= threshold))) for threshold in grid]
    return max(found, key=lambda entry: (entry[1], -round(abs(entry[0] - 0.5), 12), -entry[0]))


def compare_bootstraps(num_records: int, turns: int) -> dict[str, bool]:
    """Ours and SciPy's forms on the same answers; the bounds."""
    random = np.random.default_rng(0)
    labels = random.random(num_records) < 0.3
    answers = np.where(random.random(num_records) < 0.8, labels, ~labels)
    ours = timed(lambda: our_interval(labels, answers), turns)
    usual = timed(lambda: scipy_interval(labels, answers, scikit_learn_f1, vectorized=False))
    by_call = timed(lambda: scipy_interval(labels, answers, vector_f1, vectorized=False))
    at_once = fastest_batch(labels, answers, turns)
    resamples = resamples_of(num_records)
    further = timed(lambda: interval_on(resamples, labels, answers), turns)
    drawing = timed(partial(draw_only, num_records), turns)
    print(f"{NUM_RESAMPLES:,} resamples of F1 of {num_records:,} records, one thread")
    print(f"  ours                                      {1e3 * ours.seconds:9.1f} ms")
    print(f"  ours, a further trial on the same draw    {1e3 * further.seconds:9.1f} ms")
    rows = {
        "SciPy, scikit-learn's F1": usual,
        "SciPy, F1 by hand, one resample a call": by_call,
        "SciPy, F1 by hand, vectorised": at_once,
    }
    for name, row in rows.items():
        print(f"  {name:<41} {1e3 * row.seconds:9.1f} ms   {row.seconds / ours.seconds:7.1f}x")
    print(f"  drawing record numbers and nothing else   {1e3 * drawing.seconds:9.1f} ms")
    limit = at_once.seconds / drawing.seconds
    print(f"  so that no bootstrap that draws so can be more than {limit:.1f}x as fast as the vectorised form")
    ratio = usual.seconds / ours.seconds
    return {
        f"bootstrap, {num_records} records: {ratio:.0f}x (>= {MIN_BOOTSTRAP_RATIO:.0f}x)": ratio >= MIN_BOOTSTRAP_RATIO,
        f"bootstrap, {num_records} records: same interval within noise": is_same(ours.answer, usual.answer),
    }


def our_interval(labels: Bools, answers: Bools) -> Interval:
    """Drawing included."""
    return interval_on(resamples_of(len(labels)), labels, answers)


def resamples_of(num_records: int) -> Resamples:
    """Every record a group of its own, as SciPy knows no groups."""
    return draw_resamples([str(record) for record in range(num_records)], num_resamples=NUM_RESAMPLES, seed=0)


def interval_on(resamples: Resamples, labels: Bools, answers: Bools) -> Interval:
    """F1 in every resample, and its interval."""
    return percentile_interval(f1(resampled_confusion(resamples, labels, answers)), CONFIDENCE)


def draw_only(num_records: int) -> None:
    """The record numbers of all resamples, in pieces as small as the smallest batch."""
    random = np.random.default_rng(0)
    for _ in range(0, NUM_RESAMPLES, 100):
        random.integers(0, num_records, (100, num_records))


def fastest_batch(labels: Bools, answers: Bools, turns: int) -> Timed:
    """SciPy with a statistic that takes many resamples at once: as many as is fastest here."""
    tried = []
    for batch in BATCHES:
        work = partial(scipy_interval, labels, answers, vector_f1, vectorized=True, batch=batch)
        tried.append(timed(work, turns))
    return min(tried, key=lambda row: row.seconds)


def scipy_interval(
    labels: Bools, answers: Bools, statistic: Callable[..., Any], *, vectorized: bool, batch: int | None = None
) -> Any:
    """SciPy's percentile bootstrap over records."""
    return stats.bootstrap(
        (labels, answers),
        statistic,
        n_resamples=NUM_RESAMPLES,
        batch=batch,
        paired=True,
        vectorized=vectorized,
        method="percentile",
        confidence_level=CONFIDENCE,
        rng=np.random.default_rng(1),
    )


def scikit_learn_f1(labels: Bools, answers: Bools) -> float:
    """One resample."""
    return float(f1_score(labels, answers, zero_division=0))


def vector_f1(labels: Bools, answers: Bools, axis: int = -1) -> Any:
    """Any number of resamples; counting booleans is the fastest that numpy has for it."""
    sizes = np.count_nonzero(labels, axis=axis) + np.count_nonzero(answers, axis=axis)
    return 2.0 * np.count_nonzero(labels & answers, axis=axis) / sizes


def is_same(ours: Interval, theirs: Any) -> bool:
    """Whether both ends agree within the noise of resampling."""
    allowed = NOISE * float(theirs.standard_error)
    low, high = theirs.confidence_interval
    return bool(abs(ours.low - low) <= allowed and abs(ours.high - high) <= allowed)


if __name__ == "__main__":
    sys.exit(main())
