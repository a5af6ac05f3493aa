"""Probes beside the test split, opened and measured: pairs of a function and its fix, and test functions changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import DataInvalid, SettingsInvalid
from models.evaluation.comparison.pair_metrics import Pairs, measure_pairs, read_pairs
from models.evaluation.comparison.robustness import Unchanged, measure_robustness, refuse_other_probe
from models.evaluation.comparison.systems import System, scored_by_all
from models.evaluation.intervals import Resamples, draw_resamples
from models.evaluation.measuring import Measuring
from models.evaluation.records import SplitRecords

PROBE_FILE = "probe.json"
PAIRS = "pairs"
TEXTS_OF_TEST = ("rename", "reformat")


@dataclass(frozen=True)
class Probe:
    """One probe.

    Args:
        name: As its predictions are called.
        records: Its records.
        scored_by: Names of the models whose runs scored it.
        pairs: Which records belong together; ``None``: they are the test functions, changed.
        resamples: Draws of groups of the pairs; ``None`` likewise.
    """

    name: str
    records: SplitRecords
    scored_by: frozenset[str]
    pairs: Pairs | None = None
    resamples: Resamples | None = None


def scorers_of(probes: Sequence[str], models: Sequence[System]) -> dict[str, frozenset[str]]:
    """Which models were scored on each probe, by all of their runs.

    Raises:
        SettingsInvalid: Some runs of a model scored a probe and some did not. Not retried.
    """
    return {name: frozenset(model.name for model in models if scored_by_all([model], name)) for name in probes}


def open_probe(
    name: str,
    folder: Path,
    scored_by: frozenset[str],
    test: SplitRecords,
    how: Measuring,
    open_records: Callable[[Path], SplitRecords],
) -> Probe:
    """Read a probe.

    Args:
        name: As its predictions are called.
        folder: The finished probe run.
        scored_by: Names of the models whose runs scored it.
        test: The test split.
        how: Resamples and their seed.
        open_records: Logs that its records are opened, then reads them.

    Raises:
        DataInvalid: It is no probe run, or holds other records than it says. Not retried.
    """
    kind = _kind_of(folder)
    records = open_records(folder / "test.jsonl")
    if kind != PAIRS:
        refuse_other_probe(records, test)
        return Probe(name, records, scored_by)
    pairs = read_pairs(records)
    resamples = draw_resamples(pairs.groups, num_resamples=how.num_resamples, seed=how.seed)
    return Probe(name, records, scored_by, pairs, resamples)


def refuse_two_sets_of_pairs(probes: Mapping[str, Path]) -> None:
    """There is one place for pairs in the document.

    Raises:
        SettingsInvalid: Two probes are of pairs. Not retried.
        DataInvalid: One is no probe run. Not retried.
    """
    of_pairs = [name for name, folder in probes.items() if _kind_of(folder) == PAIRS]
    if len(of_pairs) > 1:
        raise SettingsInvalid(f"probes: {' and '.join(of_pairs)} are both of pairs; compare on one of them at a time")


def measure_probes(
    probes: Sequence[Probe],
    system: System,
    test: SplitRecords,
    unchanged: Unchanged,
    resamples: Resamples,
    how: Measuring,
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """``pairs`` and ``robustness`` of a system; baselines are measured on every probe.

    Args:
        probes: Opened.
        system: The system.
        test: The test split.
        unchanged: The system on it.
        resamples: Those that it was measured on there.
        how: Coverage and seed.
    """
    pairs, changed = None, {}
    for probe in probes:
        if system.is_model and system.name not in probe.scored_by:
            continue
        scores = system.scores(probe.name, probe.records)
        levels: dict[str, Any] = {"confidence": how.confidence, "seed": how.seed}
        if probe.pairs is None or probe.resamples is None:
            changed[probe.name] = measure_robustness(resamples, test, unchanged, scores, **levels)
        else:
            pairs = measure_pairs(probe.resamples, probe.pairs, scores, unchanged.thresholds, **levels)
    return pairs, changed


def _kind_of(folder: Path) -> str:
    path = folder / PROBE_FILE
    try:
        kind = json.loads(path.read_bytes())["kind"]
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise DataInvalid(path, f"expected the result of a probe job ({error!r}); give a finished probe run") from error
    if kind not in (PAIRS, *TEXTS_OF_TEST):
        raise DataInvalid(path, f"kind {kind!r} is not known; expected {PAIRS}, {' or '.join(TEXTS_OF_TEST)}")
    return str(kind)
