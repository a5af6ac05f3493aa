"""From findings to finished records: text, tokens and metadata put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.data.column_writer import ColumnChunk, column_chunk
from models.data.findings import Finding
from models.data.findings_text import FindingTrimming, Kept, flagged_at, keep_nearest, text_of
from models.data.record_form import Record, column_row, json_line
from models.data.tokens import SafeTokenizer, TokenSequence


class FindingFacts(NamedTuple):
    """What the statistics take of a record."""

    num_tokens: int
    num_tokens_before_trim: int
    trimming: FindingTrimming


class MadeFindings(NamedTuple):
    """Records of a few findings, in order.

    Args:
        records: The records.
        lines: The same as JSON lines.
        columns: The same for the columnar copy.
        facts: One each.
    """

    records: list[Record]
    lines: bytes
    columns: ColumnChunk
    facts: list[FindingFacts]


class FindingMaker:
    """Makes records.

    Args:
        tokenizer: That reads white space as it stands.
        source: Name of the data.
        context_lines: Lines read on either side of the flagged one.
        max_seq_len: Longest record, special tokens included.
    """

    def __init__(self, tokenizer: SafeTokenizer, *, source: str, context_lines: int, max_seq_len: int) -> None:
        self.tokenizer = tokenizer
        self.source = source
        self.context_lines = context_lines
        self._num_special = len(tokenizer.prefix) + len(tokenizer.suffix)
        self._room = max_seq_len - self._num_special

    def make(self, findings: Sequence[Finding], split: str) -> MadeFindings:
        """Records of findings of one split.

        Args:
            findings: In the order of the records.
            split: The one they belong to now.
        """
        texts = [text_of(finding, self.context_lines) for finding in findings]
        records, facts = [], []
        for finding, text, sequence in zip(findings, texts, self.tokenizer.tokenize_batch(texts), strict=True):
            kept = keep_nearest(text, sequence.offsets, flagged_at(finding, self.context_lines), self._room)
            tokens = self._with_special(sequence, kept)
            fact = FindingFacts(len(tokens.ids), len(sequence.ids) + self._num_special, kept.trimming)
            records.append(self._record(finding, split, text, tokens, fact))
            facts.append(fact)
        lines = b"".join(map(json_line, records))
        return MadeFindings(records, lines, column_chunk(map(column_row, records)), facts)

    def _with_special(self, sequence: TokenSequence, kept: Kept) -> TokenSequence:
        prefix, suffix = self.tokenizer.prefix, self.tokenizer.suffix
        ids = np.concatenate([prefix, sequence.ids[kept.tokens], suffix])
        offsets = np.zeros((len(ids), 2), np.int32)
        offsets[len(prefix) : len(ids) - len(suffix)] = sequence.offsets[kept.tokens]
        return TokenSequence(ids, offsets)

    def _record(self, finding: Finding, split: str, text: str, tokens: TokenSequence, fact: FindingFacts) -> Record:
        return Record(
            record_id=record_id(self.source, finding),
            group=finding.group,
            code=text,
            language=finding.technology,
            tokens=tokens,
            label=finding.label,
            metadata={
                "source": self.source,
                "split": split,
                "given_split": finding.split,
                "file": finding.file,
                "technology": finding.technology,
                "smell": finding.smell,
                "line": finding.line,
                "row": finding.row,
                "label_source": finding.source,
                "in_combined": finding.in_combined,
                "project": "",
                "group": finding.group,
                "num_tokens": fact.num_tokens,
                "num_tokens_before_trim": fact.num_tokens_before_trim,
                "trimming": fact.trimming,
            },
        )


def record_id(source: str, finding: Finding) -> str:
    """Where a finding came from, in capitals: regrouping files changes no id."""
    technology = (finding.technology,) if finding.split == "test" else ()
    return "-".join((source, finding.split, *technology, str(finding.row))).upper()
