"""Preprocessing as the seed asked for it to be tested: ``python -m pytest tests/test_preprocessing.py``.

Each part has a thorough test of its own under ``tests/models/data``.
"""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from models.data.graph_statistics import GraphStatistics
from models.data.raw_functions import RawFunction
from models.data.records import NamedFunction, RecordMaker, RecordPlan
from models.data.syntax_trees import ASTParser
from models.data.tokenizer_files import train_tokenizer
from models.data.tokens import SafeTokenizer, init_safe_tokenizer
from models.data.trimming import VulnerableCodeTrimmer
from models.errors import SettingsInvalid

VULNERABLE = "void foo(char *input) { char buf[8]; strcpy(buf, input); }"
SAFE = "int add(int a, int b) { return a + b; }"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer([VULNERABLE, SAFE] * 3, vocab_size=330)


class TestSafeTokenizer:
    def test_a_slow_tokenizer_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        slow = type("Slow", (), {"is_fast": False})()
        monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", lambda *_, **__: slow)
        with pytest.raises(SettingsInvalid, match="is not fast"):
            init_safe_tokenizer("some/slow-tokenizer")

    def test_offsets_show_each_token_in_the_code(self, tokenizer: Tokenizer) -> None:
        sequence = SafeTokenizer(tokenizer).tokenize(VULNERABLE)
        shown = [VULNERABLE[begin:end] for begin, end in sequence.offsets.tolist()]
        assert "".join(shown) == VULNERABLE.replace(" ", "")

    def test_long_code_is_truncated_with_its_offsets(self, tokenizer: Tokenizer) -> None:
        plan = RecordPlan(tokenizer.to_str(), "codexglue", 16, True, "head", 100)
        function = NamedFunction(RawFunction(1, "1", SAFE * 9, 0, "", "", True), "CODEXGLUE-TRAIN-1", "g", "train")
        (fact,) = RecordMaker(plan).make([function]).facts
        assert fact.num_tokens == 16 < fact.num_tokens_before_trim


class TestASTParser:
    def test_a_parser_starts_without_downloads(self) -> None:
        assert ASTParser().language.node_kind_count > 300

    def test_simple_code_is_parsed_in_full(self) -> None:
        graph = ASTParser().parse(SAFE)
        assert (graph.tier, graph.has_error) == ("full", False)
        assert len(graph.edge_index) >= len(graph.nodes) - 1

    @pytest.mark.parametrize(
        ("code", "tier"), [("int f(int a) { if (a) { return 1; } a b c; }", "partial"), (") ) = = a ] b (", "tokens")]
    )
    def test_malformed_code_falls_back(self, code: str, tier: str) -> None:
        graph = ASTParser().parse(code)
        assert (graph.tier, graph.has_error) == (tier, True)
        assert len(graph.nodes) > 1

    def test_problematic_directives_are_removed(self) -> None:
        code = "int f(int a) {\n#ifdef X\n  if (a) {\n#else\n  if (!a) {\n#endif\n  a++; } }\n  return a; }\n"
        graph = ASTParser().parse(code)
        assert (graph.tier, graph.has_error) == ("full", True)


class TestVulnerableCodeTrimmer:
    def test_vulnerable_spans_are_found(self) -> None:
        (span,) = VulnerableCodeTrimmer(100).find_spans(VULNERABLE)
        assert VULNERABLE[slice(*span)] == "strcpy"

    def test_safe_code_has_no_spans(self) -> None:
        assert VulnerableCodeTrimmer(100).find_spans(SAFE) == []

    def test_vulnerable_code_survives_trimming(self, tokenizer: Tokenizer) -> None:
        code = SAFE * 30 + VULNERABLE + SAFE * 30
        sequence = SafeTokenizer(tokenizer).tokenize(code)
        trimmed = VulnerableCodeTrimmer(40).trim(code, sequence.offsets)
        shown = "".join(code[begin:end] for begin, end in sequence.offsets[trimmed.kept].tolist())
        assert (len(trimmed.kept), trimmed.trimming) == (40, "window")
        assert "strcpy(buf,input)" in shown


class TestGraphStatistics:
    def test_statistics_are_collected(self) -> None:
        statistics = GraphStatistics()
        for num_nodes in (10, 20, 30, 1000):
            statistics.add(num_nodes, num_nodes - 1)
        summary = statistics.summary()
        assert (summary["total_graphs"], summary["max_nodes"], summary["avg_nodes"]) == (4, 1000, 265.0)
        assert summary["p95_nodes"] == 1000

    def test_the_seeds_example_is_recommended_32(self) -> None:
        statistics = GraphStatistics()
        statistics.add(384, 800)
        assert statistics.summary()["recommended_batch_size"] == 32

    def test_larger_graphs_never_get_a_larger_batch(self) -> None:
        recommended = []
        for num_nodes in (100, 10_000, 100_000, 1_000_000):
            statistics = GraphStatistics()
            statistics.add(num_nodes, 2 * num_nodes)
            recommended.append(statistics.summary()["recommended_batch_size"])
        assert recommended == sorted(recommended, reverse=True)
        assert recommended[0] > recommended[-1]
