"""What people call the systems and baselines of retrieval: the one table for jobs, report and charts."""

from __future__ import annotations

TITLES = {
    "encoder": "Trained encoder",
    "untrained": "Untrained encoder",
    "bm25": "BM25",
    "reranker": "Reranker (MLP)",
    "cross_encoder": "Cross-encoder",
    "patch_ranker": "Patch ranker",
    "boosted_trees": "Boosted trees",
    "first_stage": "Encoder's own order",
    "size": "Smaller edit first",
    "random": "Random order",
}


def title_of(name: str) -> str:
    """A system for people; a name that is not known stays."""
    return TITLES.get(name, name)
