"""Which words tell the label: those whose records have a share of label 1 that groups of that number rarely have.

A word that stands in records of one label only, and in too many groups for chance, is a mark: a name, a comment, a
template of who made the data. A model reads it instead of the code.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from models.evaluation.audit.checks import Check, Section, Topic, Verdict, counted, percent
from models.evaluation.audit.rows import AuditRows
from models.evaluation.audit.words import MAX_CHARS, NUM_FEATURES, HashedWords, word_hasher
from models.evaluation.metrics import Floats, Integers

TELLING = Topic("telling_words", "Words that mark a label", "Do words stand in records of one label only?")
NUM_WORDS = 15
NUM_CANDIDATES = 200
MIN_GROUPS = 5
MAX_CHANCE = 0.001
"""Chance that any of all words has one label only by chance, below which such a word is called a mark."""
NOTABLE, MUCH = 0.01, 0.05
"""Share of records that a mark stands in."""
TEXTS_READ = 5
"""Texts that are read to learn which word a column stands for."""


class Candidate(NamedTuple):
    """A column of the hashed words.

    Args:
        column: Its number.
        places: ``(R,)`` records that have it.
        positives: Those of label 1.
        num_groups: Groups of these records.
    """

    column: int
    places: Integers
    positives: int
    num_groups: int

    @property
    def has_one_label(self) -> bool:
        """Whether no record with it has the other label."""
        return self.positives in (0, len(self.places))


def telling_words(rows: AuditRows, words: HashedWords, groups: Integers) -> Section:
    """The words and pairs of words that tell most, with their records by label; groups count, not records.

    Args:
        rows: Records that may be learnt from.
        words: Of these records.
        groups: ``(N,)`` group of each record.
    """
    share = float(rows.labels.mean()) if len(rows) else 0.0
    if not 0.0 < share < 1.0:
        why = "every record has the same label"
        return Section("telling_words", {"reason": why, "words": []}, (TELLING.not_checked(f"Not checked: {why}."),))
    found = _candidates(rows, words, groups, share)
    found.sort(key=lambda each: (-abs(_strength(each, share)), each.column))
    marks = sorted((each for each in found if _is_mark(each, share)), key=lambda each: -len(each.places))
    shown = {each.column: each for each in (*marks[: NUM_WORDS // 3], *found)}
    told = [_described(rows, each, share) for each in list(shown.values())[:NUM_WORDS]]
    return Section("telling_words", {"words": told, "num_marks": len(marks)}, (_judge(rows, told, marks),))


def _candidates(rows: AuditRows, words: HashedWords, groups: Integers, share: float) -> list[Candidate]:
    """The strongest columns if records were independent, of those that enough groups have."""
    columns = words.features.tocsc()
    sizes = np.diff(columns.indptr)
    positives = np.add.reduceat(np.append(rows.labels[columns.indices], 0).astype(np.int64), columns.indptr[:-1]) * (
        sizes > 0
    )
    used = np.flatnonzero(sizes >= MIN_GROUPS)
    strength: Floats = np.abs(positives[used] / sizes[used] - share) * np.sqrt(sizes[used])
    found = []
    for column in used[np.argsort(-strength, kind="stable")[:NUM_CANDIDATES]].tolist():
        places = np.sort(columns.indices[columns.indptr[column] : columns.indptr[column + 1]]).astype(np.int64)
        num_groups = len(np.unique(groups[places]))
        if num_groups >= MIN_GROUPS:
            found.append(Candidate(int(words.columns[column]), places, int(positives[column]), num_groups))
    return found


def _strength(each: Candidate, share: float) -> float:
    """Standard errors, by groups, between the share of label 1 with the word and that of all."""
    own = each.positives / len(each.places)
    return float((own - share) / np.sqrt(share * (1.0 - share) / each.num_groups))


def _is_mark(each: Candidate, share: float) -> bool:
    """Whether it has one label only, in so many groups that none of all words would by chance."""
    chance = (share if each.positives else 1.0 - share) ** each.num_groups
    return each.has_one_label and chance * NUM_FEATURES < MAX_CHANCE


def _described(rows: AuditRows, each: Candidate, share: float) -> dict[str, Any]:
    codes = [rows.codes[place] for place in each.places[:TEXTS_READ].tolist()]
    return {
        "word": _word_of(each.column, codes),
        "0": len(each.places) - each.positives,
        "1": each.positives,
        "groups": each.num_groups,
        "is_mark": _is_mark(each, share),
    }


def _word_of(column: int, codes: list[str]) -> str:
    """What is hashed into the column, by the texts that have it; of several the commonest."""
    from sklearn.utils import murmurhash3_32

    cut = word_hasher().build_analyzer()
    found: Counter[str] = Counter()
    for code in codes:
        words = sorted(set(cut(code[:MAX_CHARS])))
        found.update(word for word in words if abs(int(murmurhash3_32(word, seed=0))) % NUM_FEATURES == column)
    return found.most_common(1)[0][0] if found else ""


def _judge(rows: AuditRows, words: list[dict[str, Any]], marks: list[Candidate]) -> Check:
    if not marks:
        return TELLING.judged("good", "No word stands in records of one label only, beyond chance.", value=0.0)
    widest = len(marks[0].places) / len(rows)
    shown = ", ".join(
        f"{word['word']!r} ({word['0'] or word['1']:,} of label {int(word['1'] > 0)})" for word in words[:3]
    )
    detail = (
        f"{counted(len(marks), 'word')} or pairs of words stand in records of one label only: {shown}; the widest in "
        f"{percent(widest)} of records."
    )
    verdict: Verdict = "bad" if widest >= MUCH else "look" if widest >= NOTABLE else "good"
    advice = "Take such names, comments and templates out of the text, or mask them, and measure again without them."
    return TELLING.judged(verdict, detail, value=widest, expected=0.0, advice=advice)
