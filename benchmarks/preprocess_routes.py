"""Ways through the core of preprocessing (parse, walk, tokenise, write) that ``benchmarks/preprocess.py`` compares.

All take raw functions and write JSON lines with the same content. ``plain`` is how one would write it down first;
``bare`` is what the two libraries take by themselves, with nothing kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import tree_sitter_c
from tokenizers import Tokenizer
from tree_sitter import Language, Node, Parser, Tree

from models.data.syntax_trees import (
    ASTParser,
    SyntaxGraph,
    TreeShape,
    _tier_of,
    child_edges,
    node_ids,
    without_directives,
)
from models.data.tokens import SafeTokenizer

CHUNK_FUNCTIONS = 64
PUNCTUATION = frozenset([*"()[]{},;:?\n\"'", "::", "[[", "]]", "..."]) | {
    prefix + quote for prefix in ("L", "u", "U", "u8") for quote in "'\""
}

Route = Callable[[Sequence[str], str, Path], None]


def chunks_of(codes: Sequence[str]) -> Iterator[list[str]]:
    """Consecutive chunks."""
    for first in range(0, len(codes), CHUNK_FUNCTIONS):
        yield list(codes[first : first + CHUNK_FUNCTIONS])


class Core:
    """Ours: what the job does for tokens, nodes and child edges, and nothing else of it."""

    def __init__(self, tokenizer: str) -> None:
        self.tokenizer = SafeTokenizer(Tokenizer.from_str(tokenizer))
        self.parser = ASTParser()

    def lines(self, codes: Sequence[str]) -> bytes:
        """JSON lines of a chunk."""
        lines = []
        for code, sequence in zip(codes, self.tokenizer.tokenize_collapsed(codes), strict=True):
            shape, tier, _ = self.parser.best_shape(code.encode())
            if tier == "tokens":
                shape = self.parser.token_shape(shape)
            edges = child_edges(shape.parents)
            record = {"code": code, "tokens": sequence.ids, "nodes": node_ids(shape.kinds), "edges": edges}
            lines.append(orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))
        return b"".join(lines)


def ours(codes: Sequence[str], tokenizer: str, path: Path) -> None:
    """Chunks through ``Core``, with nothing remembered from an earlier run."""
    core = Core(tokenizer)
    with path.open("wb") as file:
        for chunk in chunks_of(codes):
            file.write(core.lines(chunk))


def plain(codes: Sequence[str], tokenizer: str, path: Path) -> None:
    """One tokenizer call a function, recursion over ``.children``, ``json.dumps``."""
    sys.setrecursionlimit(50_000)
    loaded = Tokenizer.from_str(tokenizer)
    parser = Parser(Language(tree_sitter_c.language()))
    with path.open("w") as file:
        for code in codes:
            tokens = loaded.encode(" ".join(code.split()), add_special_tokens=False).ids
            nodes, edges = _plain_graph(parser, code.encode())
            file.write(json.dumps({"code": code, "tokens": tokens, "nodes": nodes, "edges": edges}) + "\n")


def _plain_graph(parser: Parser, content: bytes) -> tuple[list[int], list[list[int]]]:
    """Nodes and child edges under the same rules as ours: which nodes, which tree, which tier."""
    tree = parser.parse(content)
    shape = _plain_shape(tree)
    tier = _tier_of(tree, shape)
    if tier != "full" and b"#" in content:
        second = parser.parse(without_directives(content))
        second_shape = _plain_shape(second)
        second_tier = _tier_of(second, second_shape)
        if (second_tier, tier) in {("full", "partial"), ("full", "tokens"), ("partial", "tokens")}:
            shape, tier = second_shape, second_tier
    if tier == "tokens":
        inner = set(shape.parents)
        leaves = [kind for number, kind in enumerate(shape.kinds) if number not in inner]
        root = parser.language.id_for_node_kind("translation_unit", True) if parser.language else None
        shape = TreeShape([root or 0, *leaves], [-1] + [0] * len(leaves))
    nodes = [999 if kind == 65535 else kind for kind in shape.kinds]
    return nodes, [[parent, number] for number, parent in enumerate(shape.parents) if parent >= 0]


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


def bare(codes: Sequence[str], tokenizer: str, path: Path) -> None:  # noqa: ARG001  a route that writes nothing
    """Tokenising and parsing alone."""
    loaded = Tokenizer.from_str(tokenizer)
    parser = Parser(Language(tree_sitter_c.language()))
    for chunk in chunks_of(codes):
        loaded.encode_batch_fast([" ".join(code.split()) for code in chunk], add_special_tokens=False)
        for code in chunk:
            parser.parse(code.encode())


def same_content(left: Path, right: Path) -> bool:
    """Whether two routes wrote the same records."""
    with left.open("rb") as one, right.open("rb") as other:
        return all(json.loads(a) == json.loads(b) for a, b in zip(one, other, strict=True))


def parts(codes: Sequence[str], tokenizer: str, path: Path) -> dict[str, Callable[[], Any]]:
    """What the job does beyond the core, each by itself on all functions; the core's own work is done before."""
    from models.data.column_writer import ColumnWriter
    from models.data.columnar import make_copy
    from models.data.duplicates import DuplicateSearch
    from models.data.syntax_trees import typed_edges
    from models.data.tokens import _in_raw_text
    from models.data.trimming import VulnerableCodeTrimmer

    core = Core(tokenizer)
    sequences = [each for chunk in chunks_of(codes) for each in core.tokenizer.tokenize_collapsed(chunk)]
    raw = [_in_raw_text(sequence, code) for sequence, code in zip(sequences, codes, strict=True)]
    parents = [core.parser.best_shape(code.encode())[0].parents for code in codes]
    trimmer = VulnerableCodeTrimmer(510)

    def minhash() -> None:
        search = DuplicateSearch(0.7)
        for number, code in enumerate(codes):
            search.add("train", str(number), str(number), 0, code)
        search.report()

    assert ColumnWriter is not None
    return {
        "trimming": lambda: [trimmer.trim(code, each.offsets) for code, each in zip(codes, raw, strict=True)],
        "offsets back to raw": lambda: [_in_raw_text(s, code) for s, code in zip(sequences, codes, strict=True)],
        "typed edges": lambda: [(typed_edges(each), child_edges(each))[0] for each in parents],
        "MinHash": minhash,
        "Arrow": lambda: make_copy(path, ""),
    }


__all__ = ["Core", "Route", "SyntaxGraph", "bare", "chunks_of", "ours", "parts", "plain", "same_content"]
