"""Findings of a static analyser as they come: rows read and checked, context windows taken apart.

The sets are small and were looked through by hand (or by a model), so a row that cannot be used is a mistake that
somebody can put right: every fault ends the job before anything is written. That is unlike the functions of
``raw_functions.py``, which come by the ten thousand from the web, and of which some may be rejected.

What must hold of several files is in ``findings_folder.py``, which split a file's findings go to in
``findings_splits.py``, what a model reads of one in ``findings_text.py``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.data.raw_functions import RawLine, read_lines
from models.errors import DataInvalid

LABELS = {"FP": 0, "TP": 1}
MAX_LINE_BYTES = 1 << 24
MAX_SHOWN_CHARS = 80

SMELLS: dict[str, tuple[str, ...]] = {
    "hard_coded_secret": ("hardcoded_secret", "hard_coded_secrets", "hardcoded_secrets", "sec_hard_secr"),
    "suspicious_comment": ("suspicious_comments", "sec_susp_comm"),
    "use_of_http": ("use_of_http_without_ssl_tls", "use_of_http_without_tls", "sec_https"),
    "weak_cryptography_algorithms": (
        "weak_cryptography_algorithm",
        "weak_crypto_algorithm",
        "weak_crypto_algorithms",
        "use_of_weak_cryptography_algorithm",
        "use_of_weak_cryptography_algorithms",
        "use_of_weak_crypto_algorithm",
        "use_of_weak_crypto_algorithms",
        "sec_weak_crypt",
    ),
}
"""Each smell with the other names that are in use for it: those of the data, and GLITCH's titles and codes."""
_SMELL_OF = {name: smell for smell, others in SMELLS.items() for name in (smell, *others)}
_NO_WORD = re.compile(r"[^a-z0-9]+")

EXPECTED = {
    "smell": "the name of a smell (text)",
    "file": "the name of the file that was analysed (text, not empty)",
    "content": "the flagged line (text)",
    "line": "its line number (a whole number from 1 up)",
    "with_context": f"it among its neighbours, itself beginning with its number, as in {'17: user: root'!r}",
    "label": "TP (a true finding) or FP (a false alarm)",
    "source": "who gave the label (text)",
    "tech": "the technology (text, such as ansible)",
    "in_combined": "true or false",
}
"""What each field must hold. Other fields of a row are not read."""
ROWS = f"one finding each, with {', '.join(EXPECTED)}"


