"""What a finished model has seen: lists or pairs it learnt from, those its epoch was chosen by, its encoder's pairs.

A score of such a list, or the vector of such a text, looks like any other and measures memory. What was seen is read
again from the files that the run names, where they are still what it was trained with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.data.retrieval.candidate_lists import CandidateList, read_lists
from models.data.retrieval.text_facts import TextFacts
from models.data.retrieval.text_pairs import read_pairs
from models.errors import DataInvalid, SettingsInvalid
from models.jobs.contract import SETTINGS_FILE
from models.jobs.keys import sha256_of
from models.jobs.question import QUESTION_FILE
from models.jobs.registry import parse_job
from models.settings.reranking import RerankerSettings
from models.settings.train import TrainSettings
from models.store.manifest import digest_file, read_manifest

DATA_FIELDS = ("train_data", "val_data")
Names = Iterator[tuple[str, str]]
"""Of ids, each with its group."""


@dataclass
class KnownLists:
    """What a model has seen.

    Args:
        ids: Of lists (queries, bugs) and of the texts of its encoder's pairs.
        groups: Of all of them.
        not_checked: Files that are gone or are no longer what was trained with, as phrases without paths.
    """

    ids: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    not_checked: list[str] = field(default_factory=list)

    def refuse(self, path: Path, lists: list[CandidateList]) -> None:
        """Refuse lists that the model has seen.

        Raises:
            DataInvalid: There are some. Not retried.
        """
        seen = [entry for entry in lists if entry.list_id in self.ids or entry.group in self.groups]
        if seen:
            raise DataInvalid(
                path,
                f"the model was trained or selected on {len(seen)} of {len(lists)} lists or their groups (such as "
                f"{seen[0].list_id} of group {seen[0].group}); give lists of groups that it never saw",
            )

    def refuse_texts(self, path: Path, texts: Sequence[TextFacts]) -> None:
        """Refuse texts that the model has seen, or that must not be separated from one.

        Raises:
            SettingsInvalid: There are some. Not retried.
        """
        seen = [text for text in texts if text.text_id in self.ids or text.group in self.groups]
        if seen:
            raise SettingsInvalid(
                f"data: the encoder was trained or selected on {len(seen)} of {len(texts)} texts of {path} or their "
                f"groups (such as {seen[0].text_id} of group {seen[0].group}); give the pairs run that it was trained "
                "on, or one of texts that it never saw"
            )


def known_lists(settings: TrainSettings, run_path: Path) -> KnownLists:
    """What the ranker of a finished run has seen, its encoder's pairs too where it has one.

    Args:
        settings: Of the training run.
        run_path: Its directory.
    """
    known = KnownLists()
    _add(known, settings, run_path, _names_of_lists, "")
    if isinstance(settings.model, RerankerSettings) and settings.model.encoder is not None:
        encoder_path = settings.model.encoder
        encoder = _train_settings(encoder_path)
        if encoder is None:
            known.not_checked += [f"{name} of the encoder" for name in DATA_FIELDS]
        else:
            _add(known, encoder, encoder_path, _names_of_pairs, " of the encoder")
    return known


def known_texts(settings: TrainSettings, run_path: Path) -> KnownLists:
    """What the encoder of a finished run has seen: the texts of its pairs.

    Args:
        settings: Of the training run.
        run_path: Its directory.
    """
    known = KnownLists()
    _add(known, settings, run_path, _names_of_pairs, "")
    return known


def is_trained_on(texts: Path, run_path: Path) -> bool:
    """Whether a finished run names exactly this file of texts as what it was trained with."""
    digest = _deciding(run_path).get("texts")
    return digest is not None and texts.is_file() and digest_file(texts).sha256 == digest


def _add(
    known: KnownLists, settings: TrainSettings, run_path: Path, names_of: Callable[[Path], Names], whose: str
) -> None:
    """What the files of a run name, where they are those that it was trained with."""
    digests = _digests(run_path)
    for name in DATA_FIELDS:
        path: Path = getattr(settings, name)
        if name not in digests or not path.is_file() or digest_file(path).sha256 != digests[name]:
            known.not_checked.append(name + whose)
            continue
        for text_id, group in names_of(path):
            known.ids.add(text_id)
            known.groups.add(group)


def _names_of_lists(path: Path) -> Names:
    return ((entry.list_id, entry.group) for entry in read_lists(path))


def _names_of_pairs(path: Path) -> Names:
    for pair in read_pairs(path):
        for text_id in (pair.anchor, pair.positive, *pair.negatives):
            yield text_id, pair.group


def _digests(run_path: Path) -> dict[str, str]:
    """sha256 of each file of records of a run."""
    deciding = _deciding(run_path)
    return {name: str(deciding[name]) for name in DATA_FIELDS} if deciding else {}


def _deciding(run_path: Path) -> dict[str, Any]:
    """Settings and digests of the inputs of a run, if what it says of itself is what its manifest was made for."""
    manifest, path = read_manifest(run_path), run_path / QUESTION_FILE
    if manifest is None or not path.is_file():
        return {}
    decides: dict[str, Any] = json.loads(path.read_bytes())["deciding"]
    return decides if sha256_of(decides) == manifest.run_key else {}


def _train_settings(run_path: Path) -> TrainSettings | None:
    """Settings of a training run; ``None`` where there is none (any more)."""
    try:
        found = parse_job((run_path / SETTINGS_FILE).read_bytes())
    except (FileNotFoundError, SettingsInvalid):
        return None
    return found if isinstance(found, TrainSettings) else None
