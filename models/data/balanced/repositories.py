"""Folders of repositories: their functions cut by syntax tree, labelled by a file, by fixes, or by rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from models.data.balanced.fixes import Fixes, FixSide, NamedText, compare, read_file_pairs
from models.data.balanced.given_labels import BEFORE_AFTER, LABELS, GivenLabel, LabelBook
from models.data.balanced.samples import NO_LABEL, CodeSample, LeftOut, fault_of_text, text_digest
from models.data.balanced.weak_rules import NAME as RULES
from models.data.balanced.weak_rules import weak_label
from models.data.languages.cutting import CutFunction, cut_functions
from models.data.repositories.walking import PassedOver, SourceFile, walk_repositories
from models.settings.balance import BalanceSettings

LABELS_FILE, BEFORE_AFTER_FILE = "labels.jsonl", "before_after.jsonl"
MAX_SHOWN = 20


class _Label(NamedTuple):
    """What a function is labelled, by whom, and what ties it to others."""

    value: int | None
    source: str
    task: str | None = None
    hint: str | None = None


class Repositories:
    """A folder whose sub-folders are repositories.

    Args:
        settings: Where it lies, what is read, and which labels are given.

    Raises:
        DataInvalid: a file of labels or fixes is not there, or a line of it is none. Not retried.
    """

    name = "repositories"

    def __init__(self, settings: BalanceSettings) -> None:
        self._settings = settings
        self._root = settings.repos_root
        self._book = LabelBook(_given_or_found(settings.labels, self._root / LABELS_FILE))
        self._fixes_path = _given_or_found(settings.before_after, self._root / BEFORE_AFTER_FILE)
        self._fixes: Fixes | None = None

    def samples(self) -> Iterator[CodeSample | LeftOut]:
        """Functions in the order of the files' names, and what gives none.

        Raises:
            DataInvalid: of the labels or of the fixes none names something that is there. Not retried.
        """
        yield from self._book.left_out
        self._fixes = self._compared(self._fixes_path) if self._fixes_path is not None else None
        for found in self._walk():
            if isinstance(found, PassedOver):
                yield LeftOut(found.file, found.reason)
            else:
                yield from self._samples_of(found)
        self._book.refuse_if_none_found()

    def report(self) -> dict[str, Any]:
        """What was found of labels and fixes."""
        told: dict[str, Any] = {}
        if self._book.path is not None:
            missing = self._book.missing()
            told[LABELS] = {"given": self._book.num_given, "missing": len(missing), "shown": missing[:MAX_SHOWN]}
        if self._fixes is not None:
            told[BEFORE_AFTER] = {
                "given": self._fixes.num_given,
                "functions_changed": self._fixes.num_changed,
                "missing": len(self._fixes.missing),
                "shown": self._fixes.missing[:MAX_SHOWN],
                "unchanged": len(self._fixes.unchanged),
            }
        return told

    def _walk(self) -> Iterator[SourceFile | PassedOver]:
        return walk_repositories(self._root, self._settings.languages, self._settings.max_file_bytes)

    def _compared(self, path: Path) -> Fixes:
        """What the fixes say; a walk of its own, in which only files that they name are cut."""
        pairs = read_file_pairs(path)
        named = {file for pair in pairs for file in (pair.before, pair.after)}
        functions = {
            found.file: [NamedText(cut.name, text_digest(_text(cut))) for cut in _cut(found)]
            for found in self._walk()
            if isinstance(found, SourceFile) and found.file in named
        }
        return compare(path, pairs, functions)

    def _samples_of(self, source: SourceFile) -> Iterator[CodeSample | LeftOut]:
        functions = _cut(source)
        if not functions:
            yield LeftOut(source.file, "no_function")
        sides = self._fixes.sides.get(source.file, {}) if self._fixes else {}
        for number, function in enumerate(functions):
            code, place = _text_alone(function, source), f"{source.file}:{function.line}"
            said = self._book.of(source.file, function.name, function.line, function.line + code.count("\n"))
            if fault := fault_of_text(code, self._settings.max_function_chars):
                yield LeftOut(place, fault)
            elif len({given.label for given in said} - {None}) > 1 or len({given.task for given in said} - {None}) > 1:
                yield LeftOut(place, "contradicting_labels")
            else:
                label = self._label_of(said, sides.get(number), code, source)
                yield CodeSample(
                    name=f"{source.file}:{function.name}:{function.line}",
                    code=code,
                    language=source.language,
                    label=label.value,
                    label_source=label.source,
                    repo=source.repository,
                    file=source.file,
                    function=function.name,
                    line=function.line,
                    match=label.task,
                    group_hint=label.hint,
                )

    def _label_of(self, said: list[GivenLabel], side: FixSide | None, code: str, source: SourceFile) -> _Label:
        """Of the labels file, else of a fix, else of the rules where they are asked for."""
        task = next((given.task for given in said if given.task is not None), None)
        hint = side.hint if side else None
        given = next((given.label for given in said if given.label is not None), None)
        if given is not None:
            return _Label(given, LABELS, task, hint)
        if side is not None:
            return _Label(side.label, BEFORE_AFTER, task, hint)
        if self._settings.label_by_rules:
            return _Label(weak_label(code, source.language), RULES, task, hint)
        return _Label(None, NO_LABEL, task, hint)


def _cut(source: SourceFile) -> list[CutFunction]:
    return cut_functions(source.content, source.language)


def _text(function: CutFunction) -> str:
    return function.content.decode(errors="replace")


def _text_alone(function: CutFunction, source: SourceFile) -> str:
    """Its text as it would stand alone: a decorated method of Python is none below the margin of its first line."""
    text = _text(function)
    if source.language != "python":
        return text
    margin = source.content[: function.start_byte].rpartition(b"\n")[2].decode(errors="replace")
    first, *others = text.split("\n")
    if not margin or margin.strip() or any(line.strip() and not line.startswith(margin) for line in others):
        return text
    return "\n".join([first, *(line.removeprefix(margin) for line in others)])


def _given_or_found(given: Path | None, usual: Path) -> Path | None:
    return given if given is not None else usual if usual.is_file() else None
