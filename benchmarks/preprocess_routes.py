"""Ways through the core of preprocessing (parse, walk, tokenise, write) that ``benchmarks/preprocess.py`` compares.

``ours`` and ``plain`` write JSON lines with the same content; ``plain`` is how one would write it down first. ``bare``
is what the two libraries take by themselves, with nothing kept. Each begins with empty tables.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import tree_sitter_c
from tokenizers import Tokenizer
from tree_sitter import Language, Node, Parser, Tree

from models.data.column_writer import ColumnRow, ColumnWriter, column_chunk
from models.data.duplicates import DuplicateSearch
from models.data.raw_functions import RawFunction
from models.data.records import NamedFunction, RecordMaker, RecordPlan
from models.data.syntax_trees import (
    ASTParser,
    TreeShape,
    child_edges,
    node_ids,
    tier_of,
    typed_edges,
    without_directives,
)
from models.data.tokens import SafeTokenizer, in_raw_text
from models.data.trimming import VulnerableCodeTrimmer

CHUNK_FUNCTIONS = 64
ERROR_SYMBOL, ERROR_ID = 65535, 999
PUNCTUATION = frozenset([*"()[]{},;:?\n\"'", "::", "[[", "]]", "..."]) | {
    prefix + quote for prefix in ("L", "u", "U", "u8") for quote in "'\""
}

Route = Callable[[Sequence[str], str, Path], None]


def chunks_of(codes: Sequence[str]) -> Iterator[list[str]]:
    """Consecutive chunks."""
    for first in range(0, len(codes), CHUNK_FUNCTIONS):
        yield list(codes[first : first + CHUNK_FUNCTIONS])


class Core:
    """What the job does for tokens, nodes and child edges, and nothing else of it.

    Args:
        tokenizer: Its definition, as JSON.
    """

    def __init__(self, tokenizer: str) -> None:
        self.tokenizer = SafeTokenizer(Tokenizer.from_str(tokenizer))
        self.parser = ASTParser()

    def lines(self, codes: Sequence[str]) -> bytes:
        """JSON lines of a chunk."""
        lines = []
        for code, sequence in zip(codes, self.tokenizer.tokenize_collapsed(codes), strict=True):
            shape, _, _ = self.parser.best_shape(code.encode())
            edges = child_edges(np.array(shape.parents, np.int32))
            record = {"code": code, "tokens": sequence.ids, "nodes": node_ids(shape.kinds), "edges": edges}
            lines.append(orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))
        return b"".join(lines)


def ours(codes: Sequence[str], tokenizer: str, path: Path) -> None:
    """Chunk by chunk, as a worker does."""
    core = Core(tokenizer)
    with path.open("wb") as file:
        for chunk in chunks_of(codes):
            file.write(core.lines(chunk))


def whole_records(codes: Sequence[str], tokenizer: str, path: Path) -> None:
    """Everything a worker does: also trimming, raw offsets, typed edges, metadata and columns."""
    plan = RecordPlan(tokenizer, "benchmark", 512, True, "window", 2000)
    maker = RecordMaker(plan)
    with path.open("wb") as file:
        for chunk in chunks_of(codes):
            named = [
                NamedFunction(RawFunction(1, "1", code, 0, "", "", True), f"BENCHMARK-{at}", "g", "train")
                for at, code in enumerate(chunk)
            ]
            file.write(maker.make(named).lines)


def bare(codes: Sequence[str], tokenizer: str, path: Path) -> None:  # noqa: ARG001  nothing is written
    """Tokenising and parsing alone."""
    loaded = Tokenizer.from_str(tokenizer)
    parser = Parser(Language(tree_sitter_c.language()))
    for chunk in chunks_of(codes):
        loaded.encode_batch_fast([" ".join(code.split()) for code in chunk], add_special_tokens=False)
        for code in chunk:
            parser.parse(code.encode())


def plain(codes: Sequence[str], tokenizer: str, path: Path) -> None:
    """One tokenizer call a function, recursion over ``.children``, ``json.dumps``."""
    sys.setrecursionlimit(50_000)
    loaded = Tokenizer.from_str(tokenizer)
    parser = Parser(Language(tree_sitter_c.language()))
    with path.open("w") as file:
        for code in codes:
            tokens = loaded.encode(" ".join(code.split()), add_special_tokens=False).ids
            shape = _plain_best_shape(parser, code.encode())
            nodes = [ERROR_ID if kind == ERROR_SYMBOL else kind for kind in shape.kinds]
            edges = [[parent, number] for number, parent in enumerate(shape.parents) if parent >= 0]
            file.write(json.dumps({"code": code, "tokens": tokens, "nodes": nodes, "edges": edges}) + "\n")


def _plain_best_shape(parser: Parser, content: bytes) -> TreeShape:
    """Under the same rules as ours: which nodes, which of two trees, which tier."""
    ranks = {"full": 0, "partial": 1, "tokens": 2}
    tree = parser.parse(content)
    shape = _plain_shape(tree)
    tier = tier_of(tree, shape)
    if tier != "full" and b"#" in content:
        second = parser.parse(without_directives(content))
        second_shape = _plain_shape(second)
        second_tier = tier_of(second, second_shape)
        if ranks[second_tier] < ranks[tier]:
            shape, tier = second_shape, second_tier
    if tier == "tokens":
        inner = set(shape.parents)
        leaves = [kind for number, kind in enumerate(shape.kinds) if number not in inner]
        root = Language(tree_sitter_c.language()).id_for_node_kind("translation_unit", True)
        return TreeShape([root or 0, *leaves], [-1] + [0] * len(leaves))
    return shape


def _plain_shape(tree: Tree) -> TreeShape:
    kinds: list[int] = []
    parents: list[int] = []

    def visit(node: Node, parent: int) -> None:
        if not node.is_named and node.type in PUNCTUATION:
            return
        number = len(kinds)
        kinds.append(node.kind_id)
        parents.append(parent)
        for child in node.children:
            visit(child, number)

    visit(tree.root_node, -1)
    return TreeShape(kinds, parents)


def same_content(left: Path, right: Path) -> bool:
    """Whether two routes wrote the same records."""
    with left.open("rb") as one, right.open("rb") as other:
        return all(json.loads(a) == json.loads(b) for a, b in zip(one, other, strict=True))


def extras(codes: Sequence[str], tokenizer: str, folder: Path) -> dict[str, Callable[[], Any]]:
    """What the job does beyond the core, each by itself for all functions; what it needs is made before."""
    core = Core(tokenizer)
    collapsed = [sequence for chunk in chunks_of(codes) for sequence in core.tokenizer.tokenize_collapsed(chunk)]
    raw = [sequence for chunk in chunks_of(codes) for sequence in core.tokenizer.tokenize_batch(chunk)]
    parents = [np.array(core.parser.best_shape(code.encode())[0].parents, np.int32) for code in codes]
    graphs = [core.parser.parse(code) for code in codes]
    trimmer = VulnerableCodeTrimmer(510)
    rows = [
        ColumnRow("id", "g", 0, code, each.ids, graph.nodes, np.vstack([graph.edge_index.T, graph.edge_type]))
        for code, each, graph in zip(codes, raw, graphs, strict=True)
    ]
    return {
        "trimming": lambda: [trimmer.trim(code, each.offsets) for code, each in zip(codes, raw, strict=True)],
        "offsets back to raw": lambda: [
            in_raw_text(sequence, code) for sequence, code in zip(collapsed, codes, strict=True)
        ],
        "typed edges": lambda: [typed_edges(each) for each in parents],
        "Arrow copy": lambda: _write_columns(rows, folder),
        "MinHash": lambda: _search_duplicates(codes),
    }


def _write_columns(rows: list[ColumnRow], folder: Path) -> None:
    with ColumnWriter(folder) as writer:
        for first in range(0, len(rows), CHUNK_FUNCTIONS):
            writer.add(column_chunk(rows[first : first + CHUNK_FUNCTIONS]))
        writer.write(folder / "extra.arrow", jsonl_sha256="", jsonl_bytes=0)


def _search_duplicates(codes: Sequence[str]) -> None:
    search = DuplicateSearch(0.7)
    for number, code in enumerate(codes):
        search.add("train", str(number), str(number), 0, code)
    search.report()
