"""What the findings job says of its run: ``findings_metadata.json``, its small numbers, its warnings.

No clock and no path is in it: equal data and settings give equal bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, get_args

from models.data.chosen_tokenizer import describe_tokenizer, tokenizer_name
from models.data.duplicates import DuplicateSearch
from models.data.findings import LABELS, Finding
from models.data.findings_folder import FindingsFolder
from models.data.findings_records import FindingFacts
from models.data.findings_text import FindingTrimming
from models.data.percentiles import share, spread_of, sum_of
from models.data.tokens import SafeTokenizer
from models.settings.findings import FindingsSettings

NOT_DECIDING = {"data", "allow_network"}
COMBINED = "combined"


@dataclass
class FindingsReport:
    """Counts of one split while its records pass."""

    findings: list[Finding] = field(default_factory=list)
    trimming: Counter[str] = field(default_factory=Counter)
    num_tokens: Counter[int] = field(default_factory=Counter)
    num_tokens_before_trim: Counter[int] = field(default_factory=Counter)

    def add(self, finding: Finding, fact: FindingFacts) -> None:
        """Count a record."""
        self.findings.append(finding)
        self.trimming[fact.trimming] += 1
        self.num_tokens[fact.num_tokens] += 1
        self.num_tokens_before_trim[fact.num_tokens_before_trim] += 1

    def summary(self) -> dict[str, Any]:
        """All counts as JSON values."""
        return {
            **count_labels(self.findings),
            "by_smell": _by(self.findings, lambda finding: finding.smell),
            "by_technology": _by(self.findings, lambda finding: finding.technology),
            "tokens_before_trim": spread_of(self.num_tokens_before_trim),
            "tokens": spread_of(self.num_tokens),
            "share_of_tokens_kept": share(sum_of(self.num_tokens), sum_of(self.num_tokens_before_trim)),
            "trimming": {name: self.trimming[name] for name in get_args(FindingTrimming)},
        }


def count_labels(findings: Iterable[Finding]) -> dict[str, Any]:
    """How many there are, of how many files, and with which labels."""
    kept = list(findings)
    labels = Counter(finding.label for finding in kept)
    return {
        "findings": len(kept),
        "files": len({finding.group for finding in kept}),
        "labels": {name: labels[label] for name, label in LABELS.items()},
        "share_true": share(labels[1], len(kept)),
    }


def _by(findings: Iterable[Finding], key: Callable[[Finding], str]) -> dict[str, Any]:
    kept = list(findings)
    return {
        name: count_labels(finding for finding in kept if key(finding) == name) for name in sorted(set(map(key, kept)))
    }


@dataclass
class Found:
    """What was found while records passed, over all splits."""

    duplicates: DuplicateSearch
    shared_files: dict[str, Any]
    splits: dict[str, FindingsReport] = field(default_factory=dict)


def describe_run(
    settings: FindingsSettings, folder: FindingsFolder, tokenizer: SafeTokenizer, found: Found
) -> dict[str, Any]:
    """Everything that is known of the records, as JSON values."""
    tests = found.splits["test"].findings
    return {
        "settings": settings.model_dump(mode="json", exclude=NOT_DECIDING) | {"tokenizer": tokenizer_name(settings)},
        "data": {name: {"file": file.path.name, "sha256": file.sha256} for name, file in folder.files().items()},
        "tokenizer": describe_tokenizer(settings, tokenizer),
        "splits": {split: report.summary() for split, report in found.splits.items()},
        "test_sets": {
            COMBINED: count_labels(finding for finding in tests if finding.in_combined),
            **_by(tests, lambda finding: finding.technology),
        },
        "shared_files": found.shared_files,
        "copies_left_out": {name: file.num_copies for name, file in folder.files().items()},
        "duplicates": found.duplicates.report(),
    }


def small_numbers(metadata: dict[str, Any]) -> dict[str, Any]:
    """What flows and people want to see of a run at once."""
    return {
        "splits": {
            split: {name: found[name] for name in ("findings", "files", "share_true", "share_of_tokens_kept")}
            | {"p95_tokens": found["tokens"]["p95"]}
            for split, found in metadata["splits"].items()
        },
        "test_sets": {
            name: {key: found[key] for key in ("findings", "share_true")}
            for name, found in metadata["test_sets"].items()
        },
        "shared_files": metadata["shared_files"],
        "copies_left_out": sum(metadata["copies_left_out"].values()),
        "with_twin_in_train": {
            split: counts["either"] for split, counts in metadata["duplicates"]["with_twin_in_train"].items()
        },
        "vocab_size": metadata["tokenizer"]["vocab_size"],
    }


def warnings_of(metadata: dict[str, Any]) -> Iterator[str]:
    """What a person should know before training on these records."""
    shared = metadata["shared_files"]
    if shared["files"] and shared["strategy"] == "regroup":
        yield (
            f"{shared['files']} files had findings in both train and val; each is whole in one now: "
            f"{shared['rows_moved_to_train']} rows moved to train, {shared['rows_moved_to_val']} to val, "
            f"which has {shared['val_rows']['after']} rows (before: {shared['val_rows']['before']})"
        )
    elif shared["files"]:
        yield (
            f"{shared['files']} files had findings in both train and val: their {shared['rows_dropped']} rows of train "
            "were dropped"
        )
    copies = {name: count for name, count in metadata["copies_left_out"].items() if count}
    if shared["copies_left_out"]:
        copies["train (they are in val, too)"] = shared["copies_left_out"]
    if copies:
        told = ", ".join(f"{count} of {name}" for name, count in copies.items())
        yield f"rows that repeat another one's finding were left out: {told}"
    for split, found in metadata["splits"].items():
        if cut := found["trimming"]["flagged_line"]:
            yield f"{split}: {cut} flagged lines are longer than max_seq_len and were cut"
    for split, counts in metadata["duplicates"]["with_twin_in_train"].items():
        if counts["either"]:
            yield f"{split}: {counts['either']} findings have an exact or near twin in train"
