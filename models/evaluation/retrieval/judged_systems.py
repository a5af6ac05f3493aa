"""Who is judged: lists, the systems that scored them, and the baselines that need no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.data.retrieval.candidate_lists import CandidateList, read_lists
from models.data.retrieval.edit_features import SIZE_FEATURE
from models.errors import DataInvalid, SettingsInvalid
from models.evaluation.retrieval.list_scores import read_scores
from models.settings.retrieval import JudgeSettings

Floats = npt.NDArray[np.float64]

FIRST_STAGE, SIZE, RANDOM = "first_stage", "size", "random"
BASELINES = {
    FIRST_STAGE: "the order of the first stage, by its similarity",
    SIZE: "the smaller edit first, by the characters that it changes",
    RANDOM: "the mean of all orders, in closed form",
}


@dataclass(frozen=True)
class Judged:
    """A system or a baseline over all lists.

    Args:
        name: "
        title: What people call it.
        seeds: Their names; one, empty, for a baseline.
        scores: ``(S, M)`` of all candidates of all lists, end to end.
        is_model: Whether it is a system; equal scores then count against it, a baseline has the mean of their orders.
    """

    name: str
    title: str
    seeds: tuple[str, ...]
    scores: Floats
    is_model: bool


def read_judged_lists(paths: Sequence[Path]) -> list[CandidateList]:
    """The lists of all files, in order.

    Raises:
        DataInvalid: A file is damaged, a list is in two of them, has a query where another has none, or tells more
            right candidates than there are. Not retried.
    """
    lists: list[CandidateList] = []
    seen: dict[str, Path] = {}
    for path in paths:
        for entry in read_lists(path):
            if entry.list_id in seen:
                raise DataInvalid(path, f"list {entry.list_id} is in {seen[entry.list_id]} too; give each list once")
            if sum(entry.relevant) > entry.num_relevant:
                raise DataInvalid(path, f"list {entry.list_id}: num_relevant is less than its right candidates")
            if lists and (entry.query is None) != (lists[0].query is None):
                raise DataInvalid(path, "lists of a query and lists of patches; judge them apart")
            seen[entry.list_id] = path
            lists.append(entry)
    return lists


def systems_of(settings: JudgeSettings, lists: Sequence[CandidateList]) -> list[Judged]:
    """The systems in the order of the settings.

    Raises:
        SettingsInvalid: A system is called as a baseline is. Not retried.
        DataInvalid: Scores are not of exactly these lists. Not retried.
    """
    systems = []
    for name, system in settings.systems.items():
        if name in BASELINES:
            raise SettingsInvalid(f"systems: {name!r} is the name of a baseline; call the system something else")
        scores = np.stack([np.concatenate(read_scores(runs, lists)) for runs in system.scores.values()])
        systems.append(Judged(name, system.title, tuple(system.scores), scores, is_model=True))
    return systems


def baselines_of(names: Sequence[str], lists: Sequence[CandidateList]) -> list[Judged]:
    """The baselines in the order asked for, each once.

    Raises:
        SettingsInvalid: One does not fit the lists. Not retried.
    """
    is_patches = lists[0].query is None
    found: Mapping[str, Floats] = _scores_of_baselines(lists, names, is_patches=is_patches)
    return [Judged(name, BASELINES[name], ("",), scores[None], is_model=False) for name, scores in found.items()]


def _scores_of_baselines(
    lists: Sequence[CandidateList], names: Sequence[str], *, is_patches: bool
) -> Mapping[str, Floats]:
    scores: dict[str, Floats] = {}
    for name in names:
        if name == SIZE and not is_patches:
            raise SettingsInvalid("baselines: size is of patches; these lists have a query, so give first_stage")
        if name == FIRST_STAGE and is_patches:
            raise SettingsInvalid("baselines: first_stage is of lists with a query; these are patches, so give size")
        if name == RANDOM:
            scores[name] = np.zeros(sum(len(entry.candidates) for entry in lists))
        elif name == SIZE:
            scores[name] = -_column(lists, SIZE_FEATURE)
        else:
            scores[name] = _column(lists, 0)
    return scores


def _column(lists: Sequence[CandidateList], at: int) -> Floats:
    if not lists[0].features[0]:
        raise SettingsInvalid("baselines: the lists have no features; give only random")
    return np.array([row[at] for entry in lists for row in entry.features], dtype=np.float64)
