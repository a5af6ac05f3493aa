"""What a comparison answers: a sentence or two to each question that phase 2 was built to ask.

Answers are made of the same rows that the table shows, and say no more than those show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tasks.comparison_words import metric_title, shown_word, title_of, with_titles
from tasks.report_claims import signed

Comparison = Mapping[str, Any]
Entries = Sequence[Mapping[str, Any]]
NOISE, WEIGHTS, PHASE2, FUSION = (
    "Do noisy data help?",
    "Do weights help?",
    "Does Phase 2 help?",
    "Does fusion help?",
)
OTHERS = "Other comparisons"
QUESTIONS = (NOISE, WEIGHTS, PHASE2, FUSION, OTHERS)
MAIN, UNWEIGHTED = "", "_none"
"""How the names of a phase's systems end: the main one, and that without weights."""
MOST_PAIRS = 3
"""More pairs of systems without a difference are counted, not named."""


@dataclass(frozen=True)
class Answer:
    """An answer with what it rests on.

    Args:
        question: One of ``QUESTIONS``.
        text: The answer; empty for comparisons that ask none of the questions.
        verdicts: A sentence for each two systems.
    """

    question: str
    text: str
    verdicts: tuple[str, ...]


def answers_of(comparison: Comparison) -> list[Answer]:
    """An answer to each question that any comparison asks, in the order of ``QUESTIONS``."""
    pairs = [list(own) for _, own in groupby(comparison["comparisons"], key=lambda e: (e["first"], e["second"]))]
    asked: dict[str, list[tuple[Entries, str]]] = {question: [] for question in QUESTIONS}
    for entries, verdict in zip(pairs, comparison["verdicts"], strict=True):
        asked[question_of(comparison, entries[0])].append((entries, with_titles(comparison, verdict)))
    return [
        Answer(
            question,
            "" if question == OTHERS else _answer(comparison, [entries for entries, _ in found]),
            tuple(verdict for _, verdict in found),
        )
        for question, found in asked.items()
        if found
    ]


def question_of(comparison: Comparison, entry: Mapping[str, Any]) -> str:
    """The question that a comparison of two systems asks, by their phases and how they were treated."""
    first, second = (comparison["systems"][entry[side]] for side in ("first", "second"))
    is_fusion = [system["model_kind"] == "fusion" for system in (first, second)]
    if any(is_fusion):
        return OTHERS if all(is_fusion) else FUSION
    treated = [_treatment(entry[side], system) for side, system in (("first", first), ("second", second))]
    if None in treated or first["model_kind"] != second["model_kind"]:
        return OTHERS
    phases = (first["phase"], second["phase"])
    if phases == ("phase2", "phase2"):
        return WEIGHTS if treated[0] == MAIN else OTHERS
    if phases == ("phase2", "phase1"):
        return {MAIN: PHASE2, UNWEIGHTED: NOISE}.get(treated[0] or MAIN, OTHERS)
    return OTHERS


def _treatment(name: str, system: Mapping[str, Any]) -> str | None:
    """How a system's name ends after phase and kind; ``None``: it is named otherwise."""
    short = f"{system['phase']}_{system['model_kind']}"
    ending = name.removeprefix(short)
    return ending if name.startswith(short) and (ending == MAIN or ending.startswith("_")) else None


def _answer(comparison: Comparison, pairs: Sequence[Entries]) -> str:
    entries = [entry for own in pairs for entry in own]
    found = [shown_word(entry) for entry in entries]
    shown = [
        f"{_between(comparison, own, f' is {word} than ')} on {_listed([_gain(entry) for entry in theirs])}"
        for own in pairs
        for word in ("better", "worse")
        if (theirs := [entry for entry in own if shown_word(entry) == word])
    ]
    if shown:
        return f"{_word(found)}: {'; '.join(shown)}.{_rest(found)}"
    if "open" in found:
        return f"Not settled: {_unsettled(comparison, pairs)}.{_rest(found, told='open')}"
    return f"Not shown: {_nowhere(comparison, pairs)}."


def _gain(entry: Mapping[str, Any]) -> str:
    return f"{metric_title(entry['metric'])} ({signed(entry['difference'])})"


def _word(found: Sequence[str]) -> str:
    """The answer in a word or two."""
    if "better" in found and "worse" in found:
        return "Mixed"
    if "worse" in found:
        return "No"
    return "Yes" if set(found) == {"better"} else "In part"


def _rest(found: Sequence[str], told: str = "") -> str:
    """What came of the other differences, counted."""
    words = {"open": "not settled", "no": "not shown"}
    counts = [(found.count(word), said) for word, said in words.items() if word in found and word != told]
    if not counts:
        return ""
    return f" Of {len(found)} differences {_listed([f'{count} {_are(count)} {said}' for count, said in counts])}."


def _unsettled(comparison: Comparison, pairs: Sequence[Entries]) -> str:
    told = []
    for own in pairs:
        for word, sign in (("better", 1), ("worse", -1)):
            theirs = [e for e in own if shown_word(e) == "open" and sign * e["difference"] > 0]
            if theirs:
                gains = _listed([_gain(entry) for entry in theirs])
                told.append(f"{_between(comparison, own, f' is {word} than ')} on {gains}")
    seeds = max(entry["num_seeds"] for own in pairs for entry in own)
    return f"the bootstrap shows that {' and that '.join(told)}, the t-test over {seeds} seeds and groups does not"


def _nowhere(comparison: Comparison, pairs: Sequence[Entries]) -> str:
    metrics = list(dict.fromkeys(metric_title(entry["metric"]) for own in pairs for entry in own))
    if len(pairs) > MOST_PAIRS:
        return f"no difference in any of {len(pairs)} pairs of systems on {_listed(metrics, last='or')}"
    named = [f"between {_between(comparison, own, ' and ')}" for own in pairs]
    return f"no difference on {_listed(metrics, last='or')} {', nor '.join(named)}"


def _between(comparison: Comparison, entries: Entries, word: str) -> str:
    return word.join(title_of(comparison, entries[0][side]) for side in ("first", "second"))


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _listed(parts: Sequence[str], last: str = "and") -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"
