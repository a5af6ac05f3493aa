"""Search and ranking: exact search, BM25, metrics of ranks, mining of negatives, and how orders are judged."""
