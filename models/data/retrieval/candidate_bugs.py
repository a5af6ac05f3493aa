"""Patches grouped by the bug they are meant to mend, named anew, each with the text and the features of its edit.

A candidate is named by its bug and a number; numbers follow a digest of the code, so that neither the order of the
file nor who made a patch can be told from them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from models.data.languages.detection import guess_language
from models.data.languages.grammars import parser_of
from models.data.retrieval.bare_code import bare_code
from models.data.retrieval.candidate_lists import CandidateList
from models.data.retrieval.edit_features import SIZE_FEATURE, edit_features, size_ranks
from models.data.retrieval.line_edits import blocks_of, edit_text
from models.data.retrieval.patch_rows import Patch
from models.settings.languages import LanguageName


class Edit(NamedTuple):
    """What a patch does to the code.

    Args:
        project: Where the bug is.
        bug: Project and bug, joined by a slash.
        before: The code with the bug, without comments.
        after: The code as patched, without comments.
        label: 1: correct.
        language: Whose grammar reads the code before; ``None``: nobody's.
        stops_parsing: Whether that grammar finds an error in the code after.
    """

    project: str
    bug: str
    before: str
    after: str
    label: int
    language: LanguageName | None
    stops_parsing: bool


class Candidate(NamedTuple):
    """A patch of a bug.

    Args:
        text_id: Bug and number.
        text: The edit as a model reads it.
        language: Whose grammar reads the code before; empty where none does.
        label: 1: correct.
        features: Of the edit, in the order of ``edit_features.FEATURES``.
    """

    text_id: str
    text: str
    language: str
    label: int
    features: tuple[float, ...]


class Bug(NamedTuple):
    """A bug and what was tried on it.

    Args:
        name: Project and bug, joined by a slash.
        project: Where it is.
        candidates: At least one, in the order of their numbers.
    """

    name: str
    project: str
    candidates: tuple[Candidate, ...]

    @property
    def is_mixed(self) -> bool:
        """Whether it has both correct and wrong candidates."""
        return len({candidate.label for candidate in self.candidates}) == 2

    def as_list(self, split: str) -> CandidateList:
        """As a list that rankers learn from or are judged on."""
        relevant = tuple(candidate.label for candidate in self.candidates)
        return CandidateList(
            list_id=self.name,
            group=self.name,
            query=None,
            candidates=tuple(candidate.text_id for candidate in self.candidates),
            relevant=relevant,
            features=tuple(candidate.features for candidate in self.candidates),
            num_relevant=sum(relevant),
            split=split,
        )


class GroupedEdits(NamedTuple):
    """Edits by bug.

    Args:
        by_bug: Edits of each, no result twice; bugs in the order of their names, edits of their digests.
        dropped: Edits left out, by reason: ``changes_nothing`` (but comments), ``copy`` (of one that is kept) or
            ``contradicted`` (the same result, once correct and once wrong: neither is kept).
    """

    by_bug: dict[str, list[Edit]]
    dropped: Counter[str]


def edit_of(patch: Patch) -> Edit:
    """What a patch does to the code."""
    language = readable_language(patch.before)
    return Edit(
        project=patch.project,
        bug=patch.bug,
        before=bare_code(patch.before, language),
        after=bare_code(patch.after, language),
        label=patch.label,
        language=language,
        stops_parsing=language is not None and has_error(patch.after, language),
    )


def group_by_bug(edits: Iterable[Edit]) -> GroupedEdits:
    """Edits by bug, each result once; a bug of which nothing is left is none."""
    grouped = GroupedEdits({}, Counter())
    found: dict[str, dict[str, list[Edit]]] = {}
    for edit in edits:
        if edit.before == edit.after:
            grouped.dropped["changes_nothing"] += 1
        else:
            found.setdefault(edit.bug, {}).setdefault(edit.after, []).append(edit)
    for bug in sorted(found):
        kept = []
        for same in found[bug].values():
            if len({edit.label for edit in same}) == 2:
                grouped.dropped["contradicted"] += len(same)
            else:
                grouped.dropped["copy"] += len(same) - 1
                kept.append(min(same, key=_order))
        if kept:
            grouped.by_bug[bug] = sorted(kept, key=_order)
    return grouped


def _order(edit: Edit) -> tuple[str, str, bool]:
    """By the code. Of equal code only comments differed, and by them how it was parsed."""
    digest = hashlib.sha256(f"{edit.before}\0{edit.after}".encode()).hexdigest()
    return digest, edit.language or "", edit.stops_parsing


def bug_of(name: str, edits: Sequence[Edit], context_lines: int) -> Bug:
    """A bug with its candidates.

    Args:
        name: Project and bug.
        edits: All of it, in the order of their numbers.
        context_lines: Unchanged lines around each change that belong to its text.
    """
    candidates = []
    for number, edit in enumerate(edits, start=1):
        blocks = blocks_of(edit.before, edit.after)
        features = edit_features(blocks, stops_parsing=edit.stops_parsing)
        text = edit_text(blocks, context_lines)
        candidates.append(Candidate(f"{name}/{number:02d}", text, edit.language or "", edit.label, features))
    ranks = size_ranks([candidate.features[SIZE_FEATURE] for candidate in candidates])
    ranked = [each._replace(features=(*each.features, rank)) for each, rank in zip(candidates, ranks, strict=True)]
    return Bug(name, edits[0].project, tuple(ranked))


def readable_language(code: str) -> LanguageName | None:
    """The language of the code, where its grammar reads it without an error; else ``None``."""
    language = guess_language(code)
    return None if has_error(code, language) else language


def has_error(code: str, language: LanguageName) -> bool:
    """Whether a grammar finds a syntax error."""
    return parser_of(language).parse(code.encode()).root_node.has_error
