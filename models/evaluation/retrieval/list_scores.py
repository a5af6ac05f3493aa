"""Scores of the candidates of lists, as score and boost runs leave them: a line each list, in the order of its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from models.data.retrieval.candidate_lists import CandidateList
from models.errors import DataInvalid, ObjectCorrupt, ObjectMissing
from models.store.manifest import read_manifest, verify_file

SCORES_FILE = "scores.jsonl"
EXPECTED = 'expected {"id", "group", "candidates", "relevant", "scores"}, as score and boost runs write it'

Floats = npt.NDArray[np.float64]


class ScoredList(NamedTuple):
    """One list as it was scored.

    Args:
        list_id: "
        candidates: Ids of their texts.
        relevant: Of each, 1 or 0.
        scores: Of each, finite; higher is better.
    """

    list_id: str
    candidates: tuple[str, ...]
    relevant: tuple[int, ...]
    scores: tuple[float, ...]


def score_row(entry: CandidateList, scores: Sequence[float]) -> dict[str, Any]:
    """The row of a list."""
    return {
        "id": entry.list_id,
        "group": entry.group,
        "candidates": list(entry.candidates),
        "relevant": list(entry.relevant),
        "scores": list(scores),
    }


def read_scores(runs: Sequence[Path], lists: Sequence[CandidateList]) -> list[Floats]:
    """The scores of exactly these lists, in their order, from runs that together score each once.

    Args:
        runs: Directories of score or boost runs.
        lists: "

    Raises:
        DataInvalid: A file is missing, damaged or not what its run wrote; a list is scored twice, never, or not among
            ``lists``; or its candidates or labels are others. Not retried.
    """
    wanted = {entry.list_id: entry for entry in lists}
    found: dict[str, Floats] = {}
    for run_path in runs:
        path = run_path / SCORES_FILE
        for number, scored in _lines(path):
            _refuse_other(path, number, scored, wanted.get(scored.list_id))
            if scored.list_id in found:
                raise DataInvalid(path, f"list {scored.list_id} is scored twice; give each run once", line=number)
            found[scored.list_id] = np.array(scored.scores, dtype=np.float64)
    missing = [list_id for list_id in wanted if list_id not in found]
    if missing:
        where = ", ".join(map(str, runs))
        raise DataInvalid(
            runs[0] / SCORES_FILE,
            f"no run scores list {missing[0]} ({len(missing)} of {len(wanted)} are missing in {where}); score all",
        )
    return [found[entry.list_id] for entry in lists]


def _refuse_other(path: Path, number: int, scored: ScoredList, expected: CandidateList | None) -> None:
    if expected is None:
        raise DataInvalid(path, f"list {scored.list_id} is not judged; give scores of these lists only", line=number)
    if scored.candidates != expected.candidates or scored.relevant != expected.relevant:
        problem = f"list {scored.list_id} was scored with other candidates or labels; score these lists again"
        raise DataInvalid(path, problem, line=number)


def _lines(path: Path) -> list[tuple[int, ScoredList]]:
    _verify(path)
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            rows.append((number, _parsed(orjson.loads(line))))
        except (ValueError, KeyError, TypeError) as error:  # orjson's own error is a ValueError
            raise DataInvalid(path, f"no scores ({type(error).__name__}: {error}); {EXPECTED}", line=number) from None
    return rows


def _parsed(row: Mapping[str, Any]) -> ScoredList:
    scored = ScoredList(
        str(row["id"]), tuple(row["candidates"]), tuple(row["relevant"]), tuple(map(float, row["scores"]))
    )
    if len(scored.scores) != len(scored.candidates) or not np.isfinite(scored.scores).all():
        raise ValueError("a finite score for each candidate")
    return scored


def _verify(path: Path) -> None:
    if not path.is_file():
        raise DataInvalid(path, "no such file; expected the scores of a finished score or boost run")
    try:
        manifest = read_manifest(path.parent)
        if manifest is not None and path.name in manifest.files:
            verify_file(path, manifest.files[path.name])
    except (ObjectMissing, ObjectCorrupt) as error:
        raise DataInvalid(path, f"not as its run wrote it ({error}); score again") from error
