"""What the preprocess job counts: per split while records pass, and over all splits at the end.

Numbers only; where they are written and what is warned about is in ``preprocessing.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, get_args

from models.data.percentiles import share, spread_of, sum_of
from models.data.raw_functions import RawFunction, Rejection
from models.data.records import RecordFacts
from models.data.trimming import Trimming

NO_PROJECT = "(none)"


class SplitReport:
    """Counts of one split; memory grows with distinct values, not with rows."""

    def __init__(self) -> None:
        self.num_rows = 0
        self.num_blank_lines = 0
        self.num_without_idx = 0
        self.rejected: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.labels: Counter[int] = Counter()
        self.projects: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.tiers: Counter[str] = Counter()
        self.trimming: Counter[str] = Counter()
        self.call_tokens: Counter[str] = Counter()  # of long functions, by the strategy that keeps them
        self.num_with_error = 0
        self.num_graphs_cut = 0
        self.num_nodes_cut = 0
        self.num_tokens: Counter[int] = Counter()
        self.num_tokens_before_trim: Counter[int] = Counter()

    def reject(self, rejection: Rejection) -> None:
        """Count a row that was refused."""
        self.num_rows += 1
        self.rejected[rejection.reason] += 1

    def drop(self, rejection: Rejection) -> None:
        """Count a good row that another split keeps the group of."""
        self.num_rows += 1
        self.dropped[rejection.reason] += 1

    def accept(self, function: RawFunction, default_source: str) -> None:
        """Count a row that was taken; ``default_source`` is its source where it does not say."""
        self.num_rows += 1
        self.num_without_idx += not function.has_idx
        self.labels[function.label] += 1
        self.projects[function.project or NO_PROJECT] += 1
        self.sources[function.source or default_source] += 1

    def add_records(self, facts: Iterable[RecordFacts]) -> None:
        """Count finished records."""
        for fact in facts:
            self.tiers[fact.tier] += 1
            self.trimming[fact.trimming] += 1
            self.call_tokens.update(fact.call_tokens)
            self.num_with_error += fact.has_error
            self.num_graphs_cut += fact.num_nodes_cut > 0
            self.num_nodes_cut += fact.num_nodes_cut
            self.num_tokens[fact.num_tokens] += 1
            self.num_tokens_before_trim[fact.num_tokens_before_trim] += 1

    @property
    def num_accepted(self) -> int:
        """Rows taken."""
        return self.labels.total()

    @property
    def num_rejected(self) -> int:
        """Rows refused."""
        return self.rejected.total()

    @property
    def num_dropped(self) -> int:
        """Rows whose group another split keeps."""
        return self.dropped.total()

    @property
    def ast_success(self) -> float:
        """Share of records whose tree has no error."""
        return share(self.tiers["full"], self.tiers.total())

    @property
    def share_of_tokens_kept(self) -> float:
        """Share of all tokens that are left after trimming."""
        return share(sum_of(self.num_tokens), sum_of(self.num_tokens_before_trim))

    @property
    def share_of_records_cut(self) -> dict[str, float]:
        """Share of records that lost tokens, by how, and of all ways together."""
        num_records = self.trimming.total()
        ways = [way for way in get_args(Trimming) if way != "none"]
        return {
            "any": share(num_records - self.trimming["none"], num_records),
            **{way: share(self.trimming[way], num_records) for way in ways},
        }

    def summary(self) -> dict[str, Any]:
        """All counts as JSON values."""
        return {
            "rows": self.num_rows,
            "blank_lines": self.num_blank_lines,
            "accepted": self.num_accepted,
            "rejected": self.num_rejected,
            "rejected_by_reason": dict(sorted(self.rejected.items())),
            "dropped_by_reason": dict(sorted(self.dropped.items())),
            "without_idx": self.num_without_idx,
            "labels": {"0": self.labels[0], "1": self.labels[1]},
            "share_vulnerable": share(self.labels[1], self.num_accepted),
            "projects": dict(sorted(self.projects.items())),
            "sources": dict(sorted(self.sources.items())),
            "tokens_before_trim": spread_of(self.num_tokens_before_trim),
            "tokens": spread_of(self.num_tokens),
            "share_of_tokens_kept": self.share_of_tokens_kept,
            "share_of_records_cut": self.share_of_records_cut,
            "trimming": {name: self.trimming[name] for name in get_args(Trimming)},
            "ast_success": self.ast_success,
            "ast_tiers": {name: self.tiers[name] for name in ("full", "partial", "tokens")},
            "has_error": share(self.num_with_error, self.tiers.total()),
            "graphs_cut": self.num_graphs_cut,
            "nodes_cut": self.num_nodes_cut,
        }


class GroupSearch:
    """Finds groups (commits) that are in several splits; about 100 bytes a group."""

    def __init__(self) -> None:
        self._splits: list[str] = []
        self._splits_of: dict[bytes, int] = {}  # digest -> bits

    def add(self, split: str, group: str) -> None:
        """Take one record's group."""
        if split not in self._splits:
            self._splits.append(split)
        digest = blake2b(group.encode(), digest_size=8).digest()
        self._splits_of[digest] = self._splits_of.get(digest, 0) | 1 << self._splits.index(split)

    def summary(self) -> dict[str, Any]:
        """Number of groups, how many are in several splits, and by which splits."""
        by_bits = Counter(self._splits_of.values())
        several = {bits: count for bits, count in by_bits.items() if bits.bit_count() > 1}
        names = {
            "/".join(name for at, name in enumerate(self._splits) if bits >> at & 1): count
            for bits, count in sorted(several.items())
        }
        return {"groups": len(self._splits_of), "in_several_splits": sum(several.values()), "by_splits": names}