class _Row(BaseModel):
    """A line of a file, its values as they stand there."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    smell: str
    file: Annotated[str, Field(min_length=1)]
    content: str
    line: Annotated[int, Field(ge=1)]
    with_context: str
    label: Literal["TP", "FP"]
    source: str
    tech: Annotated[str, Field(pattern=r"^[A-Za-z][\w.+-]*$")]
    in_combined: bool


class Window(NamedTuple):
    """The context of a finding, without line numbers.

    Args:
        before: Lines before the flagged one.
        flagged: The flagged line, indentation kept.
        after: Lines after it.
    """

    before: tuple[str, ...]
    flagged: str
    after: tuple[str, ...]


class Finding(NamedTuple):
    """One finding.

    Args:
        path: The file of findings it came in.
        row: Its line there, counted from 1.
        split: train, val or test, as it came.
        smell: A key of ``SMELLS``.
        technology: Lower case.
        file: Name of the file that was analysed.
        line: Number of the flagged line there.
        window: The flagged line among its neighbours.
        label: 1 is a true finding.
        source: Who gave the label.
        in_combined: Whether it is part of the combined test set.
    """

    path: Path
    row: int
    split: str
    smell: str
    technology: str
    file: str
    line: int
    window: Window
    label: int
    source: str
    in_combined: bool

    @property
    def group(self) -> str:
        """What must not be split: the file that was analysed."""
        return f"{self.technology}/{self.file}"

    @property
    def place(self) -> tuple[str, int, str]:
        """What tells findings apart: file, line and smell."""
        return self.group, self.line, self.smell


class FindingsFile(NamedTuple):
    """A file of findings.

    Args:
        path: Where it lies.
        sha256: Digest of its bytes.
        findings: Its rows in order, copies left out.
        num_copies: Rows left out because an earlier one of the file is the same finding.
    """

    path: Path
    sha256: str
    findings: list[Finding]
    num_copies: int


def smell_of(name: str) -> str | None:
    """The smell that is meant by a name in either vocabulary, whatever its case and punctuation; ``None``: none."""
    return _SMELL_OF.get(_NO_WORD.sub("_", name.lower()).strip("_"))


def read_file(path: Path, split: str) -> FindingsFile:
    """The findings of one file, each once.

    A row that repeats another one's finding with the same text and label adds nothing but weight, so it is left out and
    counted; one that contradicts it is a fault.

    Args:
        path: A .jsonl or .jsonl.gz.
        split: train, val or test.

    Raises:
        DataInvalid: it holds no row, or one that cannot be used. Not retried.
    """
    lines = read_lines(path, max_line_bytes=MAX_LINE_BYTES)
    findings = [read_finding(path, line, split) for line in lines if line.content != b""]
    if not findings:
        raise DataInvalid(path, f"holds no row; expected JSON lines, {ROWS}")
    check_agreement(findings)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    kept: dict[tuple[str, int, str], Finding] = {}
    for finding in findings:
        kept.setdefault(finding.place, finding)
    return FindingsFile(path, sha256, list(kept.values()), len(findings) - len(kept))


def read_finding(path: Path, line: RawLine, split: str) -> Finding:
    """What a line holds.

    Raises:
        DataInvalid: it is no finding. Not retried.
    """
    if line.content is None:
        problem = f"the line has {line.num_bytes} bytes; expected at most {MAX_LINE_BYTES}"
        raise DataInvalid(path, problem, line=line.number)
    try:
        row = _Row.model_validate_json(line.content)
    except ValidationError as error:
        raise DataInvalid(path, _problem_of(error), line=line.number) from error
    smell = smell_of(row.smell)
    if smell is None:
        problem = f"smell: expected one of {', '.join(SMELLS)} (or a known spelling of one), found {row.smell!r}"
        raise DataInvalid(path, problem, line=line.number)
    window = _window_of(row)
    if isinstance(window, str):
        raise DataInvalid(path, window, line=line.number)
    return Finding(
        path=path,
        row=line.number,
        split=split,
        smell=smell,
        technology=row.tech.lower(),
        file=row.file,
        line=row.line,
        window=window,
        label=LABELS[row.label],
        source=row.source,
        in_combined=row.in_combined,
    )


def _problem_of(error: ValidationError) -> str:
    """Key, what was expected there, and what was found."""
    fault = error.errors(include_url=False)[0]
    if not fault["loc"]:
        reason = "broken JSON" if fault["type"] == "json_invalid" else "not an object"
        return f"{reason} ({fault['msg']}); expected {ROWS}"
    field = str(fault["loc"][0])
    found = "no such field" if fault["type"] == "missing" else f"found {_shown(fault['input'])}"
    return f"{field}: expected {EXPECTED[field]}; {found}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]} …"


def _window_of(row: _Row) -> Window | str:
    """The context taken apart, or what is wrong with it.

    Some neighbours have their number too, and which have it says nothing of the code. It is taken off where it is the
    line's own; text that only looks like a number stays.
    """
    lines = row.with_context.split("\n")
    number = f"{row.line}:"
    places = [
        at
        for at, line in enumerate(lines)
        if line.startswith(number) and line.removeprefix(number).strip() == row.content.strip()
    ]
    if len(places) != 1:
        return (
            f"with_context: expected exactly one line that begins {number + ' '!r} and goes on as content says "
            f"({_shown(row.content)}); found {len(places)}"
        )
    place = places[0]
    plain = [_without_number(line, row.line + at - place) for at, line in enumerate(lines)]
    first = _num_header_lines(row, lines[:place])
    return Window(tuple(plain[first:place]), plain[place], tuple(plain[place + 1 :]))


def _without_number(line: str, number: int) -> str:
    prefix = f"{number}:"
    return line.removeprefix(prefix).removeprefix(" ") if line.startswith(prefix) else line


def _num_header_lines(row: _Row, before: list[str]) -> int:
    """How many lines stand before the context proper.

    Contexts of Ansible and Puppet begin with ``# Ansible file: NAME`` and a blank line, those of Chef with the blank
    line alone. The name is of use to nobody who must judge the line, and a model could learn by it which repositories
    are careless; and a header that only some technologies have makes their texts less alike than they are.
    """
    has_name = bool(before) and before[0].lower() == f"# {row.tech} file: {row.file}".lower()
    has_blank = before[has_name : has_name + 1] == [""]
    return has_name + has_blank


def check_agreement(findings: Iterable[Finding]) -> None:
    """Whether rows on the same place say the same.

    Raises:
        DataInvalid: two have different labels or texts. Not retried.
    """
    seen: dict[tuple[str, int, str], Finding] = {}
    for finding in findings:
        other = seen.setdefault(finding.place, finding)
        if (finding.label, finding.window) != (other.label, other.window):
            key = "label" if finding.label != other.label else "with_context"
            raise DataInvalid(
                finding.path,
                f"{key}: {finding.smell} in line {finding.line} of {finding.file} has another one in "
                f"{other.path}:{other.row}; expected one {key} for a finding (correct or remove one of the rows)",
                line=finding.row,
            )
