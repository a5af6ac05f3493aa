"""What the preprocess job says of its run: ``preprocessing_metadata.json``, its small numbers, its warnings.

No clock and no path is in it: equal data and settings give equal bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from models.data.chosen_tokenizer import describe_tokenizer, tokenizer_name
from models.data.duplicates import DuplicateSearch
from models.data.graph_statistics import GraphStatistics
from models.data.percentiles import share, sum_of
from models.data.raw_functions import Survey
from models.data.split_report import GroupSearch, SplitReport
from models.data.syntax_trees import describe_grammar
from models.data.tokens import SafeTokenizer
from models.data.trimming import STRATEGIES
from models.settings.preprocess import PreprocessSettings

NOT_DECIDING = {"data", "allow_network", "num_workers"}
NUMBERS_OF_SPLIT = ("accepted", "rejected", "share_vulnerable", "ast_success", "has_error", "share_of_tokens_kept")
NUMBERS_OF_GRAPHS = ("total_graphs", "avg_nodes", "p95_nodes", "max_nodes", "recommended_batch_size")


@dataclass
class Findings:
    """What was found while records passed, over all splits."""

    duplicates: DuplicateSearch
    graphs: GraphStatistics
    groups: GroupSearch = field(default_factory=GroupSearch)
    splits: dict[str, SplitReport] = field(default_factory=dict)


def describe_run(
    settings: PreprocessSettings, surveys: dict[str, Survey], tokenizer: SafeTokenizer, findings: Findings
) -> dict[str, Any]:
    """Everything that is known of the records, as JSON values."""
    return {
        "settings": settings.model_dump(mode="json", exclude=NOT_DECIDING) | {"tokenizer": tokenizer_name(settings)},
        "data": {split: {"file": survey.path.name, "sha256": survey.sha256} for split, survey in surveys.items()},
        "tokenizer": describe_tokenizer(settings, tokenizer),
        "splits": {split: report.summary() for split, report in findings.splits.items()},
        "trimming_strategies": compare_strategies(settings.max_seq_len, findings.splits.values()),
        "groups_across_splits": findings.groups.summary(),
        "duplicates": findings.duplicates.report(),
        "graph_statistics": findings.graphs.summary(),
        "syntax": describe_grammar(),
    }


def compare_strategies(max_seq_len: int, reports: Iterable[SplitReport]) -> dict[str, Any]:
    """What each trimming strategy would keep of this data, whichever was used.

    Args:
        max_seq_len: Longest record of the strategies that cut, special tokens included.
        reports: Counts of all splits.

    Returns:
        ``records_too_long`` of ``records``, ``call_tokens`` (inside names of vulnerable calls) in them, and for each
        strategy its share of all tokens and of those call tokens, null where there are none.
    """
    sizes: Counter[int] = Counter()
    call_tokens: Counter[str] = Counter()
    for report in reports:
        sizes.update(report.num_tokens_before_trim)
        call_tokens.update(report.call_tokens)
    num_tokens = sum_of(sizes)
    num_if_cut = sum(min(size, max_seq_len) * count for size, count in sizes.items())
    num_call_tokens = call_tokens["whole"]
    return {
        "max_seq_len": max_seq_len,
        "records": sizes.total(),
        "records_too_long": sum(count for size, count in sizes.items() if size > max_seq_len),
        "call_tokens": num_call_tokens,
        "strategies": {
            name: {
                "share_of_tokens": share(num_tokens if name == "whole" else num_if_cut, num_tokens),
                "share_of_call_tokens": share(call_tokens[name], num_call_tokens) if num_call_tokens else None,
            }
            for name in STRATEGIES
        },
    }


def small_numbers(metadata: dict[str, Any]) -> dict[str, Any]:
    """What flows and people want to see of a run at once."""
    graphs, twins = metadata["graph_statistics"], metadata["duplicates"]["with_twin_in_train"]
    return {
        "splits": {
            split: {name: found[name] for name in NUMBERS_OF_SPLIT} for split, found in metadata["splits"].items()
        },
        "groups_in_several_splits": metadata["groups_across_splits"]["in_several_splits"],
        "with_twin_in_train": {split: counts["either"] for split, counts in twins.items()},
        "vocab_size": metadata["tokenizer"]["vocab_size"],
        **{name: graphs[name] for name in NUMBERS_OF_GRAPHS},
    }


def warnings_of(metadata: dict[str, Any], min_ast_success: float) -> Iterator[str]:
    """What a person should know before training on these records."""
    for split, found in metadata["splits"].items():
        if found["ast_success"] < min_ast_success:
            yield (
                f"{split}: only {found['ast_success']:.1%} of the functions parse without error, fewer than "
                f"min_ast_success={min_ast_success:.0%}; the graphs of the others are partial"
            )
        if found["rejected"]:
            reasons = ", ".join(f"{count} {reason}" for reason, count in found["rejected_by_reason"].items())
            yield f"{split}: {found['rejected']} of {found['rows']} rows rejected ({reasons}); see rejected.jsonl"
        if dropped := found["dropped_by_reason"]:
            reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
            yield f"{split}: {sum(dropped.values())} of {found['rows']} rows dropped for their group ({reasons})"
    groups = metadata["groups_across_splits"]
    if groups["in_several_splits"]:
        where = ", ".join(f"{count} in {splits}" for splits, count in groups["by_splits"].items())
        yield (
            f"{groups['in_several_splits']} commits (or clusters of copies without one) are in several splits "
            f"({where}): scores will be too good; splits=by_group keeps each in one"
        )
    for split, counts in metadata["duplicates"]["with_twin_in_train"].items():
        if counts["either"]:
            yield f"{split}: {counts['either']} functions have an exact or near twin in train"
