"""From raw functions to finished records: tokens, graph and metadata put together and written down.

A ``RecordMaker`` lives in each worker. It takes functions and gives bytes, so that the process that writes has nothing
left to do. How a line looks is in ``record_form.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from models.data.column_writer import ColumnChunk, column_chunk
from models.data.raw_functions import RawFunction
from models.data.record_form import Record, column_row, json_line
from models.data.syntax_trees import ASTParser, SyntaxGraph, Tier
from models.data.tokens import SafeTokenizer, TokenSequence
from models.data.trimming import Trimmed, Trimming, VulnerableCodeTrimmer
from models.settings.preprocess import TrimmingStrategy

LANGUAGE = "c"


class NamedFunction(NamedTuple):
    """A function that has got its place in a split.

    Args:
        function: The raw function.
        record_id: Unique among all splits.
        group: Its commit; where none is known, its cluster of near copies (named by one's id), or its own id.
        split: train, valid or test.
        beside: Further names and values of its metadata.
    """

    function: RawFunction
    record_id: str
    group: str
    split: str
    beside: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RecordPlan:
    """What decides the bytes of a record; goes to each worker.

    Args:
        tokenizer: Definition of the tokenizer, as JSON.
        source: Name of the data, for rows that do not say theirs.
        max_seq_len: Longest token sequence that is left alone, special tokens included.
        collapse_whitespace: Tokenise with each run of white space as one blank.
        trimming: What is kept of a longer one.
        max_nodes: Largest graph.
    """

    tokenizer: str
    source: str
    max_seq_len: int
    collapse_whitespace: bool
    trimming: TrimmingStrategy
    max_nodes: int


class RecordFacts(NamedTuple):
    """What the statistics take of a record; ``call_tokens`` as in ``Trimmed``."""

    label: int
    num_tokens: int
    num_tokens_before_trim: int
    trimming: Trimming
    call_tokens: Mapping[TrimmingStrategy, int]
    num_nodes: int
    num_edges: int
    num_nodes_cut: int
    tier: Tier
    has_error: bool


class MadeRecords(NamedTuple):
    """Records of a chunk of functions, in order.

    Args:
        lines: JSON lines.
        columns: The same for the columnar copy.
        facts: One each.
    """

    lines: bytes
    columns: ColumnChunk
    facts: list[RecordFacts]


class RecordMaker:
    """Makes records; one per process, for it holds a parser.

    Args:
        plan: What decides the bytes.
    """

    def __init__(self, plan: RecordPlan) -> None:
        self.plan = plan
        self.tokenizer = SafeTokenizer(Tokenizer.from_str(plan.tokenizer), collapse_whitespace=plan.collapse_whitespace)
        self.parser = ASTParser(plan.max_nodes)
        self._num_special = len(self.tokenizer.prefix) + len(self.tokenizer.suffix)
        self.trimmer = VulnerableCodeTrimmer(plan.max_seq_len - self._num_special, plan.trimming)

    def make(self, functions: Sequence[NamedFunction]) -> MadeRecords:
        """Records of a chunk."""
        sequences = self.tokenizer.tokenize_batch([named.function.code for named in functions])
        lines, rows, facts = [], [], []
        for named, sequence in zip(functions, sequences, strict=True):
            graph = self.parser.parse(named.function.code)
            trimmed = self.trimmer.trim(named.function.code, sequence.offsets)
            tokens = self._with_special(sequence, trimmed)
            num_found = len(sequence.ids) + self._num_special
            fact = _facts_of(named.function.label, tokens, num_found, trimmed, graph)
            record = self._record(named, tokens, graph, fact)
            lines.append(json_line(record))
            rows.append(column_row(record))
            facts.append(fact)
        return MadeRecords(b"".join(lines), column_chunk(rows), facts)

    def _with_special(self, sequence: TokenSequence, trimmed: Trimmed) -> TokenSequence:
        prefix, suffix = self.tokenizer.prefix, self.tokenizer.suffix
        ids = np.concatenate([prefix, sequence.ids[trimmed.kept], suffix])
        offsets = np.zeros((len(ids), 2), np.int32)
        offsets[len(prefix) : len(ids) - len(suffix)] = sequence.offsets[trimmed.kept]
        return TokenSequence(ids, offsets)

    def _record(self, named: NamedFunction, tokens: TokenSequence, graph: SyntaxGraph, fact: RecordFacts) -> Record:
        return Record(
            record_id=named.record_id,
            group=named.group,
            code=named.function.code,
            language=LANGUAGE,
            tokens=tokens,
            label=named.function.label,
            metadata=self._metadata(named, fact),
            nodes=graph.nodes,
            edge_index=graph.edge_index,
            edge_type=graph.edge_type,
        )

    def _metadata(self, named: NamedFunction, fact: RecordFacts) -> dict[str, Any]:
        return {
            "source": named.function.source or self.plan.source,
            "origin": named.function.origin,
            "split": named.split,
            "orig_id": named.function.orig_id,
            "line": named.function.line,
            "project": named.function.project,
            "group": named.group,
            "ast_success": fact.tier == "full",
            "ast_tier": fact.tier,
            "has_error": fact.has_error,
            "num_ast_nodes": fact.num_nodes,
            "num_ast_nodes_cut": fact.num_nodes_cut,
            "num_tokens": fact.num_tokens,
            "num_tokens_before_trim": fact.num_tokens_before_trim,
            "trimming": fact.trimming,
            **dict(named.beside),
        }


def _facts_of(
    label: int, tokens: TokenSequence, num_tokens_found: int, trimmed: Trimmed, graph: SyntaxGraph
) -> RecordFacts:
    return RecordFacts(
        label=label,
        num_tokens=len(tokens.ids),
        num_tokens_before_trim=num_tokens_found,
        trimming=trimmed.trimming,
        call_tokens=trimmed.call_tokens,
        num_nodes=len(graph.nodes),
        num_edges=len(graph.edge_type),
        num_nodes_cut=graph.num_cut,
        tier=graph.tier,
        has_error=graph.has_error,
    )
